/**
 * Acquisition functions: how much a label of an item is worth, from the model's
 * probabilities alone. Higher = ask sooner, always, and finite: a probability that is not
 * a number throws `score-not-finite` with the item's index instead of being replaced.
 * Rows may also hold independent probabilities per class (many classes per item); then an
 * item is as uncertain as its most uncertain class.
 */
import { EngineError } from '../domain/errors.ts';
import type { Matrix } from '../domain/matrix.ts';
import type { Task } from '../domain/schema.ts';

export type Uncertainty = 'least-confidence' | 'margin' | 'entropy';

type RowScore = (p: Float32Array, offset: number, c: number) => number;

/** 1 − p₁. Lewis & Gale 1994. */
const leastConfidence: RowScore = (p, offset, c) => {
  let first = -Infinity;
  for (let j = offset; j < offset + c; j++) if (!(p[j] <= first)) first = p[j];
  return 1 - first;
};

/** 1 − (p₁ − p₂). Scheffer 2001. */
const margin: RowScore = (p, offset, c) => {
  let first = -Infinity;
  let second = -Infinity;
  for (let j = offset; j < offset + c; j++) {
    if (!(p[j] <= first)) {
      second = first;
      first = p[j];
    } else if (p[j] > second) second = p[j];
  }
  return 1 - (first - second);
};

/** −Σ p log p / log c. Shannon 1948, as a query by Settles & Craven 2008. */
const entropy: RowScore = (p, offset, c) => {
  let sum = 0;
  for (let j = offset; j < offset + c; j++) if (p[j] !== 0) sum -= p[j] * Math.log(p[j]);
  return sum / Math.log(c);
};

const ONE_CLASS: Record<Uncertainty, RowScore> = { 'least-confidence': leastConfidence, margin, entropy };

/** The same three for one independent class with probability p against 1 − p; all are largest at ½. */
const BINARY: Record<Uncertainty, (p: number) => number> = {
  'least-confidence': (p) => 1 - Math.max(p, 1 - p),
  margin: (p) => 1 - Math.abs(2 * p - 1),
  entropy: (p) => (p <= 0 || p >= 1 ? p * 0 : -(p * Math.log(p) + (1 - p) * Math.log1p(-p)) / Math.LN2),
};

const manyClasses =
  (score: (p: number) => number): RowScore =>
  (p, offset, c) => {
    let most = -Infinity;
    for (let j = offset; j < offset + c; j++) {
      const value = score(p[j]);
      if (!(value <= most)) most = value;
    }
    return most;
  };

/** Uncertainty of each candidate, `[n, c]` → one score per candidate in [0, 1]; higher = ask sooner. `classify`: rows sum to 1; `classify-many`: classes are independent and the most uncertain counts. No candidates give no scores. Errors: `score-not-finite`. */
export function uncertainty(
  kind: Uncertainty,
  probabilities: Matrix,
  candidates: ArrayLike<number>,
  task: Task = 'classify',
): Float64Array {
  const score = task === 'classify' ? ONE_CLASS[kind] : manyClasses(BINARY[kind]);
  const scores = new Float64Array(candidates.length);
  for (let i = 0; i < candidates.length; i++) {
    scores[i] = score(probabilities.data, candidates[i] * probabilities.columns, probabilities.columns);
    // A maximum can hide a NaN that a sum cannot.
    if (!Number.isFinite(scores[i]) || !Number.isFinite(rowSum(probabilities, candidates[i]))) {
      throwNotFinite(candidates[i], kind);
    }
  }
  return scores;
}

function rowSum({ data, columns }: Matrix, item: number): number {
  let sum = 0;
  for (let j = item * columns; j < (item + 1) * columns; j++) sum += data[j];
  return sum;
}

/** Throws `score-not-finite`, naming the item by its index. */
export function throwNotFinite(item: number, strategy: string): never {
  throw new EngineError(
    'score-not-finite',
    `The score of item ${item} is not a number.`,
    'Check the model version that made these probabilities, or embed the item again.',
    { item, strategy },
  );
}

/** The two likeliest classes of an item with their probabilities; for many classes, the class nearest to ½ comes first. One class gives second = −1 with probability 0. */
export function competing(
  probabilities: Matrix,
  item: number,
  task: Task = 'classify',
): { first: number; second: number; p1: number; p2: number } {
  const { data, columns } = probabilities;
  const rank = (p: number) => (task === 'classify' ? p : -Math.abs(p - 0.5));
  let first = -1;
  let second = -1;
  const at = (j: number) => (j < 0 ? -Infinity : rank(data[item * columns + j]));
  for (let j = 0; j < columns; j++) {
    if (at(j) > at(first)) {
      second = first;
      first = j;
    } else if (at(j) > at(second)) second = j;
  }
  const p = (j: number) => (j < 0 ? 0 : data[item * columns + j]);
  return { first, second, p1: p(first), p2: p(second) };
}

/** Positions of `scores`, highest first, ties in the order given (callers pass candidates in id order). */
export function descending(scores: Float64Array): number[] {
  return Array.from(scores, (_, i) => i).sort((a, b) => scores[b] - scores[a] || a - b);
}
