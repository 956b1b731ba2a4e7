/**
 * The one way from an image file to pixels, for import and for the encoders alike: what a
 * file is follows from its bytes, not from its name; its size is read from the header and
 * checked before anything is decoded; a file that is cut off or broken is an error, never
 * a half-grey picture. PNG, JPEG, WebP, TIFF and GIF go through sharp (libvips), bitmaps
 * through `bmp.ts`. Of several pages or frames the first is meant.
 */
import { open, readFile, stat } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import sharp from 'sharp';
import type { Sharp } from 'sharp';
import { EngineError } from '../domain/errors.ts';
import { decodeBmp, isBmp, readBmpHeader } from './bmp.ts';

// Each file is decoded once: keeping operations and files would only hold memory.
sharp.cache(false);

// And only by the five readers that are meant, whatever the bytes turn out to be: libvips guesses on its own.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({ operation: ['Jpeg', 'Png', 'Webp', 'Tiff', 'Nsgif'].map((kind) => `VipsForeignLoad${kind}`) });

/** 16,384 × 16,384: more is refused unless asked for. */
export const DEFAULT_MAX_PIXELS = 268_435_456;

/** Longer sides make resizing slow and hungry out of all proportion; JPEG ends here too. */
const MAX_SIDE = 65_535;

/** Deflate cannot pack tighter (RFC 1951: 258 bytes in two bits), so a PNG that claims more was cut off or made up. */
const DEFLATE_LIMIT = 1032;

/** Files above this are hashed and decoded from disk instead of being held in memory. */
const HELD_BYTES = 64 * 2 ** 20;

export type ImageFormat = 'png' | 'jpeg' | 'webp' | 'tiff' | 'gif' | 'bmp';

/** What the bytes are, from the first 32 of them or more; null where they are none of the six. */
export function imageFormatOf(head: Uint8Array): ImageFormat | null {
  const starts = (text: string, at = 0) => [...text].every((c, i) => head[at + i] === c.charCodeAt(0));
  if (starts('\x89PNG\r\n\x1a\n')) return 'png';
  if (starts('\xff\xd8\xff')) return 'jpeg';
  if (starts('RIFF') && starts('WEBP', 8)) return 'webp';
  if (starts('GIF87a') || starts('GIF89a')) return 'gif';
  if (starts('II*\0') || starts('MM\0*') || starts('II+\0') || starts('MM\0+')) return 'tiff';
  return isBmp(head) ? 'bmp' : null;
}

/** Whether an ordinary file is an image by its first bytes, whatever it is called; false where it cannot be read. */
export async function isImageFile(path: string): Promise<boolean> {
  const head = new Uint8Array(64);
  try {
    if (!(await stat(path)).isFile()) return false;
    const file = await open(path);
    try {
      await file.read(head, 0, head.length, 0);
    } finally {
      await file.close();
    }
  } catch {
    return false;
  }
  return imageFormatOf(head) !== null;
}

export interface ImageHeader {
  format: ImageFormat;
  /** After the EXIF orientation. */
  width: number;
  height: number;
  /** More than 8 bits per channel. */
  deep: boolean;
  hasAlpha: boolean;
}

/** A file's size, after checking that it is a readable, ordinary, non-empty file. Errors: `source-unreadable`, `file-unsupported`, `file-empty`. */
export async function statFile(path: string): Promise<Stats> {
  const stats = await stat(path).catch((cause) => {
    throw unreadable(path, cause);
  });
  if (!stats.isFile()) {
    throw new EngineError('file-unsupported', `${path} is not an ordinary file.`, 'Name a file or a folder.', { path });
  }
  if (stats.size === 0)
    throw new EngineError('file-empty', `${path} is empty (0 bytes).`, 'Copy the file again from where it came from.', {
      path,
    });
  return stats;
}

/** `source-unreadable`, with the system's reason. */
export function unreadable(path: string, cause: unknown): EngineError {
  const code = (cause as NodeJS.ErrnoException)?.code ?? 'unknown';
  const reason =
    code === 'ENOENT'
      ? 'it is not there'
      : code === 'EACCES' || code === 'EPERM'
        ? 'reading it is not permitted'
        : `the system says ${code}`;
  const hint =
    code === 'ENOENT'
      ? 'Check the path, or bring the file back.'
      : 'Check the permissions of the file and of its folder.';
  return new EngineError('source-unreadable', `${path} cannot be read: ${reason}.`, hint, { path }, cause);
}

/** An image, checked and ready: `pixels()` starts a pipeline that has not decoded anything yet, upright, every page but the first ignored. */
export interface OpenImage {
  header: ImageHeader;
  sizeBytes: number;
  /** The whole file, or null where it is too large to be held. */
  bytes: Uint8Array | null;
  pixels(): Sharp;
}

