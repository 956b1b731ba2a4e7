/// <reference lib="esnext.float16" />
/**
 * What a network is trained and measured on: items as rows of input tensors, read once,
 * and batches of them, drawn with random changes or taken as they are. A long text has
 * several rows; training draws one of them, measuring takes all.
 */
import { assert } from '../domain/errors.ts';
import type { Rng } from '../domain/rng.ts';
import type { Task } from '../domain/schema.ts';
import { type Augmentation, changedImage, thinned } from './augment.ts';

/** Values of one input of one row; `dims` without the batch axis. Images that hold whole grey values are kept as bytes. */
export interface RowTensor {
  data: Float32Array | Float16Array | Uint8ClampedArray | BigInt64Array;
  dims: readonly number[];
}

/** One row of input tensors, by the network's input names. */
export type ExampleRow = Readonly<Record<string, RowTensor>>;

/** Input tensors of a batch, and what its loss compares with. */
export interface Batch {
  feeds: Record<string, { data: Float32Array | BigInt64Array; dims: number[] }>;
  target: { data: Float32Array | BigInt64Array; dims: number[] } | null;
  /** Items in it. */
  count: number;
}

/** What is known of the examples' classes. */
export interface Labelling {
  task: Task;
  classCount: number;
}

/** Inputs whose first axis is as long as the text is. */
const SEQUENCES = /^(text|term)_/;
/** Lengths are filled up to a multiple of this, so that few graphs are needed. */
const LENGTH_STEP = 32;

export class Examples {
  /** Class numbers of each item. */
  readonly classes: readonly (readonly number[])[];
  /** The item of each row, in order. */
  readonly itemOf: readonly number[];
  readonly #rows: readonly (readonly ExampleRow[])[];
  readonly #labelling: Labelling;
  readonly #augmentation: Augmentation;

  /** `rows[i]` are the rows of item i: at least one. */
  constructor(
    rows: readonly (readonly ExampleRow[])[],
    classes: readonly (readonly number[])[],
    labelling: Labelling,
    augmentation: Augmentation,
  ) {
    assert(
      rows.every((own) => own.length > 0),
      'a row of every item',
      rows.length,
    );
    this.#rows = rows;
    this.classes = classes;
    this.#labelling = labelling;
    this.#augmentation = augmentation;
    // Changed copies are for training only.
    this.itemOf = rows.flatMap((own, i) => (augmentation.copies > 0 ? [i] : own.map(() => i)));
  }

  get size(): number {
    return this.#rows.length;
  }

  /** Some of them. */
  subset(indices: readonly number[]): Examples {
    return new Examples(
      indices.map((i) => this.#rows[i]),
      indices.map((i) => this.classes[i]),
      this.#labelling,
      this.#augmentation,
    );
  }

  /** A batch for training: a row of each item, changed at random. `views` different changes of each, one after another. */
  draw(items: readonly number[], rng: Rng, views = 1): Batch {
    const picked = items.flatMap((i) => Array.from({ length: views }, () => i));
    const rows = picked.map((i) => {
      const own = this.#rows[i];
      return this.#changed(own[own.length === 1 ? 0 : rng.int(own.length)], rng);
    });
    return { feeds: collated(rows), target: views === 1 ? this.#target(items) : null, count: items.length };
  }

  /** The rows from `start` to `end` as they are, without a target. */
  take(start: number, end: number): Batch {
    const flat = this.itemOf.slice(start, end).map((i, at) => {
      const first = this.itemOf.indexOf(i);
      return this.#rows[i][start + at - first];
    });
    return { feeds: collated(flat), target: null, count: flat.length };
  }

  #changed(row: ExampleRow, rng: Rng): ExampleRow {
    const { image, words } = this.#augmentation;
    if (image && row.image) {
      const { data, dims } = row.image;
      return {
        ...row,
        image: { data: changedImage(data as Float32Array | Uint8ClampedArray, dims, image, rng), dims },
      };
    }
    return words > 0 ? thinned(row, words, rng) : row;
  }

  #target(items: readonly number[]): Batch['target'] {
    const { task, classCount: c } = this.#labelling;
    if (task === 'classify') {
      const data = BigInt64Array.from(items, (i) => BigInt(this.classes[i][0]));
      return { data, dims: [items.length] };
    }
    const data = new Float32Array(items.length * c);
    items.forEach((i, at) => this.classes[i].forEach((j) => (data[at * c + j] = 1)));
    return { data, dims: [items.length, c] };
  }
}

/** Rows side by side; those that differ in length are filled up with zeros. */
function collated(rows: readonly ExampleRow[]): Batch['feeds'] {
  const feeds: Batch['feeds'] = {};
  for (const name of Object.keys(rows[0])) {
    const own = rows.map((row) => row[name]);
    const longest = own[0].dims.map((_, axis) => Math.max(...own.map(({ dims }) => dims[axis])));
    // What has one length by chance has another in the next batch.
    if (SEQUENCES.test(name)) longest[0] = Math.ceil(longest[0] / LENGTH_STEP) * LENGTH_STEP;
    const size = longest.reduce((a, b) => a * b, 1);
    const isWhole = own[0].data instanceof BigInt64Array;
    const data = isWhole ? new BigInt64Array(rows.length * size) : new Float32Array(rows.length * size);
    own.forEach((tensor, r) => {
      assert(
        tensor.dims.slice(1).every((d, axis) => d === longest[axis + 1]),
        `rows of “${name}” that differ in their first axis only`,
        tensor.dims,
      );
      data.set(tensor.data as never, r * size);
    });
    feeds[name] = { data, dims: [rows.length, ...longest] };
  }
  return feeds;
}
