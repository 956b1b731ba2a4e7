/**
 * Labels that are probably wrong, by confident learning (Northcutt, Jiang & Chuang 2021):
 * probabilities of models that had not seen the item are compared with each class's own
 * usual probability, which gives the joint distribution of given and true classes; from
 * each of its cells as many labels are suspected as it says are wrong, those with the
 * smallest margin first. It suspects, it does not judge: hard items are suspected as well.
 */
import { assert } from '../domain/errors.ts';
import { matrix, type Matrix } from '../domain/matrix.ts';

export interface NoiseEstimate {
  /** By class: the mean probability of the class on items given it; NaN where no item was. */
  thresholds: Float64Array;
  /** Estimated shares of all items by given (row) and true class (column), `[c, c]`, summing to 1. */
  joint: Float64Array;
  /** Estimated share of wrong labels. */
  share: number;
  /** Probability of the given class less that of the likeliest other, in [−1, 1]; the smaller, the more suspect. `[n]`. */
  margins: Float64Array;
  /** The likeliest class other than the given one. `[n]`. */
  others: Int32Array;
  /** Rows that are suspected, most suspect first. */
  suspects: number[];
}

/** Estimates label noise from out-of-fold probabilities `[n, c]` and the given classes. No rows, or a single class, give no suspects. O(n·c + n log n). */
export function confidentLearning(probabilities: Matrix, given: ArrayLike<number>): NoiseEstimate {
  const { data, rows: n, columns: c } = probabilities;
  assert(given.length === n, `${n} given classes`, given.length);
  const thresholds = new Float64Array(c);
  const counts = new Float64Array(c);
  for (let i = 0; i < n; i++) {
    thresholds[given[i]] += data[i * c + given[i]];
    counts[given[i]]++;
  }
  for (let j = 0; j < c; j++) thresholds[j] /= counts[j];

  const confident = new Float64Array(c * c);
  const margins = new Float64Array(n);
  const others = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    let likely = -1;
    let other = given[i] === 0 ? 1 : 0;
    for (let j = 0; j < c; j++) {
      const p = data[i * c + j];
      if (p >= thresholds[j] && (likely < 0 || p > data[i * c + likely])) likely = j;
      if (j !== given[i] && p > data[i * c + other]) other = j;
    }
    if (likely >= 0) confident[given[i] * c + likely]++;
    others[i] = c < 2 ? given[i] : other;
    margins[i] = c < 2 ? 1 : data[i * c + given[i]] - data[i * c + other];
  }
  const joint = calibrated(confident, counts, n);
  let share = 0;
  for (let at = 0; at < c * c; at++) if (Math.floor(at / c) !== at % c) share += joint[at];
  return { thresholds, joint, share, margins, others, suspects: prune(probabilities, given, joint, margins) };
}

/** Rows scaled to how often each class was given, everything to a sum of 1. A class nobody was confident of counts as right. */
function calibrated(confident: Float64Array, counts: Float64Array, n: number): Float64Array {
  const c = counts.length;
  const joint = new Float64Array(c * c);
  for (let i = 0; i < c; i++) {
    let sum = 0;
    for (let j = 0; j < c; j++) sum += confident[i * c + j];
    for (let j = 0; j < c; j++) {
      const share = sum === 0 ? Number(i === j) : confident[i * c + j] / sum;
      joint[i * c + j] = n === 0 ? 0 : (share * counts[i]) / n;
    }
  }
  return joint;
}

/** Prune by noise rate: of the items given i, the n · joint[i][j] that lean most to j, for every pair of classes; and only where another class is likelier at all. */
function prune({ data, columns: c }: Matrix, given: ArrayLike<number>, joint: Float64Array, margins: Float64Array) {
  const n = given.length;
  const byClass = Array.from({ length: c }, (): number[] => []);
  for (let i = 0; i < n; i++) byClass[given[i]].push(i);
  const suspected = new Set<number>();
  for (let i = 0; i < c; i++) {
    for (let j = 0; j < c; j++) {
      const wrong = i === j ? 0 : Math.round(n * joint[i * c + j]);
      if (wrong === 0) continue;
      const lean = (row: number) => data[row * c + j] - data[row * c + i];
      const leaning = byClass[i].filter((row) => lean(row) > 0).sort((a, b) => lean(b) - lean(a) || a - b);
      for (const row of leaning.slice(0, wrong)) suspected.add(row);
    }
  }
  return [...suspected].sort((a, b) => margins[a] - margins[b] || a - b);
}

/** A label of an item that may have many classes, of which one is suspected. */
export interface SuspectedAnswer {
  row: number;
  class: number;
  /** Whether the class was given. */
  given: boolean;
  /** As in `NoiseEstimate`: of the answer that was given less the other. */
  margin: number;
}

/** Confident learning for items with many classes: each class is a question of its own, with answers “has it” and “has it not”. The most suspect answer of each item, most suspect first. */
export function suspectedAnswers(
  probabilities: Matrix,
  given: readonly (readonly number[])[],
): { suspects: SuspectedAnswer[]; margins: Float64Array } {
  const { data, rows: n, columns: c } = probabilities;
  const margins = new Float64Array(n).fill(1);
  const worst = new Map<number, SuspectedAnswer>();
  for (let j = 0; j < c; j++) {
    const binary = matrix(n, 2);
    for (let i = 0; i < n; i++) {
      binary.data[2 * i] = 1 - data[i * c + j];
      binary.data[2 * i + 1] = data[i * c + j];
    }
    const answers = given.map((own) => (own.includes(j) ? 1 : 0));
    const estimate = confidentLearning(binary, answers);
    estimate.margins.forEach((margin, i) => (margins[i] = Math.min(margins[i], margin)));
    for (const row of estimate.suspects) {
      const margin = estimate.margins[row];
      if (margin < (worst.get(row)?.margin ?? Infinity))
        worst.set(row, { row, class: j, given: answers[row] === 1, margin });
    }
  }
  return { suspects: [...worst.values()].sort((a, b) => a.margin - b.margin || a.row - b.row), margins };
}
