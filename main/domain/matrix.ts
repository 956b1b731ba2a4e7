/**
 * Row-major float32 matrices: how embeddings, logits and probabilities are held.
 * Storage is float32; whoever sums over rows accumulates in float64.
 */
import { assert } from './errors.ts';

/** `rows × columns`, row-major; `data.length === rows * columns`. */
export interface Matrix {
  readonly data: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/** A matrix over `data`, or of zeros. */
export function matrix(rows: number, columns: number, data = new Float32Array(rows * columns)): Matrix {
  assert(data.length === rows * columns, `${rows}×${columns} values`, data.length);
  return { data, rows, columns };
}

/** Row `i` as a view: writing to it writes to the matrix. */
export function row(m: Matrix, i: number): Float32Array {
  return m.data.subarray(i * m.columns, (i + 1) * m.columns);
}

/** The rows named by `indices`, copied, in that order. */
export function takeRows(m: Matrix, indices: ArrayLike<number>): Matrix {
  const data = new Float32Array(indices.length * m.columns);
  for (let i = 0; i < indices.length; i++) data.set(row(m, indices[i]), i * m.columns);
  return { data, rows: indices.length, columns: m.columns };
}
