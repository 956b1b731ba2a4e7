/**
 * The part of the contract about items that are not asked for now because something about
 * them is unusual. Nothing is decided for anybody: they can be let back in, labelled or
 * excluded like any other.
 */
import * as v from 'valibot';
import { act, ask } from './api-call.ts';
import { Count, ItemIdShape, ItemView } from './api-item.ts';

export const TrayEntry = v.object({
  view: ItemView,
  /** far: unlike everything else; blank; blurred; modality: another kind of picture or writing than the rest. */
  reason: v.picklist(['far', 'blank', 'blurred', 'modality']),
  /** What was measured: content (grey levels a picture spans, of 255; letters of a text), colour (0 = grey, in [0, 1]), aspect (logarithm of width over height), surprise (bits per letter), sharpness (a logarithm; lower = more blurred), distance (to the ten nearest). */
  measure: v.picklist(['content', 'colour', 'aspect', 'surprise', 'sharpness', 'distance']),
  /** Its value, and the usual range in this pool (the 1st and the 99th percentile of what is not unusual). */
  score: v.number(),
  usual: v.object({ low: v.number(), high: v.number() }),
});

export const tray = {
  /** The most unusual first. */
  list: ask
    .input(v.object({ limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(500)), 100) }))
    .output(v.object({ total: Count, entries: v.array(TrayEntry) })),
  /** Lets items back in for good. */
  release: act
    .input(v.object({ items: v.array(ItemIdShape), annotator: v.string() }))
    .output(v.object({ total: Count })),
};

export type TrayEntryData = v.InferOutput<typeof TrayEntry>;
