/**
 * The linear algebra that encoders are fitted with: eigenvectors of small symmetric
 * matrices, and the leading singular vectors of large ones by random projection. Float64
 * throughout; deterministic for a generator; signs fixed so that refits agree.
 */
import type { Rng } from '../domain/rng.ts';

/** A large matrix, given by the values of its rows: `times` is A·block for a `columns × width` block, `transposeTimes` is Aᵀ·block for a `rows × width` one; all row-major. */
export interface Operator {
  rows: number;
  columns: number;
  times(block: Float32Array, width: number): Promise<Float64Array>;
  transposeTimes(block: Float64Array, width: number): Promise<Float64Array>;
}

/** One row of a matrix: its values from `from` to `to`, at the places in `columns`, or at 0, 1, 2 … where that is null. */
export interface MatrixRow {
  columns: ArrayLike<number> | null;
  values: ArrayLike<number>;
  from: number;
  to: number;
}

/** The operator of a matrix that can hand out its rows, in any order; `pause` is awaited now and then with the number of rows done in all. */
export function rowOperator(
  rows: number,
  columns: number,
  rowAt: (i: number) => MatrixRow,
  pause: (rowsDone: number) => Promise<void> = async () => undefined,
): Operator {
  let done = 0;
  const next = async (i: number) => {
    if (done++ % 128 === 0) await pause(done);
    return rowAt(i);
  };
  return {
    rows,
    columns,
    async times(block, width) {
      const result = new Float64Array(rows * width);
      for (let i = 0; i < rows; i++) addWeighted(await next(i), block, result.subarray(i * width, (i + 1) * width));
      return result;
    },
    async transposeTimes(block, width) {
      const result = new Float64Array(columns * width);
      for (let i = 0; i < rows; i++) spread(await next(i), block.subarray(i * width, (i + 1) * width), result);
      return result;
    },
  };
}

/** sum += Σ value · block row. */
function addWeighted({ columns, values, from, to }: MatrixRow, block: Float32Array, sum: Float64Array): void {
  const width = sum.length;
  for (let j = from; j < to; j++) {
    const value = values[j];
    const at = (columns ? columns[j] : j - from) * width;
    for (let w = 0; w < width; w++) sum[w] += value * block[at + w];
  }
}

/** result row += value · given, for every value of the row. */
function spread({ columns, values, from, to }: MatrixRow, given: Float64Array, result: Float64Array): void {
  const width = given.length;
  for (let j = from; j < to; j++) {
    const value = values[j];
    const at = (columns ? columns[j] : j - from) * width;
    for (let w = 0; w < width; w++) result[at + w] += value * given[w];
  }
}

/** Eigenvalues, largest first, and their unit eigenvectors as rows of `vectors`, of a symmetric `n × n` matrix. Cyclic Jacobi (Golub & Van Loan, 8.5): meant for n up to a few hundred. */
export function symmetricEigen(matrix: Float64Array, n: number): { values: Float64Array; vectors: Float64Array } {
  const a = matrix.slice();
  const v = new Float64Array(n * n);
  for (let i = 0; i < n; i++) v[i * n + i] = 1;
  let scale = 0;
  for (let i = 0; i < n * n; i++) scale += a[i] * a[i];
  for (let sweep = 0; sweep < 40; sweep++) {
    let off = 0;
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) off += a[p * n + q] ** 2;
    if (off <= scale * 1e-22) break;
    // Rotations far below what is left do not move the result; skipping them halves the work.
    const negligible = Math.sqrt(off / (n * n)) * 1e-3;
    for (let p = 0; p < n - 1; p++) {
      for (let q = p + 1; q < n; q++) {
        const apq = a[p * n + q];
        if (Math.abs(apq) <= negligible) continue;
        const theta = (a[q * n + q] - a[p * n + p]) / (2 * apq);
        const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const c = 1 / Math.sqrt(t * t + 1);
        const s = t * c;
        for (let k = 0; k < n; k++) {
          const x = a[p * n + k];
          const y = a[q * n + k];
          a[p * n + k] = c * x - s * y;
          a[q * n + k] = s * x + c * y;
        }
        for (let k = 0; k < n; k++) {
          const x = a[k * n + p];
          const y = a[k * n + q];
          a[k * n + p] = c * x - s * y;
          a[k * n + q] = s * x + c * y;
        }
        for (let k = 0; k < n; k++) {
          const x = v[p * n + k];
          const y = v[q * n + k];
          v[p * n + k] = c * x - s * y;
          v[q * n + k] = s * x + c * y;
        }
      }
    }
  }
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => a[j * n + j] - a[i * n + i] || i - j);
  const values = Float64Array.from(order, (i) => a[i * n + i]);
  const vectors = new Float64Array(n * n);
  order.forEach((from, to) => vectors.set(v.subarray(from * n, (from + 1) * n), to * n));
  for (let i = 0; i < n; i++) fixSign(vectors.subarray(i * n, (i + 1) * n));
  return { values, vectors };
}

