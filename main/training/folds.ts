/**
 * Which items stay together, and how they are divided: cross-validation folds and the
 * test split of a simulation. Groups and near-duplicate clusters are joined first, so
 * that no patient and no copy of an image is on both sides; rare classes are spread by
 * giving each component to the side that lacks its classes most.
 */
import type { Rng } from '../domain/rng.ts';

/** Component number of each item, 0, 1, 2 …: items that share a group or a near-duplicate cluster, directly or through others, are one component. −1 in either = belongs to none. */
export function components(n: number, groups?: ArrayLike<number>, duplicates?: ArrayLike<number>): Int32Array {
  const parent = Int32Array.from({ length: n }, (_, i) => i);
  const find = (i: number) => {
    while (parent[i] !== i) i = parent[i] = parent[parent[i]];
    return i;
  };
  for (const keys of [groups, duplicates]) {
    if (!keys) continue;
    const first = new Map<number, number>();
    for (let i = 0; i < n; i++) {
      if (keys[i] < 0) continue;
      const other = first.get(keys[i]);
      if (other === undefined) first.set(keys[i], i);
      else parent[find(i)] = find(other);
    }
  }
  const names = new Map<number, number>();
  return Int32Array.from({ length: n }, (_, i) => {
    const root = find(i);
    if (!names.has(root)) names.set(root, names.size);
    return names.get(root)!;
  });
}

/** Divides items into parts of the given `shares` (summing to 1), whole components only, classes spread as evenly as components allow. `classesOf` may name none. Returns the part of each item. */
export function divide(
  component: ArrayLike<number>,
  classesOf: readonly (readonly number[])[],
  classCount: number,
  shares: readonly number[],
  rng: Rng,
): Int32Array {
  const members = new Map<number, number[]>();
  for (let i = 0; i < component.length; i++) {
    const list = members.get(component[i]);
    if (list) list.push(i);
    else members.set(component[i], [i]);
  }
  const total = new Float64Array(classCount + 1);
  const countsOf = (items: readonly number[]) => {
    // The last column counts items, so that sizes are balanced as classes are.
    const counts = new Float64Array(classCount + 1);
    for (const item of items) {
      for (const j of classesOf[item]) counts[j]++;
      counts[classCount]++;
    }
    return counts;
  };
  const list = rng.shuffle([...members.values()]).map((items) => ({ items, counts: countsOf(items) }));
  for (const { counts } of list) counts.forEach((count, j) => (total[j] += count));
  // Large components first, while there is room for them; equal ones stay shuffled.
  list.sort((a, b) => b.items.length - a.items.length);
  const filled = shares.map(() => new Float64Array(classCount + 1));
  const part = new Int32Array(component.length);
  for (const { items, counts } of list) {
    let best = 0;
    let least = Infinity;
    for (let s = 0; s < shares.length; s++) {
      // How far this part would be from its share of every class it receives, rare classes weighing as much as common ones.
      let cost = 0;
      for (let j = 0; j <= classCount; j++) {
        if (counts[j] === 0) continue;
        const target = shares[s] * total[j];
        const before = filled[s][j] - target;
        const after = before + counts[j];
        cost += (after * after - before * before) / Math.max(target * total[j], 1e-9);
      }
      if (cost < least - 1e-12) {
        least = cost;
        best = s;
      }
    }
    counts.forEach((count, j) => (filled[best][j] += count));
    for (const item of items) part[item] = best;
  }
  return part;
}
