/**
 * Vectors as directions from the pool's mean: how far out an item lies (a long text, a
 * bright image) then counts no longer, only what it is about. Typicality chooses better
 * so, on texts and on images (docs/decisions/0011). In few dimensions the
 * length is one of few things that tell items apart, and stays.
 */
import { matrix, type Matrix } from '../domain/matrix.ts';

/** From this width on rows become directions. */
const DIRECTIONS_FROM = 16;

/** Scales every row to length 1 in place where rows are wide enough; rows of zeros stay. */
export function toUnitRows(m: Matrix): Matrix {
  const { data, rows, columns } = m;
  if (columns < DIRECTIONS_FROM) return m;
  for (let i = 0; i < rows; i++) {
    let norm = 0;
    for (let j = i * columns; j < (i + 1) * columns; j++) norm += data[j] * data[j];
    const scale = norm > 0 ? 1 / Math.sqrt(norm) : 0;
    for (let j = i * columns; j < (i + 1) * columns; j++) data[j] *= scale;
  }
  return m;
}

/** A centred copy of `[n, d]` with rows of length 1; narrow rows are only centred. */
export function directionsOf({ data, rows, columns }: Matrix): Matrix {
  const mean = new Float64Array(columns);
  for (let i = 0; i < rows; i++) {
    const own = data.subarray(i * columns, (i + 1) * columns);
    // A broken row stays broken, so that it can be named, and breaks no other.
    if (own.every(Number.isFinite)) for (let j = 0; j < columns; j++) mean[j] += own[j] / rows;
  }
  const result = matrix(rows, columns);
  for (let i = 0, at = 0; i < rows; i++) for (let j = 0; j < columns; j++, at++) result.data[at] = data[at] - mean[j];
  return toUnitRows(result);
}
