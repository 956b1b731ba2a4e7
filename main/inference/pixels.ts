/**
 * Image file → numbers that a model takes: the first frame, upright (EXIF), on black where
 * transparent, grey or RGB, resized to a square, as planes of float32 in 0–255. Images of
 * more than 8 bits are stretched from their darkest to their brightest value, because a
 * 12-bit scan in a 16-bit file would otherwise be black. The original is only read.
 */
import { open, readFile } from 'node:fs/promises';
import sharp, { type Sharp } from 'sharp';
import { EngineError } from '../domain/errors.ts';
import { decodeBitmap, isBitmap } from './bitmap.ts';

/** Pixels that decoding may touch at most: 16,384². A file that claims more is refused before decoding. */
export const PIXEL_LIMIT = 2 ** 28;

export interface PixelShape {
  side: number;
  /** 1: grey; 3: red, green, blue. */
  channels: 1 | 3;
  /** 'fill' squeezes the whole image into the square; 'cover' keeps proportions and cuts the longer side. */
  fit: 'fill' | 'cover';
}

sharp.cache(false);

/** Decodes one image: `channels` planes of `side × side`. Errors, all naming the path: `source-missing`, `source-unreadable`, `file-empty`, `file-damaged`, `image-too-large`. */
export async function decodePixels(path: string, shape: PixelShape): Promise<Float32Array<ArrayBuffer>> {
  try {
    return await decode(path, shape);
  } catch (cause) {
    throw await explain(path, cause);
  }
}

async function decode(path: string, { side, channels, fit }: PixelShape): Promise<Float32Array<ArrayBuffer>> {
  const options = { limitInputPixels: PIXEL_LIMIT, failOn: 'error', pages: 1 } as const;
  let image: Sharp;
  if (path.toLowerCase().endsWith('.bmp') || path.toLowerCase().endsWith('.dib')) {
    const bytes = await readFile(path);
    if (isBitmap(bytes)) {
      const { width, height, data } = decodeBitmap(bytes, PIXEL_LIMIT);
      image = sharp(data, { ...options, raw: { width, height, channels: 3 } });
    } else image = sharp(bytes, options);
  } else image = sharp(path, options);
  const { depth, hasAlpha } = await image.metadata();
  const deep = depth !== 'uchar' && depth !== undefined;
  image = image.autoOrient();
  if (hasAlpha) image = image.flatten({ background: '#000' });
  image = image.resize(side, side, { fit, kernel: 'cubic' });
  const colours = channels === 1 ? (deep ? 'grey16' : 'b-w') : deep ? 'rgb16' : 'srgb';
  const { data, info } = await image
    .toColourspace(colours)
    .raw({ depth: deep ? 'ushort' : 'uchar' })
    .toBuffer({ resolveWithObject: true });
  const values = deep ? new Uint16Array(data.buffer, data.byteOffset, data.length / 2) : data;
  const planes = new Float32Array(channels * side * side);
  const area = side * side;
  for (let channel = 0; channel < channels; channel++) {
    const from = Math.min(channel, info.channels - 1);
    for (let i = 0; i < area; i++) planes[channel * area + i] = values[i * info.channels + from];
  }
  return deep ? stretch(planes) : planes;
}

function stretch(planes: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  let low = Infinity;
  let high = -Infinity;
  for (const value of planes) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const factor = high > low ? 255 / (high - low) : 0;
  for (let i = 0; i < planes.length; i++) planes[i] = (planes[i] - low) * factor;
  return planes;
}

async function explain(path: string, cause: unknown): Promise<EngineError> {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const context = { path };
  const state = await stateOf(path);
  if (state === 'missing') {
    return new EngineError(
      'source-missing',
      `The image ${path} is not there any more.`,
      'Put the file back where it was, or import it again from its new place.',
      context,
      cause,
    );
  }
  if (state === 'unreadable') {
    return new EngineError(
      'source-unreadable',
      `The image ${path} may not be read by this user.`,
      'Give yourself the right to read the file, or copy it to a place where you have it.',
      context,
      cause,
    );
  }
  if (state === 'empty') {
    return new EngineError(
      'file-empty',
      `The image ${path} has no content.`,
      'Copy the file again from where it came from.',
      context,
      cause,
    );
  }
  if (/pixel limit|exceeds/i.test(reason)) {
    return new EngineError(
      'image-too-large',
      `The image ${path} has more than ${PIXEL_LIMIT.toLocaleString('en')} pixels.`,
      'Cut the image into tiles, or save a smaller copy of it, and import that.',
      context,
      cause,
    );
  }
  return new EngineError(
    'file-damaged',
    `The image ${path} cannot be read: ${reason.split('\n')[0]}`,
    'Open the file in an image viewer; if it is damaged there too, copy it again from where it came from.',
    context,
    cause,
  );
}

async function stateOf(path: string): Promise<'missing' | 'unreadable' | 'empty' | 'there'> {
  try {
    await using file = await open(path);
    return (await file.stat()).size === 0 ? 'empty' : 'there';
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'missing' : 'unreadable';
  }
}
