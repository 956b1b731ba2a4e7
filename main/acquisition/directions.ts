/**
 * Vectors as directions from the pool's mean: how far out an item lies (a long text, a
 * bright image) then counts no longer, only what it is about. Typicality chooses better
 * so, on texts and on images (docs/decisions/0011). In few dimensions the length is one of
 * few things that tell items apart, and stays.
 */
import { matrix, type Matrix } from '../domain/matrix.ts';
import type { Pace } from './pace.ts';
import { dot } from './vectors.ts';

/** From this width on rows become directions. */
const DIRECTIONS_FROM = 16;

/** Scales every row to length 1 in place where rows are wide enough; rows of zeros stay. */
export function toUnitRows(m: Matrix): Matrix {
  if (m.columns >= DIRECTIONS_FROM) for (let i = 0; i < m.rows; i++) scaleToUnit(m, i);
  return m;
}

function scaleToUnit({ data, columns: d }: Matrix, row: number): void {
  const norm = dot(data, row * d, data, row * d, d);
  const scale = norm === 0 ? 0 : 1 / Math.sqrt(norm);
  for (let j = row * d; j < (row + 1) * d; j++) data[j] *= scale;
}

/** A centred copy of `[n, d]` with rows of length 1, made with rests between; narrow rows are only centred. */
export async function directionsOf({ data, rows, columns: d }: Matrix, pace: Pace): Promise<Matrix> {
  const sum = new Float64Array(d);
  for (let i = 0; i < rows; i++) {
    const from = i * d;
    // A broken row stays broken, so that it can be named, and breaks no other.
    if (Number.isFinite(dot(data, from, data, from, d))) for (let j = 0; j < d; j++) sum[j] += data[from + j];
    if ((i & 511) === 511 && pace.isDue()) await pace.rest();
  }
  const mean = sum.map((x) => x / rows);
  const result = matrix(rows, d);
  for (let i = 0; i < rows; i++) {
    for (let j = 0, at = i * d; j < d; j++, at++) result.data[at] = data[at] - mean[j];
    if (d >= DIRECTIONS_FROM) scaleToUnit(result, i);
    if ((i & 511) === 511 && pace.isDue()) await pace.rest();
  }
  return result;
}
