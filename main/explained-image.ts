/**
 * What in an image speaks for a class. Where one feature map comes shortly before the
 * result: Grad-CAM (Selvaraju et al. 2017, without cutting off what speaks against). Else
 * integrated gradients at the feature maps, from their mean over some images of the pool, so
 * that the map shows what sets this image apart; on the pixels of a model without feature
 * maps, from black and from grey. Without derivatives: squares greyed out one by one (Zeiler & Fergus 2014).
 */
import { EVIDENCE } from './autodiff/index.ts';
import { assert } from './domain/errors.ts';
import type { ImagePart } from './domain/item.ts';
import type { ExplainedVersion } from './explained-version.ts';
import { tensor, type ImagePreparation, type Row, type Tensor } from './inference/index.ts';
import { integratedGradients, POINTS_AT_ONCE, type Path } from './integrated-gradients.ts';

export type Method = 'grad-cam' | 'integrated-gradients' | 'occlusion';

/** Evidence over a picture, row by row: positive speaks for the class. */
export interface HeatMap {
  width: number;
  height: number;
  values: number[];
}

/** Mean values at a seam over some items, by name. */
export type Baseline = ReadonlyMap<string, Float32Array>;

interface Plane {
  side: number;
  values: Float64Array;
}

/** Values along a side of the map. */
const SIDE = 64;
/** Blobs below a thirtieth of the side say more of the arithmetic than of the picture. */
const BLUR = SIDE / 30;
/** Squares along a side, each about this many steps wide. */
const SQUARES = 10;
const SQUARE_STEPS = 2;
/** A head after the feature map: a layer or two, not a transformer. */
const HEAD_PRODUCTS = 3;
/** Added to feature maps: at exactly 0 a root has no slope. */
const ABOVE_ZERO = 1e-6;

/** The method that suits a version. */
export function imageMethod({ imageSeam: seam }: ExplainedVersion): Method {
  return seam && seam.at.length === 1 && seam.at[0] !== 'image' && seam.productsAfter <= HEAD_PRODUCTS
    ? 'grad-cam'
    : 'integrated-gradients';
}

/** Whether the method needs a baseline from the pool. */
export function needsBaseline({ imageSeam: seam }: ExplainedVersion, method: Method): boolean {
  return method === 'integrated-gradients' && seam !== null && !seam.at.includes('image');
}

/** The map of one image. `row` is the item with this image only. Errors: `encoder-invalid` for an operator without derivative. */
export async function explainImage(
  version: ExplainedVersion,
  row: Row,
  part: ImagePart,
  asked: number,
  method: Method,
  baseline: Baseline | null,
  signal?: AbortSignal,
): Promise<HeatMap> {
  const preparation = version.preparations.find((p) => p.kind === 'image');
  assert(preparation && row.image, 'an encoder of images');
  const planes =
    method === 'occlusion'
      ? [await occluded(version, row, preparation, asked, signal)]
      : method === 'grad-cam'
        ? await gradCam(version, row, asked)
        : await integrated(version, row, preparation, asked, baseline, signal);
  const square = new Float64Array(SIDE * SIDE);
  for (const plane of planes) spread(plane, preparation.side, square);
  return framed(scaled(blurred(square)), preparation, part);
}

/** Σ over channels of activation · mean gradient. */
async function gradCam(version: ExplainedVersion, row: Row, asked: number): Promise<Plane[]> {
  const seam = version.imageSeam!;
  const values = lifted(await version.valuesAt(seam, [row]), seam.at);
  const shapes = Object.fromEntries(Object.entries(values).map(([name, { dims }]) => [name, dims]));
  const session = await version.evidenceAt(seam, shapes, 0);
  const found = await session.run({ ...values, ...version.asked(asked) });
  return seam.at.map((name) => ({
    side: values[name].dims[2],
    values: Float64Array.from(found[EVIDENCE + name].data as Float32Array),
  }));
}

async function integrated(
  version: ExplainedVersion,
  row: Row,
  preparation: ImagePreparation,
  asked: number,
  baseline: Baseline | null,
  signal?: AbortSignal,
): Promise<Plane[]> {
  const seam = version.imageSeam!;
  const values = lifted(await version.valuesAt(seam, [row]), seam.at);
  const starts: Baseline[] = seam.at.includes('image')
    ? plainImages(row.image!, preparation).map((image) => new Map([['image', image]]))
    : [new Map([...baseline!].map(([name, mean]) => [name, mean.map((v) => v + ABOVE_ZERO)]))];
  const fixed = version.repeated(values, seam, POINTS_AT_ONCE, asked);
  const session = await version.evidenceAt(seam, fixed.shapes, POINTS_AT_ONCE);
  const planes: Plane[] = [];
  for (const start of starts) {
    const paths = seam.at.map((name): Path => {
      const { dims, data } = values[name];
      return { name, dims, from: start.get(name)!, to: data as Float32Array };
    });
    const given = await integratedGradients(session, paths, fixed.feeds, 1, signal);
    given.forEach((places, i) => {
      planes.push({ side: paths[i].dims[2], values: places.map((evidence) => evidence / starts.length) });
    });
  }
  return planes;
}

function lifted(values: Record<string, Tensor>, names: readonly string[]): Record<string, Tensor> {
  const lift = ([name, value]: [string, Tensor]): [string, Tensor] => {
    if (name === 'image' || !names.includes(name)) return [name, value];
    return [
      name,
      tensor(
        (value.data as Float32Array).map((v) => v + ABOVE_ZERO),
        value.dims,
      ),
    ];
  };
  return Object.fromEntries(Object.entries(values).map(lift));
}

