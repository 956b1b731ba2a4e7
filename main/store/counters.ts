/**
 * What follows from the annotations, kept beside them in the same transaction: each
 * item's state, and how many items of each role are in each state and class. Counting a
 * million rows takes 21 ms, so nothing is counted when it is asked for. All of it can be
 * derived again; `verify` does so and compares.
 */
import type { Role } from '../domain/item.ts';
import type { ItemState, Resolved } from '../domain/annotation.ts';
import { STANDS } from './annotations.ts';
import type { Db } from './connection.ts';
import { damaged, fromJson } from './connection.ts';
import { SECOND_READING } from './queue.ts';

export interface RoleCounts {
  items: number;
  open: number;
  labelled: number;
  skipped: number;
  flagged: number;
  excluded: number;
  /** Labelled items of each class; an item of several classes counts in each. */
  classes: Record<string, number>;
}

export interface Counts {
  items: number;
  pool: RoleCounts;
  audit: RoleCounts;
  annotations: number;
  /** Items with an oracle label kept aside for simulations. */
  oracle: number;
  problems: number;
}

/** An item's state as stored: no row means open. */
export interface StateRow {
  state: Exclude<ItemState, 'open'>;
  classes: string | null;
  decided_by: number;
}

export interface Tally {
  add(role: Role | '', what: string, n: number): void;
  /** Counts an item in (`sign` 1) or out (−1) of a role, with its state and classes. */
  addItem(role: Role, state: StateRow | undefined, sign: 1 | -1): void;
  /** Writes what was added; called before the transaction ends. */
  flush(): void;
  /** Forgets what a transaction that failed had added; called when one begins. */
  reset(): void;
}

/** Collects changes of counters in memory until `flush`, since an import changes the same few thousands of times. */
export function createTally(db: Db): Tally {
  const upsert = db.prepare<[string, string, number]>(
    'INSERT INTO counters (role, what, n) VALUES (?, ?, ?) ON CONFLICT (role, what) DO UPDATE SET n = n + excluded.n',
  );
  const pending = new Map<string, { role: Role | ''; what: string; n: number }>();
  const tally: Tally = {
    add(role, what, n) {
      const key = `${role}\n${what}`;
      const entry = pending.get(key);
      if (entry) entry.n += n;
      else pending.set(key, { role, what, n });
    },
    addItem(role, state, sign) {
      tally.add(role, 'items', sign);
      tally.add(role, state?.state ?? 'open', sign);
      if (state?.state !== 'labelled' || state.classes === null) return;
      for (const name of fromJson<string[]>(state.classes)) tally.add(role, `class:${name}`, sign);
    },
    flush() {
      for (const { role, what, n } of pending.values()) if (n !== 0) upsert.run(role, what, n);
      pending.clear();
    },
    reset: () => pending.clear(),
  };
  return tally;
}

/** Reads the kept counters. Errors: `project-damaged`. */
export function createCountReader(db: Db): () => Counts {
  const all = db.prepare<[], { role: string; what: string; n: number }>('SELECT role, what, n FROM counters');
  const none = (): RoleCounts => ({ items: 0, open: 0, labelled: 0, skipped: 0, flagged: 0, excluded: 0, classes: {} });
  return () => {
    const counts: Counts = { items: 0, pool: none(), audit: none(), annotations: 0, oracle: 0, problems: 0 };
    for (const { role, what, n } of all.all()) {
      if (role === '') counts[what as 'annotations' | 'oracle' | 'problems'] = n;
      else if (role !== 'pool' && role !== 'audit') throw damaged(`a counter of “${role}”`);
      else if (what.startsWith('class:')) {
        if (n !== 0) counts[role].classes[what.slice(6)] = n;
      } else counts[role][what as ItemState | 'items'] = n;
    }
    counts.items = counts.pool.items + counts.audit.items;
    return counts;
  };
}

export interface StateKeeper {
  get(seq: number): StateRow | undefined;
  /** Stores what an item's annotations now come to, and moves the counters and its place in the queue along. */
  put(item: { seq: number; role: Role }, resolved: Resolved): void;
}

/** Keeps `item_state`, the counters and the queue's open marks in step; runs inside the caller's transaction. */
export function createStateKeeper(db: Db, tally: Tally): StateKeeper {
  const select = db.prepare<[number], StateRow>('SELECT state, classes, decided_by FROM item_state WHERE item = ?');
  const upsert = db.prepare<[number, string, string | null, number]>(
    `INSERT INTO item_state (item, state, classes, decided_by) VALUES (?, ?, ?, ?)
     ON CONFLICT (item) DO UPDATE SET state = excluded.state, classes = excluded.classes, decided_by = excluded.decided_by`,
  );
  const remove = db.prepare<[number]>('DELETE FROM item_state WHERE item = ?');
  const mark = db.prepare<[{ open: number; seq: number }]>(
    `UPDATE queue SET open = @open WHERE item = @seq AND open <> @open AND strategy <> '${SECOND_READING}'`,
  );
  // A second reading is open until it is read, as long as the label that it repeats is in force.
  const markReading = db.prepare<[{ by: number | null; seq: number }]>(
    `UPDATE queue SET open = (@by IS NULL OR (@by = json_extract(why, '$.repeats') AND NOT EXISTS (
       SELECT 1 FROM annotations a WHERE a.repeats = @by AND a.sequence > json_extract(queue.why, '$.since') AND ${STANDS})))
     WHERE item = @seq AND strategy = '${SECOND_READING}'`,
  );
  return {
    get: (seq) => select.get(seq),
    put({ seq, role }, resolved) {
      const before = select.get(seq);
      const after = rowOf(resolved);
      tally.addItem(role, before, -1);
      tally.addItem(role, after, 1);
      if (after) upsert.run(seq, after.state, after.classes, after.decided_by);
      else if (before) remove.run(seq);
      mark.run({ open: after ? 0 : 1, seq });
      markReading.run({ by: after?.decided_by ?? null, seq });
    },
  };
}

/** The row that a resolved label is stored as; undefined for an open item. */
export function rowOf(resolved: Resolved): StateRow | undefined {
  if (resolved.state === 'open' || resolved.by === null) return undefined;
  return {
    state: resolved.state,
    classes: resolved.classes === null ? null : JSON.stringify(resolved.classes),
    decided_by: resolved.by,
  };
}
