/**
 * A third opinion: what a human's reading and a calibrated model together make likely.
 * P(y | h, m) ∝ P(h | y) · m(y), with P(h | y) the annotator's confusion matrix (Kerrigan,
 * Smyth & Steyvers 2021: human and model err independently given the class). It is shown
 * where it differs from what the human said, and replaces nothing. Its limit: a model that
 * learned an annotator's habit agrees with it.
 */
import { assert } from '../domain/errors.ts';

/** A reading with the confusion matrix `[c, c]` of who made it: rows are true classes. */
export interface WeighedReading {
  class: number;
  confusion: Float64Array;
}

/** Probabilities of the classes, `[c]`, from all readings of an item and the model's probabilities `[c]`. Where these exclude everything, the model's come back. */
export function fuse(readings: readonly WeighedReading[], model: ArrayLike<number>): Float64Array {
  const c = model.length;
  const fused = Float64Array.from(model);
  for (const { class: given, confusion } of readings) {
    assert(confusion.length === c * c && given < c, `a confusion matrix of ${c} classes`, confusion.length);
    for (let j = 0; j < c; j++) fused[j] *= confusion[j * c + given];
  }
  const sum = fused.reduce((a, b) => a + b, 0);
  if (sum === 0) return Float64Array.from(model);
  return fused.map((p) => p / sum);
}
