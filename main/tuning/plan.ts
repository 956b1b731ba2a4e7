/**
 * How a project is fine-tuned: which of its parts, which network, how it is trained. What was
 * tried before these numbers became the default: docs/decisions/0009-fine-tuning.md.
 */
import { EngineError } from '../domain/errors.ts';
import type { Task } from '../domain/schema.ts';
import { LEAST_TERMS_LABELS, LEAST_TUNING_LABELS } from '../domain/tuning.ts';
import type { EncoderCard, Preparation } from '../inference/index.ts';
import { type Augmentation, UNCHANGED } from './augment.ts';
import type { FitPlan } from './fit.ts';
import type { AdapterPlan, Layer, Norm } from './networks.ts';

/** One kind of network, and how it is trained. JSON. */
export interface NetworkPlan {
  /** 'maps', 'image', 'terms': a small network from nothing, on the encoder's maps, an image, a text's terms; 'adapters': an imported encoder with low-rank adapters. */
  kind: 'maps' | 'image' | 'terms' | 'adapters';
  fit: FitPlan;
  augmentation: Augmentation;
  layers: Layer[];
  norm: Norm;
  /** Share of the pooled features that is dropped in training. */
  dropout: number;
  adapters: AdapterPlan;
  /** How it learns from the items without labels first; null where it does not. Only for networks from nothing on images. */
  pretraining: Pretraining | null;
}

/** Learning from pairs of views of one item (InfoNCE). */
export interface Pretraining {
  epochs: number;
  batch: number;
  rate: number;
  /** Width of what views are compared by. */
  dims: number;
  temperature: number;
}

/** Everything that decides what a run gives, apart from the items. JSON. */
export interface TuningPlan {
  format: 1;
  /** The encoder's part that the networks look at: a place in its card's `parts`. */
  place: number;
  /** Members, each trained without one part of the labelled items. */
  members: number;
  /** What a member is the mean of. Networks that look differently make different mistakes. */
  networks: NetworkPlan[];
  /** Mean squared norm of the new features beside an embedding of 1. */
  weight: number;
}

export interface PlanOptions {
  task: Task;
  /** Labelled items to learn from: in all, or those that have an image and those that have a text. */
  labels: number | { image: number; text: number };
  /** Whether the image or text encoder was made elsewhere. */
  imported: { image: boolean; text: boolean };
  /** Whether a mirrored image is as good as the image. */
  flip: boolean;
}

/** For maps of 15 × 15. */
const MAP_LAYERS: Layer[] = [
  { channels: 48, kernel: 1, stride: 1 },
  { channels: 64, kernel: 3, stride: 1 },
  { pool: 3 },
  { channels: 96, kernel: 3, stride: 1 },
];

/** For images, where there are no maps. */
const IMAGE_LAYERS: Layer[] = [
  { channels: 24, kernel: 3, stride: 2 },
  { channels: 48, kernel: 3, stride: 2 },
  { channels: 48, kernel: 3, stride: 1 },
  { channels: 96, kernel: 3, stride: 2 },
  { channels: 96, kernel: 3, stride: 1 },
  { channels: 128, kernel: 3, stride: 2 },
  { channels: 128, kernel: 3, stride: 1 },
];

/** Bytes that maps may take while a run lasts, and changed copies of an image at most. */
const MAP_BYTES = 1e9;
const MOST_COPIES = 12;

/** Members of image networks. */
const MEMBERS = 4;

