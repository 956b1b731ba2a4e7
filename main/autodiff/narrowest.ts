/**
 * The cheapest set of tensors that everything flows through on its way to some others: a
 * minimum vertex cut, by the flow that fills it (Ford & Fulkerson 1956), found along shortest
 * paths (Edmonds & Karp 1972). Of equally cheap cuts the latest.
 */

const SOURCE = 0;
const SINK = 1;

/**
 * `ends` are what must be reached, `before` what a tensor is made from, null where the flow
 * begins. Gives names, `ends` among them where these are cheapest; null where every cut costs
 * infinitely much.
 */
export function narrowest(
  ends: readonly string[],
  before: (name: string) => readonly string[] | null,
  cost: (name: string) => number,
): string[] | null {
  // each tensor is an edge from its own 2i + 2 to its 2i + 3, as wide as it costs
  const places = new Map<string, number>();
  const room: Map<number, number>[] = [new Map(), new Map()];
  const link = (from: number, to: number, width: number) => {
    room[from].set(to, (room[from].get(to) ?? 0) + width);
    if (!room[to].has(from)) room[to].set(from, 0);
  };
  const waiting: string[] = [];
  const placeOf = (name: string): number => {
    let place = places.get(name);
    if (place === undefined) {
      places.set(name, (place = room.length));
      room.push(new Map(), new Map());
      link(place, place + 1, cost(name));
      waiting.push(name);
    }
    return place;
  };
  for (const name of ends) link(placeOf(name) + 1, SINK, Infinity);
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const place = placeOf(name);
    const inputs = before(name);
    if (!inputs) link(SOURCE, place, Infinity);
    for (const input of inputs ?? []) link(placeOf(input) + 1, place, Infinity);
  }
  for (let path = freePath(room); path; path = freePath(room)) {
    const steps = path.slice(1).map((to, i) => [path[i], to] as const);
    const width = Math.min(...steps.map(([from, to]) => room[from].get(to)!));
    if (width === Infinity) return null;
    for (const [from, to] of steps) {
      room[from].set(to, room[from].get(to)! - width);
      room[to].set(from, room[to].get(from)! + width);
    }
  }
  const after = reaching(room);
  return [...places].flatMap(([name, place]) => (after.has(place + 1) && !after.has(place) ? [name] : []));
}

/** A shortest way from source to sink that has room left. */
function freePath(room: readonly ReadonlyMap<number, number>[]): number[] | null {
  const cameFrom = new Map([[SOURCE, SOURCE]]);
  for (const from of cameFrom.keys()) {
    for (const [to, width] of room[from]) {
      if (width <= 0 || cameFrom.has(to)) continue;
      cameFrom.set(to, from);
      if (to !== SINK) continue;
      const path = [SINK];
      while (path[0] !== SOURCE) path.unshift(cameFrom.get(path[0])!);
      return path;
    }
  }
  return null;
}

/** From where the sink can still be reached. */
function reaching(room: readonly ReadonlyMap<number, number>[]): Set<number> {
  const found = new Set([SINK]);
  for (const to of found) for (const from of room[to].keys()) if (room[from].get(to)! > 0) found.add(from);
  return found;
}
