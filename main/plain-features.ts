/**
 * Vectors of items that no encoder had a part in: hashed words, the brightness of a picture
 * in an 8 × 8 grid with its measures, numbers. An encoder made from the training pool places
 * the items it was made from otherwise than new ones from the very same place, so a
 * two-sample test on its vectors would always find a difference; on these it is exact.
 * Scales come from all the items handed in together, which favours no side.
 */
import { EngineError } from './domain/errors.ts';
import type { Part } from './domain/item.ts';
import { matrix, type Matrix } from './domain/matrix.ts';
import { hashString } from './domain/rng.ts';
import { measurePicture } from './imaging/index.ts';

/** Buckets that words are hashed to (feature hashing, Weinberger et al. 2009). */
const BUCKETS = 512;
const DECODED_AT_ONCE = 4;

type Sparse = Map<number, number>;

/** A row for each item, each kind of part of about unit length. Pictures are read: some milliseconds each; one that cannot be read counts as average. */
export async function plainFeatures(items: readonly (readonly Part[])[], signal?: AbortSignal): Promise<Matrix> {
  const blocks = [wordsOf(items), ...numbersOf(items), await picturesOf(items, signal)].filter(
    (block) => block !== null,
  );
  const columns = blocks.reduce((sum, block) => sum + block.columns, 0);
  const all = matrix(items.length, columns);
  let from = 0;
  for (const { data, columns: own } of blocks) {
    for (let i = 0; i < items.length; i++) all.data.set(data.subarray(i * own, (i + 1) * own), i * columns + from);
    from += own;
  }
  return all;
}

/** Square roots of counts, times the inverse document frequency. */
function wordsOf(items: readonly (readonly Part[])[]): Matrix | null {
  const counts = items.map((parts): Sparse => {
    const own: Sparse = new Map();
    for (const part of parts) {
      if (part.kind !== 'text') continue;
      for (const word of part.text.toLowerCase().match(/\p{Script=Han}|[\p{L}\p{N}]+/gu) ?? []) {
        const hash = hashString(word);
        own.set(hash, (own.get(hash) ?? 0) + 1);
      }
    }
    return own;
  });
  if (counts.every((own) => own.size === 0)) return null;
  const documents: Sparse = new Map();
  for (const own of counts) for (const hash of own.keys()) documents.set(hash, (documents.get(hash) ?? 0) + 1);
  const result = matrix(items.length, BUCKETS);
  counts.forEach((own, i) => {
    const row = result.data.subarray(i * BUCKETS, (i + 1) * BUCKETS);
    for (const [hash, count] of own) {
      const sign = hash & 1 ? 1 : -1;
      row[(hash >>> 1) % BUCKETS] += sign * Math.sqrt(count) * Math.log(items.length / documents.get(hash)! + 1);
    }
    const length = Math.hypot(...row) || 1;
    row.forEach((value, j) => (row[j] = value / length));
  });
  return result;
}

/** Every column on its own scale; a category is a column for each value. */
function numbersOf(items: readonly (readonly Part[])[]): Matrix[] {
  const columns = new Map<string, Float64Array>();
  items.forEach((parts, i) => {
    for (const part of parts) {
      if (part.kind !== 'numbers') continue;
      for (const [name, value] of Object.entries(part.values)) {
        if (value === null) continue;
        const key = typeof value === 'number' ? name : `${name}\n${value}`;
        const absent = typeof value === 'number' ? NaN : 0;
        let column = columns.get(key);
        if (!column) columns.set(key, (column = new Float64Array(items.length).fill(absent)));
        column[i] = typeof value === 'number' ? value : 1;
      }
    }
  });
  return columns.size === 0 ? [] : [standardised([...columns.values()])];
}

async function picturesOf(items: readonly (readonly Part[])[], signal?: AbortSignal): Promise<Matrix | null> {
  const paths = items.map((parts) => parts.find((part) => part.kind === 'image')?.path ?? null);
  if (paths.every((path) => path === null)) return null;
  const measured: (number[] | null)[] = [];
  for (let start = 0; start < paths.length; start += DECODED_AT_ONCE) {
    signal?.throwIfAborted();
    measured.push(...(await Promise.all(paths.slice(start, start + DECODED_AT_ONCE).map(pictureOf))));
  }
  const width = measured.find((own) => own !== null)?.length ?? 0;
  const columns = Array.from({ length: width }, (_, j) => Float64Array.from(measured, (own) => own?.[j] ?? NaN));
  return standardised(columns);
}

async function pictureOf(path: string | null): Promise<number[] | null> {
  if (path === null) return null;
  try {
    const { span, sharpness, colour, aspect, grid } = await measurePicture(path);
    return [span, sharpness, colour, aspect, ...grid];
  } catch (error) {
    if (error instanceof EngineError) return null;
    throw error;
  }
}

/** Mean 0 and equal spread in each column, rows of about unit length; NaN counts as the mean. */
function standardised(columns: readonly Float64Array[]): Matrix {
  const rows = columns[0]?.length ?? 0;
  const result = matrix(rows, columns.length);
  columns.forEach((column, j) => {
    const recorded = column.filter((value) => !Number.isNaN(value));
    const mean = recorded.reduce((sum, value) => sum + value, 0) / Math.max(1, recorded.length);
    const variance = recorded.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, recorded.length);
    const scale = variance > 0 ? 1 / Math.sqrt(variance * columns.length) : 0;
    column.forEach(
      (value, i) => (result.data[i * columns.length + j] = Number.isNaN(value) ? 0 : (value - mean) * scale),
    );
  });
  return result;
}
