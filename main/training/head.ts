/**
 * The head: softmax regression on embeddings (independent sigmoids where an item may have
 * many classes). The penalty is chosen by cross-validation over groups, the temperature
 * from the out-of-fold logits, the whole in well under a second at 1,000 × 2,000 × 10.
 * Features are centred and scaled so that their mean squared norm is 1; that is folded
 * into the weights, so a head is used on raw embeddings: logits = x W + b.
 * While labels are few the head also hears what they say about the pool (`listening.ts`).
 * Same rows, labels, prior and seed, same weights on one machine.
 */
import { EngineError, assert } from '../domain/errors.ts';
import { matrix, type Matrix } from '../domain/matrix.ts';
import { createRng } from '../domain/rng.ts';
import type { Task } from '../domain/schema.ts';
import { fitTemperature, logLossOfLogits, toProbabilities } from './calibration.ts';
import { components, divide } from './folds.ts';
import type { HeadSolution } from './lbfgs.ts';
import { problemsOf, type Problems } from './listening.ts';
import type { PoolPrior } from './prior.ts';
import { multiply } from './products.ts';
import { solveAll, type SharedProblem, type Variant } from './solver.ts';

/** A fitted head, usable on raw embeddings. */
export interface Head {
  task: Task;
  /** `[d, c]`. */
  weights: Matrix;
  /** `[c]`. */
  bias: Float32Array;
  /** Logits are divided by it before softmax or sigmoid. */
  temperature: number;
}

export interface HeadInput {
  /** Embeddings of the labelled items, `[n, d]`, in a fixed order. */
  embedding: Matrix;
  /** Class numbers of each item: exactly one for `classify`, any number for `classify-many`. */
  labels: readonly (readonly number[])[];
  task: Task;
  classCount: number;
  /** Group and near-duplicate cluster of each item, −1 = none: whatever shares one is never split by a fold. */
  groups?: ArrayLike<number>;
  duplicates?: ArrayLike<number>;
  /** What the unlabelled pool says; without it all directions are alike. */
  prior?: PoolPrior;
  /** Used as it is, where labels are enough to choose one: then nothing is cross-validated, which is most of the work, and probabilities are not calibrated. */
  strength?: number;
  seed: number;
  signal?: AbortSignal;
}

export interface CrossValidation {
  folds: number;
  /** What was tried, weakest penalty last (one alone while the pool is heard); strength C is the inverse of the penalty, as scikit-learn's. */
  tried: { strength: number; logLoss: number; accuracy: number }[];
  /** Calibrated probabilities of each item from the head that had not seen it, `[n, c]`. */
  probabilities: Matrix;
  /** Items whose likeliest class was right (for many classes: all classes right). */
  correct: number;
  tested: number;
}

export interface HeadFit {
  head: Head;
  strength: number;
  /** The objective's value and the iterations it took. */
  loss: number;
  iterations: number;
  /** null where there are too few labels to hold any out: then the strength is a prior's. */
  crossValidation: CrossValidation | null;
}

/** The strengths tried: five decades; within a decade accuracy hardly changes (docs/decisions/0003). */
export const STRENGTHS = [1, 10, 100, 1000, 10_000];
/** Used where nothing can be cross-validated. */
const PRIOR_STRENGTH = 10;
/** Three folds suffice where a third of the items is hundreds of answers. */
const FOLDS = { few: 5, many: 3, manyFrom: 800 };

