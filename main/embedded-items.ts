/**
 * The items as they are at one moment, with their vectors: what choosing, training and
 * measuring look at. Row i of everything is the same item. Nothing in it changes.
 */
import type { LabelSchema } from './domain/schema.ts';
import type { Space } from './space.ts';
import { ITEM_STATES, ROLES, type PoolRows } from './store/index.ts';
import type { LabelledItem } from './training/index.ts';

export const OPEN = ITEM_STATES.indexOf('open');
export const LABELLED = ITEM_STATES.indexOf('labelled');
export const SKIPPED = ITEM_STATES.indexOf('skipped');
export const POOL = ROLES.indexOf('pool');
export const AUDIT = ROLES.indexOf('audit');

export interface EmbeddedItems {
  readonly rows: PoolRows;
  readonly space: Space;
  readonly schema: LabelSchema;
}

/** The rows for which `keep` holds, in order. */
export function rowsWhere({ rows }: { rows: PoolRows }, keep: (i: number) => boolean): number[] {
  const found: number[] = [];
  for (let i = 0; i < rows.count; i++) if (keep(i)) found.push(i);
  return found;
}

/** Embedded rows of one role and state. */
export function rowsIn(items: EmbeddedItems, role: number, state: number): number[] {
  const { rows, space } = items;
  return rowsWhere(items, (i) => rows.role[i] === role && rows.state[i] === state && space.present[i] === 1);
}

/** The named rows as training and measuring want them; components are never split. */
export function labelledItems({ rows }: { rows: PoolRows }, indices: readonly number[]): LabelledItem[] {
  return indices.map((i) => ({ id: rows.id[i], classes: rows.classes[i] ?? [], group: String(rows.component[i]) }));
}
