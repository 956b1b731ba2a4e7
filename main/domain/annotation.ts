/**
 * An annotation is one recorded act of one annotator on one item. Annotations are only
 * ever appended; each carries the hash of the one before it, so that a changed, missing
 * or swapped act is found. A label is what follows from them: it is computed, never
 * stored as truth.
 */
import { createHash } from 'node:crypto';
import type { ItemId } from './item.ts';

/** `retract` takes back the annotation named in `retracts`; undo appends one. */
export const ACTS = ['label', 'skip', 'flag', 'exclude', 'comment', 'retract'] as const;
export type Act = (typeof ACTS)[number];

export interface Suggestion {
  modelVersion: number;
  classes: string[];
  /** Calibrated, of the suggested classes together; in [0, 1]. */
  probability: number;
}

/** What an annotator hands in. */
export interface AnnotationDraft {
  item: ItemId;
  act: Act;
  /** For `label`: the classes. */
  classes?: string[];
  /** For `comment`, or with `flag`: the annotator's words. */
  text?: string;
  /** For `retract`: the sequence number of the annotation taken back. */
  retracts?: number;
  /** For a second reading: the sequence number of the label in force, which stays in force whatever the answer. */
  repeats?: number | null;
  annotator: string;
  /** From the item shown to the decision, as the window measured it; 0 for imports. */
  durationMs: number;
  suggestion?: Suggestion | null;
  /** Whether the suggestion could be seen when the decision was made. */
  suggestionVisible?: boolean;
}

/** One recorded act, exactly as it is hashed. */
export interface Annotation {
  /** 1, 2, 3 … without gaps. */
  sequence: number;
  item: ItemId;
  act: Act;
  classes: string[] | null;
  text: string | null;
  retracts: number | null;
  /** The label that this is a second reading of; null for all that decides. */
  repeats: number | null;
  annotator: string;
  /** When it was recorded, as this computer's clock said: milliseconds since 1970, UTC. The order of acts is that of `sequence`: a clock can be set back. */
  at: number;
  durationMs: number;
  suggestion: Suggestion | null;
  suggestionVisible: boolean;
  schemaVersion: number;
  previousHash: string;
  hash: string;
}

export const FIRST_HASH = '0'.repeat(64);

/** SHA-256 (hex) over the previous hash and every field, as canonical JSON in a fixed order. `repeats` is part of it only where it is not null: there were none before. */
export function annotationHash(a: Omit<Annotation, 'hash'>): string {
  const suggestion = a.suggestion && [a.suggestion.modelVersion, a.suggestion.classes, a.suggestion.probability];
  const fields: unknown[] = [
    a.sequence,
    a.item,
    a.act,
    a.classes,
    a.text,
    a.retracts,
    a.annotator,
    a.at,
    a.durationMs,
    suggestion,
    a.suggestionVisible,
    a.schemaVersion,
  ];
  if (a.repeats !== null) fields.push({ repeats: a.repeats });
  return createHash('sha256').update(a.previousHash).update('\n').update(JSON.stringify(fields)).digest('hex');
}

/** What the acts on one item come to. `open`: nothing decided; `skipped`: not now. */
export type ItemState = 'open' | 'labelled' | 'skipped' | 'flagged' | 'excluded';

export interface Resolved {
  state: ItemState;
  classes: string[] | null;
  /** The annotation that decided, or null. */
  by: number | null;
}

/** The label that follows from one item's annotations, given in sequence order: the latest act that is not retracted decides; comments and second readings decide nothing. */
export function resolve(
  annotations: readonly Pick<Annotation, 'sequence' | 'act' | 'classes' | 'retracts' | 'repeats'>[],
): Resolved {
  const retracted = new Set<number>();
  for (let i = annotations.length - 1; i >= 0; i--) {
    const a = annotations[i];
    if (retracted.has(a.sequence) || a.act === 'comment' || a.repeats !== null) continue;
    if (a.act === 'retract') {
      if (a.retracts !== null) retracted.add(a.retracts);
      continue;
    }
    if (a.act === 'label') return { state: 'labelled', classes: a.classes, by: a.sequence };
    const state = ({ skip: 'skipped', flag: 'flagged', exclude: 'excluded' } as const)[a.act];
    return { state, classes: null, by: a.sequence };
  }
  return { state: 'open', classes: null, by: null };
}
