/**
 * Runs a model over items: parts in, one row per item out. Works for encoders and for
 * finished model versions alike, since both take the tensors that an encoder's card
 * describes. Small batches; the next batch is read from disk while one computes. A file
 * that is missing or damaged becomes a problem of its item, never a stop.
 */
import { setImmediate } from 'node:timers/promises';
import { assert, EngineError } from '../domain/errors.ts';
import type { Part } from '../domain/item.ts';
import { matrix, type Matrix } from '../domain/matrix.ts';
import type { Preparation, TokensPreparation } from './block.ts';
import { countTerms, type TermCounts } from './ngrams.ts';
import { numbersRow } from './numbers-block.ts';
import { decodePixels } from './pixels.ts';
import { type Feeds, openSession, type Session, type SessionOptions, tensor } from './session.ts';
import { openTokenizer, TOKENIZER_KEY, type TextTokenizer } from './tokens.ts';
import type { SparseMatrix } from './text-block.ts';

/** What could not be read, of which item; the row uses what else the item has, or is zero. */
export interface EmbedProblem {
  /** Place of the item in what was given. */
  index: number;
  error: EngineError;
}

export interface RunOptions {
  /** Aborting rejects with the signal's reason, between two batches. */
  signal?: AbortSignal;
  onProgress?: (done: number, of: number) => void;
}

/** One row of input tensors, before batching. An item with several images or windows of text has several; its result is their mean. */
interface Row {
  image?: Float32Array;
  terms?: TermCounts;
  tokens?: Int32Array;
  numbers?: Float32Array;
  present: number[];
}

/** A model that takes items. */
export interface ItemModel {
  readonly session: Session;
  /** Runs the model; `wanted` are outputs of `[n, d]` float32. Errors: `encoder-invalid`, and the signal's reason when aborted. */
  run(
    items: readonly (readonly Part[])[],
    wanted: readonly string[],
    options?: RunOptions,
  ): Promise<{ outputs: Record<string, Matrix>; problems: EmbedProblem[] }>;
  /** The sparse TF-IDF rows of a model that has 'term_rows' and 'term_weights'; `columns` is its vocabulary. */
  runSparse(
    items: readonly (readonly Part[])[],
    columns: number,
    options?: RunOptions,
  ): Promise<{ matrix: SparseMatrix; problems: EmbedProblem[] }>;
  close(): Promise<void>;
}

/** Rows per run: larger batches are no faster on a processor, and are slower to cancel. */
const BATCH = 8;
/** Texts are sorted by length within so many items, so that little is padded. */
const SORTED = 256;

