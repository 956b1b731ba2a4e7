/**
 * The shape of `project.sqlite` and how older files are brought to it: forward only, one
 * transaction per step, `user_version` counts the steps. The file is copied beside itself
 * before an older project is changed. Files from a newer version are refused unread.
 */
import fs from 'node:fs';
import path from 'node:path';
import { EngineError } from '../domain/errors.ts';
import { discard, removeFile, syncFile, syncFolder } from './blobs.ts';
import { APPLICATION_ID, type Db } from './connection.ts';
import { bytesOf, requireRoom } from './room.ts';

/** One step: the statements that lead from the version before to this one. */
export type Migration = string;

const SEALED_FIRST = [
  'annotations',
  'schema_versions',
  'encoders',
  'snapshots',
  'runs',
  'versions',
  'promotions',
] as const;
const SEALED_SECOND = ['reports', 'claims', 'claim_withdrawals', 'audit_draws'] as const;
const SEALED_THIRD = ['audit'] as const;

/** Tables whose rows are never changed nor removed: triggers refuse it and `verify` looks for the triggers. */
export const APPEND_ONLY = [...SEALED_FIRST, ...SEALED_SECOND, ...SEALED_THIRD] as const;

const sealed = (tables: readonly string[]) =>
  tables
    .map(
      (table) => `
  CREATE TRIGGER ${table}_no_update BEFORE UPDATE ON ${table} BEGIN SELECT RAISE(ABORT, '${table} is append-only'); END;
  CREATE TRIGGER ${table}_no_delete BEFORE DELETE ON ${table} BEGIN SELECT RAISE(ABORT, '${table} is append-only'); END;`,
    )
    .join('');

