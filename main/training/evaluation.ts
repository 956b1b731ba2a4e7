/**
 * How good a model is on labelled items it has not seen: accuracy with its exact interval,
 * macro F1, log loss, calibration error and counts per class. float64 throughout.
 */
import { clopperPearson, type Interval } from '../evidence/index.ts';
import { assert } from '../domain/errors.ts';
import type { Matrix } from '../domain/matrix.ts';
import type { Task } from '../domain/schema.ts';
import { expectedCalibrationError } from './calibration.ts';

export interface ClassMetrics {
  /** Items that have this class, that were given it, and both. */
  labelled: number;
  predicted: number;
  correct: number;
  precision: number;
  recall: number;
  f1: number;
}

export interface Metrics {
  n: number;
  /** Share of items whose suggestion is right (for many classes: every class right), with its 95 % Clopper–Pearson interval. */
  accuracy: Interval;
  /** Mean F1 of the classes that occur or were predicted. */
  macroF1: number;
  /** Mean negative log probability of the labels. */
  logLoss: number;
  /** Expected calibration error of the suggestion's probability, 15 bins. */
  ece: number;
  perClass: ClassMetrics[];
}

/** The suggestion of each item, its probability and whether it is right. For many classes the suggestion is every class above ½, and its probability that of its least certain class. */
export function suggestions(
  probabilities: Matrix,
  labels: readonly (readonly number[])[],
  task: Task,
): { classes: number[][]; confidence: Float64Array; correct: boolean[] } {
  const { data, rows, columns: c } = probabilities;
  assert(labels.length === rows, `${rows} labels`, labels.length);
  const confidence = new Float64Array(rows);
  const classes: number[][] = [];
  for (let i = 0; i < rows; i++) {
    if (task === 'classify') {
      let best = 0;
      for (let j = 1; j < c; j++) if (data[i * c + j] > data[i * c + best]) best = j;
      classes.push([best]);
      confidence[i] = data[i * c + best];
      continue;
    }
    const own: number[] = [];
    confidence[i] = 1;
    for (let j = 0; j < c; j++) {
      const p = data[i * c + j];
      if (p > 0.5) own.push(j);
      confidence[i] = Math.min(confidence[i], Math.max(p, 1 - p));
    }
    classes.push(own);
  }
  const correct = classes.map((own, i) => own.length === labels[i].length && own.every((j) => labels[i].includes(j)));
  return { classes, confidence, correct };
}

/** Metrics of calibrated probabilities `[n, c]` against labels (class numbers). No items give zeros and the interval [0, 1]. */
export function evaluate(probabilities: Matrix, labels: readonly (readonly number[])[], task: Task): Metrics {
  const { data, rows: n, columns: c } = probabilities;
  const { classes, confidence, correct } = suggestions(probabilities, labels, task);
  const perClass: ClassMetrics[] = Array.from({ length: c }, (_, j) => {
    let labelled = 0;
    let predicted = 0;
    let both = 0;
    for (let i = 0; i < n; i++) {
      const has = labels[i].includes(j);
      const given = classes[i].includes(j);
      if (has) labelled++;
      if (given) predicted++;
      if (has && given) both++;
    }
    const precision = predicted === 0 ? 0 : both / predicted;
    const recall = labelled === 0 ? 0 : both / labelled;
    const f1 = both === 0 ? 0 : (2 * both) / (labelled + predicted);
    return { labelled, predicted, correct: both, precision, recall, f1 };
  });
  let logLoss = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < c; j++) {
      const p = Math.min(Math.max(data[i * c + j], 1e-7), 1 - 1e-7);
      if (labels[i].includes(j)) logLoss -= Math.log(p);
      else if (task === 'classify-many') logLoss -= Math.log1p(-p);
    }
  }
  const occurring = perClass.filter(({ labelled, predicted }) => labelled + predicted > 0);
  return {
    n,
    accuracy: clopperPearson(correct.filter(Boolean).length, n),
    macroF1: occurring.length === 0 ? 0 : occurring.reduce((sum, { f1 }) => sum + f1, 0) / occurring.length,
    logLoss: n === 0 ? 0 : logLoss / n,
    ece: expectedCalibrationError(confidence, correct),
    perClass,
  };
}