/** Fits a head. Cost: 0.3 to 0.8 s of processor time at n = 1,000, d = 2,000, c = 10. Errors: `labels-too-few` where fewer than two classes have a label (for many classes: where there is no label). */
export async function fitHead(input: HeadInput): Promise<HeadFit> {
  const { embedding, labels, task, classCount: c, signal } = input;
  const n = embedding.rows;
  assert(labels.length === n, `${n} labels`, labels.length);
  const seen = new Set(labels.flat());
  if (n === 0 || (task === 'classify' && seen.size < 2)) {
    throw new EngineError(
      'labels-too-few',
      `There are labels of ${seen.size === 1 ? 'only one class' : 'no class'} yet.`,
      'Label items of at least two classes, then train again.',
      { labels: n, classesSeen: seen.size },
    );
  }
  const targets = targetsOf(labels, c);
  const normalised = await normalise(embedding, input.prior);
  const fold = input.strength === undefined ? foldsOf(input, n) : null;
  const problems = await problemsOf({ ...input, ...normalised, targets, fold });
  const { features } = problems;
  const gram = features.rows <= features.columns ? await multiply('a·bᵀ', features, features) : undefined;
  const shared = { task, features, gram, targets: problems.targets, signal };

  let strength = problems.strength ?? input.strength ?? PRIOR_STRENGTH;
  let temperature = 1;
  let crossValidation: CrossValidation | null = null;
  if (fold) {
    const best = await crossValidate(shared, problems, { fold, targets, labels });
    ({ strength, temperature } = best);
    crossValidation = best.result;
  }
  const variant = {
    ...problems.problem(-1),
    lambda: 1 / strength,
    tolerance: 1e-4,
    maxIterations: 200,
  };
  const { form, solutions } = await solveAll(shared, [variant]);
  const [solution] = solutions;
  const { weights, bias } = await onRawEmbeddings(solution, form, { ...normalised, features }, input.prior);
  return {
    head: { task, weights, bias, temperature },
    strength,
    loss: solution.loss,
    iterations: solution.iterations,
    crossValidation,
  };
}

/** The weights and bias of a solution for embeddings as they come: `[d, c]` and `[c]`. */
export async function onRawEmbeddings(
  solution: HeadSolution,
  form: 'primal' | 'gram',
  { features, mean, scale }: Normalised,
  prior: PoolPrior | undefined,
): Promise<{ weights: Matrix; bias: Float32Array }> {
  const c = solution.bias.length;
  const coefficients: Matrix = {
    data: solution.coefficients,
    rows: form === 'gram' ? features.rows : features.columns,
    columns: c,
  };
  const inFeatures = form === 'gram' ? await multiply('aᵀ·b', features, coefficients) : coefficients;
  const unscaled = prior ? await multiply('a·b', prior.directions, inFeatures) : inFeatures;
  const weights = matrix(
    unscaled.rows,
    c,
    Float32Array.from(unscaled.data, (w) => w * scale),
  );
  const bias = Float32Array.from({ length: c }, (_, j) => {
    let shift = 0;
    for (let i = 0; i < weights.rows; i++) shift += mean[i] * weights.data[i * c + j];
    return solution.bias[j] - shift;
  });
  return { weights, bias };
}

/** 1 where an item has a class, `[n, c]`. */
export function targetsOf(labels: readonly (readonly number[])[], c: number): Matrix {
  const targets = matrix(labels.length, c);
  labels.forEach((classes, i) => classes.forEach((j) => (targets.data[i * c + j] = 1)));
  return targets;
}

export interface Normalised {
  features: Matrix;
  mean: ArrayLike<number>;
  scale: number;
}

/** Centred (by the pool's mean where a prior is given), turned by the prior's directions, and scaled by one number so that rows have a mean squared norm of 1. */
export async function normalise(embedding: Matrix, prior: PoolPrior | undefined): Promise<Normalised> {
  const { rows: n, columns: d, data } = embedding;
  let mean: ArrayLike<number> & { [j: number]: number } = new Float64Array(d);
  if (prior) mean = prior.mean;
  else for (let i = 0, at = 0; i < n; i++) for (let j = 0; j < d; j++, at++) mean[j] += data[at] / n;
  let features = matrix(n, d);
  for (let i = 0, at = 0; i < n; i++) for (let j = 0; j < d; j++, at++) features.data[at] = data[at] - mean[j];
  // Rows that differ by rounding alone must not be scaled up into differences.
  const alike = squaredNorm(features.data) <= 1e-12 * squaredNorm(data);
  if (prior) features = await multiply('a·b', features, prior.directions);
  const norm = squaredNorm(features.data);
  const scale = alike || norm === 0 ? 0 : Math.sqrt(n / norm);
  for (let i = 0; i < features.data.length; i++) features.data[i] *= scale;
  return { features, mean, scale };
}

function squaredNorm(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}

