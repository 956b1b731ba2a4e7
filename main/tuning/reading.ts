/// <reference lib="esnext.float16" />
/**
 * Items → rows of a network's input tensors, read once before training. What cannot be read
 * is left out and named.
 */
import { setImmediate } from 'node:timers/promises';
import { assert } from '../domain/errors.ts';
import type { Part } from '../domain/item.ts';
import { createRng } from '../domain/rng.ts';
import {
  type Encoder,
  type ImagePreparation,
  openSession,
  openTokenizer,
  type Preparation,
  prepareItem,
  type SessionOptions,
  tensor,
  TOKENIZER_KEY,
} from '../inference/index.ts';
import { readModel, withOutputs } from '../onnx/index.ts';
import { changedImage, type ImageChanges } from './augment.ts';
import type { ExampleRow } from './examples.ts';
import type { MapScaling } from './networks.ts';
import type { TuningPlan } from './plan.ts';

/** Items read between two reports. */
const CHUNK = 32;

export interface ReadWatch {
  signal?: AbortSignal;
  onProgress?(done: number, of: number): void;
}

/** Rows of each item for each kind of network; maps with how they were scaled. */
export interface TuningRows {
  maps?: { rows: ExampleRow[][]; scaling: MapScaling };
  image?: { rows: ExampleRow[][] };
  terms?: { rows: ExampleRow[][] };
  adapters?: { rows: ExampleRow[][] };
}

/** What a plan's networks look at, of each item, from the project's encoder. An item that cannot be read has no rows of any kind. */
export async function readFor(
  { place, networks }: TuningPlan,
  items: readonly (readonly Part[])[],
  encoder: { model: Uint8Array; opened: Encoder },
  { seed, session }: { seed: number; session: SessionOptions },
  watch: ReadWatch = {},
): Promise<TuningRows> {
  const { model, opened } = encoder;
  const preparation = opened.card.parts[place];
  const rows: TuningRows = {};
  for (const { kind, augmentation } of networks) {
    // Networks of one kind look at the same rows.
    if (rows[kind]) continue;
    if (kind === 'maps') {
      const { image: changes, copies } = augmentation;
      assert(preparation.kind === 'image' && changes !== null, 'changes of images', augmentation);
      rows.maps = await readMaps(items, { model, preparation, copies, changes, seed, session }, watch);
    } else {
      const { metadata } = readModel(model);
      rows[kind] = { rows: await readRows(items, preparation, { opened, metadata }, watch) };
    }
  }
  return rows;
}

/** Which items have rows of every kind. */
export function readable(rows: TuningRows): boolean[] {
  const kinds = Object.values(rows) as { rows: ExampleRow[][] }[];
  return kinds[0].rows.map((_, i) => kinds.every((kind) => kind.rows[i].length > 0));
}

/** The rows of some items. */
export function rowsOf(rows: TuningRows, indices: readonly number[]): TuningRows {
  const entries = Object.entries(rows) as [keyof TuningRows, { rows: ExampleRow[][] }][];
  return Object.fromEntries(entries.map(([kind, own]) => [kind, { ...own, rows: indices.map((i) => own.rows[i]) }]));
}

/** The rows of each item; none where it cannot be read. Terms are weighted by `encoder`; tokens need its metadata. */
async function readRows(
  items: readonly (readonly Part[])[],
  preparation: Preparation,
  encoder: { opened: Encoder; metadata: Record<string, string> },
  { signal, onProgress }: ReadWatch = {},
): Promise<ExampleRow[][]> {
  const isTokens = preparation.kind === 'text' && preparation.method === 'tokens';
  const tokenizer = isTokens ? openTokenizer(encoder.metadata[TOKENIZER_KEY]) : null;
  const all: ExampleRow[][] = [];
  for (let start = 0; start < items.length; start += CHUNK) {
    signal?.throwIfAborted();
    onProgress?.(start, items.length);
    const chunk = items.slice(start, start + CHUNK);
    if (preparation.kind === 'text' && preparation.method === 'terms') {
      all.push(...(await termRows(chunk, encoder.opened, signal)));
    } else {
      const prepared = await Promise.all(chunk.map((parts) => prepareItem(parts, [preparation], tokenizer)));
      for (const { rows } of prepared) all.push(rows.map((row) => rowOf(row, preparation)));
    }
    await setImmediate();
  }
  return all;
}

/** What changed copies of images are made with. */
interface MapReading {
  /** An encoder with an output 'maps', whose only input is the image. */
  model: Uint8Array;
  preparation: ImagePreparation;
  /** Changed copies of each image, beside the image itself. */
  copies: number;
  changes: ImageChanges;
  seed: number;
  session: SessionOptions;
}

