/**
 * When a claim may be made, and what it may spend. Who recomputes a guarantee at every
 * label and stops when it looks good is wrong more often than δ. So claims are made at
 * looks alone, planned by sizes of the audit set: look j spends δ / (j (j + 1)), which sums
 * to δ over all looks there will ever be (union bound), so that with probability 1 − δ every
 * claim of the project is true. Whether an answer was right has no say in when a look is due.
 */
import { assert } from '../domain/errors.ts';
import { usualAudit, type Level } from './guarantee.ts';

/** How much of `delta` look 1, 2, 3 … may spend; over all looks together `delta`. */
export function spentAt(look: number, delta: number): number {
  assert(look >= 1, 'a look from 1 on', look);
  return delta / (look * (look + 1));
}

/** Audit items at which look 1, 2, 3 … is due; `before` is the audit size at the look before it, 0 where there was none. The first is due when half of the items are usually enough to pass at what it may spend; each later one when the audit set has grown by half. Changed levels go on with the next look. */
export function nextLookAt(look: number, before: number, { alpha, delta }: Level): number {
  const useful = Math.ceil(2 * usualAudit(alpha, spentAt(look, delta)));
  return Math.max(useful, Math.ceil(GROWTH * before));
}

const GROWTH = 1.5;

/** The audit sizes of the first `count` looks at unchanged levels. */
export function planLooks(count: number, level: Level): number[] {
  const sizes: number[] = [];
  for (let look = 1; look <= count; look++) sizes.push(nextLookAt(look, sizes.at(-1) ?? 0, level));
  return sizes;
}
