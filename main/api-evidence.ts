/**
 * The part of the contract about what can be believed: measurements on the audit set with
 * their intervals, the forecast, the labels saved, advice to stop, the guarantee and its
 * claims, subgroups and drift. Every result names the model version and the seed it was
 * made with, and is on record: it is the same after a restart.
 */
import * as v from 'valibot';
import { act, ask } from './api-call.ts';
import { Count, Interval, ItemView, Measured, Probability } from './api-item.ts';

/** A share that a person may choose for α or δ. */
const Level = v.pipe(v.number(), v.minValue(0.001), v.maxValue(0.5));
const Share = v.nullable(Probability);
const Classes = v.array(v.string());

export const GuaranteeShape = v.object({
  alpha: v.number(),
  delta: v.number(),
  /** Null: nothing can be said yet; `needed` says how many more audit items would let it. */
  threshold: v.nullable(v.number()),
  settled: Count,
  bound: v.nullable(v.number()),
  auditSize: Count,
  needed: v.nullable(Count),
});

/** The same for the items whose suggestion is one class; each class for itself at δ, and at δ/c where all classes are to hold at once. */
const ClassGuarantee = v.object({ class: v.string(), allAtOnce: v.boolean(), ...GuaranteeShape.entries });

/** A claim on record: which items need no eyes, by which version, at which look. Together with all earlier claims it holds with probability 1 − δ. */
export const ClaimShape = v.object({
  ...GuaranteeShape.entries,
  /** 1, 2, 3 …; the δ that this look was allowed to spend. */
  look: Count,
  spent: v.number(),
  modelVersion: Count,
  seed: v.number(),
  at: v.number(),
  /** How many of its items are still open. */
  open: Count,
  /** Audit labels at which the next look is due. */
  nextLookAt: Count,
  /** Spot checks spoke against it: nothing is settled until the next look. */
  withdrawn: v.boolean(),
});

const CurvePoint = v.object({ labels: v.number(), value: v.number(), low: v.number(), high: v.number() });
const Bounded = v.object({ value: v.nullable(v.number()), low: v.number(), high: v.nullable(v.number()) });

/** The fitted learning curve and how many labels to a target; null bounds have no end. */
export const ForecastShape = v.object({
  /** ok, reached, too-few (points or labels), out-of-reach. */
  code: v.picklist(['ok', 'reached', 'too-few', 'out-of-reach']),
  target: Probability,
  /** Training labels now. */
  labels: Count,
  /** The curve at past and future numbers of labels, with its 95 % band. */
  curve: v.array(CurvePoint),
  /** Training labels at which the target is met; null where the code is too-few. */
  labelsAtTarget: v.nullable(Bounded),
  /** Further labels, the audit share included, and the hours they take at the usual pace. */
  labelsLeft: v.nullable(Bounded),
  hoursLeft: v.nullable(Bounded),
  /** Where the curve is heading. */
  ceiling: v.nullable(Bounded),
  /** The probability that more labels like these never meet the target. */
  never: v.nullable(Probability),
});

/** How many labels a random choice would have needed more for the same accuracy. */
export const SavedShape = v.object({
  code: v.picklist(['ok', 'at-least', 'none', 'too-few']),
  saved: v.nullable(Bounded),
  /** Random's own curve, measured on labels that were drawn at random, and its continuation. */
  random: v.array(CurvePoint),
});

/** One rule's advice, with the numbers it goes by; it never stops anything by itself. */
export const StopAdvice = v.looseObject({
  rule: v.picklist(['stable', 'gain', 'guarantee', 'confident']),
  /** Null: cannot be said yet. */
  met: v.nullable(v.boolean()),
});

export const EvidenceReport = v.object({
  modelVersion: Count,
  seed: v.number(),
  at: v.number(),
  /** The last act that it knows of. */
  sequence: Count,
  /** Audit items, how many of them independent (components), and whether they are weighted because some were drawn as spot checks. */
  audit: v.object({ n: Count, components: Count, weighted: v.boolean() }),
  metrics: v.object({
    accuracy: Measured,
    balancedAccuracy: Measured,
    macroF1: Measured,
    auroc: Measured,
    ece: Measured,
  }),
  perClass: v.array(
    v.object({
      class: v.string(),
      sensitivity: Measured,
      specificity: Measured,
      precision: Measured,
      auroc: Measured,
    }),
  ),
  forecast: ForecastShape,
  saved: SavedShape,
  stopping: v.array(StopAdvice),
});

