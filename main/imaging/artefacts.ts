/**
 * What tells a spoiled or foreign picture from a usable one, measured at one
 * size so that it compares: how much it spans, how sharp it is, how colourful, its shape,
 * and where it is bright. They are measurements, not judgements: what is unusual follows from the pool.
 */
import { decodeError, openPixels } from './open.ts';

export interface PictureMeasures {
  /** Between the darkest and the lightest thousandth of its pixels, of 255. 0 = one grey. */
  span: number;
  /** Natural logarithm of the Laplacian's variance over the brightness's variance: lower = more blurred, whatever the contrast (Pech-Pacheco et al. 2000). */
  sharpness: number;
  /** Mean distance between the largest and the smallest of red, green and blue, over 255; 0 = grey. */
  colour: number;
  /** Natural logarithm of width over height. */
  aspect: number;
  /** Mean brightness, of 255, in an 8 × 8 grid over it, row by row. */
  grid: number[];
}

/** The longer side at which it is measured. */
const SIDE = 256;
const GRID = 8;
/** Of brightness; less is rounding and compression. */
const LEAST_VARIANCE = 1;

/** Decodes once, small. Errors: those of opening and decoding. */
export async function measurePicture(path: string): Promise<PictureMeasures> {
  const pixels = await openPixels(path);
  const { data, info } = await pixels
    .resize(SIDE, SIDE, { fit: 'inside', withoutEnlargement: true })
    .flatten({ background: '#000' })
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true })
    .catch((cause) => {
      throw decodeError(path, cause);
    });
  return measurePixels(data, info.width, info.height, info.channels);
}

/** The same of decoded pixels, row by row, `channels` bytes each: red, green and blue first where there are three. */
export function measurePixels(data: Uint8Array, width: number, height: number, channels: number): PictureMeasures {
  const n = width * height;
  const grey = new Float32Array(n);
  const histogram = new Int32Array(256);
  const brightness = new Moments();
  let colour = 0;
  for (let i = 0; i < n; i++) {
    const at = i * channels;
    const red = data[at];
    const [green, blue] = channels < 3 ? [red, red] : [data[at + 1], data[at + 2]];
    // ITU-R BT.601.
    grey[i] = 0.299 * red + 0.587 * green + 0.114 * blue;
    brightness.add(grey[i]);
    histogram[Math.round(grey[i])]++;
    colour += Math.max(red, green, blue) - Math.min(red, green, blue);
  }
  const edges = new Moments();
  for (let y = 1; y + 1 < height; y++) {
    for (let i = y * width + 1; i < (y + 1) * width - 1; i++) {
      edges.add(grey[i - 1] + grey[i + 1] + grey[i - width] + grey[i + width] - 4 * grey[i]);
    }
  }
  return {
    span: levelAt(histogram, 0.999 * n) - levelAt(histogram, 0.001 * n),
    sharpness: Math.log(Math.max(1e-6, edges.variance) / Math.max(LEAST_VARIANCE, brightness.variance)),
    colour: colour / n / 255,
    aspect: Math.log(width / height),
    grid: gridOf(grey, width, height),
  };
}

function gridOf(grey: Float32Array, width: number, height: number): number[] {
  const sums = new Float64Array(GRID * GRID);
  const counts = new Float64Array(GRID * GRID);
  for (let i = 0; i < grey.length; i++) {
    const cell = Math.floor((Math.floor(i / width) * GRID) / height) * GRID + Math.floor(((i % width) * GRID) / width);
    sums[cell] += grey[i];
    counts[cell]++;
  }
  // Of fewer than eight pixels a side some cells are empty.
  return Array.from(sums, (sum, cell) => (counts[cell] === 0 ? 0 : sum / counts[cell]));
}

/** The level at or below which so many pixels lie. */
function levelAt(histogram: Int32Array, pixels: number): number {
  let below = 0;
  for (let level = 0; level < 256; level++) {
    below += histogram[level];
    if (below >= pixels) return level;
  }
  return 255;
}

class Moments {
  #n = 0;
  #sum = 0;
  #squares = 0;

  add(value: number): void {
    this.#n++;
    this.#sum += value;
    this.#squares += value * value;
  }

  get variance(): number {
    const n = Math.max(1, this.#n);
    return Math.max(0, this.#squares / n - (this.#sum / n) ** 2);
  }
}
