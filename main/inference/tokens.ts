/**
 * Texts as tokens of an imported encoder's own tokenizer. A text longer than the encoder
 * takes becomes several windows, each framed by the special tokens; nothing is cut off.
 */
import { Tokenizer } from 'tokenizers';
import { EngineError } from '../domain/errors.ts';

/** Metadata key under which a model carries the text of its tokenizer.json. */
export const TOKENIZER_KEY = 'marginalia.tokenizer';

export interface TextTokenizer {
  /** At least one window of at most `maxTokens` ids, special tokens included. */
  windows(text: string, maxTokens: number): Promise<Int32Array[]>;
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
  return {
    padId: padId ?? 0,
    async windows(text, maxTokens) {
      const framed = await tokenizer.encode(text);
      const ids = framed.getIds();
      if (ids.length <= maxTokens) return [Int32Array.from(ids.length > 0 ? ids : [padId ?? 0])];
      const special = framed.getSpecialTokensMask();
      const start = special.findIndex((flag) => flag === 0);
      const end = special.lastIndexOf(0) + 1;
      const head = ids.slice(0, start);
      const tail = ids.slice(end);
      const body = ids.slice(start, end);
      const room = Math.max(1, maxTokens - head.length - tail.length);
      // Windows of equal length, so that the last one is not a scrap that counts as much as the others.
      const count = Math.ceil(body.length / room);
      return Array.from({ length: count }, (_, i) => {
        const piece = body.slice(Math.floor((i * body.length) / count), Math.floor(((i + 1) * body.length) / count));
        return Int32Array.from([...head, ...piece, ...tail]);
      });
    },
  };
}
