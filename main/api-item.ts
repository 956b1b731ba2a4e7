/**
 * The part of the contract about items: what one looks like, and shapes that several parts
 * of the contract share.
 */
import * as v from 'valibot';
import type { ItemId } from './domain/item.ts';

export const ItemIdShape = v.custom<ItemId>((x) => typeof x === 'string' && x.length > 0 && x.length <= 512);
export const StateShape = v.picklist(['open', 'labelled', 'skipped', 'flagged', 'excluded']);
export const Count = v.pipe(v.number(), v.integer(), v.minValue(0));
export const Probability = v.pipe(v.number(), v.minValue(0), v.maxValue(1));

/** An accuracy and its exact (Clopper–Pearson) 95 % interval; `accuracy` is null when `n` is 0, and the interval then [0, 1]. */
export const Interval = v.object({ n: Count, accuracy: v.nullable(Probability), low: Probability, high: Probability });

/** Anything measured on `n` items, with its 95 % interval; null where there was nothing to measure it on. */
export const Measured = v.object({ n: Count, value: v.nullable(v.number()), low: v.number(), high: v.number() });

export const PartView = v.variant('kind', [
  v.object({
    kind: v.literal('image'),
    width: v.number(),
    height: v.number(),
    format: v.string(),
    sizeBytes: v.number(),
    path: v.string(),
    /** The original is not where it was at import. */
    missing: v.boolean(),
  }),
  v.object({ kind: v.literal('text'), text: v.string(), path: v.nullable(v.string()) }),
  v.object({
    kind: v.literal('numbers'),
    values: v.record(v.string(), v.nullable(v.union([v.number(), v.string()]))),
  }),
]);

export const ItemView = v.object({
  id: ItemIdShape,
  name: v.string(),
  group: v.nullable(v.string()),
  source: v.string(),
  state: StateShape,
  classes: v.nullable(v.array(v.string())),
  parts: v.array(PartView),
  comments: v.array(v.object({ text: v.string(), annotator: v.string(), at: v.number() })),
});