/** Products with the matrix or its transpose that `randomizedSvd` makes: each visits every row once. */
export const SVD_PASSES = 6;

/**
 * The leading `k` singular values and right singular vectors (rows of `vectors`, each
 * `columns` long) of a large matrix: a random start, two power iterations on the side of
 * the rows, Rayleigh–Ritz (Halko, Martinsson & Tropp 2011, algorithm 4.4 and section 5).
 * Gives fewer than `k` where the rank is lower.
 */
export async function randomizedSvd(
  a: Operator,
  k: number,
  rng: Rng,
): Promise<{ values: Float64Array; vectors: Float64Array; rank: number }> {
  const width = Math.min(k + 16, a.rows, a.columns);
  const start = new Float32Array(a.columns * width);
  for (let i = 0; i < start.length; i++) start[i] = rng.normal();
  let q = orthonormalise(await a.times(start, width), a.rows, width, 1);
  q = orthonormalise(await a.times(Float32Array.from(await a.transposeTimes(q, width)), width), a.rows, width, 1);
  q = orthonormalise(await a.times(Float32Array.from(await a.transposeTimes(q, width)), width), a.rows, width, 2);
  // A ≈ Q(QᵀA): the small Gram matrix of AᵀQ has the squared singular values.
  const image = await a.transposeTimes(q, width);
  const { values, vectors } = symmetricEigen(gram(image, a.columns, width), width);
  let rank = 0;
  while (rank < Math.min(k, width) && values[rank] > values[0] * 1e-10 && values[rank] > 0) rank++;
  const right = new Float64Array(rank * a.columns);
  for (let i = 0; i < a.columns; i++) {
    const at = i * width;
    for (let r = 0; r < rank; r++) {
      let sum = 0;
      for (let j = 0; j < width; j++) sum += image[at + j] * vectors[r * width + j];
      right[r * a.columns + i] = sum / Math.sqrt(values[r]);
    }
  }
  for (let r = 0; r < rank; r++) fixSign(right.subarray(r * a.columns, (r + 1) * a.columns));
  return { values: Float64Array.from(values.subarray(0, rank), Math.sqrt), vectors: right, rank };
}

/** XᵀX of a row-major `rows × width` block. */
export function gram(x: ArrayLike<number>, rows: number, width: number): Float64Array {
  const g = new Float64Array(width * width);
  for (let r = 0; r < rows; r++) {
    const at = r * width;
    for (let i = 0; i < width; i++) {
      const xi = x[at + i];
      if (xi === 0) continue;
      for (let j = i; j < width; j++) g[i * width + j] += xi * x[at + j];
    }
  }
  for (let i = 0; i < width; i++) for (let j = 0; j < i; j++) g[i * width + j] = g[j * width + i];
  return g;
}

/** Orthonormal columns that span those of `x`, by Cholesky of the Gram matrix, in two rounds for full accuracy (Yamamoto et al. 2015). Columns beyond the rank become zero. */
function orthonormalise(x: Float64Array, rows: number, width: number, rounds: number): Float64Array {
  for (let round = 0; round < rounds; round++) {
    const r = cholesky(gram(x, rows, width), width);
    for (let i = 0; i < rows; i++) {
      const at = i * width;
      // Solves yᵀR = xᵀ, R upper triangular.
      for (let j = 0; j < width; j++) {
        const diagonal = r[j * width + j];
        const y = diagonal === 0 ? 0 : x[at + j] / diagonal;
        x[at + j] = y;
        if (y !== 0) for (let l = j + 1; l < width; l++) x[at + l] -= y * r[j * width + l];
      }
    }
  }
  return x;
}

/** Upper triangular R with RᵀR = g; rows of dependent columns are zero. */
function cholesky(g: Float64Array, n: number): Float64Array {
  const r = g.slice();
  for (let j = 0; j < n; j++) {
    const pivot = r[j * n + j];
    const keep = pivot > g[j * n + j] * 1e-13 && pivot > 1e-300;
    const root = keep ? Math.sqrt(pivot) : 0;
    for (let l = j; l < n; l++) r[j * n + l] = keep ? r[j * n + l] / root : 0;
    for (let l = 0; l < j; l++) r[j * n + l] = 0;
    if (!keep) continue;
    for (let i = j + 1; i < n; i++) {
      const f = r[j * n + i];
      if (f !== 0) for (let l = i; l < n; l++) r[i * n + l] -= f * r[j * n + l];
    }
  }
  return r;
}

/** The largest component of a vector becomes positive. */
function fixSign(vector: Float64Array): void {
  let largest = 0;
  for (let i = 1; i < vector.length; i++) if (Math.abs(vector[i]) > Math.abs(vector[largest])) largest = i;
  if (vector[largest] < 0) for (let i = 0; i < vector.length; i++) vector[i] = -vector[i];
}
