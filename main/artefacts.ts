/**
 * What is measured of each item besides its embedding, to tell what is unusual: of pictures
 * their span, sharpness, colour and shape, of texts how much their letters surprise the
 * pool, of every item how far it is from its neighbours. Kept in the cache, so that each
 * item is read once. Text and neighbours are compared with the pool that the encoder in use
 * was made from: they change when that does.
 */
import { learnLetters, neighbourDistances, type LetterModel } from './acquisition/index.ts';
import type { EncoderEntry } from './compute-api.ts';
import { EngineError } from './domain/errors.ts';
import type { Part } from './domain/item.ts';
import { createRng } from './domain/rng.ts';
import type { EmbeddedItems } from './embedded-items.ts';
import { measurePicture } from './imaging/index.ts';
import type { LearnerParts, Report } from './learner.ts';
import type { Cache, ProjectReader } from './store/index.ts';

/** Under which kind the cache holds them. */
const ARTEFACT = 'artefact';
/** Items measured between two reports, and between two writes of the cache. */
const CHUNK = 64;
const DECODED_AT_ONCE = 4;
/** Cached items read at once. */
const READ_CHUNK = 4096;
/** Texts that each of two models of letters learns from. */
const LETTERS_SAMPLE = 500;
/** Items that the others' distances are measured to. */
const REFERENCE = 3000;
/** A picture that spans fewer grey levels, of 255, shows nothing; so does a text with fewer letters and digits. */
const LEAST_SPAN = 16;
const LEAST_TEXT = 2;

/** Of every row; NaN where it has no such part, or could not be measured. */
export interface Measures {
  /** Span of the first picture, letters and digits of a text, recorded numbers. */
  content: Float64Array;
  /** 1 where no part shows anything. */
  blank: Float64Array;
  sharpness: Float64Array;
  colour: Float64Array;
  aspect: Float64Array;
  surprise: Float64Array;
  distance: Float64Array;
}

/** Measures what the cache has not. Errors: those of reading files become NaN. */
export async function measuresOf(
  { reader, cache }: Pick<LearnerParts, 'reader' | 'cache'>,
  items: EmbeddedItems,
  report: Report,
  signal?: AbortSignal,
): Promise<Measures> {
  const { rows, space } = items;
  const record = reader.versions.encoders().find(({ blob }) => blob === space.encoder);
  const fittedOn = Math.min(rows.count, (record?.card as EncoderEntry | undefined)?.items ?? rows.count);
  const readParts = (chunk: readonly number[]) => reader.items.partsOf(chunk.map((i) => rows.seq[i]));
  const source = { cache, items, report, signal };
  const versions = ['parts 1', `letters 1 ${fittedOn}`, `distance 1 ${space.encoder}`];

  const parts = await cached(source, versions[0], 5, async (chunk) => {
    const measured: (number[] | null)[] = [];
    // A few at once, because a file is held in memory while it is decoded.
    for (let start = 0; start < chunk.length; start += DECODED_AT_ONCE) {
      measured.push(...(await Promise.all(readParts(chunk.slice(start, start + DECODED_AT_ONCE)).map(measureParts))));
    }
    return measured;
  });
  let models: LetterModel[] | null = null;
  const letters = await cached(source, versions[1], 1, async (chunk) => {
    models ??= learnBoth(reader, items, fittedOn);
    const [even, odd] = models;
    return readParts(chunk).map((own, k) => [surpriseOf(own, rows.seq[chunk[k]] % 2 === 0 ? even : odd)]);
  });
  const reference = referenceOf(items, fittedOn, reader.facts.seed);
  const distances = await cached(source, versions[2], 1, async (chunk) => {
    const around = { rows: chunk, reference, duplicates: rows.cluster, signal };
    const found = await neighbourDistances(space.reduced, around);
    return Array.from(found, (distance) => [Number.isFinite(distance) ? distance : NaN]);
  });
  cache.keepOnly(ARTEFACT, versions);
  const [content, blank, sharpness, colour, aspect] = parts;
  return { content, blank, sharpness, colour, aspect, surprise: letters[0], distance: distances[0] };
}

interface Source {
  cache: Cache;
  items: EmbeddedItems;
  report: Report;
  signal?: AbortSignal;
}

