/**
 * A dictionary of image patches, learned without labels: normalise the contrast of many
 * small patches, whiten them, cluster them. Each image is then described by how close its
 * patches come to each cluster. Coates, Lee & Ng 2011, "An analysis of single-layer
 * networks in unsupervised feature learning"; the numbers 10 and 0.1 are theirs.
 */
import { assert } from '../domain/errors.ts';
import type { Rng } from '../domain/rng.ts';
import { type GraphBuilder, GraphBuilder as Builder } from '../onnx/index.ts';
import { symmetricEigen } from './decompose.ts';
import { openSession, tensor } from './session.ts';

/** Added to a patch's variance (grey values 0–255), so that noise in flat regions is not blown up. */
const CONTRAST_FLOOR = 10;
/** Added to the eigenvalues when whitening, so that directions of noise are not blown up. */
const WHITENING_FLOOR = 0.1;
const ROUNDS = 12;

/** What a dictionary is made of; `words` is the number of features before pooling. */
export interface DictionaryShape {
  patch: number;
  words: number;
  /** The image is made this many times smaller first: a small patch then sees more of it. */
  shrink: number;
}

/** A fitted dictionary: `projection` is `components × pixels`, `words` is `words × components`. */
export interface Dictionary extends DictionaryShape {
  channels: number;
  components: number;
  projection: Float32Array;
  /** The mean patch, projected. */
  offset: Float32Array;
  centres: Float32Array;
}

/** Fits a dictionary on patches drawn from `images` (planes of `side × side`, 0–255). Deterministic for a generator. */
export async function fitDictionary(
  images: readonly Uint8Array[],
  channels: number,
  side: number,
  shape: DictionaryShape,
  patchCount: number,
  rng: Rng,
  onRound: (done: number, of: number) => Promise<void> | void,
): Promise<Dictionary> {
  const pixels = channels * shape.patch ** 2;
  const patches = drawPatches(images, channels, side, shape, patchCount, rng.derive('patches'));
  const mean = new Float64Array(pixels);
  for (let i = 0; i < patchCount; i++) for (let j = 0; j < pixels; j++) mean[j] += patches[i * pixels + j] / patchCount;
  const { values, vectors } = symmetricEigen(covariance(patches, mean, patchCount, pixels), pixels);
  // A direction whose variance is far below the floor adds nothing to distances.
  let components = 1;
  while (components < pixels - 1 && values[components] > WHITENING_FLOOR / 20) components++;
  const projection = new Float32Array(components * pixels);
  const offset = new Float32Array(components);
  for (let c = 0; c < components; c++) {
    const factor = 1 / Math.sqrt(values[c] + WHITENING_FLOOR);
    let sum = 0;
    for (let j = 0; j < pixels; j++) {
      projection[c * pixels + j] = vectors[c * pixels + j] * factor;
      sum += projection[c * pixels + j] * mean[j];
    }
    offset[c] = sum;
  }
  const white = whiten(patches, patchCount, pixels, projection, offset, components);
  const centres = await kMeans(white, patchCount, components, shape.words, rng.derive('k-means'), onRound);
  return { ...shape, channels, components, projection, offset, centres };
}

/** How close each place of an image comes to each word: `[k, words, across, across]`. */
export interface Activation {
  tensor: string;
  words: number;
  across: number;
}

