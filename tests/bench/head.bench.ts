/**
 * `npm run bench -- head`: how long a refit of the head and a re-rank of the pool take,
 * beside the promise of a second each. A refit is everything between two labels: the pool's
 * prior is there already; folds, penalties, temperature and the final fit are not.
 */
import { select } from '../../main/acquisition/index.ts';
import { matrix, type Matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import { fitHead, poolPrior, predictPool } from '../../main/training/index.ts';

const LIMIT_MS = 1000;
const REPEATS = 5;
const rng = createRng(1);

/** Rows around one of `c` centres, so that there is something to learn. */
function clouds(n: number, d: number, c: number): { embedding: Matrix; labels: number[][] } {
  const centres = matrix(c, d);
  for (let i = 0; i < centres.data.length; i++) centres.data[i] = rng.normal();
  const embedding = matrix(n, d);
  const labels: number[][] = [];
  for (let i = 0; i < n; i++) {
    const own = rng.int(c);
    labels.push([own]);
    for (let j = 0; j < d; j++)
      embedding.data[i * d + j] = 0.15 * centres.data[own * d + j] + rng.normal() / Math.sqrt(d);
  }
  return { embedding, labels };
}

async function times(what: string, work: () => Promise<unknown>): Promise<void> {
  const took: number[] = [];
  for (let i = 0; i < REPEATS; i++) {
    const began = performance.now();
    await work();
    took.push(performance.now() - began);
  }
  took.sort((a, b) => a - b);
  const median = took[Math.floor(REPEATS / 2)];
  console.log(
    `${what}: median ${median.toFixed(0)} ms, slowest ${took[REPEATS - 1].toFixed(0)} ms; ` +
      `${(median / LIMIT_MS).toFixed(2)} of the second it may take`,
  );
}

const { embedding, labels } = clouds(1000, 2000, 10);
const prior = await poolPrior(embedding, 1);
await times('refit the head, 1,000 × 2,000, 10 classes, cross-validated', () =>
  fitHead({ embedding, labels, task: 'classify', classCount: 10, prior, seed: 1 }),
);

const few = clouds(1000, 512, 10);
const { head } = await fitHead({
  embedding: few.embedding,
  labels: few.labels,
  task: 'classify',
  classCount: 10,
  seed: 1,
});
const pool = clouds(100_000, 512, 10).embedding;
const reduced = matrix(100_000, 96);
for (let i = 0; i < 100_000; i++) reduced.data.set(pool.data.subarray(i * 512, i * 512 + 96), i * 96);
const candidates = Int32Array.from({ length: 100_000 }, (_, i) => i);
await times('re-rank the pool, 100,000 × 512, margin and diversity', async () => {
  const probabilities = await predictPool(head, pool);
  return select('margin-diverse', {
    candidates,
    labelled: candidates.subarray(0, 1000),
    batch: 30,
    seed: 1,
    probabilities,
    reduced,
  });
});
