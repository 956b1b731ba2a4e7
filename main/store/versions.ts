/**
 * What learning leaves behind: encoders, frozen training sets (snapshots), runs, model
 * versions, and which version was live when. All of it is append-only; the live version
 * follows from the log of promotions. A rollback takes back the latest promotion that
 * stands, so that rolling back again goes further back.
 */
import { createHash } from 'node:crypto';
import { EngineError } from '../domain/errors.ts';
import { PROGRAM, type AuditLog } from './audit.ts';
import type { Db } from './connection.ts';
import { fromJson } from './connection.ts';

export interface EncoderRecord {
  /** 1, 2, 3 … over all kinds. */
  encoder: number;
  kind: string;
  /** SHA-256 of its file among the blobs. */
  blob: string;
  card: unknown;
  at: number;
}

export interface RunRecord {
  run: number;
  snapshot: string;
  seed: number;
  config: unknown;
  outcome: unknown;
  at: number;
}

export interface VersionDraft {
  blob: string;
  encoder: number | null;
  run: number | null;
  card: unknown;
  metrics: unknown;
}

export interface VersionRecord extends VersionDraft {
  /** 1, 2, 3 … */
  version: number;
  at: number;
}

export interface PromotionRecord {
  sequence: number;
  /** The version that became live by it. */
  version: number;
  kind: 'promote' | 'rollback';
  who: string;
  /** Any JSON. */
  reason: unknown;
  at: number;
}

export interface VersionReader {
  /** All versions, oldest first. */
  list(): VersionRecord[];
  get(version: number): VersionRecord | null;
  /** The one made last, whether or not it is live; null before the first. */
  newest(): VersionRecord | null;
  /** The version in use, or null before the first promotion. */
  live(): VersionRecord | null;
  /** The log of promotions and rollbacks, oldest first. */
  promotions(): PromotionRecord[];
  encoders(): EncoderRecord[];
  /** The encoder for new work: the one made last, save those that are held and not in use; null before the first. */
  newestEncoder(): EncoderRecord | null;
  encoder(encoder: number): EncoderRecord | null;
  runs(): RunRecord[];
  /** A snapshot's body by its hash, or null. */
  snapshot(hash: string): unknown;
}

export interface VersionWriter extends VersionReader {
  /** Keeps a fitted or imported encoder; its blob is there already. */
  addEncoder(draft: { kind: string; blob: string; card: unknown }): EncoderRecord;
  /** Freezes a training set; the same body gives the same hash and is kept once. */
  addSnapshot(body: unknown): string;
  addRun(draft: { snapshot: string; seed: number; config: unknown; outcome: unknown }): RunRecord;
  /** Keeps a model version; it is not live yet. Returns its number. */
  add(draft: VersionDraft): number;
  /** Makes a version live; nothing happens where it is already. Errors: `version-unknown`. */
  promote(version: number, by: { who: string; reason: unknown }): PromotionRecord;
  /** Makes the version live that was so before the latest standing promotion. Errors: `version-unknown`. */
  rollback(by: { who: string; reason: unknown }): PromotionRecord;
}

type Stored<T, K extends keyof T> = Omit<T, K> & Record<K, string>;

/** The promotions that still stand, oldest first: each rollback takes one away. */
export function standingPromotions(log: readonly PromotionRecord[]): PromotionRecord[] {
  const standing: PromotionRecord[] = [];
  for (const entry of log) {
    if (entry.kind === 'rollback') standing.pop();
    else standing.push(entry);
  }
  return standing;
}

