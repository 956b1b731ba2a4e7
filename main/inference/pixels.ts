/**
 * Image file → numbers that a model takes: the first frame, upright (EXIF), on black where
 * transparent, grey or RGB, resized to a square, as planes of float32 in 0–255. Images of
 * more than 8 bits are stretched from their darkest to their brightest value, because a
 * 12-bit scan in a 16-bit file would otherwise be black. The original is only read.
 */
import type { Sharp } from 'sharp';
import { decodeError, openImage } from '../imaging/index.ts';

export interface PixelShape {
  side: number;
  /** 1: grey; 3: red, green, blue. */
  channels: 1 | 3;
  /** 'fill' squeezes the whole image into the square; 'cover' keeps proportions and cuts the longer side. */
  fit: 'fill' | 'cover';
}

/** Decodes one image: `channels` planes of `side × side`. Errors, all naming the path: `source-unreadable`, `file-empty`, `file-damaged`, `file-unsupported`, `image-too-large`. */
export async function decodePixels(path: string, shape: PixelShape): Promise<Float32Array<ArrayBuffer>> {
  const opened = await openImage(path);
  const { deep, hasAlpha } = opened.header;
  try {
    const upright = opened.pixels();
    return await planesOf(hasAlpha ? upright.flatten({ background: '#000' }) : upright, deep, shape);
  } catch (cause) {
    throw decodeError(path, cause);
  }
}

async function planesOf(
  upright: Sharp,
  deep: boolean,
  { side, channels, fit }: PixelShape,
): Promise<Float32Array<ArrayBuffer>> {
  const image = upright.resize(side, side, { fit, kernel: 'cubic' });
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
