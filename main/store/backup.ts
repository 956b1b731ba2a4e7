/**
 * A project as one file, and back. A backup is itself an SQLite file: the project's own
 * tables as `VACUUM INTO` copies them (one moment, while others write), and the blobs in
 * `backup_blobs (sha256, ordinal, bytes)` in pieces of 8 MiB. Its application id differs
 * from a project's, so that neither is opened as the other. It takes its own connection,
 * so any process can make one while the project is open elsewhere.
 */
import fs from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { EngineError } from '../domain/errors.ts';
import { discard, makeFolder, openBlobs, removeFile, syncFile, syncFolder } from './blobs.ts';
import { APPLICATION_ID, assertFull, translated, type Db } from './connection.ts';
import { takeLock } from './lock.ts';
import { bytesOf, requireRoom } from './room.ts';
import { refuseToMakeIn } from './whereabouts.ts';
import { createAuditLog, createAuditReader } from './audit.ts';
import { openHead } from './head.ts';
import { refuseForeign } from './foreign.ts';
import { fileKind, refuseNewer, versionOf } from './migrations.ts';

/** 'MRGB'. */
const BACKUP_ID = 0x4d524742;
const PIECE_BYTES = 8 << 20;
/** What a backup may be larger than what it is made of. */
const HEADROOM_BYTES = 1 << 20;

export interface BackupResult {
  file: string;
  sizeBytes: number;
  blobs: number;
}

/** Copies the project in `dir` to `file`, which appears whole or not at all and replaces an earlier backup. Errors: `input-invalid` (another file is there), `disk-full`, `io-failed`, `project-damaged` (a blob has changed). */
export function backupProject(dir: string, file: string): BackupResult {
  const temporary = `${file}.partial-${process.pid}`;
  return translated({ file }, () => {
    refuseOther(file);
    removeFile(temporary);
    try {
      const source = new Database(path.join(dir, 'project.sqlite'), {
        readonly: true,
        fileMustExist: true,
        timeout: 2000,
      });
      const blobs = openBlobs(dir);
      try {
        const held = blobs.list().reduce((sum, sha256) => sum + blobs.sizeOf(sha256), bytesOf(source));
        requireRoom(path.dirname(path.resolve(file)), held + HEADROOM_BYTES, 'The backup');
        source.prepare('VACUUM INTO ?').run(temporary);
      } finally {
        source.close();
      }
      const names = blobs.list();
      const copy = new Database(temporary);
      try {
        copy.pragma('journal_mode = MEMORY');
        copy.pragma('synchronous = FULL');
        copy.exec(
          'CREATE TABLE backup_blobs (sha256 TEXT NOT NULL, ordinal INTEGER NOT NULL, bytes BLOB NOT NULL, UNIQUE (sha256, ordinal)) STRICT',
        );
        const insert = copy.prepare<[string, number, Uint8Array]>(
          'INSERT INTO backup_blobs (sha256, ordinal, bytes) VALUES (?, ?, ?)',
        );
        for (const sha256 of names) {
          const bytes = blobs.read(sha256);
          copy.transaction(() => {
            for (let at = 0, ordinal = 0; at < bytes.length || ordinal === 0; at += PIECE_BYTES, ordinal++)
              insert.run(sha256, ordinal, bytes.subarray(at, at + PIECE_BYTES));
          })();
        }
        copy.pragma(`application_id = ${BACKUP_ID}`);
        assertFull(copy);
      } finally {
        copy.close();
      }
      syncFile(temporary);
      fs.renameSync(temporary, file);
      syncFolder(path.dirname(path.resolve(file)));
      return { file, sizeBytes: fs.statSync(file).size, blobs: names.length };
    } catch (error) {
      discard(temporary, `${temporary}-journal`);
      throw error;
    }
  });
}

