/**
 * The embedded pool as compute holds it: one row per item in order of import, under one
 * encoder, loaded from the cache and grown as items are added. Rows are float32, embedding
 * and reduced vector side by side in one cache entry. Nothing here decides anything.
 */
import { assert } from './domain/errors.ts';
import { matrix, row, type Matrix } from './domain/matrix.ts';
import type { EncoderCard } from './inference/index.ts';
import type { Cache } from './store/index.ts';

/** Under which kind the cache holds them. */
export const EMBEDDINGS = 'embedding';

export class Space {
  /** The encoder's blob. */
  readonly encoder: string;
  readonly dims: number;
  readonly reducedDims: number;
  embedding: Matrix;
  reduced: Matrix;
  /** 1 where the row holds an embedding. */
  present: Uint8Array;
  /** How many rows hold one; changes when any is added. */
  embedded = 0;
  readonly #cache: Cache;
  #seqs: Int32Array = new Int32Array(0);

  constructor(cache: Cache, encoder: string, dims: number, reducedDims: number) {
    this.#cache = cache;
    this.encoder = encoder;
    this.dims = dims;
    this.reducedDims = reducedDims;
    this.embedding = matrix(0, dims);
    this.reduced = matrix(0, reducedDims);
    this.present = new Uint8Array(0);
  }

  /** Makes a row for each item, in that order; items are only ever added at the end. Reads from the cache what it has. */
  grow(seqs: Int32Array): void {
    const had = this.#seqs.length;
    if (seqs.length === had) return;
    assert(seqs.length > had, `at least ${had} items`, seqs.length);
    this.embedding = enlarged(this.embedding, seqs.length);
    this.reduced = enlarged(this.reduced, seqs.length);
    const present = new Uint8Array(seqs.length);
    present.set(this.present);
    this.present = present;
    this.#seqs = seqs;
    const CHUNK = 512;
    for (let start = had; start < seqs.length; start += CHUNK) {
      const chunk = seqs.subarray(start, Math.min(seqs.length, start + CHUNK));
      this.#cache
        .read({ kind: EMBEDDINGS, version: this.encoder }, chunk)
        .forEach((bytes, i) => this.#place(start + i, bytes));
    }
  }

  #place(row: number, bytes: Buffer | null): void {
    if (bytes?.length !== 4 * (this.dims + this.reducedDims)) return;
    const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    this.embedding.data.set(values.subarray(0, this.dims), row * this.dims);
    this.reduced.data.set(values.subarray(this.dims), row * this.reducedDims);
    this.present[row] = 1;
    this.embedded++;
  }

  /** Keeps freshly computed vectors of the named rows, here and in the cache. */
  keep(rows: readonly number[], embedding: Matrix, reduced: Matrix, from: readonly number[]): void {
    const entries = rows.map((row, i): [number, Uint8Array] => {
      const values = new Float32Array(this.dims + this.reducedDims);
      values.set(embedding.data.subarray(from[i] * this.dims, (from[i] + 1) * this.dims));
      values.set(reduced.data.subarray(from[i] * this.reducedDims, (from[i] + 1) * this.reducedDims), this.dims);
      this.embedding.data.set(values.subarray(0, this.dims), row * this.dims);
      this.reduced.data.set(values.subarray(this.dims), row * this.reducedDims);
      this.present[row] = 1;
      this.embedded++;
      return [this.#seqs[row], new Uint8Array(values.buffer)];
    });
    this.#cache.write({ kind: EMBEDDINGS, version: this.encoder }, entries);
  }

  /** Rows that have no embedding yet. */
  absent(): number[] {
    const rows: number[] = [];
    for (let i = 0; i < this.present.length; i++) if (!this.present[i]) rows.push(i);
    return rows;
  }
}

function enlarged(m: Matrix, rows: number): Matrix {
  const larger = matrix(rows, m.columns);
  larger.data.set(m.data);
  return larger;
}

/** What of an encoder's card says how long an entry is. */
type Widths = Pick<EncoderCard, 'sha256' | 'dims' | 'reducedDims'>;

const isEntry = (bytes: Buffer | null, { dims, reducedDims }: Widths): bytes is Buffer =>
  bytes?.length === 4 * (dims + reducedDims);

/** Which of a few items the cache has no vectors of. */
export function absentFrom(cache: Cache, encoder: Widths, seqs: readonly number[]): number[] {
  const found = cache.read({ kind: EMBEDDINGS, version: encoder.sha256 }, seqs);
  return seqs.filter((_, i) => !isEntry(found[i], encoder));
}

/** Keeps vectors of a few items in the cache, a row for each. */
export function keepIn(cache: Cache, encoder: Widths, seqs: readonly number[], embedding: Matrix, reduced: Matrix) {
  const entries = seqs.map((seq, i): [number, Uint8Array] => [
    seq,
    new Uint8Array(Float32Array.of(...row(embedding, i), ...row(reduced, i)).buffer),
  ]);
  cache.write({ kind: EMBEDDINGS, version: encoder.sha256 }, entries);
}

/** The embeddings of a few items as the cache has them; null unless it has all. */
export function cachedEmbeddings(cache: Cache, encoder: Widths, seqs: readonly number[]): Matrix | null {
  const found = cache.read({ kind: EMBEDDINGS, version: encoder.sha256 }, seqs);
  const result = matrix(seqs.length, encoder.dims);
  for (const [i, bytes] of found.entries()) {
    if (!isEntry(bytes, encoder)) return null;
    const { buffer, byteOffset } = bytes;
    result.data.set(new Float32Array(buffer.slice(byteOffset, byteOffset + 4 * encoder.dims)), i * encoder.dims);
  }
  return result;
}
