/**
 * Which encoding a text has: UTF-8 and UTF-16 with or without a byte order mark, GB18030,
 * Windows-1252 (of which Latin-1's letters are a part), and what chardet recognises
 * beyond them. Decided by structure first, because statistics fail on short texts:
 * valid UTF-8 is UTF-8; control bytes mean UTF-16 or no text at all; Chinese in GB18030
 * comes in pairs of high bytes that name common characters, Western accents stand alone
 * beside ASCII letters. Bytes that fit nothing are an error, never guessed at.
 */
import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import chardet from 'chardet';
import { EngineError } from '../domain/errors.ts';

/** A label that TextDecoder knows. */
export type Encoding = string;

const SAMPLE_BYTES = 65_536;

/** The encoding of a text whose beginning (or whole) is given; null when it is no text in any known one. `whole` says that nothing was cut off the end. */
export function detectEncoding(bytes: Uint8Array, whole = true): Encoding | null {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return isUtf8Start(bytes, whole) ? 'utf-8' : null;
  if (bytes[0] === 0xff && bytes[1] === 0xfe)
    return bytes[2] === 0 && bytes[3] === 0 && bytes.length > 3 ? null : 'utf-16le';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  const controls = controlShare(bytes);
  // A stray control byte does not unmake a text; in UTF-16 they are many.
  if (controls <= 0.02 && isUtf8Start(bytes, whole)) return 'utf-8';
  const sample = bytes.subarray(0, SAMPLE_BYTES);
  if (controls > 0) {
    const utf16 = wide(sample, 0.9);
    if (utf16 !== null || controls > 0.01) return utf16;
  }
  const chinese = chineseShare(sample);
  const western = westernShare(sample);
  if (chinese >= 0.7 && chinese > western && decodes(sample, 'gb18030')) return 'gb18030';
  if (western >= 0.8 && decodes(sample, 'windows-1252')) return 'windows-1252';
  const utf16 = wide(sample, 0.95);
  if (utf16 !== null) return utf16;
  for (const match of chardet.analyse(sample)) {
    const label = match.name.toLowerCase();
    if (match.confidence < 30 || /^(utf|iso-8859-1|ascii|windows-1252|iso-2022)/.test(label)) continue;
    if (decodes(sample, label)) return label;
  }
  if (chinese >= 0.5 && decodes(sample, 'gb18030')) return 'gb18030';
  return western >= 0.6 && decodes(sample, 'windows-1252') ? 'windows-1252' : null;
}

/** The whole text, byte order mark removed. Errors: `text-encoding-unknown`. */
export function decodeText(bytes: Uint8Array, source: string): string {
  const encoding = detectEncoding(bytes);
  try {
    if (encoding !== null) return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    // Falls through: the sample fitted, a later byte did not.
  }
  throw unknownEncoding(source);
}

export function unknownEncoding(source: string): EngineError {
  return new EngineError(
    'text-encoding-unknown',
    `${source} is not text in an encoding that is known (UTF-8, UTF-16, GB18030, Latin-1).`,
    'Save it as UTF-8 and import it again.',
    { path: source },
  );
}

/**
 * The encoding of a file that is too long to hold. With `thorough` the file is read once to the end, since a table may be plain ASCII
 * for a megabyte before its first accent; otherwise its first megabyte decides. Errors: `text-encoding-unknown`, and what reading throws.
 */
export async function detectFileEncoding(
  path: string,
  thorough: boolean,
  signal?: AbortSignal,
): Promise<{ encoding: Encoding; newlines: number; complete: boolean }> {
  let first: Uint8Array | null = null;
  let tail: Uint8Array = new Uint8Array();
  let suspicious: Uint8Array | null = null;
  let newlines = 0;
  let complete = true;
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20, signal }) as AsyncIterable<Buffer>) {
    if (first === null) {
      first = Uint8Array.from(chunk);
      if (isMarked(first) || controlShare(first) > 0.02) {
        suspicious = first;
        complete = chunk.length < 2 ** 20;
        break;
      }
    }
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) newlines++;
    const joined = tail.length === 0 ? chunk : Buffer.concat([tail, chunk]);
    const cut = utf8Cut(joined);
    if (!isUtf8(joined.subarray(0, cut))) {
      suspicious = around(joined);
      complete = chunk === first;
      break;
    }
    tail = Uint8Array.from(joined.subarray(cut));
    if (!thorough) {
      complete = chunk.length < 2 ** 20;
      break;
    }
  }
  if (suspicious === null && (tail.length === 0 || !complete)) return { encoding: 'utf-8', newlines, complete };
  const encoding = detectEncoding(suspicious ?? tail, false);
  if (encoding === null) throw unknownEncoding(path);
  return { encoding, newlines, complete: false };
}

/** A window that begins a little before the first bytes that are not ASCII. */
function around(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length && bytes[start] < 0x80) start++;
  return bytes.subarray(Math.max(0, start - 64), start + SAMPLE_BYTES);
}

function isMarked(bytes: Uint8Array): boolean {
  return (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
}

/** Where the last whole UTF-8 character ends, so that a chunk may end in the middle of one. */
function utf8Cut(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back];
    if (byte < 0x80) return bytes.length;
    if (byte >= 0xc0) {
      const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return needed > back ? bytes.length - back : bytes.length;
    }
  }
  return bytes.length;
}