/** The plan for a project. Errors: `tuning-unavailable`. */
export function planFor(card: EncoderCard, { task, labels: told, imported, flip }: PlanOptions): TuningPlan {
  const each = typeof told === 'number' ? { image: told, text: told } : told;
  const place = placeOf(card.parts, each);
  const preparation = card.parts[place];
  const labels = each[preparation.kind as keyof typeof each];
  if (labels < LEAST_TUNING_LABELS) throw tooFew(labels, LEAST_TUNING_LABELS, '');
  const loss: FitPlan['loss'] =
    task === 'classify' ? { kind: 'cross-entropy', smoothing: 0.1 } : { kind: 'binary-cross-entropy' };
  const plan = (members: number, ...networks: NetworkPlan[]): TuningPlan => ({
    format: 1,
    place,
    members,
    networks,
    weight: 1,
  });
  const network = {
    layers: [],
    norm: 'batch' as const,
    dropout: 0,
    adapters: { rank: 8, alpha: 16, headRate: 1 },
    pretraining: null,
  };
  if (preparation.kind === 'image' && !imported.image) {
    const image = { shift: 0.04, scale: 0.1, rotate: 7, brightness: 0.1, contrast: 0.2, flip };
    const fit = { ...SCHEDULE, loss, batch: 32, average: 0.98, patience: null };
    if (!card.maps) {
      return plan(MEMBERS, {
        ...network,
        kind: 'image',
        layers: IMAGE_LAYERS,
        fit: { ...fit, epochs: 40, rate: 4e-3, weightDecay: 0.05 },
        augmentation: { image, words: 0, copies: 0 },
      });
    }
    const { channels, side } = card.maps;
    const copies = Math.min(MOST_COPIES, Math.floor(MAP_BYTES / (2 * channels * side * side * labels)) - 1);
    const maps = (norm: Norm): NetworkPlan => ({
      ...network,
      kind: 'maps',
      layers: MAP_LAYERS,
      norm,
      dropout: 0.3,
      fit: { ...fit, epochs: 80, rate: 4e-3, weightDecay: 0.1 },
      augmentation: { image, words: 0.1, copies: Math.max(1, copies) },
    });
    return plan(MEMBERS, maps('group'), maps('batch'));
  }
  if (preparation.kind === 'text' && preparation.method === 'terms') {
    if (labels < LEAST_TERMS_LABELS)
      throw tooFew(labels, LEAST_TERMS_LABELS, ', or import a text encoder: fine-tuning one helps much sooner');
    const terms = plan(3, {
      ...network,
      kind: 'terms',
      fit: { ...SCHEDULE, loss, epochs: 12, batch: 32, rate: 2e-2, weightDecay: 0.05, average: null, patience: 4 },
      augmentation: { ...UNCHANGED, words: 0.3 },
    });
    return { ...terms, weight: 0.25 };
  }
  return plan(3, {
    ...network,
    kind: 'adapters',
    fit: { ...SCHEDULE, loss, epochs: 16, batch: 16, rate: 4e-3, weightDecay: 0.01, average: null, patience: 8 },
    augmentation:
      preparation.kind === 'image'
        ? { ...UNCHANGED, image: { shift: 0.06, scale: 0.1, rotate: 8, brightness: 0, contrast: 0.2, flip } }
        : { ...UNCHANGED, words: 0.05 },
  });
}

const SCHEDULE = { warmup: 0.1, clip: 5 };

function tooFew(labels: number, needed: number, otherwise: string): EngineError {
  return new EngineError(
    'tuning-unavailable',
    `There are ${labels} labelled items to learn from; fine-tuning needs ${needed}.`,
    `Label ${needed - labels} more items, then try again${otherwise}. Until then the quick training after every few labels does better.`,
    { labels, needed },
  );
}

/** What most labelled items have, images before texts; numbers alone leave nothing that a head could not learn. */
function placeOf(parts: readonly Preparation[], labels: { image: number; text: number }): number {
  const kinds = labels.text > labels.image ? ['text', 'image'] : ['image', 'text'];
  const place = kinds.map((kind) => parts.findIndex((part) => part.kind === kind)).find((at) => at >= 0);
  if (place === undefined) {
    throw new EngineError(
      'tuning-unavailable',
      'The items of this project are numbers, which the quick training learns from directly.',
      'Go on labelling: the model is trained again after every few labels.',
    );
  }
  return place;
}
