/**
 * The tray: items about which something measured is unusual. Each is there for one reason,
 * with what was measured and the pool's usual range. It follows from measurements and is
 * written anew after each; what a person let back in is kept for good and never returns.
 */
import type { ItemId } from '../domain/item.ts';
import type { Db } from './connection.ts';

/** What was found about one item. */
export interface TrayFinding {
  item: ItemId;
  /** What was measured, as a code. */
  reason: string;
  score: number;
  usualLow: number;
  usualHigh: number;
}

export interface TrayRecord extends TrayFinding {
  seq: number;
  /** The blob of the encoder in use when it was found. */
  encoder: string;
  at: number;
}

export interface TrayReader {
  /** The open items in it, the furthest beyond the usual range first. */
  list(limit: number): TrayRecord[];
  /** How many open items are in it. */
  total(): number;
  /** `seq` of everything in it, whatever was decided since. */
  held(): Set<number>;
}

export interface TrayWriter extends TrayReader {
  /** Puts in what was found, takes out what was not found again; what was let back in stays out. */
  replace(findings: readonly TrayFinding[], encoder: string): void;
  /** Lets items back in for good. */
  release(items: readonly ItemId[], annotator: string): void;
}

const OPEN_IN = `FROM tray t JOIN items i ON i.seq = t.item LEFT JOIN item_state s ON s.item = t.item
  WHERE t.released_at IS NULL AND s.item IS NULL`;

/** Reads on any connection. */
export function createTrayReader(db: Db): TrayReader {
  const list = db.prepare<[number], TrayRecord>(
    `SELECT i.id AS item, t.item AS seq, t.reason, t.score, t.usual_low AS usualLow, t.usual_high AS usualHigh, t.encoder, t.at ${OPEN_IN}
     ORDER BY max(t.score - t.usual_high, t.usual_low - t.score) / (t.usual_high - t.usual_low + 1e-9) DESC, t.item LIMIT ?`,
  );
  const total = db.prepare<[], number>(`SELECT count(*) ${OPEN_IN}`).pluck();
  const held = db.prepare<[], number>('SELECT item FROM tray WHERE released_at IS NULL').pluck();
  return {
    list: (limit) => list.all(limit),
    total: () => total.get() ?? 0,
    held: () => new Set(held.all()),
  };
}

/** Writes on the project's own connection. */
export function createTrayWriter(db: Db, clock: () => number): TrayWriter {
  const clear = db.prepare<[string]>(
    'DELETE FROM tray WHERE released_at IS NULL AND item NOT IN (SELECT i.seq FROM items i JOIN json_each(?) j ON i.id = j.value)',
  );
  // What was there for the same reason keeps the time it came.
  const put = db.prepare<[string, number, number, number, string, number, ItemId]>(
    `INSERT INTO tray (reason, score, usual_low, usual_high, encoder, at, item) SELECT ?, ?, ?, ?, ?, ?, seq FROM items WHERE id = ?
     ON CONFLICT (item) DO UPDATE SET score = excluded.score, usual_low = excluded.usual_low, usual_high = excluded.usual_high,
       encoder = excluded.encoder, at = iif(reason = excluded.reason, at, excluded.at), reason = excluded.reason
     WHERE released_at IS NULL`,
  );
  const release = db.prepare<[number, string, ItemId]>(
    'UPDATE tray SET released_at = ?, released_by = ? WHERE released_at IS NULL AND item = (SELECT seq FROM items WHERE id = ?)',
  );
  const now = () => Math.floor(clock());
  const replaceAll = db.transaction((findings: readonly TrayFinding[], encoder: string) => {
    clear.run(JSON.stringify(findings.map(({ item }) => item)));
    for (const { item, reason, score, usualLow, usualHigh } of findings) {
      put.run(reason, score, usualLow, usualHigh, encoder, now(), item);
    }
  });
  const releaseAll = db.transaction((items: readonly ItemId[], annotator: string) => {
    for (const item of items) release.run(now(), annotator, item);
  });
  return {
    ...createTrayReader(db),
    replace: (findings, encoder) => replaceAll.immediate(findings, encoder),
    release: (items, annotator) => releaseAll.immediate(items, annotator),
  };
}