/** Opens a model whose inputs are those of `preparations`. Errors as `openSession`. */
export async function openItemModel(
  model: Uint8Array,
  preparations: readonly Preparation[],
  options: SessionOptions = {},
): Promise<ItemModel> {
  const session = await openSession(model, options);
  const needsTokenizer = preparations.some((p) => p.kind === 'text' && p.method === 'tokens');
  const tokenizer = needsTokenizer ? openTokenizer(session.model.metadata[TOKENIZER_KEY]) : null;
  const prepare = (parts: readonly Part[]) => prepareItem(parts, preparations, tokenizer);
  const names = session.model.inputs.map((input) => input.name);

  /** Calls `take` once per batch, with the place of each row's item and its share of that item's mean. */
  async function eachBatch(
    items: readonly (readonly Part[])[],
    wanted: readonly string[],
    { signal, onProgress }: RunOptions,
    take: (outputs: Awaited<ReturnType<Session['run']>>, places: number[], shares: number[]) => void,
  ): Promise<EmbedProblem[]> {
    const problems: EmbedProblem[] = [];
    const order = orderOf(items);
    const read = (start: number) =>
      Promise.all(
        order.slice(start, start + BATCH).map(async (index) => {
          const { rows, errors } = await prepare(items[index]);
          return { index, rows, errors };
        }),
      );
    let next = read(0);
    for (let start = 0; start < items.length; start += BATCH) {
      signal?.throwIfAborted();
      const batch = await next;
      next = start + BATCH < items.length ? read(start + BATCH) : Promise.resolve([]);
      // An abort leaves it behind; its errors are in its value, so it cannot reject unseen.
      const rows: Row[] = [];
      const places: number[] = [];
      const shares: number[] = [];
      for (const item of batch) {
        for (const error of item.errors) problems.push({ index: item.index, error });
        for (const row of item.rows) {
          rows.push(row);
          places.push(item.index);
          shares.push(1 / item.rows.length);
        }
      }
      for (let from = 0; from < rows.length; from += BATCH) {
        const some = rows.slice(from, from + BATCH);
        const feeds = feedsOf(some, preparations, names);
        take(await session.run(feeds, wanted), places.slice(from, from + BATCH), shares.slice(from, from + BATCH));
      }
      onProgress?.(Math.min(start + BATCH, items.length), items.length);
      await setImmediate();
    }
    return problems.sort((a, b) => a.index - b.index);
  }

  return {
    session,
    async run(items, wanted, runOptions = {}) {
      const outputs: Record<string, Matrix> = {};
      for (const name of wanted) {
        const info = session.model.outputs.find((output) => output.name === name);
        const columns = info?.dims.at(-1);
        assert(typeof columns === 'number', `the model to have an output “${name}” of known width`, info);
        outputs[name] = matrix(items.length, columns);
      }
      const problems = await eachBatch(items, wanted, runOptions, (values, places, shares) => {
        for (const name of wanted) {
          const { data, columns } = outputs[name];
          const from = values[name].data as Float32Array;
          places.forEach((place, r) => {
            for (let j = 0; j < columns; j++) data[place * columns + j] += shares[r] * from[r * columns + j];
          });
        }
      });
      return { outputs, problems };
    },
    async runSparse(items, columns, runOptions = {}) {
      const rows: { indices: Int32Array; data: Float32Array }[] = items.map(() => ({
        indices: new Int32Array(),
        data: new Float32Array(),
      }));
      const wanted = ['term_rows', 'term_weights'];
      const problems = await eachBatch(items, wanted, runOptions, (values, places) => {
        const terms = values.term_rows.data as BigInt64Array;
        const weights = values.term_weights.data as Float32Array;
        const width = terms.length / places.length;
        places.forEach((place, r) => {
          const used: number[] = [];
          for (let j = r * width; j < (r + 1) * width; j++) if (weights[j] !== 0 && terms[j] !== 0n) used.push(j);
          used.sort((a, b) => Number(terms[a] - terms[b]));
          rows[place] = {
            indices: Int32Array.from(used, (j) => Number(terms[j])),
            data: Float32Array.from(used, (j) => weights[j]),
          };
        });
      });
      const indptr = new Int32Array(items.length + 1);
      rows.forEach((row, i) => (indptr[i + 1] = indptr[i] + row.indices.length));
      const indices = new Int32Array(indptr[items.length]);
      const data = new Float32Array(indptr[items.length]);
      rows.forEach((row, i) => {
        indices.set(row.indices, indptr[i]);
        data.set(row.data, indptr[i]);
      });
      return { matrix: { rows: items.length, columns, indptr, indices, data }, problems };
    },
    close: () => session.close(),
  };
}

function orderOf(items: readonly (readonly Part[])[]): number[] {
  const lengths = items.map((parts) => parts.reduce((sum, p) => sum + (p.kind === 'text' ? p.text.length : 0), 0));
  const order = items.map((_, i) => i);
  const sorted: number[] = [];
  for (let start = 0; start < order.length; start += SORTED) {
    sorted.push(...order.slice(start, start + SORTED).sort((a, b) => lengths[a] - lengths[b] || a - b));
  }
  return sorted;
}

