/**
 * Small grey images of two kinds that differ in the direction of their stripes only: their
 * mean brightness and their histograms are alike, so that something has to be learned.
 */
import { createRng } from '../../main/domain/rng.ts';
import type { ImagePreparation } from '../../main/inference/index.ts';
import {
  Examples,
  imageNetwork,
  UNCHANGED,
  type ExampleRow,
  type FitPlan,
  type Layer,
} from '../../main/tuning/index.ts';

export const SIDE = 16;

export const GREY: ImagePreparation = { kind: 'image', side: SIDE, channels: 1, fit: 'fill', mean: null, std: null };

export const LAYERS: Layer[] = [
  { channels: 8, kernel: 3, stride: 2 },
  { channels: 8, kernel: 3, stride: 1 },
];

/** One image's grey values: stripes of a random phase, upright for class 0, lying for class 1, under noise. */
export function stripes(kind: number, rng = createRng(1), side = SIDE): Uint8ClampedArray {
  const phase = rng.int(4);
  return Uint8ClampedArray.from({ length: side * side }, (_, at) => {
    const along = kind === 0 ? at % side : Math.floor(at / side);
    return 120 + ((along + phase) % 4 < 2 ? 40 : -40) + 30 * rng.normal();
  });
}

export interface Striped {
  rows: ExampleRow[][];
  classes: number[][];
}

export function striped(count: number, seed = 1): Striped {
  const rng = createRng(seed);
  const classes = Array.from({ length: count }, (_, i) => [i % 2]);
  const rows = classes.map(([kind]): ExampleRow[] => [{ image: { data: stripes(kind, rng), dims: [1, SIDE, SIDE] } }]);
  return { rows, classes };
}

export function examples({ rows, classes }: Striped, augmentation = UNCHANGED): Examples {
  return new Examples(rows, classes, { task: 'classify', classCount: 2 }, augmentation);
}

export const network = (seed = 1) => imageNetwork(GREY, { layers: LAYERS, norm: 'batch', dropout: 0 }, 2, seed);

export const PLAN: FitPlan = {
  loss: { kind: 'cross-entropy' },
  epochs: 4,
  batch: 8,
  rate: 2e-2,
  warmup: 0.1,
  weightDecay: 0.01,
  clip: 5,
  average: 0.9,
  patience: null,
};
