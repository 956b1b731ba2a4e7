/**
 * Greedy choice where an item's worth can only fall as the batch grows: what was computed
 * before stays an upper bound, and only items whose bound reaches the top are computed
 * anew. The same picks as by computing everything at every step, for a small part of the
 * work (Minoux 1978, Accelerated greedy algorithms).
 */
import type { Guard } from './batch-rules.ts';
import type { Pace } from './pace.ts';
import { siftDown, siftUp } from './ranking.ts';

export interface Greedy {
  candidates: ArrayLike<number>;
  /** An upper bound of each candidate's worth, by position; `refine` lowers it. */
  bounds: Float64Array;
  /** Lowers the bound of a position until it is exact (true) or below `enough` (false). */
  refine(position: number, enough: number): boolean;
  /** The batch has this position, whose worth was its bound. */
  take(position: number): void;
}

/** The positions of up to `count` candidates, best first at each step; ties in the order given. Near duplicates of labelled items only when nothing else is left. */
export async function lazyGreedy(greedy: Greedy, count: number, guard: Guard, pace: Pace): Promise<number[]> {
  const { candidates, bounds } = greedy;
  const isFirst = (a: number, b: number) => bounds[a] > bounds[b] || (bounds[a] === bounds[b] && a < b);
  const heap: number[] = [];
  for (let position = 0; position < candidates.length; position++) heap.push(position);
  if (pace.isDue()) await pace.rest();
  for (let at = (heap.length >> 1) - 1; at >= 0; at--) {
    siftDown(heap, isFirst, at);
    if ((at & 1023) === 0 && pace.isDue()) await pace.rest();
  }
  const taken: number[] = [];
  let refused: number[] = [];
  let strict = true;
  let steps = 0;
  while (taken.length < count) {
    if (heap.length === 0) {
      if (!strict || refused.length === 0) break;
      strict = false;
      guard.forgetLabelled();
      for (const position of refused) {
        heap.push(position);
        siftUp(heap, isFirst);
      }
      refused = [];
    }
    if ((++steps & 3) === 0 && pace.isDue()) await pace.rest();
    const [top] = heap;
    const isAllowed = guard.allowed(candidates[top]);
    if (isAllowed && !greedy.refine(top, runnerUp(heap, bounds))) {
      siftDown(heap, isFirst);
      continue;
    }
    // Refined, it may tie with one that comes first.
    siftDown(heap, isFirst);
    if (heap[0] !== top) continue;
    const last = heap.pop()!;
    if (heap.length > 0) {
      heap[0] = last;
      siftDown(heap, isFirst);
    }
    if (!isAllowed) {
      refused.push(top);
      continue;
    }
    guard.taken(candidates[top]);
    greedy.take(top);
    taken.push(top);
  }
  return taken;
}

function runnerUp(heap: readonly number[], bounds: Float64Array): number {
  return Math.max(heap.length > 1 ? bounds[heap[1]] : -Infinity, heap.length > 2 ? bounds[heap[2]] : -Infinity);
}