const SpotChecks = v.object({
  /** Of the live claim: looked at, still waiting to be looked at, wrong; the share that was wrong. */
  n: Count,
  waiting: Count,
  wrong: Count,
  errors: Measured,
});

/** Metrics in the groups of one attribute. */
export const SubgroupColumn = v.object({
  name: v.string(),
  kind: v.picklist(['category', 'band']),
  groups: v.array(
    v.object({
      value: v.string(),
      items: Count,
      audited: Count,
      accuracy: Measured,
      balancedAccuracy: Measured,
      /** Mean over classes. */
      sensitivity: Measured,
      specificity: Measured,
    }),
  ),
  /** The largest gap in accuracy between two groups that the numbers support, corrected for looking at many; null where none is. */
  gap: v.nullable(v.object({ best: v.string(), worst: v.string(), difference: Measured, pValue: v.number() })),
});

export const DriftShape = v.object({
  /** The import, when it came, and how many of its items were looked at. */
  job: v.string(),
  source: v.string(),
  at: v.number(),
  items: Count,
  modelVersion: Count,
  seed: v.number(),
  /** Of the two-sample test on embeddings, and the size of the difference (0 = none). */
  pValue: v.number(),
  distance: v.number(),
  /** Total variation between predicted classes before and now, in [0, 1], and its p-value. */
  predictionShift: v.number(),
  predictionPValue: v.number(),
  alert: v.boolean(),
  /** What is most unlike the training pool. */
  examples: v.array(ItemView),
});

export const evidence = {
  /** One point per model version, by labels. */
  curve: ask.output(
    v.array(
      v.object({
        version: Count,
        labels: Count,
        audit: Interval,
        crossValidated: v.nullable(v.number()),
        promoted: v.boolean(),
      }),
    ),
  ),
  /** The newest report; null before the first version was measured. */
  report: ask.output(v.nullable(EvidenceReport)),
  /** The accuracy that the forecast and the advice go by. */
  setTarget: act.input(v.object({ target: Probability })).output(v.nullable(EvidenceReport)),
  /** What could be promised now at one α and δ: a preview, not a claim. */
  guarantee: ask
    .input(v.object({ alpha: Level, delta: Level }))
    .output(v.object({ ...GuaranteeShape.entries, perClass: v.array(ClassGuarantee) })),
  /** The same for many α at once, smallest first. */
  settledAt: ask.input(v.object({ delta: Level })).output(v.array(GuaranteeShape)),
  /** The levels that claims are made at, and the audit labels at which the next is due. */
  levels: ask.output(v.object({ alpha: Level, delta: Level, nextLookAt: Count })),
  setLevels: act.input(v.object({ alpha: Level, delta: Level })).output(v.nullable(ClaimShape)),
  /** The claim in force; null before the first look. */
  claim: ask.output(v.nullable(ClaimShape)),
  /** Puts some settled items, drawn at random, at the head of the queue. Returns how many. */
  spotCheck: act
    .input(v.object({ count: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(200)) }))
    .output(v.object({ drawn: Count })),
  spotChecks: ask.output(SpotChecks),
  subgroups: ask.output(
    v.object({
      modelVersion: v.nullable(Count),
      columns: v.array(SubgroupColumn),
      /** The attribute whose groups the queue evens out, if asked to. */
      balanced: v.nullable(v.string()),
    }),
  ),
  /** Every import since the first training, latest first. */
  drift: ask.output(v.array(DriftShape)),
};

export const Suggested = v.nullable(v.object({ classes: Classes, probability: Share }));

export type GuaranteeData = v.InferOutput<typeof GuaranteeShape>;
export type ClassGuaranteeData = v.InferOutput<typeof ClassGuarantee>;
export type ClaimData = v.InferOutput<typeof ClaimShape>;
export type EvidenceReportData = v.InferOutput<typeof EvidenceReport>;
export type MeasuredData = v.InferOutput<typeof Measured>;
export type ForecastData = v.InferOutput<typeof ForecastShape>;
export type SavedData = v.InferOutput<typeof SavedShape>;
export type StopAdviceData = v.InferOutput<typeof StopAdvice>;
export type SpotChecksData = v.InferOutput<typeof SpotChecks>;
export type SubgroupColumnData = v.InferOutput<typeof SubgroupColumn>;
export type DriftData = v.InferOutput<typeof DriftShape>;
