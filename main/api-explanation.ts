/**
 * The part of the contract about explanations: what may be asked, and what comes back. All
 * values lie in [−1, 1]: 1 is the strongest evidence for the class in that part of the item,
 * below 0 is evidence against it.
 */
import * as v from 'valibot';

const Count = v.pipe(v.number(), v.integer(), v.minValue(0));
const Method = v.picklist(['grad-cam', 'integrated-gradients', 'occlusion']);

export const ExplanationChoice = v.object({
  /** The likeliest, unless told otherwise. */
  class: v.optional(v.string()),
  method: v.optional(v.picklist(['auto', ...Method.options]), 'auto'),
  /** The live one, unless told otherwise. */
  version: v.optional(Count),
});

/** What one part of the item says; `part` is its place in the item. */
export const ExplanationPart = v.variant('kind', [
  /** `values` row by row over the whole picture. */
  v.object({
    kind: v.literal('image'),
    part: Count,
    method: Method,
    width: Count,
    height: Count,
    values: v.array(v.number()),
  }),
  /** Places in the text in UTF-16 units, in order; what is not named says nothing. */
  v.object({
    kind: v.literal('text'),
    part: Count,
    method: Method,
    spans: v.array(v.object({ from: Count, to: Count, value: v.number() })),
  }),
  v.object({ kind: v.literal('numbers'), part: Count, method: Method, values: v.record(v.string(), v.number()) }),
]);

export const Explanation = v.object({
  version: Count,
  class: v.string(),
  /** Log odds of the class against all others: what the parts explain. */
  logOdds: v.number(),
  /** That of the first part. */
  method: Method,
  parts: v.array(ExplanationPart),
});
