/**
 * The head of the queue: the items to ask next, each with why. Only the head is stored;
 * scores of the whole pool live with whoever computed them. The first entries, which the
 * expert may be looking at, keep their places when the rest is replaced. An item that is
 * decided leaves `next` in the same transaction and comes back by undo. A labelled item is
 * only ever here to be read a second time; it leaves when it is read.
 */
import type { ItemId } from '../domain/item.ts';
import { EngineError } from '../domain/errors.ts';
import type { Db } from './connection.ts';
import { fromJson } from './connection.ts';

/** What a strategy says about one item it chose. */
export interface QueueDraft {
  item: ItemId;
  /** Higher = ask sooner, always; finite. */
  score: number;
  strategy: string;
  modelVersion: number | null;
  seed: number;
  /** Any JSON object. */
  why: object;
  /** For a second reading: the label that is in force. */
  repeats?: number | null;
}

export interface QueueEntry extends QueueDraft {
  seq: number;
  /** 1, 2, 3 …; the order of asking. */
  rank: number;
  repeats: number | null;
}

/** How the table marks second readings. What is read from it says `audit` instead: nobody is to see the difference. */
export const SECOND_READING = 'second-reading';

export interface QueueReader {
  /** The first open entries in rank order. */
  next(count: number): QueueEntry[];
  /** One item's entry, decided or not, or null. */
  entryOf(item: ItemId): QueueEntry | null;
  /** Open entries that are stored. */
  remaining(): number;
  /** Whether an item is here to be read a second time, and has not been yet. */
  isSecondReading(item: ItemId): boolean;
}

export interface QueueWriter extends QueueReader {
  /** Replaces all but the first `keepFirst` open entries; the new ones follow in the order given. Unknown, decided and kept items are left out, and second readings of what is not in force. Returns how many open entries there are now. Errors: `score-not-finite`. */
  replace(entries: readonly QueueDraft[], options: { keepFirst: number }): number;
}

interface QueueRow {
  seq: number;
  item: string;
  rank: number;
  score: number;
  strategy: string;
  model_version: number | null;
  seed: number;
  why: string;
}

const ENTRY =
  'SELECT q.item AS seq, i.id AS item, q.rank, q.score, q.strategy, q.model_version, q.seed, q.why FROM queue q JOIN items i ON i.seq = q.item';

function entryOf(row: QueueRow): QueueEntry {
  const { repeats = null, since: _, ...why } = fromJson<{ repeats?: number; since?: number }>(row.why);
  return {
    seq: row.seq,
    item: row.item as ItemId,
    rank: row.rank,
    score: row.score,
    strategy: repeats === null ? row.strategy : 'audit',
    modelVersion: row.model_version,
    seed: row.seed,
    why,
    repeats,
  };
}

/** Reads the queue on any connection. */
export function createQueueReader(db: Db): QueueReader {
  const next = db.prepare<[number], QueueRow>(`${ENTRY} WHERE q.open = 1 ORDER BY q.rank LIMIT ?`);
  const one = db.prepare<[string], QueueRow>(`${ENTRY} WHERE i.id = ?`);
  const reading = db.prepare<[string], { seq: number }>(
    `SELECT i.seq FROM queue q JOIN items i ON i.seq = q.item WHERE i.id = ? AND q.open = 1 AND q.strategy = '${SECOND_READING}'`,
  );
  const remaining = db.prepare<[], { n: number }>('SELECT count(*) AS n FROM queue WHERE open = 1');
  return {
    next: (count) => next.all(count).map(entryOf),
    entryOf(item) {
      const row = one.get(item);
      return row ? entryOf(row) : null;
    },
    remaining: () => remaining.get()?.n ?? 0,
    isSecondReading: (item) => reading.get(item) !== undefined,
  };
}

/** Writes the queue. */
export function createQueueWriter(db: Db): QueueWriter {
  const kept = db.prepare<[number], QueueRow>('SELECT *, item AS seq FROM queue WHERE open = 1 ORDER BY rank LIMIT ?');
  const clear = db.prepare('DELETE FROM queue');
  const insert = db.prepare<[number, number, number, string, number | null, number, string]>(
    'INSERT INTO queue (rank, item, open, score, strategy, model_version, seed, why) VALUES (?, ?, 1, ?, ?, ?, ?, ?)',
  );
  const openItem = db.prepare<[string], { seq: number }>(
    'SELECT i.seq FROM items i WHERE i.id = ? AND NOT EXISTS (SELECT 1 FROM item_state s WHERE s.item = i.seq)',
  );
  const inForce = db.prepare<[string, number], { seq: number }>(
    `SELECT i.seq FROM items i JOIN item_state s ON s.item = i.seq WHERE i.id = ? AND s.state = 'labelled' AND s.decided_by = ?`,
  );
  const head = db.prepare<[], number>('SELECT coalesce(max(sequence), 0) FROM annotations').pluck();
  const replace = db.transaction((entries: readonly QueueDraft[], keepFirst: number) => {
    const staying = kept.all(keepFirst);
    const since = head.get() ?? 0;
    clear.run();
    const placed = new Set<number>();
    for (const row of staying) {
      placed.add(row.seq);
      insert.run(placed.size, row.seq, row.score, row.strategy, row.model_version, row.seed, row.why);
    }
    for (const entry of entries) {
      if (!Number.isFinite(entry.score)) {
        throw new EngineError(
          'score-not-finite',
          `Item ${entry.item} has no finite score.`,
          'Train again; if it comes back, roll back to the model version before.',
          { item: entry.item, strategy: entry.strategy },
        );
      }
      const { repeats = null } = entry;
      const isOpen = repeats === null;
      const seq = (isOpen ? openItem.get(entry.item) : inForce.get(entry.item, repeats))?.seq;
      if (seq === undefined || placed.has(seq)) continue;
      placed.add(seq);
      insert.run(
        placed.size,
        seq,
        entry.score,
        isOpen ? entry.strategy : SECOND_READING,
        entry.modelVersion,
        entry.seed,
        JSON.stringify(isOpen ? entry.why : { ...entry.why, repeats, since }),
      );
    }
    return placed.size;
  });
  return { ...createQueueReader(db), replace: (entries, { keepFirst }) => replace.immediate(entries, keepFirst) };
}
