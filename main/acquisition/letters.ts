/**
 * What a pool of texts is usually written like: chances of the next letter after the two
 * before it, learned from a sample. Text in another language or script surprises it, and so
 * do keyboard noise and broken encodings. Letters are folded to lower case, and everything
 * that is no letter is one blank. It knows nothing about meaning.
 */

/** Letters in a text below which its surprise says nothing. */
const LEAST_LETTERS = 40;
/** How much of a text is looked at, in UTF-16 units. */
const LOOKED_AT = 1000;
/** Letters that are told apart; rarer ones are one. */
const KNOWN_LETTERS = 500;
/** How many observations the shorter context counts for: interpolation by a Dirichlet prior (MacKay & Peto 1995). */
const PRIOR = 5;

const BLANK = 0;
const RARE = 1;

export interface LetterModel {
  /** Bits per letter; null where there are fewer than forty letters. Higher = less like the pool. */
  surprise(text: string): number | null;
}

/** Learns from texts; from none everything is equally surprising. */
export function learnLetters(texts: Iterable<string>): LetterModel {
  const sample = Array.from(texts, folded);
  const counts = new Map<string, number>();
  for (const text of sample) for (const letter of text) counts.set(letter, (counts.get(letter) ?? 0) + 1);
  const common = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).slice(0, KNOWN_LETTERS);
  const numbers = new Map(common.map(([letter], i) => [letter, i + 2]));
  const size = KNOWN_LETTERS + 2;
  numbers.set(' ', BLANK);
  const numbersOf = (text: string) => Array.from(text, (letter) => numbers.get(letter) ?? RARE);

  const single = new Float64Array(size).fill(1 / size);
  let all = 1;
  const pairs = new Float64Array(size * size);
  const before = new Float64Array(size);
  const triples = new Map<number, number>();
  for (const text of sample) {
    let [first, second] = [BLANK, BLANK];
    for (const letter of numbersOf(text)) {
      single[letter]++;
      all++;
      before[second]++;
      pairs[second * size + letter]++;
      const key = (first * size + second) * size + letter;
      triples.set(key, (triples.get(key) ?? 0) + 1);
      [first, second] = [second, letter];
    }
  }
  const chance = (first: number, second: number, letter: number) => {
    const alone = single[letter] / all;
    const afterOne = (pairs[second * size + letter] + PRIOR * alone) / (before[second] + PRIOR);
    const seen = triples.get((first * size + second) * size + letter) ?? 0;
    return (seen + PRIOR * afterOne) / (pairs[first * size + second] + PRIOR);
  };
  return {
    surprise(text) {
      let letters = 0;
      let bits = 0;
      let [first, second] = [BLANK, BLANK];
      for (const letter of numbersOf(folded(text))) {
        if (letter !== BLANK) letters++;
        bits -= Math.log2(chance(first, second, letter));
        [first, second] = [second, letter];
      }
      return letters < LEAST_LETTERS ? null : bits / letters;
    },
  };
}

function folded(text: string): string {
  return ` ${text.slice(0, LOOKED_AT).normalize('NFC').toLowerCase()} `.replaceAll(/[^\p{L}\p{M}]+/gu, ' ');
}
