/// <reference lib="esnext.float16" />
/**
 * Random changes of examples that leave their class as it is: images are shifted, scaled,
 * turned, made brighter or darker and, only where a project allows it, mirrored (a mirrored
 * chest X-ray is wrong); texts lose some words, maps some
 * channels. Every change is drawn from the generator
 * that is passed in.
 */
import type { Rng } from '../domain/rng.ts';
import type { ExampleRow } from './examples.ts';

/** How images may be changed. Lengths are shares of the side. */
export interface ImageChanges {
  /** Largest shift along each axis, as a share of the side. */
  shift: number;
  /** Scale is drawn from [1 − scale, 1 + scale]. */
  scale: number;
  /** Largest rotation either way, in degrees. */
  rotate: number;
  /** Largest change of brightness, as a share of the range of values, and of contrast around the image's mean. */
  brightness: number;
  contrast: number;
  /** Mirrored left to right, half of the time. */
  flip: boolean;
}

export interface Augmentation {
  image: ImageChanges | null;
  /** Share of a text's words, or of the channels of maps, that is left out. */
  words: number;
  /** Changed copies that were made of each image beforehand: an item's rows after the first. */
  copies: number;
}

/** No changes at all. */
export const UNCHANGED: Augmentation = { image: null, words: 0, copies: 0 };

/** An image `[channels, side, side]` changed at random; what comes in from outside is the nearest edge. */
export function changedImage(
  image: Float32Array | Uint8ClampedArray,
  [channels, height, width]: readonly number[],
  changes: ImageChanges,
  rng: Rng,
): Float32Array {
  const spread = (most: number) => (2 * rng.next() - 1) * most;
  const angle = (spread(changes.rotate) * Math.PI) / 180;
  const zoom = 1 / (1 + spread(changes.scale));
  const mirror = changes.flip && rng.next() < 0.5 ? -1 : 1;
  const [dx, dy] = [spread(changes.shift) * width, spread(changes.shift) * height];
  const gain = 1 + spread(changes.contrast);
  const lift = spread(changes.brightness);
  const [cos, sin] = [Math.cos(angle) * zoom, Math.sin(angle) * zoom];
  const [cx, cy] = [(width - 1) / 2, (height - 1) / 2];
  const area = height * width;
  const result = new Float32Array(channels * area);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [u, v] = [(x - cx) * mirror, y - cy];
      const fromX = clamp(cos * u - sin * v + cx + dx, width - 1);
      const fromY = clamp(sin * u + cos * v + cy + dy, height - 1);
      const [x0, y0] = [Math.floor(fromX), Math.floor(fromY)];
      const [x1, y1] = [Math.min(x0 + 1, width - 1), Math.min(y0 + 1, height - 1)];
      const [fx, fy] = [fromX - x0, fromY - y0];
      for (let c = 0; c < channels; c++) {
        const at = c * area;
        const above = image[at + y0 * width + x0] * (1 - fx) + image[at + y0 * width + x1] * fx;
        const below = image[at + y1 * width + x0] * (1 - fx) + image[at + y1 * width + x1] * fx;
        result[at + y * width + x] = above * (1 - fy) + below * fy;
      }
    }
  }
  return relit(result, gain, lift);
}

const clamp = (value: number, most: number) => Math.min(Math.max(value, 0), most);

/** Values around their mean times `gain`, plus `lift` times their range. */
function relit(values: Float32Array, gain: number, lift: number): Float32Array {
  let mean = 0;
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    mean += value / values.length;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const shift = mean * (1 - gain) + lift * (high - low);
  for (let i = 0; i < values.length; i++) values[i] = values[i] * gain + shift;
  return values;
}

/** A text without some of its words: terms get the weight 0, tokens are taken out; the first and the last token stay, for they mark the ends. Maps lose whole channels, and the rest is made up for. */
export function thinned(row: ExampleRow, share: number, rng: Rng): ExampleRow {
  if (row.term_weights) {
    const { data, dims } = row.term_weights;
    const weights = Float32Array.from(data as Float32Array, (weight) => (rng.next() < share ? 0 : weight));
    return { ...row, term_weights: { data: weights, dims } };
  }
  if (row.maps) {
    const { data, dims } = row.maps;
    const area = dims[1] * dims[2];
    const { buffer, byteOffset, length } = data as Float16Array;
    const bits = new Uint16Array(buffer, byteOffset, length);
    const maps = new Float32Array(length);
    const factor = 1 / (1 - share);
    for (let c = 0; c < dims[0]; c++) {
      if (rng.next() < share) continue;
      const end = (c + 1) * area;
      for (let at = c * area; at < end; at++) maps[at] = VALUES[bits[at]] * factor;
    }
    return { maps: { data: maps, dims } };
  }
  if (!row.text_tokens) return row;
  const tokens = row.text_tokens.data as BigInt64Array;
  const stays = Array.from(tokens, (_, i) => i === 0 || i === tokens.length - 1 || rng.next() >= share);
  const left = (data: BigInt64Array) => data.filter((_, i) => stays[i]);
  const [ids, mask] = [left(tokens), left(row.text_mask.data as BigInt64Array)];
  return { text_tokens: { data: ids, dims: [ids.length] }, text_mask: { data: mask, dims: [mask.length] } };
}

/** The value of each float16 by its bits: looked up, because converting takes several times as long. */
const VALUES = Float32Array.from(new Float16Array(Uint16Array.from({ length: 2 ** 16 }, (_, i) => i).buffer));
