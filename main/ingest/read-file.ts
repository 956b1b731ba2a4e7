/**
 * One file to one part. An image is hashed and really decoded once, so that what enters
 * a project is known to open; a text is decoded whole. Whatever is wrong with a file is
 * thrown as an `EngineError` that names it.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { EngineError } from '../domain/errors.ts';
import type { Fingerprint, ImagePart, TextPart } from '../domain/item.ts';
import { FINGERPRINT_SIDE, fingerprintImage } from './fingerprint-image.ts';
import { decodeError, openImage, statFile, unreadable } from '../imaging/index.ts';
import { decodeText } from './text-encoding.ts';

/** Longer texts are no item that a person could read, and would not fit into memory twice. */
const MAX_TEXT_BYTES = 32 * 2 ** 20;

const DECODES_IN_FLIGHT = 2;
let decoding = 0;
const waiting: (() => void)[] = [];

/** Runs one decode when fewer than two are running: files are read ahead of it, pixels are not. */
async function decodeInTurn<T>(decode: () => Promise<T>): Promise<T> {
  if (decoding >= DECODES_IN_FLIGHT) await new Promise<void>((resume) => waiting.push(resume));
  else decoding++;
  try {
    return await decode();
  } finally {
    const next = waiting.shift();
    if (next === undefined) decoding--;
    else next();
  }
}

/** Hashes, checks and decodes an image. Errors: `source-unreadable`, `file-empty`, `file-damaged`, `file-unsupported`, `image-too-large`. */
export async function readImage(
  path: string,
  maxPixels: number,
): Promise<{ part: ImagePart; fingerprint: Fingerprint | null }> {
  const image = await openImage(path, maxPixels);
  const { format, width, height } = image.header;
  let grey: Uint8Array;
  try {
    grey = await decodeInTurn(() =>
      image
        .pixels()
        .flatten({ background: '#ffffff' })
        .greyscale()
        .resize(FINGERPRINT_SIDE, FINGERPRINT_SIDE, { fit: 'fill' })
        .raw()
        .toBuffer(),
    );
  } catch (cause) {
    throw decodeError(path, cause);
  }
  const sha256 = image.bytes === null ? await hashFile(path) : sha256Of(image.bytes);
  const part: ImagePart = { kind: 'image', path, sha256, sizeBytes: image.sizeBytes, width, height, format };
  return { part, fingerprint: fingerprintImage(grey, width, height) };
}

/** The part for a text, from a file or from a column; its hash is that of its UTF-8, so that a text saved in two encodings is one item. */
export function textPart(text: string, path: string | null): TextPart {
  return { kind: 'text', text, sha256: sha256Of(Buffer.from(text, 'utf8')), path };
}

/** Reads and decodes a whole text file. Errors: `source-unreadable`, `file-empty`, `file-unsupported` (longer than 32 MB), `text-encoding-unknown`. */
export async function readText(path: string): Promise<TextPart> {
  const stats = await statFile(path);
  if (stats.size > MAX_TEXT_BYTES) {
    throw new EngineError(
      'file-unsupported',
      `${path} is a text of ${Math.round(stats.size / 1e6)} MB; texts of at most ${MAX_TEXT_BYTES / 2 ** 20} MB are read.`,
      'Split it into the texts that are to be labelled, or make it a CSV or JSONL table with one text a row.',
      { path },
    );
  }
  const bytes = await readFile(path).catch((cause) => {
    throw unreadable(path, cause);
  });
  const text = decodeText(bytes, path);
  if (text.trim() === '') {
    throw new EngineError(
      'file-empty',
      `${path} holds nothing but spaces.`,
      'Copy the file again from where it came from.',
      { path },
    );
  }
  return textPart(text, path);
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function hashFile(path: string): Promise<string> {
  const digest = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) digest.update(chunk as Buffer);
  } catch (cause) {
    throw unreadable(path, cause);
  }
  return digest.digest('hex');
}
