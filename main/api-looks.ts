/**
 * The part of the contract about people: labels worth a second look, how well annotators
 * agree with themselves and with each other, and their pace.
 */
import * as v from 'valibot';
import { act, ask } from './api-call.ts';
import { Suggested } from './api-evidence.ts';
import { Count, ItemView, Measured } from './api-item.ts';

export const SecondLook = v.object({
  view: ItemView,
  /** repeat-differs: the annotator answered otherwise the second time; annotators-differ; noise: unlikely under the model that has not seen it; third-opinion: what the annotator's known mistakes and the model together make likelier. */
  reason: v.picklist(['repeat-differs', 'annotators-differ', 'noise', 'third-opinion']),
  /** Who said what; the label in force first. */
  readings: v.array(v.object({ annotator: v.string(), classes: v.array(v.string()), at: v.number() })),
  /** The model's view, held out where the item is trained on. */
  suggested: Suggested,
  /** Human and model together; null where there is no model. */
  fused: Suggested,
  /** Higher = sooner. */
  score: v.number(),
  modelVersion: v.nullable(Count),
  seed: v.number(),
});

/** Agreement over pairs of readings, corrected for chance. */
const Agreement = v.object({ pairs: Count, agreement: Measured, kappa: Measured });

export const ConsistencyShape = v.object({
  annotators: v.array(
    v.object({
      annotator: v.string(),
      labels: Count,
      /** With oneself, on items read twice. */
      ...Agreement.entries,
      /** The same by position in the session, in minutes from its start. */
      drift: v.array(v.object({ fromMinute: v.number(), toMinute: v.number(), ...Agreement.entries })),
      /** Seconds per label, by position in the session and as usual. */
      pace: v.object({
        recentSeconds: v.nullable(v.number()),
        usualSeconds: v.nullable(v.number()),
        /** Past a clear change; the desk says so once. */
        suggestBreak: v.boolean(),
      }),
    }),
  ),
  between: v.nullable(
    v.object({
      items: Count,
      pairs: v.array(v.object({ a: v.string(), b: v.string(), ...Agreement.entries })),
      /** Fleiss 1971 where every item has as many readings; Krippendorff otherwise, and always. */
      fleiss: v.nullable(Measured),
      alpha: v.nullable(Measured),
      /** Dawid & Skene 1979: rows are the likely truth, columns what was said. */
      confusion: v.array(v.object({ annotator: v.string(), matrix: v.array(v.array(v.number())) })),
    }),
  ),
  /** Second readings: share of places in the queue, after how many acts, and how many were made. */
  readings: v.object({ share: v.number(), after: Count, made: Count, otherShare: v.number() }),
});

export const looks = {
  /** Best first. A new label on an item takes it off. */
  list: ask
    .input(v.object({ limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(500)), 50) }))
    .output(v.object({ total: Count, modelVersion: v.nullable(Count), looks: v.array(SecondLook) })),
  consistency: ask.output(ConsistencyShape),
  /** How many places in the queue are second readings of one's own labels, and of others'. */
  setReadings: act
    .input(
      v.object({
        share: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(0.2))),
        after: v.optional(v.pipe(v.number(), v.integer(), v.minValue(5), v.maxValue(10_000))),
        otherShare: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1))),
      }),
    )
    .output(ConsistencyShape),
};

export type SecondLookData = v.InferOutput<typeof SecondLook>;
export type ConsistencyData = v.InferOutput<typeof ConsistencyShape>;
