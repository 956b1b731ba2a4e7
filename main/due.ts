/**
 * When the loop's next step is due, from what is on record alone: a new encoder when the
 * pool has outgrown the last one, training after so many labels or on a new encoder.
 */
import type { EncoderEntry } from './compute-api.ts';
import type { ProjectStore } from './store/index.ts';
import type { VersionMetrics } from './views.ts';

/** The encoder is fitted again when the pool has grown by this factor. */
const REFIT_FACTOR = 2;
/** Labels after which training pays: few at first, then in proportion, so that versions stay few. */
export const LEAST_LABELS = 5;
const LABEL_SHARE = 0.1;

/** Whether the pool has no encoder, or has outgrown it. */
export function isFitDue({ versions }: ProjectStore, items: number): boolean {
  const encoder = versions.newestEncoder();
  return !encoder || items >= REFIT_FACTOR * (encoder.card as EncoderEntry).items;
}

/** Labels, relabels and retractions on record since the last training set was frozen. */
export function labelsSinceTraining({ annotations, versions }: ProjectStore): number {
  const metrics = versions.newest()?.metrics as VersionMetrics | undefined;
  return annotations.labelsAfter(metrics?.sequence ?? 0);
}

/** After how many labels the next training is due. */
export function trainAfter(store: ProjectStore): number {
  return Math.max(LEAST_LABELS, Math.ceil(LABEL_SHARE * store.counts().pool.labelled));
}

/** After so many labels, where they could train anything; at once when the pool has got an encoder that no version knows yet. */
export function isTrainingDue(store: ProjectStore): boolean {
  if (!canTrain(store)) return false;
  const { versions } = store;
  const last = versions.newest();
  const isOutgrown = last !== null && last.encoder !== versions.newestEncoder()?.encoder;
  return isOutgrown || labelsSinceTraining(store) >= trainAfter(store);
}

function canTrain(store: ProjectStore): boolean {
  const { pool } = store.counts();
  const seen = Object.values(pool.classes).filter((n) => n > 0).length;
  return pool.labelled >= 4 && (store.schema.current().task === 'classify-many' || seen >= 2);
}