/** Images run together. */
const IMAGES = 8;

/** The encoder's maps of each item's image and of changed copies of it, scaled so that each channel of the images has mean 0 and variance 1; computed once, because what the encoder sees is not learned again. None where an image cannot be read. Of several images of an item the first counts. */
async function readMaps(
  items: readonly (readonly Part[])[],
  { model, preparation, copies, changes, seed, session: options }: MapReading,
  { signal, onProgress }: ReadWatch = {},
): Promise<{ rows: ExampleRow[][]; scaling: MapScaling }> {
  const rng = createRng(seed).derive('copies');
  const session = await openSession(withOutputs(model, ['maps']), options);
  const { channels, side } = preparation;
  const all: ExampleRow[][] = [];
  try {
    for (const [i, parts] of items.entries()) {
      signal?.throwIfAborted();
      if (i % IMAGES === 0) onProgress?.(i, items.length);
      const [first] = (await prepareItem(parts, [preparation], null)).rows;
      if (!first) {
        all.push([]);
        continue;
      }
      const own = rng.derive(String(i));
      const size = [channels, side, side];
      const images = [
        first.image!,
        ...Array.from({ length: copies }, () => changedImage(first.image!, size, changes, own)),
      ];
      const rows: ExampleRow[] = [];
      for (let start = 0; start < images.length; start += IMAGES) {
        const some = images.slice(start, start + IMAGES);
        const fed = new Float32Array(some.length * channels * side * side);
        some.forEach((image, at) => fed.set(image, at * image.length));
        const { maps } = await session.run({ image: tensor(fed, [some.length, ...size]) });
        const dims = maps.dims.slice(1);
        const length = dims.reduce((a, b) => a * b, 1);
        const values = maps.data as Float32Array;
        some.forEach((_, at) => {
          rows.push({ maps: { data: Float16Array.from(values.subarray(at * length, (at + 1) * length)), dims } });
        });
        await setImmediate();
      }
      all.push(rows);
    }
  } finally {
    await session.close();
  }
  return { rows: all, scaling: scaled(all) };
}

/** Scales maps in place by the moments of the unchanged images. */
function scaled(all: readonly (readonly ExampleRow[])[]): MapScaling {
  const firsts = all.flatMap(([first]) => first?.maps ?? []);
  const [channels, ...space] = firsts[0]?.dims ?? [0];
  const area = space.reduce((a, b) => a * b, 1);
  const shift = new Float32Array(channels);
  const factor = new Float32Array(channels);
  for (let c = 0; c < channels; c++) {
    let sum = 0;
    let squares = 0;
    for (const { data } of firsts) {
      for (let at = c * area; at < (c + 1) * area; at++) {
        const value = Number(data[at]);
        sum += value;
        squares += value * value;
      }
    }
    const n = firsts.length * area;
    shift[c] = sum / n;
    factor[c] = 1 / Math.sqrt(Math.max(squares / n - shift[c] ** 2, 1e-8));
  }
  for (const { maps } of all.flat()) {
    const data = maps.data as Float16Array;
    for (let c = 0; c < channels; c++) {
      for (let at = c * area; at < (c + 1) * area; at++) data[at] = (data[at] - shift[c]) * factor[c];
    }
  }
  return { shift, factor };
}

async function termRows(
  items: readonly (readonly Part[])[],
  encoder: Encoder,
  signal: AbortSignal | undefined,
): Promise<ExampleRow[][]> {
  const { matrix } = await encoder.terms(items, { signal });
  return items.map((_, i) => {
    const [from, to] = [matrix.indptr[i], matrix.indptr[i + 1]];
    if (from === to) return [];
    const rows = BigInt64Array.from(matrix.indices.subarray(from, to), BigInt);
    const dims = [to - from];
    return [{ term_rows: { data: rows, dims }, term_weights: { data: matrix.data.slice(from, to), dims } }];
  });
}

function rowOf(row: { image?: Float32Array; tokens?: Int32Array }, preparation: Preparation): ExampleRow {
  if (preparation.kind === 'image') {
    const { channels, side, mean } = preparation;
    // Grey values 0–255 as bytes: a quarter of the memory.
    const data = mean === null ? Uint8ClampedArray.from(row.image!) : row.image!;
    return { image: { data, dims: [channels, side, side] } };
  }
  const tokens = row.tokens!;
  const dims = [tokens.length];
  return {
    text_tokens: { data: BigInt64Array.from(tokens, BigInt), dims },
    text_mask: { data: new BigInt64Array(tokens.length).fill(1n), dims },
  };
}
