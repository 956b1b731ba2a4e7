/**
 * ProbCover (Yehuda et al. 2022): pick the items whose balls cover most of what no ball
 * covers yet. The radius is the largest at which at least 95 % of the balls are pure, that
 * is hold one pseudo-label (a k-means cluster, as many as classes). A ball is pure while it
 * ends before the nearest item of another cluster, so that radius is the 5th percentile of
 * those distances. Pools above 20,000 are sampled, and `sampled` says so: who covers whom is
 * a matrix of bits. The score is the share of the pool newly covered.
 */
import { takeRows, type Matrix } from '../domain/matrix.ts';
import { createRng, type Rng } from '../domain/rng.ts';
import { createGuard, takeInOrder } from './batch-rules.ts';
import { kMeans } from './k-means.ts';
import { lazyGreedy } from './lazy-greedy.ts';
import { createPace } from './pace.ts';
import { rankingOf } from './ranking.ts';
import type { SelectionInput, Strategy } from './strategy.ts';
import { distancesInBlocks, gatherRows, plainProducts, type Multiplying } from './vectors.ts';

const MOST_ITEMS = 20_000;
const PURITY = 0.95;
/** Balls that the radius is found from; the purity's standard error is then half a percent. */
const MOST_BALLS = 2000;
/** Where nobody says how many classes there are. */
const CLASSES = 10;
/** Rows compared with all others at once. */
const CENTRES_AT_ONCE = 256;

export const probCover: Strategy = {
  needs: ['reduced'],
  cites: 'Yehuda et al. 2022, Active learning through a covering lens (ProbCover)',
  many: 'classes play no part but for their number',
  async select(input) {
    const pace = createPace(input.signal);
    const work = { products: input.products ?? plainProducts, pace };
    const rng = createRng(input.seed).derive('probcover');
    const sampled = input.candidates.length > MOST_ITEMS;
    const candidates = sampled
      ? Int32Array.from(rng.sample(input.candidates.length, MOST_ITEMS), (i) => input.candidates[i]).sort()
      : Int32Array.from(input.candidates);
    const { rows } = await gatherRows(input.reduced!, candidates, pace);
    const squaredRadius = await pureRadius(rows, classesOf(input), rng, work);
    const balls = await ballsOf(rows, squaredRadius, work);
    const labelled = takeRows(input.reduced!, input.labelled);
    await eachNear(labelled, rows, squaredRadius, work, (_, item) => balls.coverOne(item));

    const bounds = new Float64Array(candidates.length);
    for (let i = 0; i < bounds.length; i++) {
      bounds[i] = balls.uncovered(i);
      if ((i & 511) === 511 && pace.isDue()) await pace.rest();
    }
    const guard = createGuard(input);
    const picks: { item: number; covers: number }[] = [];
    await lazyGreedy(
      {
        candidates,
        bounds,
        refine(position) {
          bounds[position] = balls.uncovered(position);
          return true;
        },
        take(position) {
          picks.push({ item: candidates[position], covers: bounds[position] });
          balls.cover(position);
        },
      },
      input.batch,
      guard,
      pace,
    );
    // The batch rules may have used up the sample: then anything that they allow.
    const inOrder = rankingOf(new Float64Array(input.candidates.length));
    const others = await takeInOrder(input, inOrder, input.batch - picks.length, guard, pace);
    picks.push(...others.map((position) => ({ item: input.candidates[position], covers: 0 })));
    return picks.map(({ item, covers }) => ({
      index: item,
      score: covers / candidates.length,
      strategy: 'probcover' as const,
      why: { code: 'covers' as const, covers, radius: Math.sqrt(squaredRadius), sampled },
    }));
  },
};

function classesOf({ soFar, probabilities }: SelectionInput): number {
  return Math.max(2, soFar?.counts.length || probabilities?.columns || CLASSES);
}

