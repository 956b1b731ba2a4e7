/**
 * The part of the contract about the audit trail: who changed what and when. It only asks:
 * nothing in the trail is ever changed by reading it.
 */
import * as v from 'valibot';
import { ask } from './api-call.ts';
import { Count } from './api-item.ts';

const Head = v.object({ entry: Count, hash: v.string() });

export const TrailEntry = v.object({
  entry: Count,
  at: v.number(),
  who: v.string(),
  /** A procedure of this contract, or `program.…` for what nobody called. */
  call: v.string(),
  /** What it was done to: ids, numbers, hashes. */
  subject: v.unknown(),
  hash: v.string(),
});

export const trail = {
  /** Newest first, those before `before`; and where the trail ends. */
  list: ask
    .input(
      v.object({
        before: v.optional(Count),
        limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(500)), 100),
      }),
    )
    .output(v.object({ head: Head, entries: v.array(TrailEntry) })),
  /** Writes all of it to a file that a script of its own can check. Errors: `disk-full`, `io-failed`. */
  export: ask
    .input(v.object({ file: v.pipe(v.string(), v.minLength(1), v.maxLength(4096)) }))
    .output(v.object({ file: v.string(), head: Head })),
};

export type TrailEntryData = v.InferOutput<typeof TrailEntry>;
export type TrailHeadData = v.InferOutput<typeof Head>;
