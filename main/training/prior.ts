/**
 * What the unlabelled pool says before any label: directions in which items differ a lot
 * are likelier to carry the classes than directions in which they hardly differ. A head
 * under this prior has weights W = D V with ‖V‖² penalised, where D Dᵀ is the pool's
 * covariance: the linear member of the data-dependent kernels of Sindhwani et al. 2005.
 * On few labels it is worth several points of accuracy (docs/decisions/0003), and costs
 * one product with a sample of the pool. With very few labels the pool says one thing more:
 * which items hang together (`propagation.ts`).
 */
import { createHash } from 'node:crypto';
import { assert } from '../domain/errors.ts';
import { matrix, takeRows, type Matrix } from '../domain/matrix.ts';
import { createRng } from '../domain/rng.ts';
import { multiply } from './products.ts';
import { poolGraph, type PoolGraph } from './propagation.ts';

export interface PoolPrior {
  /** The pool's mean, `[d]`. */
  mean: Float32Array;
  /** D, `[d, q]`. */
  directions: Matrix;
  /** A sample of the pool, along which labels spread while they are few, and its rows turned by D, `[m, q]`. */
  graph: PoolGraph;
  sampled: Matrix;
  /** Of mean and directions: a snapshot names the prior by it. */
  sha256: string;
}

/** Up to this width D is the covariance's Cholesky factor; above it, the sampled pool itself. */
const WIDEST_FACTOR = 512;
const SAMPLE_FACTOR = 20_000;
const SAMPLE_ROWS = 1_500;

/** The prior of a pool's embeddings `[n, d]`; on a random sample where the pool is large. The same pool and seed give the same prior. An empty pool is a bug and asserts. */
export async function poolPrior(pool: Matrix, seed: number): Promise<PoolPrior> {
  const { columns: d, data } = pool;
  assert(pool.rows > 0, 'a pool with items', pool.rows);
  const factor = d <= WIDEST_FACTOR;
  const size = Math.min(pool.rows, factor ? SAMPLE_FACTOR : SAMPLE_ROWS);
  const rows = createRng(seed)
    .derive('prior')
    .sample(pool.rows, size)
    .sort((a, b) => a - b);
  const sums = new Float64Array(d);
  for (const i of rows) for (let j = 0; j < d; j++) sums[j] += data[i * d + j];
  const mean = Float32Array.from(sums, (sum) => sum / size);
  const centred = matrix(size, d);
  rows.forEach((i, at) => {
    for (let j = 0; j < d; j++) centred.data[at * d + j] = (data[i * d + j] - mean[j]) / Math.sqrt(size);
  });
  const directions = factor ? cholesky(await multiply('aᵀ·b', centred, centred)) : transposed(centred);
  const graph = await poolGraph(centred, createRng(seed).derive('graph'));
  const sampled = await multiply('a·b', takeRows(centred, graph.rows), directions);
  for (let at = 0; at < sampled.data.length; at++) sampled.data[at] *= Math.sqrt(size);
  const digest = createHash('sha256');
  for (const values of [mean, directions.data, graph.axes.data, graph.points.data]) digest.update(bytesOf(values));
  return { mean, directions, graph, sampled, sha256: digest.digest('hex') };
}

const bytesOf = (values: Float32Array) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

function transposed(m: Matrix): Matrix {
  const result = matrix(m.columns, m.rows);
  for (let i = 0; i < m.rows; i++) {
    for (let j = 0; j < m.columns; j++) result.data[j * m.rows + i] = m.data[i * m.columns + j];
  }
  return result;
}

/** L of A + ε = L Lᵀ in float64; ε is a millionth of the mean variance, for directions the pool lacks. */
function cholesky(a: Matrix): Matrix {
  const d = a.rows;
  const l = Float64Array.from(a.data);
  let trace = 0;
  for (let i = 0; i < d; i++) trace += l[i * d + i];
  const jitter = (1e-6 * trace) / d + 1e-30;
  for (let i = 0; i < d; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = l[i * d + j] + (i === j ? jitter : 0);
      for (let p = 0; p < j; p++) sum -= l[i * d + p] * l[j * d + p];
      l[i * d + j] = i === j ? Math.sqrt(Math.max(sum, jitter)) : sum / l[j * d + j];
    }
    l.fill(0, i * d + i + 1, (i + 1) * d);
  }
  return matrix(d, d, Float32Array.from(l));
}
