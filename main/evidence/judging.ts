/**
 * Every label judged three ways: by a model that has not seen the item, by confident
 * learning, and by what the annotators are known for together with the model. Items that may
 * have many classes are judged class by class, each a question of its own.
 */
import { assert } from '../domain/errors.ts';
import { matrix, type Matrix } from '../domain/matrix.ts';
import type { Task } from '../domain/schema.ts';
import { estimateAnnotators, type Reading } from './annotators.ts';
import { fuse } from './fusion.ts';
import { confidentLearning, suspectedAnswers } from './noise.ts';

export interface LabelsToJudge {
  task: Task;
  /** Calibrated probabilities of models that were not trained on the item, `[n, c]`. */
  model: Matrix;
  /** The labels in force, as class numbers. `[n]`. */
  given: readonly (readonly number[])[];
  /** Everything that anybody said of an item, the label in force included. */
  readings: readonly { item: number; annotator: number; classes: readonly number[] }[];
  annotators: number;
}

/** Classes and how probable they are together; of many classes the probability of the least certain answer. */
export interface Answer {
  classes: number[];
  probability: number;
}

export interface Judgements {
  /** Whether confident learning suspects the label. `[n]`. */
  suspected: boolean[];
  /** What the model alone says. `[n]`. */
  model: Answer[];
  /** What readings and model together say. `[n]`. */
  fused: Answer[];
  /** Probability of the label under readings and model together; of many classes that of its least probable answer. `[n]`. */
  right: Float64Array;
}

/** No model is so sure: one in ten thousand it has never seen the like of. */
const FLOOR = 1e-4;

/** Judges labels. No items give empty lists. O(rounds of estimation · readings · c). */
export function judgeLabels(labels: LabelsToJudge): Judgements {
  const { model, given, task } = labels;
  assert(model.rows === given.length, `${given.length} rows of probabilities`, model.rows);
  return task === 'classify' ? judgeOne(labels) : judgeMany(labels);
}

function judgeOne({ model, given, readings, annotators }: LabelsToJudge): Judgements {
  const { rows: n, columns: c } = model;
  const own = given.map(([first]) => first);
  const suspects = new Set(confidentLearning(model, own).suspects);
  const said = readings.map(({ item, annotator, classes }) => ({ item, annotator, class: classes[0] }));
  const fused = fusedRows(model, said, annotators);
  const answers = (rows: Matrix) =>
    Array.from({ length: n }, (_, i) => {
      const row = rows.data.subarray(i * c, (i + 1) * c);
      const best = row.indexOf(row.reduce((a, b) => Math.max(a, b), 0));
      return { classes: [best], probability: row[best] };
    });
  return {
    suspected: own.map((_, i) => suspects.has(i)),
    model: answers(model),
    fused: answers(fused),
    right: Float64Array.from(own, (j, i) => fused.data[i * c + j]),
  };
}

function judgeMany({ model, given, readings, annotators }: LabelsToJudge): Judgements {
  const { rows: n, columns: c } = model;
  const suspects = new Set(suspectedAnswers(model, given).suspects.map(({ row }) => row));
  const together = matrix(n, c);
  for (let j = 0; j < c; j++) {
    const binary = matrix(n, 2);
    for (let i = 0; i < n; i++) binary.data.set([1 - model.data[i * c + j], model.data[i * c + j]], 2 * i);
    const said = readings.map(({ item, annotator, classes }) => ({
      item,
      annotator,
      class: classes.includes(j) ? 1 : 0,
    }));
    const fused = fusedRows(binary, said, annotators);
    for (let i = 0; i < n; i++) together.data[i * c + j] = fused.data[2 * i + 1];
  }
  const answers = (rows: Matrix) =>
    Array.from({ length: n }, (_, i) => {
      const row = Array.from(rows.data.subarray(i * c, (i + 1) * c));
      return {
        classes: row.flatMap((p, j) => (p > 0.5 ? [j] : [])),
        probability: row.reduce((least, p) => Math.min(least, Math.max(p, 1 - p)), 1),
      };
    });
  const right = (own: readonly number[], i: number) => {
    let least = 1;
    for (let j = 0; j < c; j++) {
      const p = together.data[i * c + j];
      least = Math.min(least, own.includes(j) ? p : 1 - p);
    }
    return least;
  };
  return {
    suspected: given.map((_, i) => suspects.has(i)),
    model: answers(model),
    fused: answers(together),
    right: Float64Array.from(given, right),
  };
}

/** Readings and model together, item by item, by confusion matrices that were estimated from all of them. */
function fusedRows(model: Matrix, readings: readonly Reading[], annotators: number): Matrix {
  const { rows: n, columns: c } = model;
  const floored = matrix(n, c);
  for (let i = 0; i < n; i++) {
    let sum = 0;
    for (let j = i * c; j < (i + 1) * c; j++) sum += floored.data[j] = Math.max(FLOOR, model.data[j]);
    for (let j = i * c; j < (i + 1) * c; j++) floored.data[j] /= sum;
  }
  const told = { readings, items: n, annotators, classCount: c, model: floored };
  const { confusions } = estimateAnnotators({ ...told, tolerance: 1e-4 });
  const byItem = Array.from({ length: n }, (): { class: number; confusion: Float64Array }[] => []);
  for (const { item, annotator, class: given } of readings)
    byItem[item].push({ class: given, confusion: confusions[annotator] });
  const fused = matrix(n, c);
  byItem.forEach((own, i) => fused.data.set(fuse(own, floored.data.subarray(i * c, (i + 1) * c)), i * c));
  return fused;
}
