/**
 * How long an item will take, from how long others took: ridge regression (Hoerl & Kennard
 * 1970) of log seconds on a few features, in the spirit of cost-sensitive active learning
 * (Settles, Craven & Friedland 2008). Logarithms, because a pause to answer the phone must
 * not count like fifty items; what lies far out is pulled in besides. Pure.
 */
import { assert } from '../domain/errors.ts';
import { median } from '../evidence/index.ts';

/** What is known of an item before it is shown, and of the moment. */
export interface TimeFeatures {
  /** Letters of its text; 0 without one. */
  letters: number;
  hasImage: boolean;
  /** Probability of what was suggested; null before there is a model. */
  certainty: number | null;
  /** Items labelled before it in the same sitting. */
  position: number;
}

export interface TimeModel {
  /** Log seconds per unit of each centred feature; the intercept is their mean. */
  weights: number[];
  means: number[];
  intercept: number;
  /** Standard deviation of what is left of log seconds. */
  spread: number;
  records: number;
}

/** Fewer recorded durations say nothing. */
const FEWEST = 20;
/** The penalty, in records' worth of evidence. */
const RIDGE = 5;
/** Robust standard deviations from the median beyond which a duration is pulled in. */
const FAR = 3;

const columnsOf = ({ letters, hasImage, certainty, position }: TimeFeatures): number[] => [
  Math.log1p(letters),
  Number(hasImage),
  certainty ?? 0.5,
  Math.log1p(position),
];

/** Fits the model; null with fewer than 20 durations. Durations are in seconds and above 0. */
export function fitTimeModel(records: readonly { features: TimeFeatures; seconds: number }[]): TimeModel | null {
  const n = records.length;
  if (n < FEWEST) return null;
  const y = pulledIn(records.map(({ seconds }) => logOf(seconds)));
  const x = records.map(({ features }) => columnsOf(features));
  const d = x[0].length;
  const means = Array.from({ length: d }, (_, j) => x.reduce((sum, row) => sum + row[j], 0) / n);
  const intercept = y.reduce((sum, value) => sum + value, 0) / n;
  // Features keep their own units: all lie within a few units, and one that never changes gets no weight.
  const a = Array.from({ length: d }, (_, i) =>
    Array.from({ length: d }, (_unused, j) => {
      const product = x.reduce((sum, row) => sum + (row[i] - means[i]) * (row[j] - means[j]), 0);
      return product + (i === j ? RIDGE : 0);
    }),
  );
  const b = Array.from({ length: d }, (_, i) =>
    x.reduce((sum, row, k) => sum + (row[i] - means[i]) * (y[k] - intercept), 0),
  );
  const weights = solved(a, b);
  const left = x.reduce((sum, row, k) => sum + (y[k] - intercept - along(weights, means, row)) ** 2, 0);
  return { weights, means, intercept, spread: Math.sqrt(left / n), records: n };
}

/** Seconds that an item is expected to take: the mean of the log-normal, above 0. */
export function expectedSeconds(model: TimeModel, features: TimeFeatures): number {
  const { weights, means, intercept, spread } = model;
  return Math.exp(intercept + along(weights, means, columnsOf(features)) + spread ** 2 / 2);
}

function along(weights: readonly number[], means: readonly number[], row: readonly number[]): number {
  return weights.reduce((sum, weight, j) => sum + weight * (row[j] - means[j]), 0);
}

function logOf(seconds: number): number {
  assert(seconds > 0 && Number.isFinite(seconds), 'seconds above 0', seconds);
  return Math.log(seconds);
}

/** Values within three robust standard deviations (1.4826 × median distance) of their median. */
function pulledIn(values: readonly number[]): number[] {
  const middle = median(values);
  const far = FAR * 1.4826 * median(values.map((value) => Math.abs(value - middle)));
  // Where half of all are alike there is no telling what is far.
  return far === 0 ? [...values] : values.map((value) => Math.min(Math.max(value, middle - far), middle + far));
}

/** The solution of a x = b for a positive definite matrix, by elimination. */
function solved(a: readonly (readonly number[])[], b: readonly number[]): number[] {
  const d = b.length;
  const rows = a.map((row, i) => [...row, b[i]]);
  for (let i = 0; i < d; i++) {
    for (let k = i + 1; k < d; k++) {
      const factor = rows[k][i] / rows[i][i];
      for (let j = i; j <= d; j++) rows[k][j] -= factor * rows[i][j];
    }
  }
  const x = new Array<number>(d).fill(0);
  for (let i = d - 1; i >= 0; i--) {
    let sum = rows[i][d];
    for (let j = i + 1; j < d; j++) sum -= rows[i][j] * x[j];
    x[i] = sum / rows[i][i];
  }
  return x;
}
