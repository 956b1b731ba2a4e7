/**
 * What a query strategy is: what it is given, what it picks, and why, as data. The
 * strategies themselves are in the files named after what they look at; `strategies.ts`
 * is their table.
 */
import type { Matrix } from '../domain/matrix.ts';
import type { Task } from '../domain/schema.ts';
import type { Arm, Asked } from './bandit.ts';
import type { BatchRules } from './batch-rules.ts';
import type { Pace } from './pace.ts';
import type { LabelsSoFar, Phase } from './policy.ts';
import { throwNotFinite, type Uncertainty } from './scores.ts';
import { dot, type Products } from './vectors.ts';

/** Several heads fitted to resampled labels; their disagreement is what more labels could settle. */
export interface Committee {
  members: number;
  classes: number;
  /** Every member's probabilities of the given items (rows), `[m, rows, c]`. Asked for a few thousand at a time, so that memory stays bounded. */
  predict(rows: ArrayLike<number>): Promise<Float32Array>;
}

export interface SelectionInput extends BatchRules {
  batch: number;
  seed: number;
  task?: Task;
  /** Calibrated probabilities of every item, `[n, c]`. */
  probabilities?: Matrix;
  /** The encoder's reduced vectors of every item, `[n, d]`. */
  reduced?: Matrix;
  /** What the head sees of every item; gradients are taken with it, or with `reduced` where it is not given. */
  embedding?: Matrix;
  committee?: Committee;
  /** What `default` decides by; without it `default` starts cold. */
  soFar?: LabelsSoFar;
  /** What `albl` asked before, oldest first. */
  asked?: readonly Asked[];
  /** A faster way to multiply than the plain one. */
  products?: Products;
  /** Cancels: the selection rejects with its reason. */
  signal?: AbortSignal;
}

/** Why an item is asked, as data: which fields are there depends on the strategy. */
export interface Why {
  /**
   * What the desk puts into words: chosen by chance; uncertain; uncertain and unlike the
   * others of the batch; typical of many; its label would settle a disagreement; its label
   * would move the model; far from everything asked so far; stands for many that nothing
   * stands for yet; predicted unlike its neighbours.
   */
  code:
    | 'random'
    | 'uncertain'
    | 'uncertain-diverse'
    | 'typical'
    | 'committee-disagrees'
    | 'gradient'
    | 'far'
    | 'covers'
    | 'contrastive';
  /** The two likeliest classes by number, and their probabilities. */
  classes?: [number, number];
  probabilities?: [number, number];
  margin?: number;
  /** Share of the candidates with a higher score, in [0, 1]. */
  closer?: number;
  typicality?: number;
  clusterSize?: number;
  clusterLabels?: number;
  /** The most similar item (a row) and its distance; for margin-diverse, k-center and contrastive the most similar labelled one. */
  nearest?: number;
  nearestDistance?: number;
  /** Whether clusters or neighbours came from a sample. */
  sampled?: boolean;
  /** How many uncertain items this one was chosen from, for diversity. */
  shortlist?: number;
  /** How many items of the pool (or of its sample) this one stands for, itself included, and within which distance. */
  covers?: number;
  radius?: number;
  /** How many heads were asked. */
  members?: number;
  /** What `default` decided, and from which numbers. */
  phase?: Phase;
  /** For whom the bandit asked, and with which chance. */
  bandit?: { arm: Arm; probability: number };
}

/** Every strategy's name; `default` is the automatic policy. */
export type StrategyName =
  | 'random'
  | Uncertainty
  | 'typicality'
  | 'margin-diverse'
  | 'bald'
  | 'vote-entropy'
  | 'batch-bald'
  | 'gradient-length'
  | 'badge'
  | 'k-center'
  | 'probcover'
  | 'density'
  | 'contrastive'
  | 'albl'
  | 'default';

export interface Pick {
  /** The row. */
  index: number;
  /** Higher = ask sooner; finite. */
  score: number;
  strategy: StrategyName;
  why: Why;
}

export type Need = 'probabilities' | 'reduced' | 'committee' | 'labelled';

export interface Strategy {
  needs: readonly Need[];
  cites: string;
  /** What it does where an item may have many classes. */
  many: string;
  /** The score of every candidate, by position, where one item's does not depend on the rest of the batch. */
  scores?(input: SelectionInput, pace: Pace): Promise<Float64Array>;
  select(input: SelectionInput): Promise<Pick[]>;
}

/** Candidates scored at once: a few milliseconds of work. */
const CHUNK = 8192;

/** The scores of all candidates, chunk after chunk with rests between. Errors: `score-not-finite`, naming the item. */
export async function scoreInChunks(
  name: StrategyName,
  candidates: ArrayLike<number>,
  pace: Pace,
  score: (chunk: Int32Array, from: number) => Float64Array | Promise<Float64Array>,
): Promise<Float64Array> {
  const scores = new Float64Array(candidates.length);
  const all = candidates instanceof Int32Array ? candidates : Int32Array.from(candidates);
  for (let from = 0; from < all.length; from += CHUNK) {
    const chunk = all.subarray(from, from + CHUNK);
    const own = await score(chunk, from);
    for (let i = 0; i < own.length; i++) if (!Number.isFinite(own[i])) throwNotFinite(chunk[i], name);
    scores.set(own, from);
    if (pace.isDue()) await pace.rest();
  }
  return scores;
}

/** ‖row‖² of every candidate, by position. Errors: `score-not-finite`, naming the item. */
export function squaredLengths(
  name: StrategyName,
  { data, columns: d }: Matrix,
  candidates: ArrayLike<number>,
  pace: Pace,
): Promise<Float64Array> {
  return scoreInChunks(name, candidates, pace, (chunk) =>
    Float64Array.from(chunk, (item) => dot(data, item * d, data, item * d, d)),
  );
}
