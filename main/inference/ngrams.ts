/**
 * Text → counts of hashed n-grams: words and pairs of words, characters (3 to 5) within
 * words, and for scripts written without spaces characters (1 to 3). Every term falls into
 * one of `buckets` by its hash, so no vocabulary has to be kept; the whole text counts,
 * however long. Text is compared in NFKC and lower case.
 */
import { hashString } from '../domain/rng.ts';

/** Number of buckets. Collisions are rare for the terms that matter, those in several documents. */
export const BUCKETS = 2 ** 20;

/** Buckets from here on are for characters within words, those below for whole words and for unspaced scripts. */
export const WITHIN_FROM = BUCKETS / 2;

/** Terms of one text: bucket numbers, ascending and different, and how often each occurs. */
export interface TermCounts {
  ids: Int32Array;
  counts: Float32Array;
}

const TOKEN = /[\p{L}\p{M}\p{N}]+/gu;
/** Scripts whose words are not separated by spaces. */
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]+/gu;

const WORD = 1;
const PAIR = 2;
const WITHIN = 3;
const UNSPACED_GRAM = 4;

const memory = new Map<string, Int32Array>();
const MEMORY_LIMIT = 100_000;

/** Counts the terms of a text. Empty for a text without letters or digits. */
export function countTerms(text: string): TermCounts {
  const counts = new Map<number, number>();
  const add = (id: number) => counts.set(id, (counts.get(id) ?? 0) + 1);
  let previous = '';
  for (const [token] of text.normalize('NFKC').toLowerCase().matchAll(TOKEN)) {
    let rest = 0;
    for (const run of token.matchAll(UNSPACED)) {
      if (run.index > rest) previous = addWord(token.slice(rest, run.index), previous, add);
      addRun(run[0], add);
      previous = '';
      rest = run.index + run[0].length;
    }
    if (rest < token.length) previous = addWord(rest === 0 ? token : token.slice(rest), previous, add);
  }
  const ids = Int32Array.from(counts.keys()).sort();
  return { ids, counts: Float32Array.from(ids, (id) => counts.get(id)!) };
}

function bucket(term: string, kind: number): number {
  const half = hashString(term, kind) & (WITHIN_FROM - 1);
  return kind === WITHIN ? half + WITHIN_FROM : half;
}

function addWord(word: string, previous: string, add: (id: number) => void): string {
  let terms = memory.get(word);
  if (!terms) {
    terms = termsOfWord(word);
    if (memory.size >= MEMORY_LIMIT) memory.clear();
    memory.set(word, terms);
  }
  for (const id of terms) add(id);
  if (previous !== '') add(bucket(`${previous} ${word}`, PAIR));
  return word;
}

/** The word itself, and its character n-grams with its ends marked by a space. */
function termsOfWord(word: string): Int32Array {
  const terms = [bucket(word, WORD)];
  // By code points; a word of hundreds of letters (a sequence, a code) is a word all the same.
  const letters = [' ', ...word, ' '];
  for (let length = 3; length <= 5; length++) {
    for (let i = 0; i + length <= letters.length; i++)
      terms.push(bucket(letters.slice(i, i + length).join(''), WITHIN));
  }
  return Int32Array.from(terms);
}

function addRun(run: string, add: (id: number) => void): void {
  const letters = [...run];
  for (let length = 1; length <= 3; length++) {
    for (let i = 0; i + length <= letters.length; i++) {
      add(bucket(letters.slice(i, i + length).join(''), UNSPACED_GRAM));
    }
  }
}