/** Makes a project in `dir` from a backup; nothing is there before all of it is. `by` leaves an entry in the audit trail. Errors: `project-exists`, `project-not-found` (not a backup), `project-newer`, `project-damaged`, `disk-full`, `io-failed`. */
export function restoreBackup(file: string, dir: string, by?: { who: string; clock: () => number }): void {
  const target = path.join(dir, 'project.sqlite');
  const temporary = path.join(dir, `project.restoring-${process.pid}`);
  if (!fs.existsSync(file)) throw notBackup(file);
  refuseToMakeIn(dir);
  // Before the lock is asked for, so that nobody who opens the project that is there is in its way.
  refuseExisting(target, dir);
  translated({ file }, () => {
    for (const folder of [dir, path.join(dir, 'blobs')]) makeFolder(folder);
    const lock = takeLock(dir, null);
    try {
      refuseExisting(target, dir);
      removeFile(temporary);
      fs.copyFileSync(file, temporary);
      fs.chmodSync(temporary, 0o644);
      const db = new Database(temporary);
      try {
        unpack(db, file, dir);
        settle(db, dir, by);
      } finally {
        db.close();
      }
      syncFile(temporary);
      fs.renameSync(temporary, target);
      syncFolder(dir);
    } finally {
      discard(temporary, `${temporary}-journal`);
      lock.release();
    }
  });
}

/** Notes in the trail who restored it, and writes the line beside it anew: what was cut off since is not missing here. A backup of an older format has no trail yet. */
function settle(db: Db, dir: string, by?: { who: string; clock: () => number }): void {
  if (versionOf(db) < 3) return removeFile(path.join(dir, 'project.head'));
  if (by) {
    const log = createAuditLog(db, by.clock);
    db.transaction(() => log.append({ who: by.who, call: 'project.restore' })).immediate();
  }
  openHead(dir, createAuditReader(db).head()).close();
}

/** A backup replaces an earlier one and nothing else: least of all a project. */
function refuseOther(file: string): void {
  if (!fs.existsSync(file)) return;
  const header = Buffer.alloc(72);
  const fd = fs.openSync(file, 'r');
  try {
    fs.readSync(fd, header, 0, header.length, 0);
  } finally {
    fs.closeSync(fd);
  }
  // SQLite keeps the application id there (file format, 1.3).
  if (header.toString('latin1', 0, 15) === 'SQLite format 3' && header.readUInt32BE(68) === BACKUP_ID) return;
  throw new EngineError(
    'input-invalid',
    `There is another file at ${file}, which is no backup.`,
    'Choose a name that is not taken.',
    { file },
  );
}

function refuseExisting(target: string, dir: string): void {
  if (!fs.existsSync(target)) return;
  throw new EngineError(
    'project-exists',
    `There is a project in ${dir} already.`,
    'Choose an empty folder to restore into.',
    {
      dir,
    },
  );
}

function unpack(db: Db, file: string, dir: string): void {
  if (db.pragma('application_id', { simple: true }) !== BACKUP_ID) throw notBackup(file, fileKind(db) === 'project');
  refuseNewer(db, file);
  refuseForeign(db, file, 'backup_blobs');
  db.pragma('journal_mode = MEMORY');
  db.pragma('synchronous = FULL');
  const blobs = openBlobs(dir);
  const names = db.prepare<[], string>('SELECT DISTINCT sha256 FROM backup_blobs').pluck();
  const pieces = db
    .prepare<[string], Buffer>('SELECT bytes FROM backup_blobs WHERE sha256 = ? ORDER BY ordinal')
    .pluck();
  for (const sha256 of names.all()) {
    if (blobs.put(Buffer.concat(pieces.all(sha256))) !== sha256) {
      throw new EngineError(
        'project-damaged',
        `The backup’s file ${sha256} has changed since it was written.`,
        'Restore from another backup.',
        { file, blob: sha256 },
      );
    }
  }
  db.exec('DROP TABLE backup_blobs');
  db.pragma(`application_id = ${APPLICATION_ID}`);
  db.exec('VACUUM');
  assertFull(db);
}

const notBackup = (file: string, isProject = false) =>
  new EngineError(
    'project-not-found',
    isProject ? `${file} is a project’s own file, not a backup.` : `There is no Marginalia backup at ${file}.`,
    isProject ? 'Open the folder it lies in.' : 'Choose a file that `backup` wrote.',
    { file },
  );