/** Adds the dictionary to a graph: image `[k, channels, side, side]` (0–255) → activations. Triangle activation: how much closer than the average a word is (Coates et al., eq. 4). */
export function addDictionary(g: GraphBuilder, image: string, side: number, dictionary: Dictionary): Activation {
  const { patch, shrink, words, channels, components, projection, offset, centres } = dictionary;
  const pixels = channels * patch ** 2;
  const across = Math.floor(side / shrink) - patch + 1;
  const window = { kernel_shape: [shrink, shrink], strides: [shrink, shrink] };
  const seen = shrink === 1 ? image : g.node('AveragePool', [image], window);
  const ones = g.constant(new Float32Array(pixels).fill(1 / pixels), [1, channels, patch, patch]);
  const mean = g.node('Conv', [seen, ones]);
  const square = g.node('Conv', [g.node('Mul', [seen, seen]), ones]);
  const variance = g.node('Relu', [g.node('Sub', [square, g.node('Mul', [mean, mean])])]);
  const contrast = g.node('Sqrt', [g.node('Add', [variance, g.scalar(CONTRAST_FLOOR)])]);
  // Subtracting a patch's own mean is linear, so it is folded into the projection.
  const centred = new Float32Array(projection.length);
  for (let c = 0; c < components; c++) {
    let sum = 0;
    for (let j = 0; j < pixels; j++) sum += projection[c * pixels + j];
    for (let j = 0; j < pixels; j++) centred[c * pixels + j] = projection[c * pixels + j] - sum / pixels;
  }
  const projected = g.node('Conv', [seen, g.constant(centred, [components, channels, patch, patch])]);
  const white = g.node('Sub', [g.node('Div', [projected, contrast]), g.constant(offset, [1, components, 1, 1])]);
  const energy = g.node('ReduceSum', [g.node('Mul', [white, white]), g.ints(1)], { keepdims: 1 });
  const squares = new Float32Array(words);
  for (let w = 0; w < words; w++) {
    for (let c = 0; c < components; c++) squares[w] += centres[w * components + c] ** 2;
  }
  const cross = g.node('Conv', [
    white,
    g.constant(
      centres.map((value) => -2 * value),
      [words, components, 1, 1],
    ),
    g.constant(squares),
  ]);
  const distance = g.node('Sqrt', [g.node('Relu', [g.node('Add', [cross, energy])])]);
  const average = g.node('Mul', [g.node('ReduceSum', [distance, g.ints(1)], { keepdims: 1 }), g.scalar(1 / words)]);
  return { tensor: g.node('Relu', [g.node('Sub', [average, distance])]), words, across };
}

/** Averages over a `grid × grid` of cells: `[k, words · cells]`. */
export function addCells(g: GraphBuilder, { tensor, words, across }: Activation, grid: number): string {
  const flat = g.node('Reshape', [tensor, g.ints(0, words, across * across)]);
  const pooled = g.node('MatMul', [flat, g.constant(poolingMatrix(across, grid), [across * across, grid * grid])]);
  return g.node('Reshape', [pooled, g.ints(0, words * grid * grid)]);
}

/** Averages over squares of equal size, about `side × side` of them: `[k, words, side, side]`. */
export function addMap(g: GraphBuilder, { tensor, across }: Activation, side: number): string {
  const step = Math.round(across / side);
  // What is left at the end makes a square of its own where one is still wanted.
  const whole = Math.floor(across / step);
  assert(whole === side || (whole === side - 1 && across % step > 0), `${side} squares`, { across, step });
  const window = { kernel_shape: [step, step], strides: [step, step], ceil_mode: whole < side ? 1 : 0 };
  return g.node('AveragePool', [tensor], window);
}

/** Column per cell: the average over the positions in it. */
function poolingMatrix(across: number, grid: number): Float32Array {
  const cells = grid * grid;
  const matrix = new Float32Array(across * across * cells);
  const counts = new Float64Array(cells);
  const cellOf = (i: number) => Math.min(grid - 1, Math.floor((i * grid) / across));
  for (let y = 0; y < across; y++) for (let x = 0; x < across; x++) counts[cellOf(y) * grid + cellOf(x)]++;
  for (let y = 0; y < across; y++) {
    for (let x = 0; x < across; x++) {
      const cell = cellOf(y) * grid + cellOf(x);
      matrix[(y * across + x) * cells + cell] = 1 / counts[cell];
    }
  }
  return matrix;
}

/** Patches as rows, each with its own mean subtracted and divided by its contrast. */
function drawPatches(
  images: readonly Uint8Array[],
  channels: number,
  side: number,
  { patch, shrink }: DictionaryShape,
  count: number,
  rng: Rng,
): Float32Array {
  const pixels = channels * patch * patch;
  const across = Math.floor(side / shrink);
  const share = 1 / shrink ** 2;
  const patches = new Float32Array(count * pixels);
  for (let i = 0; i < count; i++) {
    const image = images[i % images.length];
    const top = rng.int(across - patch + 1);
    const left = rng.int(across - patch + 1);
    let at = i * pixels;
    let sum = 0;
    let squares = 0;
    for (let c = 0; c < channels; c++) {
      for (let y = top; y < top + patch; y++) {
        for (let x = left; x < left + patch; x++) {
          let value = 0;
          for (let dy = 0; dy < shrink; dy++) {
            const from = (c * side + y * shrink + dy) * side + x * shrink;
            for (let dx = 0; dx < shrink; dx++) value += image[from + dx];
          }
          value *= share;
          patches[at++] = value;
          sum += value;
          squares += value * value;
        }
      }
    }
    const mean = sum / pixels;
    const contrast = Math.sqrt(Math.max(0, squares / pixels - mean * mean) + CONTRAST_FLOOR);
    for (let j = i * pixels; j < at; j++) patches[j] = (patches[j] - mean) / contrast;
  }
  return patches;
}

