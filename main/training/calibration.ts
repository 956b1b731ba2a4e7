/**
 * Temperature calibration (Guo et al. 2017) on logits of items the head had not seen, and
 * the expected calibration error (Naeini 2015). With few items the temperature is held
 * near 1 by a prior, log T ~ N(0, ½²), so that five lucky answers do not make a head sure.
 */
import { matrix, type Matrix } from '../domain/matrix.ts';
import type { Task } from '../domain/schema.ts';

/** logits / temperature → probabilities: softmax rows, or a sigmoid per class. `[n, c]` → `[n, c]`. */
export function toProbabilities(logits: Matrix, task: Task, temperature = 1): Matrix {
  const { rows, columns: c } = logits;
  const result = matrix(rows, c);
  for (let i = 0; i < rows * c; i += c) {
    if (task === 'classify-many') {
      for (let j = i; j < i + c; j++) result.data[j] = 1 / (1 + Math.exp(-logits.data[j] / temperature));
      continue;
    }
    let top = -Infinity;
    for (let j = i; j < i + c; j++) top = Math.max(top, logits.data[j]);
    let sum = 0;
    for (let j = i; j < i + c; j++) sum += Math.exp((logits.data[j] - top) / temperature);
    for (let j = i; j < i + c; j++) result.data[j] = Math.exp((logits.data[j] - top) / temperature) / sum;
  }
  return result;
}

/** Mean negative log likelihood of targets in [0, 1] (`[n, c]`) under logits / temperature; for many classes the sum over classes. No rows give 0. */
export function logLossOfLogits(logits: Matrix, targets: Matrix, task: Task, temperature = 1): number {
  const { rows, columns: c } = logits;
  let loss = 0;
  for (let i = 0; i < rows * c; i += c) {
    if (task === 'classify-many') {
      for (let j = i; j < i + c; j++) {
        const z = logits.data[j] / temperature;
        loss += Math.max(z, 0) - z * targets.data[j] + Math.log1p(Math.exp(-Math.abs(z)));
      }
      continue;
    }
    let top = -Infinity;
    for (let j = i; j < i + c; j++) top = Math.max(top, logits.data[j]);
    let sum = 0;
    for (let j = i; j < i + c; j++) sum += Math.exp((logits.data[j] - top) / temperature);
    const logSum = Math.log(sum);
    for (let j = i; j < i + c; j++) loss += targets.data[j] * (logSum - (logits.data[j] - top) / temperature);
  }
  return rows === 0 ? 0 : loss / rows;
}

/** The temperature that minimises the log loss plus the prior, by golden section over log T in [log 0.05, log 20]. No rows give 1. */
export function fitTemperature(logits: Matrix, targets: Matrix, task: Task): number {
  if (logits.rows === 0) return 1;
  const cost = (logT: number) => logLossOfLogits(logits, targets, task, Math.exp(logT)) * logits.rows + 2 * logT * logT;
  const golden = (Math.sqrt(5) - 1) / 2;
  let low = Math.log(0.05);
  let high = Math.log(20);
  let a = high - golden * (high - low);
  let b = low + golden * (high - low);
  let costA = cost(a);
  let costB = cost(b);
  while (high - low > 1e-4) {
    if (costA <= costB) {
      high = b;
      b = a;
      costB = costA;
      a = high - golden * (high - low);
      costA = cost(a);
    } else {
      low = a;
      a = b;
      costA = costB;
      b = low + golden * (high - low);
      costB = cost(b);
    }
  }
  return Math.exp((low + high) / 2);
}

/** Expected calibration error: mean |accuracy − confidence| over `bins` equal bins of confidence, weighted by how many fall in each. In [0, 1]; no items give 0. */
export function expectedCalibrationError(
  confidence: ArrayLike<number>,
  correct: ArrayLike<boolean | number>,
  bins = 15,
): number {
  const n = confidence.length;
  const gap = new Float64Array(bins);
  for (let i = 0; i < n; i++) {
    const bin = Math.min(bins - 1, Math.floor(confidence[i] * bins));
    gap[bin] += confidence[i] - Number(correct[i]);
  }
  return n === 0 ? 0 : gap.reduce((sum, g) => sum + Math.abs(g), 0) / n;
}