const FIRST = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL CHECK (json_valid(value))) STRICT, WITHOUT ROWID;
  CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL CHECK (json_valid(value))) STRICT, WITHOUT ROWID;

  CREATE TABLE schema_versions (
    version INTEGER PRIMARY KEY, task TEXT NOT NULL, classes TEXT NOT NULL CHECK (json_valid(classes)), at INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE items (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    "group" TEXT,
    cluster INTEGER NOT NULL,
    component INTEGER NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('pool', 'audit')),
    source TEXT NOT NULL,
    added_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX items_cluster ON items (cluster);
  CREATE INDEX items_component ON items (component);
  CREATE TABLE groups (name TEXT PRIMARY KEY, component INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX groups_component ON groups (component);

  CREATE TABLE parts (
    part INTEGER PRIMARY KEY,
    item INTEGER NOT NULL REFERENCES items (seq),
    kind TEXT NOT NULL CHECK (kind IN ('image', 'text', 'numbers')),
    path TEXT, sha256 TEXT, size_bytes INTEGER, width INTEGER, height INTEGER, format TEXT,
    body TEXT,
    CHECK (part / 64 = item)
  ) STRICT;

  CREATE TABLE fingerprints (item INTEGER PRIMARY KEY REFERENCES items (seq), kind TEXT NOT NULL, code BLOB NOT NULL) STRICT;
  CREATE TABLE fingerprint_bands (
    slot INTEGER NOT NULL, value INTEGER NOT NULL, item INTEGER NOT NULL, PRIMARY KEY (slot, value, item)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE item_state (
    item INTEGER PRIMARY KEY REFERENCES items (seq),
    state TEXT NOT NULL CHECK (state IN ('labelled', 'skipped', 'flagged', 'excluded')),
    classes TEXT, decided_by INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX item_state_state ON item_state (state, item);
  CREATE TABLE counters (role TEXT NOT NULL, what TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (role, what)) STRICT, WITHOUT ROWID;

  CREATE TABLE oracle (item INTEGER PRIMARY KEY REFERENCES items (seq), classes TEXT NOT NULL) STRICT;

  CREATE TABLE annotations (
    sequence INTEGER PRIMARY KEY,
    item TEXT NOT NULL REFERENCES items (id),
    act TEXT NOT NULL CHECK (act IN ('label', 'skip', 'flag', 'exclude', 'comment', 'retract')),
    classes TEXT,
    text TEXT,
    retracts INTEGER REFERENCES annotations (sequence),
    annotator TEXT NOT NULL,
    at INTEGER NOT NULL,
    duration_ms REAL NOT NULL,
    suggestion TEXT,
    suggestion_visible INTEGER NOT NULL CHECK (suggestion_visible IN (0, 1)),
    schema_version INTEGER NOT NULL REFERENCES schema_versions (version),
    previous_hash TEXT NOT NULL,
    hash TEXT NOT NULL
  ) STRICT;
  CREATE INDEX annotations_item ON annotations (item, sequence);
  CREATE INDEX annotations_retracts ON annotations (retracts) WHERE retracts IS NOT NULL;
  CREATE INDEX annotations_acts ON annotations (annotator, sequence) WHERE act <> 'retract';
  CREATE INDEX annotations_retractions ON annotations (annotator, sequence) WHERE act = 'retract';
  CREATE INDEX annotations_at ON annotations (at);
  CREATE TRIGGER annotations_in_order BEFORE INSERT ON annotations
    WHEN NEW.sequence IS NOT (SELECT coalesce(max(sequence), 0) + 1 FROM annotations)
    BEGIN SELECT RAISE(ABORT, 'annotations is append-only'); END;

  CREATE TABLE queue (
    rank INTEGER PRIMARY KEY,
    item INTEGER NOT NULL UNIQUE REFERENCES items (seq),
    open INTEGER NOT NULL CHECK (open IN (0, 1)),
    score REAL NOT NULL, strategy TEXT NOT NULL, model_version INTEGER, seed INTEGER NOT NULL,
    why TEXT NOT NULL CHECK (json_valid(why))
  ) STRICT;
  CREATE INDEX queue_open ON queue (rank) WHERE open = 1;

  CREATE TABLE encoders (
    encoder INTEGER PRIMARY KEY, kind TEXT NOT NULL, blob TEXT NOT NULL, card TEXT NOT NULL CHECK (json_valid(card)), at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE snapshots (
    snapshot INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, body TEXT NOT NULL CHECK (json_valid(body)), at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE runs (
    run INTEGER PRIMARY KEY, snapshot TEXT NOT NULL REFERENCES snapshots (hash), seed INTEGER NOT NULL,
    config TEXT NOT NULL CHECK (json_valid(config)), outcome TEXT NOT NULL CHECK (json_valid(outcome)), at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE versions (
    version INTEGER PRIMARY KEY, blob TEXT NOT NULL, encoder INTEGER REFERENCES encoders (encoder), run INTEGER REFERENCES runs (run),
    card TEXT NOT NULL CHECK (json_valid(card)), metrics TEXT NOT NULL CHECK (json_valid(metrics)), at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE promotions (
    sequence INTEGER PRIMARY KEY, version INTEGER NOT NULL REFERENCES versions (version),
    kind TEXT NOT NULL CHECK (kind IN ('promote', 'rollback')), who TEXT NOT NULL, reason TEXT NOT NULL CHECK (json_valid(reason)), at INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE jobs (
    job INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL, params TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    stage TEXT, done REAL, total REAL,
    cursor TEXT, result TEXT, error TEXT,
    created_at INTEGER NOT NULL, started_at INTEGER, ended_at INTEGER
  ) STRICT;
  CREATE INDEX jobs_active ON jobs (job) WHERE state IN ('queued', 'running');
  CREATE TABLE import_problems (
    problem INTEGER PRIMARY KEY, job INTEGER NOT NULL REFERENCES jobs (job),
    source TEXT NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL, hint TEXT NOT NULL
  ) STRICT;
  CREATE INDEX import_problems_job ON import_problems (job, problem);
  ${sealed(SEALED_FIRST)}
`;

/** Evidence: attributes of items, second readings, reports, claims and what was drawn to check them, the tray. */
const SECOND = `
  ALTER TABLE annotations ADD COLUMN repeats INTEGER REFERENCES annotations (sequence);
  CREATE INDEX annotations_repeats ON annotations (repeats) WHERE repeats IS NOT NULL;

  CREATE TABLE attributes (
    name TEXT NOT NULL, item INTEGER NOT NULL REFERENCES items (seq), value TEXT NOT NULL, PRIMARY KEY (name, item)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE reports (
    report INTEGER PRIMARY KEY, kind TEXT NOT NULL, version INTEGER REFERENCES versions (version),
    sequence INTEGER NOT NULL, seed INTEGER NOT NULL, body TEXT NOT NULL CHECK (json_valid(body)), at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX reports_kind ON reports (kind, report);

  CREATE TABLE claims (
    look INTEGER PRIMARY KEY, version INTEGER NOT NULL REFERENCES versions (version), sequence INTEGER NOT NULL, seed INTEGER NOT NULL,
    alpha REAL NOT NULL, delta REAL NOT NULL, spent REAL NOT NULL, audit_size INTEGER NOT NULL, threshold REAL,
    settled TEXT, body TEXT NOT NULL CHECK (json_valid(body)), at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE claim_withdrawals (
    look INTEGER PRIMARY KEY REFERENCES claims (look), reason TEXT NOT NULL CHECK (json_valid(reason)), at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE audit_draws (
    item INTEGER PRIMARY KEY REFERENCES items (seq), look INTEGER NOT NULL REFERENCES claims (look),
    probability REAL NOT NULL CHECK (probability > 0 AND probability <= 1), seed INTEGER NOT NULL, at INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE tray (
    item INTEGER PRIMARY KEY REFERENCES items (seq), reason TEXT NOT NULL, score REAL NOT NULL,
    usual_low REAL NOT NULL, usual_high REAL NOT NULL, encoder TEXT NOT NULL, at INTEGER NOT NULL,
    released_at INTEGER, released_by TEXT
  ) STRICT;
  CREATE INDEX tray_in ON tray (item) WHERE released_at IS NULL;
  ${sealed(SEALED_SECOND)}
`;

/** The audit trail. */
const THIRD = `
  CREATE TABLE audit (
    entry INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL, call TEXT NOT NULL,
    subject TEXT NOT NULL CHECK (json_valid(subject)), previous_hash TEXT NOT NULL, hash TEXT NOT NULL
  ) STRICT;
  CREATE TRIGGER audit_in_order BEFORE INSERT ON audit
    WHEN NEW.entry IS NOT (SELECT coalesce(max(entry), 0) + 1 FROM audit)
    BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
  ${sealed(SEALED_THIRD)}
`;

export const MIGRATIONS: readonly Migration[] = [FIRST, SECOND, THIRD];

/** What an SQLite file says it is, before anything in it is trusted. */
export type FileKind = 'empty' | 'project' | 'foreign';

/** Reads the application id without changing the file. */
export function fileKind(db: Db): FileKind {
  if (db.pragma('application_id', { simple: true }) === APPLICATION_ID) return 'project';
  const tables = db.prepare<[], { n: number }>('SELECT count(*) AS n FROM sqlite_schema').get();
  return tables?.n === 0 ? 'empty' : 'foreign';
}

/** The number of steps this file has taken. */
export function versionOf(db: Db): number {
  return db.pragma('user_version', { simple: true }) as number;
}

/** Refuses a file that a newer program wrote. Errors: `project-newer`. */
export function refuseNewer(db: Db, file: string, migrations = MIGRATIONS): void {
  const version = versionOf(db);
  if (version <= migrations.length) return;
  throw new EngineError(
    'project-newer',
    `The project was last opened by a newer version of Marginalia (its format is ${version}, this one knows ${migrations.length}).`,
    'Install the newer version to open it; nothing in it was changed.',
    { file, format: version, known: migrations.length },
  );
}

/** Copies the file as it is: the copy is whole and on the disk, or not there; an earlier one stays until then. */
function copyWhole(db: Db, to: string): void {
  const partial = `${to}.partial`;
  removeFile(partial);
  try {
    db.prepare('VACUUM INTO ?').run(partial);
    syncFile(partial);
    fs.renameSync(partial, to);
    syncFolder(path.dirname(to));
  } catch (error) {
    discard(partial, `${partial}-journal`);
    throw error;
  }
}

/** Brings the file to the newest format; a new file takes all steps and `fill` in one transaction, so that a project is there whole or not at all. Returns the backup made before changing an older file, or null. */
export function migrate(db: Db, file: string, fill?: (db: Db) => void, migrations = MIGRATIONS): string | null {
  const from = versionOf(db);
  let backup: string | null = null;
  if (from > 0 && from < migrations.length) {
    backup = `${file}.format-${from}.backup`;
    // The copy, and as much again: a step may write every page anew.
    requireRoom(path.dirname(file), 2 * bytesOf(db), 'Bringing the project up to date');
    copyWhole(db, backup);
  }
  const step = (version: number) => {
    db.exec(migrations[version]);
    db.pragma(`user_version = ${version + 1}`);
  };
  if (from === 0) {
    db.transaction(() => {
      migrations.forEach((_, version) => step(version));
      db.pragma(`application_id = ${APPLICATION_ID}`);
      fill?.(db);
    }).immediate();
  } else for (let version = from; version < migrations.length; version++) db.transaction(step).immediate(version);
  return backup;
}
