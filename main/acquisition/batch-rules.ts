/**
 * What every batch obeys, whichever strategy fills it: at most one item of a near-duplicate
 * cluster, none of a cluster that already has a label, at most `maxPerGroup` of a group.
 * A strategy asks the guard before it takes an item and tells it after. That a cluster has
 * a label gives way when nothing else is left to ask; the other rules never do.
 */
import { createPace, type Pace } from './pace.ts';

/** The part of a selection that the rules are made from. */
export interface BatchRules {
  /** Rows that may be asked, in id order. */
  candidates: ArrayLike<number>;
  /** Rows that have a label. */
  labelled: ArrayLike<number>;
  /** Near-duplicate cluster of every item; −1 = none. */
  duplicates?: Int32Array;
  /** Group of every item as a number; −1 = none. */
  groups?: Int32Array;
  maxPerGroup?: number;
  /** Rows that are in the batch already. */
  taken?: ArrayLike<number>;
}

export interface Guard {
  /** Whether the batch may have this item now. */
  allowed(item: number): boolean;
  /** The batch has it. */
  taken(item: number): void;
  /** From now on what was labelled before counts no longer, only what this batch took. */
  forgetLabelled(): void;
}

/** A guard for one batch. */
export function createGuard(rules: BatchRules): Guard {
  const { duplicates, groups, labelled, maxPerGroup = Infinity, taken = [] } = rules;
  const usedClusters = new Set<number>();
  const perGroup = new Map<number, number>();
  const usedItems = new Set<number>();
  if (duplicates) {
    for (let i = 0; i < labelled.length; i++) {
      if (duplicates[labelled[i]] >= 0) usedClusters.add(duplicates[labelled[i]]);
    }
  }
  const guard: Guard = {
    allowed: (item) =>
      !usedItems.has(item) &&
      !(duplicates && duplicates[item] >= 0 && usedClusters.has(duplicates[item])) &&
      !(groups && groups[item] >= 0 && (perGroup.get(groups[item]) ?? 0) >= maxPerGroup),
    taken(item) {
      usedItems.add(item);
      if (duplicates && duplicates[item] >= 0) usedClusters.add(duplicates[item]);
      if (groups && groups[item] >= 0) perGroup.set(groups[item], (perGroup.get(groups[item]) ?? 0) + 1);
    },
    forgetLabelled() {
      usedClusters.clear();
      if (duplicates) for (const item of usedItems) if (duplicates[item] >= 0) usedClusters.add(duplicates[item]);
    },
  };
  for (let i = 0; i < taken.length; i++) guard.taken(taken[i]);
  return guard;
}

/** Candidates in `order` (positions, read once or twice) that the guard lets through, up to `count`; near duplicates of labelled items only when nothing else is left. */
export async function takeInOrder(
  rules: BatchRules,
  order: Iterable<number>,
  count: number,
  guard: Guard,
  pace: Pace = createPace(),
): Promise<number[]> {
  const positions: number[] = [];
  const pass = async () => {
    let seen = 0;
    for (const position of order) {
      if (positions.length >= count) return;
      if ((++seen & 255) === 0 && pace.isDue()) await pace.rest();
      const item = rules.candidates[position];
      if (!guard.allowed(item)) continue;
      guard.taken(item);
      positions.push(position);
    }
  };
  await pass();
  if (positions.length < count) {
    guard.forgetLabelled();
    await pass();
  }
  return positions;
}
