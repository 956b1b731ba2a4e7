/**
 * Items → rows of a network's input tensors, read once before training. What cannot be read
 * is left out and named.
 */
import { setImmediate } from 'node:timers/promises';
import type { Part } from '../domain/item.ts';
import { type Encoder, openTokenizer, type Preparation, prepareItem, TOKENIZER_KEY } from '../inference/index.ts';
import type { ExampleRow } from './examples.ts';

/** Items read between two reports. */
const CHUNK = 32;

export interface ReadWatch {
  signal?: AbortSignal;
  onProgress?(done: number, of: number): void;
}

/** The rows of each item; none where it cannot be read. Terms are weighted by `encoder`; tokens need its metadata. */
export async function readRows(
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
