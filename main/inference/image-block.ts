/**
 * The image block, learned from a sample of the pool: patch dictionaries at two scales,
 * pooled over a 3 × 3 grid, square root against bursts, standardised. 2,304 features.
 * Grey pools get a grey encoder, pools with colour one in colour. What was tried and what
 * it reached: docs/decisions/0002-encoders-made-from-the-pool.md.
 */
import { matrix, type Matrix } from '../domain/matrix.ts';
import type { Rng } from '../domain/rng.ts';
import { GraphBuilder } from '../onnx/index.ts';
import {
  addAffine,
  type Affine,
  applyAffine,
  type Block,
  type FitWatch,
  type ImagePreparation,
  inputsOf,
  standardisation,
} from './block.ts';
import { addCells, addDictionary, addMap, type Dictionary, type DictionaryShape, fitDictionary } from './patches.ts';
import { decodePixels } from './pixels.ts';
import { openSession, tensor } from './session.ts';

const SIDE = 128;
const GRID = 3;
/** Side of the maps that fine-tuned networks look at. */
const MAP_SIDE = 15;
const DICTIONARIES: DictionaryShape[] = [
  { patch: 8, words: 96, shrink: 1 },
  { patch: 6, words: 160, shrink: 2 },
];
const MOST_PATCHES = 100_000;
const PATCHES_PER_IMAGE = 200;
/** Mean difference between red, green and blue (0–255) above which an image counts as coloured. */
const COLOURED = 2;

/** Images that are looked at for a fit, at most: 2,000 coloured ones take 100 MB. */
export const IMAGE_SAMPLE = 2000;

/** Fits the block on the images at `paths`; those that cannot be read are passed over. Null where none can. */
export async function fitImageBlock(paths: readonly string[], rng: Rng, watch: FitWatch): Promise<Block | null> {
  const { images, channels } = await decodeSample(paths, watch);
  if (images.length === 0) return null;
  const patchCount = Math.min(MOST_PATCHES, Math.max(MOST_PATCHES / 20, images.length * PATCHES_PER_IMAGE));
  const dictionaries: Dictionary[] = [];
  for (const [i, shape] of DICTIONARIES.entries()) {
    const draw = rng.derive(`dictionary ${i}`);
    dictionaries.push(
      await fitDictionary(images, channels, SIDE, shape, patchCount, draw, (done, of) =>
        watch.report('image dictionary', (i + done / of) / DICTIONARIES.length),
      ),
    );
  }
  const preparation: ImagePreparation = { kind: 'image', side: SIDE, channels, fit: 'fill', mean: null, std: null };
  const dims = DICTIONARIES.reduce((sum, { words }) => sum + words * GRID * GRID, 0);
  const maps = { channels: DICTIONARIES.reduce((sum, { words }) => sum + words, 0), side: MAP_SIDE };
  const build = (scaling: Affine | null) => {
    const g = new GraphBuilder('image');
    const [image] = inputsOf(preparation).map((input) => g.input(input.name, input.dtype, input.dims));
    const activations = dictionaries.map((dictionary) => addDictionary(g, image, SIDE, dictionary));
    const rooted = (pooled: string[]) => g.node('Sqrt', [g.node('Concat', pooled, { axis: 1 })]);
    const cells = rooted(activations.map((activation) => addCells(g, activation, GRID)));
    g.output('features', 'float32', ['n', dims], scaling ? addAffine(g, cells, scaling) : cells);
    if (scaling) {
      const squares = rooted(activations.map((activation) => addMap(g, activation, MAP_SIDE)));
      g.output('maps', 'float32', ['n', maps.channels, maps.side, maps.side], squares);
    }
    return g.toModel();
  };
  const raw = await measure(build(null), images, channels, dims, 'image features', watch);
  const scaling = standardisation(raw);
  const features = applyAffine(raw, scaling);
  return { kind: 'image', model: build(scaling), preparation, dims, maps, fittedOn: images.length, features };
}

async function decodeSample(
  paths: readonly string[],
  watch: FitWatch,
): Promise<{ images: Uint8Array[]; channels: 1 | 3 }> {
  const shape = { side: SIDE, channels: 3, fit: 'fill' } as const;
  const area = SIDE * SIDE;
  const images: Uint8Array[] = [];
  let coloured = false;
  const ahead = 4;
  for (let start = 0; start < paths.length; start += ahead) {
    await watch.report('reading images', start / paths.length);
    const decoded = await Promise.allSettled(
      paths.slice(start, start + ahead).map((path) => decodePixels(path, shape)),
    );
    for (const result of decoded) {
      if (result.status === 'rejected') continue;
      const planes = Uint8Array.from(result.value);
      let difference = 0;
      for (let i = 0; i < area; i++) {
        difference += Math.abs(planes[i] - planes[area + i]) + Math.abs(planes[area + i] - planes[2 * area + i]);
      }
      coloured ||= difference / (2 * area) > COLOURED;
      images.push(planes);
    }
  }
  // The three planes of a grey image are the same.
  return coloured ? { images, channels: 3 } : { images: images.map((planes) => planes.slice(0, area)), channels: 1 };
}

async function measure(
  model: Uint8Array,
  images: readonly Uint8Array[],
  channels: number,
  dims: number,
  stage: string,
  watch: FitWatch,
): Promise<Matrix> {
  const session = await openSession(model);
  try {
    const result = matrix(images.length, dims);
    for (const [i, image] of images.entries()) {
      if (i % 8 === 0) await watch.report(stage, i / images.length);
      const { features } = await session.run({ image: tensor(Float32Array.from(image), [1, channels, SIDE, SIDE]) });
      result.data.set(features.data as Float32Array, i * dims);
    }
    return result;
  } finally {
    await session.close();
  }
}