/** `width` columns of numbers, a value for each row; what the cache has not is measured, a null is measured again another time. */
async function cached(
  { cache, items: { rows, space }, report, signal }: Source,
  version: string,
  width: number,
  measure: (chunk: readonly number[]) => Promise<(number[] | null)[]>,
): Promise<Float64Array[]> {
  const key = { kind: ARTEFACT, version };
  const columns = Array.from({ length: width }, () => new Float64Array(rows.count).fill(NaN));
  const place = (row: number, values: ArrayLike<number>) => columns.forEach((column, j) => (column[row] = values[j]));
  const absent: number[] = [];
  for (let start = 0; start < rows.count; start += READ_CHUNK) {
    await turn(signal);
    cache.read(key, rows.seq.subarray(start, Math.min(rows.count, start + READ_CHUNK))).forEach((bytes, i) => {
      const row = start + i;
      if (bytes?.length === 8 * width)
        place(row, new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)));
      else if (space.present[row] === 1) absent.push(row);
    });
  }
  for (let start = 0; start < absent.length; start += CHUNK) {
    await turn(signal);
    report('measuring', start, absent.length);
    const chunk = absent.slice(start, start + CHUNK);
    const entries: [number, Uint8Array][] = [];
    (await measure(chunk)).forEach((values, i) => {
      if (!values) return;
      place(chunk[i], values);
      entries.push([rows.seq[chunk[i]], new Uint8Array(Float64Array.from(values).buffer)]);
    });
    cache.write(key, entries);
  }
  return columns;
}

async function turn(signal?: AbortSignal): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  signal?.throwIfAborted();
}

/** Content, blank, sharpness, colour and aspect; null where a picture cannot be read just now. */
async function measureParts(parts: readonly Part[]): Promise<number[] | null> {
  let [content, sharpness, colour, aspect] = [NaN, NaN, NaN, NaN];
  let isBlank = true;
  for (const part of parts) {
    let own: number;
    if (part.kind === 'image') {
      const picture = await measurePicture(part.path).catch((error: unknown) => {
        if (error instanceof EngineError) return null;
        throw error;
      });
      if (!picture) return null;
      own = picture.span;
      isBlank &&= own < LEAST_SPAN;
      // Of several pictures the most blurred and the most colourful count, and the first one's shape.
      sharpness = lesser(sharpness, picture.sharpness);
      colour = -lesser(-colour, -picture.colour);
      if (Number.isNaN(aspect)) aspect = picture.aspect;
    } else if (part.kind === 'text') {
      own = part.text.match(/[\p{L}\p{N}]/gu)?.length ?? 0;
      isBlank &&= own < LEAST_TEXT;
    } else {
      own = Object.values(part.values).filter((value) => value !== null).length;
      isBlank &&= own === 0;
    }
    if (Number.isNaN(content)) content = own;
  }
  return [content, Number(isBlank), sharpness, colour, aspect];
}

const lesser = (a: number, b: number) => (Number.isNaN(a) ? b : Math.min(a, b));

function surpriseOf(parts: readonly Part[], model: LetterModel): number {
  const text = parts.find((part) => part.kind === 'text');
  return (text && model.surprise(text.text)) ?? NaN;
}

/** The models for items of even and of odd number, each learned from the other ones: no item is judged by a model that has seen it, so that what is new is judged like what was there. */
function learnBoth(reader: ProjectReader, { rows }: EmbeddedItems, fittedOn: number): LetterModel[] {
  const sample = createRng(reader.facts.seed).derive('letters').sample(fittedOn, fittedOn);
  return [1, 0].map((parity) => {
    const seqs = sample.map((i) => rows.seq[i]).filter((seq) => seq % 2 === parity);
    const parts = reader.items.partsOf(seqs.slice(0, LETTERS_SAMPLE)).flat();
    return learnLetters(parts.flatMap((part) => (part.kind === 'text' ? [part.text] : [])));
  });
}

function referenceOf({ space }: EmbeddedItems, fittedOn: number, seed: number): number[] {
  const present = Array.from({ length: fittedOn }, (_, i) => i).filter((i) => space.present[i] === 1);
  return createRng(seed)
    .derive('surroundings')
    .sample(present.length, REFERENCE)
    .map((k) => present[k])
    .sort((a, b) => a - b);
}