/** The fold of each item, or null where every division would leave a training side with fewer than two classes. */
function foldsOf(input: HeadInput, n: number): Int32Array | null {
  const component = components(n, input.groups, input.duplicates);
  const count = new Set(component).size;
  const folds = Math.min(n < FOLDS.manyFrom ? FOLDS.few : FOLDS.many, count);
  if (folds < 2 || n < 4) return null;
  const fold = divide(
    component,
    input.labels,
    input.classCount,
    new Array(folds).fill(1 / folds),
    createRng(input.seed).derive('folds'),
  );
  for (let f = 0; f < folds; f++) {
    const left = new Set<number>();
    for (let i = 0; i < n; i++) if (fold[i] !== f) for (const j of input.labels[i]) left.add(j);
    if (left.size < (input.task === 'classify' ? 2 : 1)) return null;
  }
  return fold;
}

async function crossValidate(
  shared: SharedProblem,
  problems: Problems,
  { fold, targets, labels }: { fold: Int32Array; targets: Matrix; labels: readonly (readonly number[])[] },
): Promise<{ strength: number; temperature: number; result: CrossValidation }> {
  const { task } = shared;
  const { rows: n, columns: c } = targets;
  const folds = Math.max(...fold) + 1;
  const strengths = problems.strength === null ? STRENGTHS : [problems.strength];
  const variants: Variant[] = strengths.flatMap((strength) =>
    Array.from({ length: folds }, (_, f) => ({
      ...problems.problem(f),
      lambda: 1 / strength,
      tolerance: 5e-3,
      maxIterations: 50,
    })),
  );
  const { solutions } = await solveAll(shared, variants);
  const scored = strengths.map((strength, s) => {
    const logits = matrix(n, c);
    for (let i = 0; i < n; i++) {
      const from = solutions[s * folds + fold[i]].logits;
      logits.data.set(from.subarray(i * c, (i + 1) * c), i * c);
    }
    const temperature = fitTemperature(logits, targets, task);
    const logLoss = logLossOfLogits(logits, targets, task, temperature);
    return { strength, logits, temperature, logLoss, correct: countCorrect(logits, labels, task) };
  });
  const best = scored.reduce((a, b) => (b.logLoss < a.logLoss ? b : a));
  return {
    strength: best.strength,
    temperature: best.temperature,
    result: {
      folds,
      tried: scored.map(({ strength, logLoss, correct }) => ({ strength, logLoss, accuracy: correct / n })),
      probabilities: toProbabilities(best.logits, task, best.temperature),
      correct: best.correct,
      tested: n,
    },
  };
}

function countCorrect(logits: Matrix, labels: readonly (readonly number[])[], task: Task): number {
  const { data, columns: c } = logits;
  let correct = 0;
  for (let i = 0; i < logits.rows; i++) {
    if (task === 'classify') {
      let best = 0;
      for (let j = 1; j < c; j++) if (data[i * c + j] > data[i * c + best]) best = j;
      if (labels[i][0] === best) correct++;
    } else {
      let all = true;
      for (let j = 0; j < c; j++) if (data[i * c + j] > 0 !== labels[i].includes(j)) all = false;
      if (all) correct++;
    }
  }
  return correct;
}

/** Raw logits of a head (before the temperature), `[n, d]` → `[n, c]`. */
export async function headLogits(head: Head, embedding: Matrix): Promise<Matrix> {
  const logits = await multiply('a·b', embedding, head.weights);
  const c = logits.columns;
  const data = logits.data;
  for (let i = 0; i < data.length; i++) data[i] += head.bias[i % c];
  return logits;
}

/** Calibrated probabilities of a whole pool, `[n, d]` → `[n, c]`, in chunks so that it can be cancelled. 100,000 × 512 takes a fraction of a second. */
export async function predictPool(
  head: Head,
  embedding: Matrix,
  options: { signal?: AbortSignal; onProgress?: (done: number, total: number) => void; chunk?: number } = {},
): Promise<Matrix> {
  const { signal, onProgress, chunk = 8192 } = options;
  const { rows, columns: d } = embedding;
  const c = head.bias.length;
  const result = matrix(rows, c);
  for (let start = 0; start < rows; start += chunk) {
    signal?.throwIfAborted();
    const end = Math.min(rows, start + chunk);
    const part: Matrix = { data: embedding.data.subarray(start * d, end * d), rows: end - start, columns: d };
    const probabilities = toProbabilities(await headLogits(head, part), head.task, head.temperature);
    result.data.set(probabilities.data, start * c);
    onProgress?.(end, rows);
  }
  return result;
}