function covariance(patches: Float32Array, mean: Float64Array, count: number, pixels: number): Float64Array {
  // 20,000 patches fix a covariance of at most a few hundred pixels well enough.
  const step = Math.max(1, Math.floor(count / 20_000));
  const used = Math.ceil(count / step);
  const result = new Float64Array(pixels * pixels);
  const centred = new Float64Array(pixels);
  for (let i = 0; i < count; i += step) {
    for (let j = 0; j < pixels; j++) centred[j] = patches[i * pixels + j] - mean[j];
    for (let a = 0; a < pixels; a++) {
      const value = centred[a] / used;
      for (let b = a; b < pixels; b++) result[a * pixels + b] += value * centred[b];
    }
  }
  for (let a = 0; a < pixels; a++) for (let b = 0; b < a; b++) result[a * pixels + b] = result[b * pixels + a];
  return result;
}

function whiten(
  patches: Float32Array,
  count: number,
  pixels: number,
  projection: Float32Array,
  offset: Float32Array,
  components: number,
): Float32Array {
  const white = new Float32Array(count * components);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < components; c++) {
      let sum = -offset[c];
      for (let j = 0; j < pixels; j++) sum += projection[c * pixels + j] * patches[i * pixels + j];
      white[i * components + c] = sum;
    }
  }
  return white;
}

/** Lloyd's k-means; the nearest centre of every point comes from ONNX Runtime, a block of points at a time. Empty clusters restart at random points. */
async function kMeans(
  points: Float32Array,
  count: number,
  dims: number,
  k: number,
  rng: Rng,
  onRound: (done: number, of: number) => Promise<void> | void,
): Promise<Float32Array> {
  const g = new Builder('nearest');
  const x = g.input('points', 'float32', ['n', dims]);
  const centresIn = g.input('centres', 'float32', [k, dims]);
  const half = g.input('halfSquares', 'float32', [k]);
  const near = g.node('Sub', [g.node('Gemm', [x, centresIn], { transB: 1 }), half]);
  g.output('nearest', 'int64', ['n'], g.node('ArgMax', [near], { axis: 1, keepdims: 0 }));
  const session = await openSession(g.toModel());
  try {
    const centres = new Float32Array(k * dims);
    rng.sample(count, k).forEach((i, to) => centres.set(points.subarray(i * dims, (i + 1) * dims), to * dims));
    const block = 8192;
    for (let round = 0; round < ROUNDS; round++) {
      const halfSquares = new Float32Array(k);
      for (let c = 0; c < k; c++) {
        let sum = 0;
        for (let j = 0; j < dims; j++) sum += centres[c * dims + j] ** 2;
        halfSquares[c] = sum / 2;
      }
      const sums = new Float64Array(k * dims);
      const sizes = new Int32Array(k);
      for (let start = 0; start < count; start += block) {
        const rows = Math.min(block, count - start);
        const { nearest } = await session.run({
          points: tensor(points.subarray(start * dims, (start + rows) * dims), [rows, dims]),
          centres: tensor(centres, [k, dims]),
          halfSquares: tensor(halfSquares, [k]),
        });
        const of = nearest.data as BigInt64Array;
        for (let i = 0; i < rows; i++) {
          const c = Number(of[i]);
          const from = (start + i) * dims;
          sizes[c]++;
          for (let j = 0; j < dims; j++) sums[c * dims + j] += points[from + j];
        }
      }
      for (let c = 0; c < k; c++) {
        if (sizes[c] > 0) for (let j = 0; j < dims; j++) centres[c * dims + j] = sums[c * dims + j] / sizes[c];
        else {
          const i = rng.int(count);
          centres.set(points.subarray(i * dims, (i + 1) * dims), c * dims);
        }
      }
      await onRound(round + 1, ROUNDS);
    }
    return centres;
  } finally {
    await session.close();
  }
}
