/**
 * What was found out about the project and when: reports by kind, each with the model
 * version, the seed and the last act it knows of; claims with the look they were made at,
 * their withdrawals, and the items that were drawn to check them. Rows are only ever added.
 */
import type { ItemId } from '../domain/item.ts';
import { PROGRAM, type AuditLog } from './audit.ts';
import type { Db } from './connection.ts';
import { fromJson } from './connection.ts';
import type { Tally } from './counters.ts';

export interface ReportRecord {
  report: number;
  kind: string;
  version: number | null;
  /** The last annotation that it knows of. */
  sequence: number;
  seed: number;
  /** Any JSON. */
  body: unknown;
  at: number;
}

export interface ClaimRecord {
  /** 1, 2, 3 … */
  look: number;
  version: number;
  sequence: number;
  seed: number;
  alpha: number;
  delta: number;
  /** The part of δ that this look could spend. */
  spent: number;
  audit_size: number;
  threshold: number | null;
  /** Blob of the settled items and their suggested classes; null where there are none. */
  settled: string | null;
  body: unknown;
  at: number;
}

export interface AuditDraw {
  item: ItemId;
  look: number;
  /** With which it was drawn from the settled items, in (0, 1]. */
  probability: number;
  seed: number;
  at: number;
}

export interface ReportReader {
  /** The newest of a kind, or null; the same value as long as it is the newest. */
  newest(kind: string): ReportRecord | null;
  /** All of a kind, newest first. */
  all(kind: string): ReportRecord[];
  /** Every claim, oldest first. */
  claims(): ClaimRecord[];
  /** Why a claim was withdrawn, or null where it stands. */
  withdrawal(look: number): unknown;
  auditDraws(): AuditDraw[];
}

export interface ReportWriter extends ReportReader {
  add(draft: Omit<ReportRecord, 'report' | 'at'>): ReportRecord;
  /** The next look's claim. */
  addClaim(draft: Omit<ClaimRecord, 'look' | 'at'>): ClaimRecord;
  withdraw(look: number, reason: unknown): void;
  /** Gives open pool items to the audit set, with the chance they were drawn with; others are left out. Returns how many. */
  drawAudit(drafts: readonly Omit<AuditDraw, 'at'>[]): number;
}

/** Reads on any connection. */
export function createReportReader(db: Db): ReportReader {
  type Stored<T, K extends keyof T> = Omit<T, K> & Record<K, string>;
  const all = db.prepare<[string, number], Stored<ReportRecord, 'body'>>(
    'SELECT * FROM reports WHERE kind = ? ORDER BY report DESC LIMIT ?',
  );
  const claims = db.prepare<[], Stored<ClaimRecord, 'body'>>('SELECT * FROM claims ORDER BY look');
  const withdrawal = db.prepare<[number], { reason: string }>('SELECT reason FROM claim_withdrawals WHERE look = ?');
  const draws = db.prepare<[], AuditDraw>(
    'SELECT i.id AS item, d.look, d.probability, d.seed, d.at FROM audit_draws d JOIN items i ON i.seq = d.item ORDER BY d.item',
  );
  const newestOf = db.prepare<[string], number | null>('SELECT max(report) FROM reports WHERE kind = ?').pluck();
  const list = (kind: string, limit: number) =>
    all.all(kind, limit).map((row) => ({ ...row, body: fromJson<unknown>(row.body) }));
  // Rows never change, and the newest are asked for with every status.
  const known = new Map<string, ReportRecord>();
  return {
    newest(kind) {
      const report = newestOf.get(kind) ?? null;
      if (report === null) return null;
      let record = known.get(kind);
      if (record?.report !== report) {
        [record] = list(kind, 1);
        known.set(kind, record);
      }
      return record;
    },
    all: (kind) => list(kind, -1),
    claims: () => claims.all().map((row) => ({ ...row, body: fromJson<unknown>(row.body) })),
    withdrawal(look) {
      const row = withdrawal.get(look);
      return row ? fromJson<unknown>(row.reason) : null;
    },
    auditDraws: () => draws.all(),
  };
}

/** Writes on the project's own connection. */
export function createReportWriter(db: Db, clock: () => number, tally: Tally, audit: AuditLog): ReportWriter {
  const reader = createReportReader(db);
  const insert = db.prepare('INSERT INTO reports (kind, version, sequence, seed, body, at) VALUES (?, ?, ?, ?, ?, ?)');
  const insertClaim = db.prepare(
    `INSERT INTO claims (look, version, sequence, seed, alpha, delta, spent, audit_size, threshold, settled, body, at)
     VALUES ((SELECT coalesce(max(look), 0) + 1 FROM claims), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const insertWithdrawal = db.prepare('INSERT INTO claim_withdrawals (look, reason, at) VALUES (?, ?, ?)');
  const now = () => Math.floor(clock());
  const openInPool = db.prepare<[string], { seq: number }>(
    `SELECT seq FROM items WHERE id = ? AND role = 'pool' AND NOT EXISTS (SELECT 1 FROM item_state s WHERE s.item = seq)`,
  );
  const toAudit = db.prepare<[number]>(`UPDATE items SET role = 'audit' WHERE seq = ?`);
  const insertDraw = db.prepare('INSERT INTO audit_draws (item, look, probability, seed, at) VALUES (?, ?, ?, ?, ?)');
  const drawAudit = db.transaction((drafts: readonly Omit<AuditDraw, 'at'>[]) => {
    tally.reset();
    let drawn = 0;
    for (const { item, look, probability, seed } of drafts) {
      const seq = openInPool.get(item)?.seq;
      if (seq === undefined) continue;
      toAudit.run(seq);
      tally.addItem('pool', undefined, -1);
      tally.addItem('audit', undefined, 1);
      insertDraw.run(seq, look, probability, seed, now());
      drawn++;
    }
    tally.flush();
    return drawn;
  });
  const claim = db.transaction(({ version, sequence, seed, ...draft }: Omit<ClaimRecord, 'look' | 'at'>) => {
    const { alpha, delta, spent, audit_size, threshold, settled } = draft;
    const body = JSON.stringify(draft.body);
    insertClaim.run(version, sequence, seed, alpha, delta, spent, audit_size, threshold, settled, body, now());
    const made = reader.claims().at(-1)!;
    const subject = { look: made.look, version, alpha, delta, threshold };
    audit.append({ who: PROGRAM, call: 'program.claim', subject });
    return made;
  });
  const withdraw = db.transaction((look: number, reason: unknown) => {
    insertWithdrawal.run(look, JSON.stringify(reason), now());
    audit.append({ who: PROGRAM, call: 'program.withdraw', subject: { look } });
  });
  return {
    ...reader,
    add(draft) {
      const { kind, version, sequence, seed, body } = draft;
      insert.run(kind, version, sequence, seed, JSON.stringify(body), now());
      return reader.newest(kind)!;
    },
    addClaim: (draft) => claim.immediate(draft),
    drawAudit: (drafts) => drawAudit.immediate(drafts),
    withdraw: (look, reason) => withdraw.immediate(look, reason),
  };
}
