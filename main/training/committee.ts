/**
 * A committee: heads fitted to the same labels under the Bayesian bootstrap (Rubin 1981),
 * where each item's weight is drawn from an exponential distribution with mean 1. No class
 * can fall out, as it can where items are drawn with replacement, so that ten labels are
 * enough for a committee. What may not be split by a fold shares a weight; what labels say
 * about the pool while they are few is heard as by the head. All members are solved at
 * once, with the penalty and temperature of the head they stand beside. They predict the
 * rows asked for, so that `[m, n, c]` is never held whole.
 */
import type { Committee } from '../acquisition/index.ts';
import { matrix, takeRows, type Matrix } from '../domain/matrix.ts';
import { createRng } from '../domain/rng.ts';
import { toProbabilities } from './calibration.ts';
import { components } from './folds.ts';
import { normalise, onRawEmbeddings, targetsOf, type HeadInput } from './head.ts';
import { problemsOf } from './listening.ts';
import { multiply } from './products.ts';
import { solveAll, type Variant } from './solver.ts';

/** Members, as usual for ensembles of this kind. */
const MEMBERS = 10;

/** Fits a committee beside a head with this penalty and temperature; it predicts rows of `pool`. Costs about as much as the head with its cross-validation. */
export async function fitCommittee(
  input: HeadInput,
  { strength, temperature }: { strength: number; temperature: number },
  pool: Matrix,
  members = MEMBERS,
): Promise<Committee> {
  const { embedding, labels, task, classCount: c, prior, signal } = input;
  const n = embedding.rows;
  const normalised = await normalise(embedding, prior);
  const problems = await problemsOf({ ...input, ...normalised, targets: targetsOf(labels, c), fold: null });
  const whole = problems.problem(-1);
  const component = components(n, input.groups, input.duplicates);
  const rng = createRng(input.seed).derive('committee');
  const variants = Array.from({ length: members }, (): Variant => {
    const drawn = Float64Array.from({ length: n }, () => -Math.log(1 - rng.next()));
    const mean = component.reduce((sum, k) => sum + drawn[k], 0) / n;
    return {
      ...whole,
      itemWeights: whole.itemWeights.map((weight, i) => (i < n ? (weight * drawn[component[i]]) / mean : weight)),
      lambda: 1 / strength,
      tolerance: 1e-4,
      maxIterations: 200,
    };
  });
  const { features, targets } = problems;
  const { form, solutions } = await solveAll({ task, features, targets, signal }, variants);

  // Side by side, [d, m·c], so that one product serves all members.
  const width = members * c;
  const weights = matrix(pool.columns, width);
  const bias = new Float32Array(width);
  for (let member = 0; member < members; member++) {
    const own = await onRawEmbeddings(solutions[member], form, { ...normalised, features }, prior);
    for (let i = 0; i < pool.columns; i++) {
      weights.data.set(own.weights.data.subarray(i * c, (i + 1) * c), i * width + member * c);
    }
    bias.set(own.bias, member * c);
  }
  return {
    members,
    classes: c,
    async predict(rows) {
      const logits = await multiply('a·b', takeRows(pool, rows), weights);
      const result = new Float32Array(rows.length * width);
      for (let member = 0; member < members; member++) {
        const own = matrix(rows.length, c);
        for (let i = 0; i < rows.length; i++) {
          for (let j = member * c; j < (member + 1) * c; j++) {
            own.data[i * c + j - member * c] = logits.data[i * width + j] + bias[j];
          }
        }
        result.set(toProbabilities(own, task, temperature).data, member * rows.length * c);
      }
      return result;
    },
  };
}
