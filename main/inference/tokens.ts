/**
 * Texts as tokens of an imported encoder's own tokenizer. A text longer than the encoder
 * takes becomes several windows, each framed by the special tokens; nothing is cut off.
 */
import { Tokenizer } from 'tokenizers';
import { EngineError } from '../domain/errors.ts';

/** Metadata key under which a model carries the text of its tokenizer.json. */
export const TOKENIZER_KEY = 'marginalia.tokenizer';

/** One window of a text: ids, and where in the text each came from (UTF-16, end exclusive), null for special tokens. */
export interface LocatedTokens {
  ids: Int32Array;
  spans: ({ from: number; to: number } | null)[];
}

export interface TextTokenizer {
  /** At least one window of at most `maxTokens` ids, special tokens included. */
  windows(text: string, maxTokens: number): Promise<Int32Array[]>;
  /** The same windows with their places in the text. */
  located(text: string, maxTokens: number): Promise<LocatedTokens[]>;
  /** The id that fills up short rows. */
  padId: number;
}

/** Opens a tokenizer.json given as text. Errors: `encoder-invalid`. */
export function openTokenizer(json: string | undefined): TextTokenizer {
  let tokenizer: Tokenizer;
  try {
    tokenizer = Tokenizer.fromString(json ?? '');
  } catch (cause) {
    throw new EngineError(
      'encoder-invalid',
      'The tokenizer of this text encoder cannot be read.',
      'Choose the tokenizer.json that was published with the model.',
      {},
      cause,
    );
  }
  tokenizer.disableTruncation();
  tokenizer.disablePadding();
  const padId = ['[PAD]', '<pad>', '<|endoftext|>', '</s>']
    .map((token) => tokenizer.tokenToId(token))
    .find((id) => id !== null);
  /** The places in the encoding that each window takes, and the whole encoding. */
  async function framed(text: string, maxTokens: number) {
    const encoding = await tokenizer.encode(text);
    const count = encoding.getIds().length;
    const all = Array.from({ length: count }, (_, i) => i);
    if (count <= maxTokens) return { encoding, windows: [all] };
    const special = encoding.getSpecialTokensMask();
    const start = special.indexOf(0);
    const end = special.lastIndexOf(0) + 1;
    const [head, body, tail] = [all.slice(0, start), all.slice(start, end), all.slice(end)];
    const room = Math.max(1, maxTokens - head.length - tail.length);
    // Windows of equal length, so that the last one is not a scrap that counts as much as the others.
    const pieces = Math.ceil(body.length / room);
    const windows = Array.from({ length: pieces }, (_, i) => {
      const piece = body.slice(Math.floor((i * body.length) / pieces), Math.floor(((i + 1) * body.length) / pieces));
      return [...head, ...piece, ...tail];
    });
    return { encoding, windows };
  }
  const idsAt = (ids: readonly number[], places: readonly number[]) =>
    Int32Array.from(places.length > 0 ? places.map((i) => ids[i]) : [padId ?? 0]);

  return {
    padId: padId ?? 0,
    async windows(text, maxTokens) {
      const { encoding, windows } = await framed(text, maxTokens);
      const ids = encoding.getIds();
      return windows.map((places) => idsAt(ids, places));
    },
    async located(text, maxTokens) {
      const { encoding, windows } = await framed(text, maxTokens);
      const [ids, special, offsets] = [encoding.getIds(), encoding.getSpecialTokensMask(), encoding.getOffsets()];
      const units = unitsOf(text);
      return windows.map((places) => ({
        ids: idsAt(ids, places),
        spans: places.map((i) => {
          const [from, to] = offsets[i];
          return special[i] === 1 || to <= from ? null : { from: units[from], to: units[to] };
        }),
      }));
    },
  };
}

/** The tokenizer counts code points, strings count UTF-16 units: the place of each code point, and of the end. */
function unitsOf(text: string): Int32Array {
  const units: number[] = [];
  let at = 0;
  for (const letter of text) {
    units.push(at);
    at += letter.length;
  }
  return Int32Array.from([...units, at]);
}
