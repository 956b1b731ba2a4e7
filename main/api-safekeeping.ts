/**
 * The part of the contract about keeping a project safe: where it lies, what its clock did,
 * a backup into one file, and a check of everything that can be checked. Both of the latter
 * read the whole project and run in a process of their own; labelling goes on meanwhile.
 */
import * as v from 'valibot';
import { act, ask } from './api-call.ts';
import { Count } from './api-item.ts';

const Path = v.pipe(v.string(), v.minLength(1), v.maxLength(4096));

export const SafekeepingShape = v.object({
  /** `network`: on another machine; `synchronised`: copied elsewhere by a program; not `certain` where only a name speaks for it. */
  place: v.object({ kind: v.picklist(['local', 'network', 'synchronised']), by: v.string(), certain: v.boolean() }),
  clock: v.object({
    /** How often it was set back by more than a second within the last 10,000 acts. */
    setBack: Count,
    /** How far it is behind the last act now, where that is more than a minute. */
    behindMs: v.nullable(v.number()),
  }),
  /** When the project was opened and its record ended earlier than it had: an older copy, or files of different days; null where that is not among the last 200 entries. */
  shorterAt: v.nullable(v.number()),
  /** The last one made from a desk. */
  backup: v.nullable(v.object({ file: v.string(), at: v.number(), sizeBytes: v.number() })),
});

export const CheckShape = v.object({
  ok: v.boolean(),
  /** How many there are; the first twenty are told. */
  count: Count,
  problems: v.array(v.object({ where: v.string(), message: v.string() })),
});

export const safekeeping = {
  state: ask.output(SafekeepingShape),
  /** Copies the project with its models to one file, which appears whole or not at all. Errors: `disk-full`, `io-failed`, `input-invalid` (another file is there). */
  backup: act.input(v.object({ file: Path })).output(SafekeepingShape),
  /** Recomputes every hash and everything that is derived. */
  check: ask.output(CheckShape),
};

export type SafekeepingData = v.InferOutput<typeof SafekeepingShape>;
export type CheckData = v.InferOutput<typeof CheckShape>;
