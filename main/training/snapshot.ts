/**
 * A training set, frozen: which items with which labels, under which schema, encoder,
 * configuration and seed a version was trained. Canonical and hashed, so that the same
 * snapshot has the same hash however it was put together, and gives the same weights.
 */
import { createHash } from 'node:crypto';
import { assert } from '../domain/errors.ts';
import type { ItemId } from '../domain/item.ts';
import type { Task } from '../domain/schema.ts';

export interface SnapshotItem {
  id: ItemId;
  /** Class names, sorted. */
  classes: string[];
  /** What must stay on one side of a split with it; null = only itself. */
  group: string | null;
}

export interface Snapshot {
  format: 1;
  schema: { version: number; task: Task; classes: string[] };
  /** SHA-256 of the encoder's file. */
  encoder: string;
  seed: number;
  config: TrainingConfig;
  /** Sorted by id; each once. */
  items: SnapshotItem[];
}

/** What decides how a head is fitted, apart from the data. */
export interface TrainingConfig {
  head: 'linear';
  /** Penalties tried, as inverse strengths; the fitting procedure's version: 2 hears what few labels say about the pool. */
  strengths: number[];
  procedure: 1 | 2;
  /** SHA-256 of the pool prior, or null without one. */
  prior: string | null;
}

/** Puts a training set into its canonical order. An item given twice is a bug and asserts. */
export function freezeSnapshot(draft: Omit<Snapshot, 'format'>): Snapshot {
  const items = draft.items
    .map(({ id, classes, group }) => ({ classes: [...classes].sort(), group, id }))
    .sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  const twice = items.find(({ id }, i) => i > 0 && items[i - 1].id === id);
  assert(twice === undefined, 'every item once in a snapshot', twice?.id);
  const { schema, encoder, seed, config } = draft;
  // Keys in alphabetical order, so that plain JSON.stringify gives the canonical text too.
  return {
    config: { head: config.head, prior: config.prior, procedure: config.procedure, strengths: [...config.strengths] },
    encoder,
    format: 1,
    items,
    schema: { classes: [...schema.classes], task: schema.task, version: schema.version },
    seed,
  };
}

/** SHA-256 (hex) of a snapshot as canonical JSON: keys sorted, no white space. */
export function snapshotHash(snapshot: Snapshot): string {
  return createHash('sha256').update(canonicalJson(snapshot)).digest('hex');
}

/** JSON with sorted keys and no white space, so that equal values have equal text. Finite numbers only. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`).join(',')}}`;
  }
  assert(typeof value !== 'number' || Number.isFinite(value), 'finite numbers in canonical JSON', String(value));
  return JSON.stringify(value);
}
