/**
 * Near-duplicate texts by MinHash: the share of equal minima estimates the Jaccard
 * similarity of two texts' shingles (Broder 1997). Shingles are three words, or four
 * characters where words are not spaced (Chinese, Japanese, Thai …). Eight bits of each
 * minimum are kept and chance agreement is taken out (b-bit minwise hashing, Li & König
 * 2010). Bands of six whole minima find the pairs (Leskovec, Rajaraman & Ullman, ch. 3):
 * at similarity 0.8 a pair shares one of the 21 with probability 0.998, at 0.3 with 0.015.
 */
import { createRng, hashString } from '../domain/rng.ts';
import type { Fingerprint } from '../domain/item.ts';

const BANDS = 21;
const ROWS = 6;
const HASHES = BANDS * ROWS;
/** Texts whose shingles agree to this share are near duplicates. */
export const TEXT_SIMILARITY = 0.8;

const rng = createRng(0x7e87);
const MULTIPLIERS = Uint32Array.from({ length: HASHES }, () => (rng.int(2 ** 31) << 1) | 1);
const OFFSETS = Uint32Array.from({ length: HASHES }, () => rng.int(2 ** 32));

const UNSPACED =
  '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}';
const TOKEN = new RegExp(`[${UNSPACED}]|[[\\p{L}\\p{M}\\p{N}]--[${UNSPACED}]]+`, 'gv');
const IS_UNSPACED = new RegExp(`^[${UNSPACED}]`, 'v');

/** Words, and single characters of the scripts that do not space them. Plain ASCII has a path of its own: it is most of the text there is. */
function tokensOf(text: string): string[] | null {
  const folded = text.normalize('NFKC').toLowerCase();
  // eslint-disable-next-line no-control-regex
  return folded.match(/[^\x00-\x7f]/) === null ? folded.match(/[a-z0-9]+/g) : folded.match(TOKEN);
}

/** The fingerprint of a text, or null where it has no word at all. Case, punctuation and spacing do not count; digits do. */
export function fingerprintText(text: string): Fingerprint | null {
  const tokens = tokensOf(text);
  if (tokens === null) return null;
  const hashes = Uint32Array.from(tokens, (token) => hashString(token));
  const minima = new Uint32Array(HASHES).fill(0xffffffff);
  const seen = new Set<number>();
  for (let i = 0; i < tokens.length; i++) {
    const width = tokens[i].charCodeAt(0) > 0xdff && IS_UNSPACED.test(tokens[i]) ? 4 : 3;
    if (i > 0 && i + width > tokens.length) continue;
    let shingle = 0x9747b28c;
    for (let j = i; j < Math.min(i + width, tokens.length); j++) shingle = mix(shingle ^ hashes[j]);
    if (seen.has(shingle)) continue;
    seen.add(shingle);
    for (let k = 0; k < HASHES; k++) {
      const value = (Math.imul(shingle, MULTIPLIERS[k]) + OFFSETS[k]) >>> 0;
      if (value < minima[k]) minima[k] = value;
    }
  }
  const bands = Array.from({ length: BANDS }, (_, band) => {
    let h = band;
    for (let r = 0; r < ROWS; r++) h = mix(h ^ minima[band * ROWS + r]);
    return h | 0;
  });
  return { kind: 'text', bands, code: Buffer.from(minima.map((value) => (value >>> 8) & 0xff)).toString('hex') };
}

/** The Jaccard similarity that two codes estimate, in about [0, 1]; its standard error is 0.036 at 0.8. */
export function textSimilarity(a: string, b: string): number {
  const left = Buffer.from(a, 'hex');
  const right = Buffer.from(b, 'hex');
  let equal = 0;
  for (let i = 0; i < HASHES; i++) if (left[i] === right[i]) equal++;
  const chance = 1 / 256;
  return (equal / HASHES - chance) / (1 - chance);
}

/** A bijective mixer of 32 bits (the finalizer of MurmurHash3, Appleby). */
function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
