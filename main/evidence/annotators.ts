/**
 * What several readings of the same items say about the items and about who read them:
 * the maximum-likelihood estimate of every annotator's confusion matrix together with each
 * item's probable class, by expectation–maximisation (Dawid & Skene 1979), smoothed so that
 * a class read twice does not look infallible. An annotator may read an item again. Where a
 * model's calibrated probabilities are given, they take the place of the classes' overall
 * frequencies (Kerrigan, Smyth & Steyvers 2021). Readings are taken to be independent given
 * the class: annotators who share a mistake look right.
 */
import { assert } from '../domain/errors.ts';
import type { Matrix } from '../domain/matrix.ts';

export interface Reading {
  item: number;
  annotator: number;
  class: number;
}

/** Dirichlet pseudo-counts of each row of a confusion matrix: on the true class, and on all others together. */
export interface Smoothing {
  right: number;
  wrong: number;
}

/** What is believed of an annotator before any reading: ten readings' worth of being right 95 times in a hundred. */
export const USUAL_ANNOTATOR: Smoothing = { right: 9.5, wrong: 0.5 };

export interface AnnotatorsInput {
  readings: readonly Reading[];
  items: number;
  annotators: number;
  classCount: number;
  smoothing?: Smoothing;
  /** Ends when no probability moves by more; default 1e-7. */
  tolerance?: number;
  /** Calibrated probabilities of each item, `[items, c]`, from a model that was not trained on these readings of it. */
  model?: Matrix;
}

export interface AnnotatorsEstimate {
  /** Each item's class given all readings, `[items, c]`, rows summing to 1. */
  probabilities: Float64Array;
  /** Estimated frequencies of the classes, `[c]`. */
  prevalence: Float64Array;
  /** By annotator, `[c, c]`: how often an item of the row's class is given the column's. */
  confusions: Float64Array[];
  iterations: number;
}

/** Estimates annotators and items together. Starts from the shares of readings, ends after 500 rounds at the latest; O(rounds · readings · c). An item without readings keeps the model's probabilities, or the frequencies. */
export function estimateAnnotators(input: AnnotatorsInput): AnnotatorsEstimate {
  const { readings, items, annotators, classCount: c, model } = input;
  const { smoothing = USUAL_ANNOTATOR, tolerance = 1e-7 } = input;
  assert(!model || (model.rows === items && model.columns === c), `probabilities ${items} × ${c}`, model?.rows);
  const modelLogs = model && Float64Array.from(model.data, Math.log);
  let probabilities = startingShares(input);
  let prevalence = new Float64Array(c);
  let confusions: Float64Array[] = [];
  let iterations = 0;
  for (let moved = Infinity; moved > tolerance && iterations < 500; iterations++) {
    confusions = Array.from({ length: annotators }, () => new Float64Array(c * c));
    for (const { item, annotator, class: given } of readings)
      for (let j = 0; j < c; j++) confusions[annotator][j * c + given] += probabilities[item * c + j];
    confusions.forEach((counts) => smoothRows(counts, c, smoothing));
    prevalence = new Float64Array(c);
    for (let at = 0; at < items * c; at++) prevalence[at % c] += probabilities[at] / Math.max(1, items);

    const logPrevalence = prevalence.map(Math.log);
    const logs = modelLogs?.slice() ?? new Float64Array(items * c).map((_, at) => logPrevalence[at % c]);
    const logConfusions = confusions.map((confusion) => confusion.map(Math.log));
    for (const { item, annotator, class: given } of readings)
      for (let j = 0; j < c; j++) logs[item * c + j] += logConfusions[annotator][j * c + given];
    const next = new Float64Array(items * c);
    moved = 0;
    for (let i = 0; i < items; i++) {
      normaliseLogs(logs.subarray(i * c, (i + 1) * c), next.subarray(i * c, (i + 1) * c));
      for (let at = i * c; at < (i + 1) * c; at++) moved = Math.max(moved, Math.abs(next[at] - probabilities[at]));
    }
    probabilities = next;
  }
  return { probabilities, prevalence, confusions, iterations };
}

/** Shares of an item's readings, times the model's probabilities where there are some. */
function startingShares({ readings, items, classCount: c, model }: AnnotatorsInput): Float64Array {
  const shares = new Float64Array(items * c);
  for (const { item, class: given } of readings) shares[item * c + given]++;
  for (let i = 0; i < items; i++) {
    const own = shares.subarray(i * c, (i + 1) * c);
    const count = own.reduce((a, b) => a + b, 0);
    for (let j = 0; j < c; j++) {
      const read = count === 0 ? 1 / c : own[j] / count;
      own[j] = model ? (read + 0.01) * (model.data[i * c + j] + 0.01) : read;
    }
    const sum = own.reduce((a, b) => a + b, 0);
    for (let j = 0; j < c; j++) own[j] /= sum;
  }
  return shares;
}

/** Counts `[c, c]` → rows that sum to 1, with the pseudo-counts added. A row without any counts at all becomes uniform. */
export function smoothRows(counts: Float64Array, c: number, { right, wrong }: Smoothing): Float64Array {
  for (let j = 0; j < c; j++) {
    let sum = 0;
    for (let k = 0; k < c; k++) {
      counts[j * c + k] += j === k ? right : wrong / Math.max(1, c - 1);
      sum += counts[j * c + k];
    }
    for (let k = 0; k < c; k++) counts[j * c + k] = sum === 0 ? 1 / c : counts[j * c + k] / sum;
  }
  return counts;
}

/** Logarithms up to a constant → probabilities. Where everything is impossible, nothing is preferred. */
function normaliseLogs(logs: Float64Array, into: Float64Array): void {
  const top = logs.reduce((a, b) => Math.max(a, b), -Infinity);
  if (top === -Infinity) {
    into.fill(1 / logs.length);
    return;
  }
  let sum = 0;
  for (let j = 0; j < logs.length; j++) sum += into[j] = Math.exp(logs[j] - top);
  for (let j = 0; j < logs.length; j++) into[j] /= sum;
}
