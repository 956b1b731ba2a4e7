/**
 * A text in paragraphs, each in pieces: words that say something, and what lies between
 * them. Paragraphs are as the reader shows them, with the runs of blanks that tables and
 * PDFs leave closed up; evidence comes by places in the text as it was given.
 */
import { plain } from '../format.ts';

export interface Evidence {
  from: number;
  to: number;
  value: number;
}

export interface Piece {
  text: string;
  /** 0: says nothing. */
  value: number;
}

const BREAK = /\n\s*\n|\s{2,}(?=[-•*]\s)|\n(?=[-•*]\s)/g;
/** Below this share of the strongest word, a word is left alone. */
const FAINT = 0.2;

/** Paragraphs that are not empty, in pieces. `spans` are in order and do not overlap. */
export function paragraphs(text: string, spans: readonly Evidence[] = []): Piece[][] {
  const strong = spans.filter(({ value }) => Math.abs(value) >= FAINT);
  const result: Piece[][] = [];
  let next = 0;
  let begin = 0;
  for (const match of [...text.matchAll(BREAK), null]) {
    const end = match?.index ?? text.length;
    const pieces: Piece[] = [];
    const add = (from: number, to: number, value: number) => {
      const shown = plain(text.slice(from, to)).replace(/\s+/g, ' ');
      if (shown !== '') pieces.push({ text: shown, value });
    };
    let at = begin;
    for (; next < strong.length && strong[next].from < end; next++) {
      const span = strong[next];
      add(at, span.from, 0);
      add(Math.max(at, span.from), Math.min(end, span.to), span.value);
      at = Math.min(end, span.to);
      // a sentence may go on after the break
      if (span.to > end) break;
    }
    add(at, end, 0);
    const [first, last] = [pieces[0], pieces.at(-1)];
    if (first) first.text = first.text.trimStart();
    if (last) last.text = last.text.trimEnd();
    if (pieces.some((piece) => piece.text !== '')) result.push(pieces);
    begin = end + (match?.[0].length ?? 0);
  }
  return result;
}
