/**
 * When fine-tuning pays, from what is on record alone, and what the person has chosen. Few
 * labels teach a network nothing that the head does not know; after a run, it takes a good
 * share of new ones before another can know more.
 */
import type { EncoderEntry } from './compute-api.ts';
import { LEAST_TERMS_LABELS, LEAST_TUNING_LABELS, WORTH_TUNING_LABELS } from './domain/tuning.ts';
import type { ProjectStore } from './store/index.ts';

/** New labels, as a share of those of the last run, before another is due. */
const NEW_SHARE = 0.25;

export interface TuningSettings {
  /** Whether a run begins by itself when the expert is away. */
  automatic: boolean;
  /** Minutes without an act that count as away. */
  idleMinutes: number;
  /** Whether a run may begin when the last window closes. */
  onClose: boolean;
  /** Whether a mirrored image is as good as the image. */
  flip: boolean;
}

const DEFAULTS: TuningSettings = { automatic: true, idleMinutes: 10, onClose: true, flip: false };

export function tuningSettings({ settings }: ProjectStore): TuningSettings {
  return { ...DEFAULTS, ...(settings.get('tuning') as Partial<TuningSettings> | undefined) };
}

/** How many more labels the next run needs before it is worth it; 0 where it is due. */
export function labelsUntilTuning(store: ProjectStore): number {
  const { versions, counts } = store;
  const { labelled } = counts().pool;
  const runs = versions.encoders().flatMap(({ card }) => (card as EncoderEntry).tuned?.labels ?? []);
  const first = isOnTerms(store) ? LEAST_TERMS_LABELS : WORTH_TUNING_LABELS;
  const wanted = Math.max(first, ...runs.map((labels) => Math.ceil(labels * (1 + NEW_SHARE))));
  return Math.max(0, wanted - labelled);
}

/** Whether all that a network can look at is a text's terms. */
function isOnTerms({ versions }: ProjectStore): boolean {
  const parts = (versions.newestEncoder()?.card as EncoderEntry | undefined)?.card.parts ?? [];
  const looksAt = parts.find(({ kind }) => kind === 'image') ?? parts.find(({ kind }) => kind === 'text');
  return looksAt?.kind === 'text' && looksAt.method === 'terms';
}

/** Whether a run may be begun by hand. */
export function canTune(store: ProjectStore): boolean {
  return store.counts().pool.labelled >= (isOnTerms(store) ? LEAST_TERMS_LABELS : LEAST_TUNING_LABELS);
}

export function isTuningDue(store: ProjectStore): boolean {
  return labelsUntilTuning(store) === 0;
}
