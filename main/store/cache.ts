/**
 * `cache.sqlite`: what can be computed again, keyed by what it is of. Written by compute
 * and not waited for (`synchronous=NORMAL`); a damaged or foreign file is thrown away and
 * begun anew, which loses only time.
 */
import fs from 'node:fs';
import Database from 'better-sqlite3';
import { translated, type Db } from './connection.ts';

/** 'MRGC'. */
const CACHE_ID = 0x4d524743;
const FORMAT = 1;

export interface CacheKey {
  /** What it is: `embedding`, `prediction`. */
  kind: string;
  /** Of which encoder or model. */
  version: string;
}

export interface Cache {
  /** Bytes of each item by `seq`, or null, in that order. */
  read(key: CacheKey, seqs: ArrayLike<number>): (Buffer | null)[];
  /** Keeps bytes by `seq`, in one transaction; earlier ones are replaced. */
  write(key: CacheKey, entries: Iterable<readonly [seq: number, bytes: Uint8Array]>): void;
  /** Which items have an entry, ascending. */
  seqsOf(key: CacheKey): Int32Array;
  /** Forgets everything of a kind except the versions named. */
  keepOnly(kind: string, versions: readonly string[]): void;
  close(): void;
}

/** Opens or begins a cache; never refuses a damaged one. Errors: `disk-full`, `io-failed`. */
export function openCache(file: string): Cache {
  const db = openOrBegin(file);
  const get = db
    .prepare<[string, string, number], Buffer>('SELECT bytes FROM cache WHERE kind = ? AND version = ? AND item = ?')
    .pluck();
  const put = db.prepare<[string, string, number, Uint8Array]>(
    'INSERT OR REPLACE INTO cache (kind, version, item, bytes) VALUES (?, ?, ?, ?)',
  );
  const seqs = db
    .prepare<[string, string], number>('SELECT item FROM cache WHERE kind = ? AND version = ? ORDER BY item')
    .pluck();
  const drop = db.prepare<[string, string]>(
    'DELETE FROM cache WHERE kind = ? AND version NOT IN (SELECT value FROM json_each(?))',
  );
  const write = db.transaction((key: CacheKey, entries: Iterable<readonly [number, Uint8Array]>) => {
    for (const [seq, bytes] of entries) put.run(key.kind, key.version, seq, bytes);
  });
  const at = <T>(work: () => T) => translated({ file }, work);
  return {
    read: (key, wanted) => at(() => Array.from(wanted, (seq) => get.get(key.kind, key.version, seq) ?? null)),
    write: (key, entries) => at(() => write.immediate(key, entries)),
    seqsOf: (key) => at(() => Int32Array.from(seqs.all(key.kind, key.version))),
    keepOnly: (kind, versions) => void at(() => drop.run(kind, JSON.stringify(versions))),
    close: () => void db.close(),
  };
}

function openOrBegin(file: string): Db {
  try {
    return prepared(file);
  } catch (error) {
    const code = (error as { code?: string }).code ?? '';
    if (!code.startsWith('SQLITE_CORRUPT') && code !== 'SQLITE_NOTADB' && code !== 'SQLITE_ERROR')
      return translated({ file }, () => {
        throw error;
      });
    for (const suffix of ['', '-wal', '-shm']) fs.rmSync(file + suffix, { force: true });
    return translated({ file }, () => prepared(file));
  }
}

function prepared(file: string): Db {
  const db = new Database(file, { timeout: 5000 });
  try {
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = NORMAL');
    db.pragma('cell_size_check = ON');
    const id = db.pragma('application_id', { simple: true });
    const isOurs = id === CACHE_ID && db.pragma('user_version', { simple: true }) === FORMAT;
    if (!isOurs) {
      for (const { name } of db
        .prepare<[], { name: string }>(
          `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`,
        )
        .all()) {
        db.exec(`DROP TABLE "${name.replaceAll('"', '""')}"`);
      }
      db.exec(
        'CREATE TABLE cache (kind TEXT NOT NULL, version TEXT NOT NULL, item INTEGER NOT NULL, bytes BLOB NOT NULL, UNIQUE (kind, version, item)) STRICT',
      );
      db.pragma(`application_id = ${CACHE_ID}`);
      db.pragma(`user_version = ${FORMAT}`);
    }
    const check = db.pragma('quick_check(1)', { simple: true });
    if (check !== 'ok') throw Object.assign(new Error(String(check)), { code: 'SQLITE_CORRUPT' });
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}
