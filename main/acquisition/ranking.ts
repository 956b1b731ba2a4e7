/**
 * Positions of scores from the highest down, found only as far as somebody reads: the top
 * hundred of a million cost one pass, not a sort. Ties in the order given (callers pass
 * candidates in id order).
 */
const FIRST = 512;
const MOST = 8192;

export interface Ranking extends Iterable<number> {
  /** How many come before a position that has been read. */
  rankOf(position: number): number;
}

/** Ranks scores; all are finite. */
export function rankingOf(scores: Float64Array): Ranking {
  const found: number[] = [];
  const ranks = new Map<number, number>();
  let size = FIRST;
  const findMore = () => {
    const next = nextBest(scores, size, found.at(-1));
    for (const position of next) {
      ranks.set(position, found.length);
      found.push(position);
    }
    size = Math.min(MOST, size * 8);
    return next.length > 0;
  };
  return {
    *[Symbol.iterator]() {
      for (let i = 0; i < found.length || findMore(); i++) yield found[i];
    },
    rankOf: (position) => ranks.get(position)!,
  };
}

/** The best `count` positions that rank behind `after`, best first. A heap keeps the worst of those kept at its top. */
function nextBest(scores: Float64Array, count: number, after: number | undefined): number[] {
  const ceiling = after === undefined ? Infinity : scores[after];
  const behind = after ?? -1;
  const heap: number[] = [];
  const isWorse = (a: number, b: number) => scores[a] < scores[b] || (scores[a] === scores[b] && a > b);
  let floor = -Infinity;
  for (let position = 0; position < scores.length; position++) {
    const score = scores[position];
    // Later positions lose ties, so that equal to the floor is not good enough.
    if (score <= floor) continue;
    if (score > ceiling || (score === ceiling && position <= behind)) continue;
    if (heap.length < count) {
      heap.push(position);
      siftUp(heap, isWorse);
    } else {
      heap[0] = position;
      siftDown(heap, isWorse);
    }
    if (heap.length === count) floor = scores[heap[0]];
  }
  return heap.sort((a, b) => scores[b] - scores[a] || a - b);
}

/** Moves the last entry of a binary heap to its place; `isFirst(a, b)` says that `a` belongs nearer to the top. */
export function siftUp(heap: number[], isFirst: (a: number, b: number) => boolean): void {
  let at = heap.length - 1;
  const own = heap[at];
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!isFirst(own, heap[parent])) break;
    heap[at] = heap[parent];
    at = parent;
  }
  heap[at] = own;
}

/** Moves the entry at `at` of a binary heap down to its place. */
export function siftDown(heap: number[], isFirst: (a: number, b: number) => boolean, at = 0): void {
  const own = heap[at];
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && isFirst(heap[child + 1], heap[child])) child++;
    if (!isFirst(heap[child], own)) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = own;
}