function isUtf8Start(bytes: Uint8Array, whole: boolean): boolean {
  return isUtf8(whole ? bytes : bytes.subarray(0, utf8Cut(bytes)));
}

/** The share of bytes that no text in an 8-bit encoding holds. */
function controlShare(bytes: Uint8Array): number {
  let controls = 0;
  for (const byte of bytes) if (byte < 32 && (byte < 8 || byte > 13) && byte !== 27) controls++;
  return bytes.length === 0 ? 0 : controls / bytes.length;
}

/** Of the bytes above ASCII, the share that stands in pairs naming a common character or punctuation of GB 2312 (rows 1–3 and 16–55), where every pair in GB18030 that does not counts against it. */
function chineseShare(bytes: Uint8Array): number {
  let common = 0;
  let other = 0;
  for (let i = 0; i < bytes.length; i++) {
    const lead = bytes[i];
    if (lead < 0x80) continue;
    const trail = bytes[i + 1];
    if (trail === undefined) continue;
    if (trail >= 0xa1 && ((lead >= 0xb0 && lead <= 0xd7) || (lead >= 0xa1 && lead <= 0xa3))) common++;
    else other++;
    if (trail >= 0x40) i++;
  }
  return common + other === 0 ? 0 : common / (common + other);
}

/** Of the bytes above ASCII, the share that Western text would have there: a letter in a word of ASCII letters, or a usual sign beside ASCII. */
function westernShare(bytes: Uint8Array): number {
  const asciiLetter = (byte: number | undefined) =>
    byte !== undefined && ((byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122));
  const letter = (byte: number) => byte >= 0xc0 && byte !== 0xd7 && byte !== 0xf7;
  const sign = (byte: number) => [0x80, 0x82, 0x84, 0x85, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x99, 0xa0, 0xa7, 0xa9, 0xab, 0xae, 0xb0, 0xb1, 0xb2, 0xb3, 0xb5, 0xb7, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf, 0xa1, 0xd7].includes(byte); // prettier-ignore
  let high = 0;
  let plausible = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte < 0x80) continue;
    high++;
    const [before, after] = [bytes[i - 1], bytes[i + 1]];
    if (letter(byte)) {
      const lone = (before === undefined || before < 0x80) && (after === undefined || after < 0x80);
      if (asciiLetter(before) || asciiLetter(after) || (lone && bytes.length > 1)) plausible++;
    } else if (sign(byte) && (before === undefined || before < 0x80 || after === undefined || after < 0x80))
      plausible++;
  }
  return high === 0 ? 0 : plausible / high;
}

/** UTF-16 without a mark: whichever byte order makes a text of usual characters, if either does. */
function wide(bytes: Uint8Array, least: number): Encoding | null {
  const even = bytes.subarray(0, bytes.length & ~1);
  if (even.length < 2 || (bytes.length < SAMPLE_BYTES && bytes.length % 2 === 1)) return null;
  const score = (high: 0 | 1) => {
    let usual = 0;
    for (let i = 0; i < even.length; i += 2) {
      const unit = (even[i + high] << 8) | even[i + 1 - high];
      const isUsual =
        unit === 9 || unit === 10 || unit === 13 || (unit >= 0x20 && unit < 0x7f) || (unit >= 0xa0 && unit < 0x250) ||
        (unit >= 0x391 && unit <= 0x451) || (unit >= 0x2010 && unit <= 0x203a) || (unit >= 0x3000 && unit <= 0x30ff) ||
        (unit >= 0x4e00 && unit <= 0x9fa5) || (unit >= 0xd83c && unit <= 0xd83e) || (unit >= 0xdc00 && unit <= 0xdfff) || (unit >= 0xff01 && unit <= 0xff5e); // prettier-ignore
      if (isUsual) usual++;
    }
    return usual / (even.length / 2);
  };
  const [little, big] = [score(1), score(0)];
  if (Math.max(little, big) < least) return null;
  // Chinese read the wrong way round is often Chinese too: line ends, spaces and common words tell the orders apart.
  const encoding = Math.abs(little - big) > 0.02 ? (little > big ? 'utf-16le' : 'utf-16be') : commonUnits(even);
  return decodes(even, encoding) ? encoding : null;
}

const COMMON = new Set(
  [
    ...Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)),
    ...'\n\r，。、：；的一是不了在人有我他这中大来上国和无见为及未性患者双肺影增可部分',
  ].map((c) => c.charCodeAt(0)),
);

function commonUnits(bytes: Uint8Array): Encoding {
  let little = 0;
  let big = 0;
  for (let i = 0; i + 1 < bytes.length; i += 2) {
    if (COMMON.has((bytes[i + 1] << 8) | bytes[i])) little++;
    if (COMMON.has((bytes[i] << 8) | bytes[i + 1])) big++;
  }
  return big > little ? 'utf-16be' : 'utf-16le';
}

function decodes(bytes: Uint8Array, encoding: Encoding): boolean {
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(bytes, { stream: true });
    return !/[\u0080-\u009f\ufffd]/.test(text);
  } catch {
    return false;
  }
}
