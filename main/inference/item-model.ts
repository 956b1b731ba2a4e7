/**
 * Runs a model over items: parts in, one row per item out. Works for encoders and for
 * finished model versions alike, since both take the tensors that an encoder's card
 * describes. Small batches; the next batch is read from disk while one computes. A file
 * that is missing or damaged becomes a problem of its item, never a stop.
 */
import { setImmediate } from 'node:timers/promises';
import { assert, type EngineError } from '../domain/errors.ts';
import type { Part } from '../domain/item.ts';
import { matrix, type Matrix } from '../domain/matrix.ts';
import type { Preparation } from './block.ts';
import { feedsOf, prepareItem, type Row } from './rows.ts';
import { openLastingSession } from './lasting-session.ts';
import type { Session, SessionOptions } from './session.ts';
import { openTokenizer, TOKENIZER_KEY } from './tokens.ts';
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

/** Opens a model whose inputs are those of `preparations`, on the processor where the device cannot be relied on. Errors as `openSession`. */
export async function openItemModel(
  model: Uint8Array,
  preparations: readonly Preparation[],
  options: SessionOptions = {},
): Promise<ItemModel> {
  const session = await openLastingSession(model, options);
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
