/**
 * What a head is fitted to: the labelled items, and while these are few also a sample of
 * the pool with what the labels say about it when they spread to neighbours. Such guesses
 * count as a handful of labels together, less with every real label, and nothing from
 * eighty on: measured on texts and X-rays (docs/decisions/0011). A fold's guesses are
 * spread from the other folds' labels alone, so that cross-validation stays honest.
 */
import { matrix, type Matrix } from '../domain/matrix.ts';
import type { Task } from '../domain/schema.ts';
import type { PoolPrior } from './prior.ts';
import { spreadLabels } from './propagation.ts';

/** The items of all problems of a fit, the labelled ones first, and what each problem takes of them. */
export interface Problems {
  features: Matrix;
  targets: Matrix;
  /** Of the problem that leaves out one fold; −1 leaves out none. */
  problem(fold: number): { itemWeights: Float32Array; targets?: Float32Array };
  /** The penalty's inverse where it is not to be chosen. */
  strength: number | null;
}

/** Labels that all guesses together count as, falling to none at `ENDS_AT`. */
const GUESSES_COUNT = 8;
const ENDS_AT = 80;
/** With guesses the penalty matters little: between 30 and 1,000 accuracy moved by less than a point. */
const STRENGTH_WITH_GUESSES = 100;

/** The problems of a fit over `n` labelled items. `features` are the labelled items' as the prior turns and `scale` scales them. */
export async function problemsOf(input: {
  task: Task;
  embedding: Matrix;
  features: Matrix;
  scale: number;
  targets: Matrix;
  fold: Int32Array | null;
  prior?: PoolPrior;
}): Promise<Problems> {
  const { task, embedding, features, scale, targets, prior } = input;
  const n = features.rows;
  const fold = input.fold ?? new Int32Array(n);
  const count = GUESSES_COUNT * (1 - n / ENDS_AT);
  if (!prior || task !== 'classify' || count <= 0 || prior.graph.neighbourCount === 0 || scale === 0) {
    const itemWeights = (left: number) => Float32Array.from(fold, (own) => (own === left ? 0 : 1));
    return { features, targets, strength: null, problem: (left) => ({ itemWeights: itemWeights(left) }) };
  }
  const folds = input.fold ? Math.max(...fold) + 1 : 0;
  const c = targets.columns;
  const m = prior.sampled.rows;
  const guesses = await spreadLabels(prior.graph, centred(embedding, prior.mean), sideBySide(targets, fold, folds));
  const everything = matrix(n + m, features.columns);
  everything.data.set(features.data);
  prior.sampled.data.forEach((value, at) => (everything.data[n * features.columns + at] = value * scale));
  return {
    features: everything,
    targets: matrix(n + m, c),
    strength: STRENGTH_WITH_GUESSES,
    problem(left) {
      const own = new Float32Array((n + m) * c);
      own.set(targets.data);
      const itemWeights = new Float32Array(n + m);
      let certainty = 0;
      for (let i = 0; i < m; i++) {
        const from = (i * (folds + 1) + (left < 0 ? folds : left)) * c;
        itemWeights[n + i] = shareOut(guesses.subarray(from, from + c), own.subarray((n + i) * c, (n + i + 1) * c));
        certainty += itemWeights[n + i];
      }
      let labels = 0;
      for (let i = 0; i < n; i++) labels += itemWeights[i] = fold[i] === left ? 0 : 1;
      const each = certainty > 0 ? (count * labels) / n / certainty : 0;
      for (let i = n; i < n + m; i++) itemWeights[i] *= each;
      return { itemWeights, targets: own };
    },
  };
}

function centred({ data, rows, columns }: Matrix, mean: Float32Array): Matrix {
  return matrix(
    rows,
    columns,
    data.map((x, at) => x - mean[at % columns]),
  );
}

/** The targets without each fold in turn, then all of them, `[n, (folds + 1) · c]`. */
function sideBySide(targets: Matrix, fold: Int32Array, folds: number): Matrix {
  const { rows, columns: c, data } = targets;
  const side = matrix(rows, (folds + 1) * c);
  for (let i = 0; i < rows; i++) {
    for (let left = 0; left <= folds; left++) {
      if (left === folds || fold[i] !== left)
        side.data.set(data.subarray(i * c, (i + 1) * c), (i * (folds + 1) + left) * c);
    }
  }
  return side;
}

/** What reached an item, as shares that sum to 1; returns how certain they are: 1 − entropy, in [0, 1]. Where nothing came the shares stay even and count nothing. */
function shareOut(came: Float64Array, shares: Float32Array): number {
  const total = came.reduce((sum, x) => sum + x, 0);
  if (!(total > 0)) {
    shares.fill(1 / shares.length);
    return 0;
  }
  let entropy = 0;
  for (let j = 0; j < came.length; j++) {
    const p = came[j] / total;
    shares[j] = p;
    if (p > 0) entropy -= p * Math.log(p);
  }
  return Math.max(0, 1 - entropy / Math.log(came.length));
}
