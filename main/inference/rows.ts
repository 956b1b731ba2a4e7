/**
 * Parts → rows of numbers → input tensors, as an encoder's card describes. Reading files
 * and batching are apart, so that what is read once can be used many times. A file that is
 * missing or damaged becomes an error beside the rows, never a stop.
 */
import { EngineError } from '../domain/errors.ts';
import type { Part } from '../domain/item.ts';
import type { Preparation, TokensPreparation } from './block.ts';
import { countTerms, type TermCounts } from './ngrams.ts';
import { numbersRow } from './numbers-block.ts';
import { decodePixels } from './pixels.ts';
import { type Feeds, tensor } from './session.ts';
import type { TextTokenizer } from './tokens.ts';

/** One row of input tensors, before batching. An item with several images or windows of text has several; its result is their mean. */
export interface Row {
  image?: Float32Array;
  terms?: TermCounts;
  tokens?: Int32Array;
  numbers?: Float32Array;
  present: number[];
}

/** What stands between the texts of an item, which are read as one. */
export const BETWEEN_TEXTS = '\n\n';

/** The rows of one item, and what of it could not be read. No rows where nothing could. */
export async function prepareItem(
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
      const text = texts.join(BETWEEN_TEXTS);
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

/** Input tensors of a batch of rows; only those called `names`. */
export function feedsOf(rows: readonly Row[], preparations: readonly Preparation[], names: readonly string[]): Feeds {
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
