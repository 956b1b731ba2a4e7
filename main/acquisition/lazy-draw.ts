/**
 * k-means++ draws (Arthur & Vassilvitskii 2007: the next centre with a probability in
 * proportion to its squared distance from the nearest one) without comparing everything
 * with every centre. What an item's distance was when it was last looked at is an upper
 * bound of what it is now. An item is drawn in proportion to its bound, compared with the
 * centres since, and kept with probability distance / bound: by rejection exactly the
 * distribution wanted, for a few comparisons a draw.
 */
import type { Rng } from '../domain/rng.ts';
import { createGuard, takeInOrder, type BatchRules } from './batch-rules.ts';
import type { Pace } from './pace.ts';
import { rankingOf } from './ranking.ts';

export interface Drawing {
  /** ‖g‖² of each candidate, by position. */
  norms: Float64Array;
  /** ‖g_i − g_j‖² of two positions. */
  distance(i: number, j: number): number;
}

export interface Drawn {
  position: number;
  /** From the nearest of those drawn before; of the first its norm. */
  squaredDistance: number;
}

/** Up to `count` candidates: the longest first, as in BADGE, then drawn. Once nothing is at a distance any more, the longest of what is left. */
export async function drawLazily(
  rules: BatchRules,
  { norms, distance }: Drawing,
  count: number,
  rng: Rng,
  pace: Pace,
): Promise<Drawn[]> {
  const { candidates } = rules;
  const guard = createGuard(rules);
  const ranking = rankingOf(norms);
  const [first] = await takeInOrder(rules, ranking, 1, guard, pace);
  if (first === undefined) return [];
  const drawn: Drawn[] = [{ position: first, squaredDistance: norms[first] }];
  const bounds = new Float64Array(norms.length);
  for (let i = 0; i < bounds.length; i++) {
    bounds[i] = i === first ? 0 : Math.max(0, distance(i, first));
    if ((i & 1023) === 1023 && pace.isDue()) await pace.rest();
  }
  const compared = new Int32Array(norms.length).fill(1);
  const weights = new BlockSums(bounds);
  for (let steps = 1; drawn.length < count && weights.total() > 0; steps++) {
    if ((steps & 15) === 0 && pace.isDue()) await pace.rest();
    const position = weights.at(rng.next());
    if (!guard.allowed(candidates[position])) {
      weights.set(position, 0);
      continue;
    }
    const bound = bounds[position];
    let nearest = bound;
    while (compared[position] < drawn.length) {
      nearest = Math.min(nearest, Math.max(0, distance(position, drawn[compared[position]++].position)));
    }
    const isKept = rng.next() * bound < nearest;
    weights.set(position, isKept ? 0 : nearest);
    if (!isKept) continue;
    guard.taken(candidates[position]);
    drawn.push({ position, squaredDistance: nearest });
  }
  const rest = await takeInOrder(rules, ranking, count - drawn.length, guard, pace);
  return [...drawn, ...rest.map((position) => ({ position, squaredDistance: 0 }))];
}

const BLOCK = 512;

/** Weights that can be drawn from and changed at little cost: sums are kept by block. */
class BlockSums {
  readonly #weights: Float64Array;
  readonly #sums: Float64Array;

  constructor(weights: Float64Array) {
    this.#weights = weights;
    this.#sums = new Float64Array(Math.ceil(weights.length / BLOCK));
    for (let block = 0; block < this.#sums.length; block++) this.#sum(block);
  }

  #sum(block: number): void {
    const end = Math.min(this.#weights.length, (block + 1) * BLOCK);
    let sum = 0;
    for (let i = block * BLOCK; i < end; i++) sum += this.#weights[i];
    this.#sums[block] = sum;
  }

  set(position: number, weight: number): void {
    this.#weights[position] = weight;
    this.#sum(Math.floor(position / BLOCK));
  }

  total(): number {
    let total = 0;
    for (const sum of this.#sums) total += sum;
    return total;
  }

  /** The position at this share of the total, in [0, 1); its weight is above 0. */
  at(share: number): number {
    let left = share * this.total();
    let last = -1;
    for (let block = 0; block < this.#sums.length; block++) {
      if (left >= this.#sums[block]) {
        left -= this.#sums[block];
        // Rounding may leave a little at the very end.
        if (this.#sums[block] > 0) last = block;
        continue;
      }
      return this.#within(block, left);
    }
    return this.#within(last, Infinity);
  }

  #within(block: number, left: number): number {
    const end = Math.min(this.#weights.length, (block + 1) * BLOCK);
    let last = -1;
    for (let i = block * BLOCK; i < end; i++) {
      if (this.#weights[i] === 0) continue;
      last = i;
      left -= this.#weights[i];
      if (left < 0) break;
    }
    return last;
  }
}