/** Reads the header and, for files up to 64 MB, the bytes. Errors: `source-unreadable`, `file-empty`, `file-damaged`, `file-unsupported`, `image-too-large`. */
export async function openImage(path: string, maxPixels = DEFAULT_MAX_PIXELS): Promise<OpenImage> {
  const stats = await statFile(path);
  const held = stats.size <= HELD_BYTES;
  let head: Uint8Array;
  let bytes: Uint8Array | null = null;
  try {
    if (held) head = bytes = await readFile(path);
    else {
      const file = await open(path);
      try {
        head = new Uint8Array(256);
        await file.read(head, 0, head.length, 0);
      } finally {
        await file.close();
      }
    }
  } catch (cause) {
    throw unreadable(path, cause);
  }
  const format = imageFormatOf(head);
  if (format === null) {
    throw new EngineError(
      'file-damaged',
      `${path} does not contain an image that can be read (PNG, JPEG, WebP, TIFF, GIF or BMP).`,
      'Open it in the program that made it and export it again, for example as PNG.',
      { path },
    );
  }
  if (format === 'bmp') {
    const { width, height } = inFile(path, () => readBmpHeader(head));
    checkSize(path, width, height, maxPixels);
    const whole = bytes ?? (await readFile(path));
    const pixels = () => {
      const bmp = inFile(path, () => decodeBmp(whole));
      return sharp(bmp.data, { raw: { width: bmp.width, height: bmp.height, channels: 3 }, limitInputPixels: false });
    };
    return {
      header: { format, width, height, deep: false, hasAlpha: false },
      sizeBytes: stats.size,
      bytes: whole,
      pixels,
    };
  }
  const input = bytes ?? path;
  const metadata = await sharp(input, { limitInputPixels: false })
    .metadata()
    .catch((cause) => {
      throw decodeError(path, cause);
    });
  const { width, height } = metadata.autoOrient ?? metadata;
  checkSize(path, width, height, maxPixels);
  if (format === 'png') checkPngBytes(path, head, stats.size);
  const pixels = () => sharp(input, { limitInputPixels: false, failOn: 'error', sequentialRead: true }).autoOrient();
  const deep = metadata.depth !== 'uchar' && metadata.depth !== undefined;
  return {
    header: { format, width, height, deep, hasAlpha: metadata.hasAlpha ?? false },
    sizeBytes: stats.size,
    bytes,
    pixels,
  };
}

/** The pixels of an image file, upright, as a sharp pipeline that has not decoded anything yet. What the pipeline throws later becomes an `EngineError` through `decodeError`. Errors: as `openImage`. */
export async function openPixels(path: string, maxPixels = DEFAULT_MAX_PIXELS): Promise<Sharp> {
  return (await openImage(path, maxPixels)).pixels();
}

/** `file-damaged` in words, from what a decoder threw. */
export function decodeError(path: string, cause: unknown): EngineError {
  if (cause instanceof EngineError) return cause;
  const said = (cause instanceof Error ? cause.message : String(cause)).split('\n')[0];
  const cutOff = /premature end|read error|not enough data|truncat|failed to read|unexpected end|corrupt/i.test(said);
  return new EngineError(
    'file-damaged',
    `${path} is damaged: ${cutOff ? 'it ends too early or is corrupt' : 'it cannot be decoded'} (${said}).`,
    'Copy the file again from where it came from, or export the image again.',
    { path },
    cause,
  );
}

function checkSize(path: string, width: number, height: number, maxPixels: number): void {
  if (width * height <= maxPixels && Math.max(width, height) <= MAX_SIDE) return;
  const limit = `at most ${Math.floor(maxPixels / 1e6)} million, and ${MAX_SIDE} a side,`;
  throw new EngineError(
    'image-too-large',
    `${path} has ${width} × ${height} pixels; ${limit} are read.`,
    'Export the image smaller, or cut it into tiles.',
    { path, width, height, maxPixels },
  );
}

/** Refuses a PNG whose header claims more than its bytes could ever unpack to. */
function checkPngBytes(path: string, head: Uint8Array, sizeBytes: number): void {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const channels = [1, 0, 3, 1, 2, 0, 4][head[25]] ?? 1;
  const rowBytes = 1 + Math.ceil((view.getUint32(16) * head[24] * channels) / 8);
  if (rowBytes * view.getUint32(20) <= sizeBytes * DEFLATE_LIMIT) return;
  throw decodeError(path, new Error('its header claims more pixels than its bytes can hold'));
}

function inFile<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw new EngineError(error.code, `${path}: ${error.message}`, error.hint, { path });
  }
}
