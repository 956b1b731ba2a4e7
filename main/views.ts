/**
 * What the store holds, in the shapes of the contract. Pure translations; the only thing
 * looked at outside is whether an image's original is still where it was.
 */
import { existsSync } from 'node:fs';
import type {
  AnnotationData,
  EncoderData,
  IntervalData,
  ItemViewData,
  PartViewData,
  QueueEntry as QueueEntryData,
  VersionData,
} from './api.ts';
import type { EncoderEntry } from './compute-api.ts';
import type { Annotation, Suggestion } from './domain/annotation.ts';
import type { Part } from './domain/item.ts';
import type { LabelSchema } from './domain/schema.ts';
import { asUndecided } from './rereads.ts';
import type { ItemRecord, ProjectStore, QueueEntry, VersionRecord } from './store/index.ts';
import type { VersionCard } from './training/index.ts';

/** What the engine writes beside a version's card. */
export interface VersionMetrics {
  /** The last annotation that the training set saw. */
  sequence: number;
  audit: IntervalData;
  decision: { promote: boolean; code: string; [key: string]: unknown };
  sizeBytes: number;
}

export const NOTHING_MEASURED: IntervalData = { n: 0, accuracy: null, low: 0, high: 1 };

export function partView(part: Part): PartViewData {
  if (part.kind === 'text') return { kind: 'text', text: part.text, path: part.path };
  if (part.kind === 'numbers') return { kind: 'numbers', values: part.values };
  const { width, height, format, sizeBytes, path } = part;
  return { kind: 'image', width, height, format, sizeBytes, path, missing: !existsSync(path) };
}

export function itemView(record: ItemRecord, annotations: readonly Annotation[]): ItemViewData {
  const retracted = new Set(annotations.map((annotation) => annotation.retracts));
  const comments = annotations
    .filter((annotation) => annotation.text !== null && !retracted.has(annotation.sequence))
    .map(({ text, annotator, at }) => ({ text: text ?? '', annotator, at }));
  const { id, name, group, source, state, classes } = record;
  return { id, name, group, source, state, classes, parts: record.parts.map(partView), comments };
}

export function annotationView(annotation: Annotation): AnnotationData {
  const { sequence, item, act, classes, text, retracts, repeats, annotator, at, durationMs } = annotation;
  return { sequence, item, act, classes, text, retracts, repeats, annotator, at, durationMs };
}

/** The likeliest class, or for many classes all that are likelier than not, with the probability of the least certain of these decisions. */
export function suggestionFrom(
  probabilities: readonly number[] | null,
  modelVersion: number | null,
  schema: LabelSchema,
): Suggestion | null {
  if (probabilities === null || modelVersion === null || probabilities.length === 0) return null;
  if (schema.task === 'classify') {
    const best = probabilities.indexOf(Math.max(...probabilities));
    return { modelVersion, classes: [schema.classes[best]], probability: probabilities[best] };
  }
  const classes = schema.classes.filter((_, j) => probabilities[j] > 0.5);
  return { modelVersion, classes, probability: Math.min(...probabilities.map((p) => Math.max(p, 1 - p))) };
}

export function queueEntryView(
  entry: QueueEntry,
  record: ItemRecord,
  view: ItemViewData,
  schema: LabelSchema,
): QueueEntryData {
  const { distribution, ...why } = entry.why as { distribution: number[] | null; code: string };
  return {
    item: entry.item,
    rank: entry.rank,
    score: entry.score,
    strategy: entry.strategy,
    modelVersion: entry.modelVersion,
    seed: entry.seed,
    why,
    probabilities: distribution,
    suggestion: suggestionFrom(distribution, entry.modelVersion, schema),
    blind: record.role === 'audit' || entry.repeats !== null,
    view: entry.repeats === null ? view : asUndecided(view),
  };
}

/** Every version, newest first; `now` are measurements on today's audit set, where there are any. */
export function versionViews(store: ProjectStore, now: ReadonlyMap<number, IntervalData>): VersionData[] {
  const { versions } = store;
  const live = versions.live()?.version ?? null;
  const everLive = new Set(versions.promotions().map((entry) => entry.version));
  const view = (record: VersionRecord): VersionData => {
    const card = record.card as VersionCard;
    const metrics = record.metrics as VersionMetrics;
    return {
      version: record.version,
      createdAt: record.at,
      live: record.version === live,
      state: record.version === live ? 'live' : everLive.has(record.version) ? 'promoted' : 'held',
      labels: card.labels.total,
      audit: metrics.audit,
      auditNow: now.get(record.version) ?? metrics.audit,
      macroF1: card.audit?.macroF1 ?? null,
      ece: card.audit?.ece ?? null,
      crossValidated: card.crossValidation?.accuracy.value ?? null,
      seed: card.seed,
      encoder: record.encoder ?? 0,
      snapshot: card.snapshot,
      sizeBytes: metrics.sizeBytes,
      sha256: record.blob,
      decision: metrics.decision,
      perClass: card.classes.map((name, j) => {
        const own = card.audit?.perClass[j];
        return {
          class: name,
          n: own?.labelled ?? 0,
          recall: own?.labelled ? own.recall : null,
          precision: own?.predicted ? own.precision : null,
        };
      }),
    };
  };
  return versions.list().map(view).reverse();
}

/** Every encoder, newest first. */
export function encoderViews({ versions }: ProjectStore): EncoderData[] {
  const newest = versions.newestEncoder()?.encoder;
  return versions
    .encoders()
    .map((record) => {
      const { card, items, imported, tuned } = record.card as EncoderEntry;
      const { encoder: version, kind, at: createdAt } = record;
      const live = version === newest;
      return { version, kind, dims: card.dims, fittedOn: items, live, createdAt, imported, tuned: tuned !== undefined };
    })
    .reverse();
}
