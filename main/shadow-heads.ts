/**
 * Heads that are trained only to be measured: on the first labels, to see the learning curve
 * on today's audit set, and on random ones alone, to see what random labels would have
 * reached. They use what is labelled already and cost nobody a label. The same items and seed
 * give the same counts. Between two heads the event loop gets its turn.
 */
import { takeRows, type Matrix } from './domain/matrix.ts';
import { createRng } from './domain/rng.ts';
import type { Task } from './domain/schema.ts';
import type { CurveMeasurement } from './evidence/index.ts';
import { fitHead, predictPool, suggestions, type PoolPrior } from './training/index.ts';

export interface ShadowInput {
  /** Every item's vector; the numbers below are its rows. */
  embedding: Matrix;
  /** Class numbers by row. */
  classesOf(row: number): readonly number[];
  task: Task;
  classCount: number;
  /** What must stay on one side of a split, by row. */
  component: ArrayLike<number>;
  prior: PoolPrior;
  /** That of the version in use: choosing one for each head would take most of the time, for accuracies that hardly differ (docs/decisions/0003). */
  strength: number;
  seed: number;
  signal?: AbortSignal;
  onProgress?(done: number, total: number): void;
}

/** Points of a learning curve: the first, by which factor they are apart, and how many at most. */
const FIRST = 8;
const LEARNING = { step: 1.35, most: 10 };
const RANDOM = { step: 1.6, most: 6 };
/** Divisions of the random items into five folds. */
const ROUNDS = 2;
const FOLDS = 5;

/** Ascending sizes up to `last`, the last among them; none below the first. */
function sizesUpTo(last: number, { step, most }: typeof LEARNING): number[] {
  const sizes: number[] = [];
  for (let size = last; size >= FIRST && sizes.length < most; size /= step) sizes.unshift(Math.round(size));
  return sizes;
}

/** How many of the `audit` rows are right after training on the first 8, 11, … of `training`, which are in the order of labelling. Sizes at which no head can be trained are left out. */
export async function learningCurve(
  input: ShadowInput,
  training: readonly number[],
  audit: readonly number[],
): Promise<CurveMeasurement[]> {
  const points: CurveMeasurement[] = [];
  const sizes = audit.length === 0 ? [] : sizesUpTo(training.length, LEARNING);
  for (const [at, labels] of sizes.entries()) {
    input.onProgress?.(at, sizes.length);
    const right = await answers(input, training.slice(0, labels), audit);
    if (right) points.push({ labels, correct: right.reduce((sum, one) => sum + one, 0), n: audit.length });
  }
  return points;
}

/** Random's own curve: heads on growing random subsets of `drawn` and the audit rows, each measured on the fifth of the audit rows that it has not seen. Also how alike the largest ones' answers and `live` (1 = right, by audit row) are. */
export async function randomCurve(
  input: ShadowInput,
  drawn: readonly number[],
  audit: readonly number[],
  live: readonly number[],
): Promise<{ points: CurveMeasurement[]; likeness: number }> {
  const rng = createRng(input.seed).derive('shadow heads');
  const { component } = input;
  const all = [...audit, ...drawn];
  const place = new Map(audit.map((row, i) => [row, i]));
  const sizes = sizesUpTo(Math.floor(0.8 * all.length), RANDOM);
  if (sizes.length === 0 || audit.length === 0) return { points: [], likeness: 0 };
  const right = sizes.map(() => new Float64Array(audit.length));
  const tested = sizes.map(() => new Float64Array(audit.length));
  for (let round = 0; round < ROUNDS; round++) {
    const components = rng.shuffle([...new Set(all.map((row) => component[row]))]);
    const foldOf = new Map(components.map((own, i) => [own, i % FOLDS]));
    const order = rng.shuffle([...all]);
    for (let fold = 0; fold < FOLDS; fold++) {
      input.onProgress?.(round * FOLDS + fold, ROUNDS * FOLDS);
      const isOut = (row: number) => foldOf.get(component[row]) === fold;
      const out = audit.filter(isOut);
      const rest = order.filter((row) => !isOut(row));
      if (out.length === 0) continue;
      for (const [s, size] of sizes.entries()) {
        const one = await answers(input, rest.slice(0, size), out);
        one?.forEach((value, i) => {
          const at = place.get(out[i])!;
          right[s][at] += value;
          tested[s][at]++;
        });
      }
    }
  }
  const points = sizes.flatMap((labels, s) => {
    const known = audit.map((_, i) => i).filter((i) => tested[s][i] > 0);
    if (known.length < audit.length) return [];
    return [{ labels, correct: known.reduce((sum, i) => sum + right[s][i] / tested[s][i], 0), n: audit.length }];
  });
  const last = sizes.length - 1;
  const shares = Array.from(audit, (_, i) => (tested[last][i] > 0 ? right[last][i] / tested[last][i] : 0));
  return { points, likeness: correlation(shares, live) };
}

/** 1 where a head trained on these rows is right; null where they allow none. */
async function answers(
  input: ShadowInput,
  training: readonly number[],
  tested: readonly number[],
): Promise<number[] | null> {
  const { embedding, classesOf, task, classCount, prior, strength, seed, signal } = input;
  await new Promise((resolve) => setImmediate(resolve));
  signal?.throwIfAborted();
  const labels = training.map(classesOf);
  if (new Set(labels.flat()).size < (task === 'classify' ? 2 : 1)) return null;
  const { head } = await fitHead({
    embedding: takeRows(embedding, training),
    labels,
    task,
    classCount,
    prior,
    strength,
    seed,
    signal,
  });
  const probabilities = await predictPool(head, takeRows(embedding, tested), { signal });
  return suggestions(probabilities, tested.map(classesOf), task).correct.map(Number);
}

/** Pearson's, kept within [0, 0.95]; 0 where one side never varies. */
function correlation(a: readonly number[], b: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((x, y) => x + y, 0) / values.length;
  const [ma, mb] = [mean(a), mean(b)];
  let ab = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    ab += (a[i] - ma) * (b[i] - mb);
    aa += (a[i] - ma) ** 2;
    bb += (b[i] - mb) ** 2;
  }
  return aa === 0 || bb === 0 ? 0 : Math.min(0.95, Math.max(0, ab / Math.sqrt(aa * bb)));
}
