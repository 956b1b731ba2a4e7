/**
 * The part of the contract about choosing: how the next items are chosen, and why this
 * one was.
 */
import * as v from 'valibot';
import { act, ask } from './api-call.ts';
import { Suggested } from './api-evidence.ts';
import { Count, ItemIdShape, ItemView } from './api-item.ts';

export const ChoosingSettings = v.object({
  /** `default`, `albl` or any strategy by name. */
  strategy: v.string(),
  /** Share of places that are drawn by chance, so that what is saved can be measured. */
  randomShare: v.pipe(v.number(), v.minValue(0), v.maxValue(0.5)),
  /** At most so many of a group in one batch; null = no limit. */
  perGroup: v.nullable(v.pipe(v.number(), v.integer(), v.minValue(1))),
  /** What is evened out: predicted classes, or the groups of an attribute. */
  balance: v.nullable(
    v.variant('by', [v.object({ by: v.literal('class') }), v.object({ by: v.literal('attribute'), name: v.string() })]),
  ),
  /** Whether items that take longer must be worth more. */
  perMinute: v.boolean(),
});

/** Where an item's score stands among those of the pool. */
export const WhyDetails = v.object({
  item: ItemIdShape,
  strategy: v.string(),
  modelVersion: v.nullable(Count),
  seed: v.number(),
  score: v.number(),
  /** Scores of the open pool under the same strategy: counts between edges (one more edge than counts); empty where the strategy gives no scores to compare. */
  distribution: v.object({ edges: v.array(v.number()), counts: v.array(Count) }),
  /** Share of the pool with a higher score, in [0, 1]; null where there is nothing to compare. */
  shareAbove: v.nullable(v.number()),
  contenders: v.array(v.object({ class: v.string(), probability: v.number() })),
  nearest: v.array(v.object({ similarity: v.number(), view: ItemView })),
  /** Seconds that it is expected to take. */
  expectedSeconds: v.nullable(v.number()),
  /** After the item is labelled: human and model together. */
  fused: Suggested,
});

export const choosing = {
  settings: ask.output(ChoosingSettings),
  set: act.input(v.partial(ChoosingSettings)).output(ChoosingSettings),
  strategies: ask.output(v.array(v.object({ name: v.string(), cites: v.string() }))),
  /** Why this item is asked, in full. Nothing about audit items before they are labelled: error `item-blind`. */
  why: ask.input(v.object({ item: ItemIdShape })).output(WhyDetails),
};

export type ChoosingSettingsData = v.InferOutput<typeof ChoosingSettings>;
export type WhyDetailsData = v.InferOutput<typeof WhyDetails>;
