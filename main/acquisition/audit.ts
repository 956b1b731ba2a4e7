/**
 * The audit set: which items are drawn to measure the model and never to train it. An
 * item's role follows from the project's seed and its group alone, so it is the same
 * whatever order things are imported or labelled in, and a group is never on both sides.
 * Near duplicates must share one key for the same reason: the caller joins them.
 */
import { hashString } from '../domain/rng.ts';

export type Role = 'audit' | 'train';

/** The role of everything that shares `key` (a group, a near-duplicate component, or one item's id). `auditShare` in [0, 1] is the expected share of keys drawn for the audit set. */
export function roleOf(key: string, seed: number, auditShare: number): Role {
  return hashString(key, hashString('audit', seed)) / 2 ** 32 < auditShare ? 'audit' : 'train';
}