/** The squared radius below which at least 95 % of the balls hold items of one cluster; 0 where all items are alike. */
export async function pureRadius(rows: Matrix, clusterCount: number, rng: Rng, work: Multiplying): Promise<number> {
  const everything = Int32Array.from({ length: rows.rows }, (_, i) => i);
  const { assignment } = await kMeans(rows, everything, clusterCount, { rng: rng.derive('clusters'), ...work });
  const centres = rows.rows > MOST_BALLS ? rng.derive('balls').sample(rows.rows, MOST_BALLS) : Array.from(everything);
  const nearestOther = new Float64Array(centres.length).fill(Infinity);
  for (let from = 0; from < centres.length; from += CENTRES_AT_ONCE) {
    const some = centres.slice(from, from + CENTRES_AT_ONCE);
    await distancesInBlocks(rows, null, takeRows(rows, some), work, (first, { data, rows: size }) => {
      for (let i = 0, at = 0; i < size; i++) {
        for (let j = 0; j < some.length; j++, at++) {
          if (data[at] < nearestOther[from + j] && assignment[first + i] !== assignment[some[j]]) {
            nearestOther[from + j] = data[at];
          }
        }
      }
    });
  }
  nearestOther.sort();
  const radius = nearestOther[Math.floor((1 - PURITY) * centres.length)];
  return Number.isFinite(radius) ? radius : 0;
}

/** Calls `found` for every pair of a centre and a row nearer than the radius. */
async function eachNear(
  centres: Matrix,
  rows: Matrix,
  squaredRadius: number,
  work: Multiplying,
  found: (centre: number, row: number) => void,
): Promise<void> {
  const d = rows.columns;
  for (let from = 0; from < centres.rows; from += CENTRES_AT_ONCE) {
    const to = Math.min(centres.rows, from + CENTRES_AT_ONCE);
    const some: Matrix = { data: centres.data.subarray(from * d, to * d), rows: to - from, columns: d };
    await distancesInBlocks(rows, null, some, work, (first, { data, rows: size }) => {
      for (let i = 0, at = 0; i < size; i++) {
        for (let j = 0; j < some.rows; j++, at++) if (data[at] < squaredRadius) found(from + j, first + i);
      }
    });
  }
}

/** Who covers whom; an item always covers itself. */
async function ballsOf(rows: Matrix, squaredRadius: number, work: Multiplying): Promise<Balls> {
  const balls = new Balls(rows.rows);
  for (let i = 0; i < rows.rows; i++) {
    balls.put(i, i);
    // Memory that is touched for the first time is slow.
    if ((i & 511) === 511 && work.pace.isDue()) await work.pace.rest();
  }
  await eachNear(rows, rows, squaredRadius, work, (centre, item) => balls.put(centre, item));
  return balls;
}

/** One row of bits for each ball, and one for what is uncovered. */
class Balls {
  readonly #words: number;
  readonly #bits: Int32Array;
  readonly #open: Int32Array;

  constructor(count: number) {
    this.#words = Math.ceil(count / 32);
    this.#bits = new Int32Array(count * this.#words);
    this.#open = new Int32Array(this.#words);
    for (let i = 0; i < count; i++) this.#open[i >> 5] |= 1 << (i & 31);
  }

  put(centre: number, item: number): void {
    this.#bits[centre * this.#words + (item >> 5)] |= 1 << (item & 31);
  }

  coverOne(item: number): void {
    this.#open[item >> 5] &= ~(1 << (item & 31));
  }

  cover(centre: number): void {
    for (let word = 0; word < this.#words; word++) this.#open[word] &= ~this.#bits[centre * this.#words + word];
  }

  /** How many uncovered items the ball holds. */
  uncovered(centre: number): number {
    let count = 0;
    const from = centre * this.#words;
    for (let word = 0; word < this.#words; word++) count += bitsIn(this.#bits[from + word] & this.#open[word]);
    return count;
  }
}

/** Ones among 32 bits. */
function bitsIn(word: number): number {
  let v = word - ((word >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
