/**
 * Distances and dot products of float32 rows. Many products at once go through a `Products`
 * function, so that whoever has a faster one (ONNX Runtime's) can hand it in; the plain one
 * here gives 2 billion multiplications a second on one core.
 */
import { matrix, type Matrix } from '../domain/matrix.ts';
import type { Pace } from './pace.ts';
import { throwNotFinite } from './scores.ts';

/** The dot product of every row of the first with every row of the second: `[n, d]`, `[m, d]` → `[n, m]`. */
export type Products = (rows: Matrix, vectors: Matrix) => Matrix | Promise<Matrix>;

/** Multiplications asked of `Products` at once: some 15 ms of the plain one. */
const AT_ONCE = 2 ** 25;
/** A squared distance below this share of the two squared lengths is float32's rounding. */
const ROUNDING = 1e-6;

/** Products by two rows and four vectors at a time, sums in float64. */
export function plainProducts(rows: Matrix, vectors: Matrix): Matrix {
  const { data: a, columns: d } = rows;
  const b = vectors.data;
  const result = matrix(rows.rows, vectors.rows);
  const m = vectors.rows;
  const evenRows = rows.rows - (rows.rows % 2);
  const evenVectors = m - (m % 4);
  for (let i = 0; i < evenRows; i += 2) {
    for (let j = 0; j < evenVectors; j += 4) tile(a, i * d, b, j * d, d, result.data, i * m + j, m);
  }
  for (let i = 0; i < rows.rows; i++) {
    for (let j = i < evenRows ? evenVectors : 0; j < m; j++) result.data[i * m + j] = dot(a, i * d, b, j * d, d);
  }
  return result;
}

/** Two rows from `i` times four vectors from `j`: each value that is read is used more than once. */
function tile(
  a: Float32Array,
  i: number,
  b: Float32Array,
  j: number,
  d: number,
  out: Float32Array,
  at: number,
  width: number,
): void {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let t0 = 0;
  let t1 = 0;
  let t2 = 0;
  let t3 = 0;
  for (let p = 0; p < d; p++) {
    const x = a[i + p];
    const y = a[i + d + p];
    const b0 = b[j + p];
    const b1 = b[j + d + p];
    const b2 = b[j + 2 * d + p];
    const b3 = b[j + 3 * d + p];
    s0 += x * b0;
    s1 += x * b1;
    s2 += x * b2;
    s3 += x * b3;
    t0 += y * b0;
    t1 += y * b1;
    t2 += y * b2;
    t3 += y * b3;
  }
  out[at] = s0;
  out[at + 1] = s1;
  out[at + 2] = s2;
  out[at + 3] = s3;
  out[at + width] = t0;
  out[at + width + 1] = t1;
  out[at + width + 2] = t2;
  out[at + width + 3] = t3;
}

/** The dot product of `d` values from `i` and from `j`, four sums at a time so that the engine can overlap them. */
export function dot(a: Float32Array, i: number, b: Float32Array, j: number, d: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let p = 0;
  for (; p + 3 < d; p += 4) {
    s0 += a[i + p] * b[j + p];
    s1 += a[i + p + 1] * b[j + p + 1];
    s2 += a[i + p + 2] * b[j + p + 2];
    s3 += a[i + p + 3] * b[j + p + 3];
  }
  for (; p < d; p++) s0 += a[i + p] * b[j + p];
  return s0 + s1 + (s2 + s3);
}

/** Squared Euclidean distance between row `i` of `a` and row `j` of `b`, each `d` wide. */
export function squaredDistance(a: Float32Array, i: number, b: Float32Array, j: number, d: number): number {
  let sum = 0;
  let sum2 = 0;
  const x = i * d;
  const y = j * d;
  let p = 0;
  for (; p + 1 < d; p += 2) {
    const first = a[x + p] - b[y + p];
    const second = a[x + p + 1] - b[y + p + 1];
    sum += first * first;
    sum2 += second * second;
  }
  if (p < d) {
    const rest = a[x + p] - b[y + p];
    sum += rest * rest;
  }
  return sum + sum2;
}