/** A black image and one as grey as this one, as the model takes them. */
function plainImages(image: Float32Array, { channels, mean, std }: ImagePreparation): Float32Array[] {
  const area = image.length / channels;
  const black = image.map((_, i) => (mean && std ? -mean[Math.floor(i / area)] / std[Math.floor(i / area)] : 0));
  const grey = channelMeans(image, channels);
  return [black, image.map((_, i) => grey[Math.floor(i / area)])];
}

function channelMeans(image: Float32Array, channels: number): number[] {
  const area = image.length / channels;
  return Array.from({ length: channels }, (_, c) => {
    let sum = 0;
    for (let i = c * area; i < (c + 1) * area; i++) sum += image[i];
    return sum / area;
  });
}

/** What the log odds lose when a square with soft edges becomes as grey as the image is on average. Squares overlap. */
async function occluded(
  version: ExplainedVersion,
  row: Row,
  { side, channels }: ImagePreparation,
  asked: number,
  signal?: AbortSignal,
): Promise<Plane> {
  const image = row.image!;
  const grey = channelMeans(image, channels);
  const step = side / SQUARES;
  const [whole] = await version.logOdds([row], asked, signal);
  const values = new Float64Array(SQUARES * SQUARES);
  const cover = Array.from({ length: SQUARES }, (_, k) => coverage((k + 0.5) * step, SQUARE_STEPS * step, side));
  for (let y = 0; y < SQUARES; y++) {
    const rows = Array.from({ length: SQUARES }, (_, x): Row => {
      const covered = image.slice();
      for (let c = 0; c < channels; c++) {
        for (let i = 0; i < side; i++) {
          if (cover[y][i] === 0) continue;
          const line = (c * side + i) * side;
          for (let j = 0; j < side; j++) covered[line + j] += cover[y][i] * cover[x][j] * (grey[c] - covered[line + j]);
        }
      }
      return { ...row, image: covered };
    });
    const odds = await version.logOdds(rows, asked, signal);
    odds.forEach((own, x) => (values[y * SQUARES + x] = whole - own));
  }
  return { side: SQUARES, values };
}

/** How much of each pixel along a side is covered: all within half the reach of the centre, then less and less, because an edge would itself be something to see. */
function coverage(centre: number, reach: number, side: number): Float64Array {
  return Float64Array.from({ length: side }, (_, i) => {
    const far = Math.min(1, Math.max(0, (2 * Math.abs(i + 0.5 - centre)) / reach - 0.5));
    return (1 + Math.cos(Math.PI * far)) / 2;
  });
}

/** Adds a plane to the square, bilinearly; a cell of a feature map sees the middle of what it was made from. */
function spread({ side, values }: Plane, imageSide: number, square: Float64Array): void {
  const stride = Math.max(1, Math.round(imageSide / side));
  const frame = Math.max(0, (imageSide - stride * side) / 2);
  const places = Array.from({ length: SIDE }, (_, i) => {
    const pixel = ((i + 0.5) * imageSide) / SIDE;
    return Math.min(side - 1, Math.max(0, (pixel - frame) / stride - 0.5));
  });
  for (let y = 0; y < SIDE; y++) {
    const top = Math.floor(places[y]);
    const down = places[y] - top;
    const bottom = Math.min(side - 1, top + 1);
    for (let x = 0; x < SIDE; x++) {
      const left = Math.floor(places[x]);
      const across = places[x] - left;
      const right = Math.min(side - 1, left + 1);
      const upper = values[top * side + left] * (1 - across) + values[top * side + right] * across;
      const lower = values[bottom * side + left] * (1 - across) + values[bottom * side + right] * across;
      square[y * SIDE + x] += (upper * (1 - down) + lower * down) / stride ** 2;
    }
  }
}

/** Gaussian, in both directions; what lies outside counts as the edge. */
function blurred(square: Float64Array): Float64Array {
  const reach = Math.ceil(3 * BLUR);
  const bell = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-((i - reach) ** 2) / (2 * BLUR ** 2)));
  const total = bell.reduce((a, b) => a + b, 0);
  const along = (from: Float64Array, at: (line: number, i: number) => number) => {
    const to = new Float64Array(from.length);
    for (let line = 0; line < SIDE; line++) {
      for (let i = 0; i < SIDE; i++) {
        let sum = 0;
        for (let d = -reach; d <= reach; d++) {
          sum += bell[d + reach] * from[at(line, Math.min(SIDE - 1, Math.max(0, i + d)))];
        }
        to[at(line, i)] = sum / total;
      }
    }
    return to;
  };
  return along(
    along(square, (line, i) => line * SIDE + i),
    (line, i) => i * SIDE + line,
  );
}

function scaled(square: Float64Array): Float64Array {
  let most = 0;
  for (const value of square) most = Math.max(most, Math.abs(value));
  return most === 0 ? square : square.map((value) => value / most);
}

/** The square in the frame of the whole picture: where its sides were cut off, nothing is known. */
function framed(square: Float64Array, { fit }: ImagePreparation, part: ImagePart): HeatMap {
  const longer = fit === 'cover' ? Math.max(part.width, part.height) / Math.min(part.width, part.height) : 1;
  const width = part.width >= part.height ? Math.round(SIDE * longer) : SIDE;
  const height = part.width >= part.height ? SIDE : Math.round(SIDE * longer);
  const left = Math.floor((width - SIDE) / 2);
  const top = Math.floor((height - SIDE) / 2);
  const values = Array<number>(width * height).fill(0);
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      values[(y + top) * width + x + left] = Math.round(square[y * SIDE + x] * 1000) / 1000;
    }
  }
  return { width, height, values };
}