/** Reads versions on any connection. */
export function createVersionReader(db: Db): VersionReader {
  const versions = db.prepare<[], Stored<VersionRecord, 'card' | 'metrics'>>('SELECT * FROM versions ORDER BY version');
  const version = db.prepare<[number], Stored<VersionRecord, 'card' | 'metrics'>>(
    'SELECT * FROM versions WHERE version = ?',
  );
  const newest = db.prepare<[], Stored<VersionRecord, 'card' | 'metrics'>>(
    'SELECT * FROM versions ORDER BY version DESC LIMIT 1',
  );
  const newestEncoder = db.prepare<[], Stored<EncoderRecord, 'card'>>(
    "SELECT * FROM encoders WHERE json_extract(card, '$.held') IS NOT 1 ORDER BY encoder DESC LIMIT 1",
  );
  const promotions = db.prepare<[], Stored<PromotionRecord, 'reason'>>('SELECT * FROM promotions ORDER BY sequence');
  const encoders = db.prepare<[], Stored<EncoderRecord, 'card'>>('SELECT * FROM encoders ORDER BY encoder');
  const encoder = db.prepare<[number], Stored<EncoderRecord, 'card'>>('SELECT * FROM encoders WHERE encoder = ?');
  const runs = db.prepare<[], Stored<RunRecord, 'config' | 'outcome'>>('SELECT * FROM runs ORDER BY run');
  const snapshot = db.prepare<[string], { body: string }>('SELECT body FROM snapshots WHERE hash = ?');
  const versionOf = (row: Stored<VersionRecord, 'card' | 'metrics'>): VersionRecord => ({
    ...row,
    card: fromJson<unknown>(row.card),
    metrics: fromJson<unknown>(row.metrics),
  });
  const encoderOf = (row: Stored<EncoderRecord, 'card'>): EncoderRecord => ({
    ...row,
    card: fromJson<unknown>(row.card),
  });
  const lastPromotion = db.prepare<[], Pick<PromotionRecord, 'sequence' | 'kind' | 'version'>>(
    'SELECT sequence, kind, version FROM promotions ORDER BY sequence DESC LIMIT 1',
  );
  // Asked at every status, while the log only grows.
  let standing: { after: string; version: number | null } = { after: '', version: null };
  const reader: VersionReader = {
    list: () => versions.all().map(versionOf),
    get(number) {
      const row = version.get(number);
      return row ? versionOf(row) : null;
    },
    newest() {
      const row = newest.get();
      return row ? versionOf(row) : null;
    },
    live() {
      const last = lastPromotion.get();
      if (last === undefined) return null;
      const key = `${last.sequence} ${last.kind} ${last.version}`;
      if (key !== standing.after)
        standing = { after: key, version: standingPromotions(reader.promotions()).at(-1)?.version ?? null };
      return standing.version === null ? null : reader.get(standing.version);
    },
    promotions: () => promotions.all().map((row) => ({ ...row, reason: fromJson<unknown>(row.reason) })),
    encoders: () => encoders.all().map(encoderOf),
    newestEncoder() {
      const row = newestEncoder.get();
      const own = reader.live()?.encoder ?? null;
      if (own !== null && (!row || own > row.encoder)) return reader.encoder(own);
      return row ? encoderOf(row) : null;
    },
    encoder(number) {
      const row = encoder.get(number);
      return row ? encoderOf(row) : null;
    },
    runs: () =>
      runs
        .all()
        .map((row) => ({ ...row, config: fromJson<unknown>(row.config), outcome: fromJson<unknown>(row.outcome) })),
    snapshot(hash) {
      const row = snapshot.get(hash);
      return row ? fromJson<unknown>(row.body) : null;
    },
  };
  return reader;
}

/** Writes versions. */
export function createVersionWriter(db: Db, clock: () => number, audit: AuditLog): VersionWriter {
  const reader = createVersionReader(db);
  const insertEncoder = db.prepare<[string, string, string, number]>(
    'INSERT INTO encoders (kind, blob, card, at) VALUES (?, ?, ?, ?)',
  );
  const insertSnapshot = db.prepare<[string, string, number]>(
    'INSERT INTO snapshots (hash, body, at) VALUES (?, ?, ?) ON CONFLICT (hash) DO NOTHING',
  );
  const insertRun = db.prepare<[string, number, string, string, number]>(
    'INSERT INTO runs (snapshot, seed, config, outcome, at) VALUES (?, ?, ?, ?, ?)',
  );
  const insertVersion = db.prepare<[string, number | null, number | null, string, string, number]>(
    'INSERT INTO versions (blob, encoder, run, card, metrics, at) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const insertPromotion = db.prepare<[number, string, string, string, number]>(
    'INSERT INTO promotions (version, kind, who, reason, at) VALUES (?, ?, ?, ?, ?)',
  );
  const json = (value: unknown) => JSON.stringify(value ?? null);
  const now = () => Math.floor(clock());
  const record = (
    version: number,
    kind: PromotionRecord['kind'],
    { who, reason }: { who: string; reason: unknown },
  ): PromotionRecord => {
    const at = now();
    const { lastInsertRowid } = insertPromotion.run(version, kind, who, json(reason), at);
    audit.append({ who, call: `${who === PROGRAM ? 'program' : 'versions'}.${kind}`, subject: { version } });
    return { sequence: Number(lastInsertRowid), version, kind, who, reason, at };
  };
  const promote = db.transaction((version: number, by: { who: string; reason: unknown }) => {
    if (!reader.get(version)) {
      throw new EngineError(
        'version-unknown',
        `There is no model version ${version}.`,
        'Choose one that `versions` lists.',
        { version },
      );
    }
    const top = standingPromotions(reader.promotions()).at(-1);
    return top?.version === version ? top : record(version, 'promote', by);
  });
  const rollback = db.transaction((by: { who: string; reason: unknown }) => {
    const before = standingPromotions(reader.promotions()).at(-2);
    if (!before) {
      throw new EngineError(
        'version-unknown',
        'There is no earlier model version to go back to.',
        'Promote a version that `versions` lists instead.',
      );
    }
    return record(before.version, 'rollback', by);
  });
  return {
    ...reader,
    addEncoder({ kind, blob, card }) {
      const at = now();
      const { lastInsertRowid } = insertEncoder.run(kind, blob, json(card), at);
      return { encoder: Number(lastInsertRowid), kind, blob, card, at };
    },
    addSnapshot(body) {
      const text = json(body);
      const hash = createHash('sha256').update(text).digest('hex');
      insertSnapshot.run(hash, text, now());
      return hash;
    },
    addRun({ snapshot, seed, config, outcome }) {
      const at = now();
      const { lastInsertRowid } = insertRun.run(snapshot, seed, json(config), json(outcome), at);
      return { run: Number(lastInsertRowid), snapshot, seed, config, outcome, at };
    },
    add: ({ blob, encoder, run, card, metrics }) =>
      Number(insertVersion.run(blob, encoder, run, json(card), json(metrics), now()).lastInsertRowid),
    promote: (version, by) => promote.immediate(version, by),
    rollback: (by) => rollback.immediate(by),
  };
}