/** The rows named by `indices`, copied, and ‖row‖² of each, with rests between. Errors: `score-not-finite`, naming the row. */
export async function gatherRows(
  m: Matrix,
  indices: ArrayLike<number>,
  pace: Pace,
): Promise<{ rows: Matrix; norms: Float64Array }> {
  const d = m.columns;
  const rows = matrix(indices.length, d);
  const norms = new Float64Array(indices.length);
  for (let i = 0; i < indices.length; i++) {
    const from = indices[i] * d;
    for (let j = 0; j < d; j++) rows.data[i * d + j] = m.data[from + j];
    norms[i] = dot(m.data, from, m.data, from, d);
    if (!Number.isFinite(norms[i])) throwNotFinite(indices[i], 'distance');
    if ((i & 511) === 511 && pace.isDue()) await pace.rest();
  }
  return { rows, norms };
}

/** ‖row‖² of every row. */
function squaredNorms(rows: Matrix): Float64Array {
  const { data, columns: d } = rows;
  return Float64Array.from({ length: rows.rows }, (_, i) => dot(data, i * d, data, i * d, d));
}

/** What block-wise distances are computed with. */
export interface Multiplying {
  products: Products;
  pace: Pace;
}

/**
 * Squared distances of rows of `m` (those named by `indices`, or all) to every one of
 * `vectors`, block by block: `use` gets the first position and `[block, m]` distances. What
 * differs from 0 by float32's rounding alone is 0. `norms`: ‖row‖² by position, where known.
 * Errors: `score-not-finite`, naming the row.
 */
export async function distancesInBlocks(
  m: Matrix,
  indices: ArrayLike<number> | null,
  vectors: Matrix,
  { products, pace }: Multiplying,
  use: (from: number, distances: Matrix) => void,
  norms?: Float64Array,
): Promise<void> {
  const d = m.columns;
  const n = indices ? indices.length : m.rows;
  const vectorNorms = squaredNorms(vectors);
  const size = rowsAtOnce(vectors.rows, d);
  const copied = indices && new Float32Array(Math.min(size, n) * d);
  for (let from = 0; from < n; from += size) {
    const to = Math.min(n, from + size);
    let block: Matrix;
    if (copied) {
      for (let i = from; i < to; i++) {
        copied.set(m.data.subarray(indices[i] * d, (indices[i] + 1) * d), (i - from) * d);
      }
      block = { data: copied.subarray(0, (to - from) * d), rows: to - from, columns: d };
    } else {
      block = { data: m.data.subarray(from * d, to * d), rows: to - from, columns: d };
    }
    const distances = await products(block, vectors);
    const values = distances.data;
    for (let i = 0, at = 0; i < block.rows; i++) {
      const own = norms ? norms[from + i] : dot(block.data, i * d, block.data, i * d, d);
      if (!Number.isFinite(own)) throwNotFinite(indices ? indices[from + i] : from + i, 'distance');
      for (let j = 0; j < vectors.rows; j++, at++) {
        const scale = own + vectorNorms[j];
        const squared = scale - 2 * values[at];
        values[at] = squared <= scale * ROUNDING ? 0 : squared;
      }
    }
    use(from, distances);
    if (pace.isDue()) await pace.rest();
  }
}

/** How many rows to multiply with `m` vectors of width `d` at once. */
function rowsAtOnce(m: number, d: number): number {
  return Math.max(1, Math.min(1024, Math.floor(AT_ONCE / Math.max(1, m * d))));
}

/** The mean of the rows named by `indices`, `[1, d]`, with rests between. */
export async function meanOf(m: Matrix, indices: ArrayLike<number>, pace: Pace): Promise<Matrix> {
  const d = m.columns;
  const sum = new Float64Array(d);
  for (let i = 0; i < indices.length; i++) {
    for (let j = 0, at = indices[i] * d; j < d; j++, at++) sum[j] += m.data[at];
    if ((i & 4095) === 4095 && pace.isDue()) await pace.rest();
  }
  return matrix(
    1,
    d,
    Float32Array.from(sum, (value) => value / indices.length),
  );
}