/** The rows of one item, and what of it could not be read. No rows where nothing could. */
async function prepareItem(
  parts: readonly Part[],
  preparations: readonly Preparation[],
  tokenizer: TextTokenizer | null,
): Promise<{ rows: Row[]; errors: EngineError[] }> {
  let rows: Row[] = [{ present: preparations.map(() => 0) }];
  const errors: EngineError[] = [];
  const spread = (place: number, variants: Partial<Row>[]) => {
    if (variants.length === 0) return;
    rows = rows.flatMap((row) =>
      variants.map((variant) => ({ ...row, ...variant, present: row.present.with(place, 1) })),
    );
  };
  for (const [place, preparation] of preparations.entries()) {
    if (preparation.kind === 'image') {
      const images = parts.filter((part) => part.kind === 'image');
      const decoded = await Promise.allSettled(images.map((part) => decodePixels(part.path, preparation)));
      const pixels: Float32Array[] = [];
      for (const result of decoded) {
        if (result.status === 'fulfilled') pixels.push(normalise(result.value, preparation));
        else if (result.reason instanceof EngineError) errors.push(result.reason);
        else throw result.reason;
      }
      spread(
        place,
        pixels.map((image) => ({ image })),
      );
    } else if (preparation.kind === 'numbers') {
      const values = parts.filter((part) => part.kind === 'numbers').map((part) => part.values);
      if (values.length === 0) continue;
      spread(place, [{ numbers: numbersRow(preparation.columns, Object.assign({}, ...values)) }]);
    } else {
      const texts = parts.filter((part) => part.kind === 'text').map((part) => part.text);
      if (texts.length === 0) continue;
      const text = texts.join('\n\n');
      if (preparation.method === 'terms') spread(place, [{ terms: countTerms(text) }]);
      else
        spread(
          place,
          (await tokenizer!.windows(text, preparation.maxTokens)).map((tokens) => ({ tokens })),
        );
    }
  }
  if (rows[0].present.some((p) => p === 1)) return { rows, errors };
  if (errors.length === 0) {
    errors.push(
      new EngineError(
        'row-empty',
        `The item has no ${preparations.map((p) => p.kind).join(' or ')} for this encoder.`,
        'Import what is missing, or exclude the item.',
      ),
    );
  }
  return { rows: [], errors };
}

function normalise(
  planes: Float32Array,
  { mean, std, channels }: { mean: number[] | null; std: number[] | null; channels: number },
) {
  if (!mean || !std) return planes;
  const area = planes.length / channels;
  for (let c = 0; c < channels; c++) {
    for (let i = c * area; i < (c + 1) * area; i++) planes[i] = (planes[i] / 255 - mean[c]) / std[c];
  }
  return planes;
}

function feedsOf(rows: readonly Row[], preparations: readonly Preparation[], names: readonly string[]): Feeds {
  const n = rows.length;
  const feeds: Feeds = {};
  for (const preparation of preparations) {
    if (preparation.kind === 'image') {
      const { channels, side } = preparation;
      feeds.image = tensor(
        stack(
          rows.map((row) => row.image),
          channels * side * side,
        ),
        [n, channels, side, side],
      );
    } else if (preparation.kind === 'numbers') {
      const width = preparation.columns.length;
      feeds.numbers = tensor(
        stack(
          rows.map((row) => row.numbers),
          width,
        ),
        [n, width],
      );
    } else if (preparation.method === 'terms') {
      const width = Math.max(1, ...rows.map((row) => row.terms?.ids.length ?? 0));
      const ids = new BigInt64Array(n * width);
      const counts = new Float32Array(n * width);
      rows.forEach(({ terms }, r) => {
        if (!terms) return;
        for (let j = 0; j < terms.ids.length; j++) ids[r * width + j] = BigInt(terms.ids[j]);
        counts.set(terms.counts, r * width);
      });
      feeds.text_ids = tensor(ids, [n, width]);
      feeds.text_counts = tensor(counts, [n, width]);
    } else addTokens(feeds, rows, preparation);
  }
  if (names.includes('present')) {
    feeds.present = tensor(Float32Array.from(rows.flatMap((row) => row.present)), [n, preparations.length]);
  }
  // A pruned model (a head on some outputs only) may not take every tensor.
  return Object.fromEntries(Object.entries(feeds).filter(([name]) => names.includes(name)));
}

function addTokens(feeds: Feeds, rows: readonly Row[], { padId }: TokensPreparation): void {
  const width = Math.max(1, ...rows.map((row) => row.tokens?.length ?? 0));
  const ids = new BigInt64Array(rows.length * width).fill(BigInt(padId));
  const mask = new BigInt64Array(rows.length * width);
  rows.forEach(({ tokens }, r) => {
    tokens?.forEach((id, j) => {
      ids[r * width + j] = BigInt(id);
      mask[r * width + j] = 1n;
    });
    // A row without text still needs one token to attend to; its features are multiplied away.
    if (!tokens || tokens.length === 0) mask[r * width] = 1n;
  });
  feeds.text_tokens = tensor(ids, [rows.length, width]);
  feeds.text_mask = tensor(mask, [rows.length, width]);
}

function stack(rows: readonly (Float32Array | undefined)[], width: number): Float32Array {
  if (rows.length === 1 && rows[0]) return rows[0];
  const data = new Float32Array(rows.length * width);
  rows.forEach((row, r) => row && data.set(row, r * width));
  return data;
}
