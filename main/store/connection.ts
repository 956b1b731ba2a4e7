/**
 * Connections to SQLite: opened with the settings the promises rest on, and with errors
 * translated into words. `synchronous=FULL` is set on every connection, because this
 * driver otherwise falls back to NORMAL after the first write in WAL mode; `assertFull`
 * reads it back. After a failed write to the disk a connection is not trusted: every
 * further call says so until the project is opened again.
 */
import Database from 'better-sqlite3';
import { assert, EngineError, type ErrorContext } from '../domain/errors.ts';

export type Db = Database.Database;

/** 'MRGN': what a project file calls itself, so that no other SQLite file is taken for one. */
export const APPLICATION_ID = 0x4d52474e;

/** The one connection that writes, still without write-ahead log: nothing is changed before the caller has looked at the file. It waits a quarter of a second at most: only a reader's checkpoint can stand in the way. */
export function connectWriter(file: string): Db {
  const db = translated({ file }, () => new Database(file, { timeout: 250 }));
  try {
    translated({ file }, () => {
      db.pragma('synchronous = FULL');
      db.pragma('foreign_keys = ON');
      db.pragma('recursive_triggers = ON');
      db.pragma('trusted_schema = OFF');
      db.pragma('cell_size_check = ON');
      db.pragma('cache_size = -65536');
      db.pragma('temp_store = MEMORY');
    });
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Turns the write-ahead log on, so that others can read while this connection writes. */
export function enterWal(db: Db): void {
  const mode = db.pragma('journal_mode = WAL', { simple: true });
  assert(mode === 'wal', 'a write-ahead log', mode);
  db.pragma(`journal_size_limit = ${64 << 20}`);
}

/** A connection that cannot write, beside an open writer or without one. */
export function connectReader(file: string): Db {
  const db = translated({ file }, () => new Database(file, { readonly: true, fileMustExist: true, timeout: 2000 }));
  try {
    translated({ file }, () => {
      db.pragma('query_only = ON');
      db.pragma('trusted_schema = OFF');
      db.pragma('cell_size_check = ON');
      db.pragma('cache_size = -65536');
    });
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Reads back that commits wait for the disk: after every entry of the audit trail, and after what a backup writes. */
export function assertFull(db: Db): void {
  const level = db.pragma('synchronous', { simple: true });
  assert(level === 2, 'synchronous = FULL (2) after the first write', level);
}

/** SQLite gives a read that failed the same code as bytes that make no sense. */
const DAMAGED =
  'Open the project again. If it says so again, restore it from its last backup; the damaged file is left as it is.';

/** For bytes that make no sense, and for rows that this program never writes; `why` names them. */
export function damaged(why: string, cause?: unknown, context: ErrorContext = {}): EngineError {
  return new EngineError('project-damaged', `The project file is damaged (${why}).`, DAMAGED, context, cause);
}

/** What a driver or file-system error means to a person, or null where it is a bug. */
export function troubleOf(error: unknown, context: { file: string }): EngineError | null {
  if (error instanceof EngineError) return error;
  if (error instanceof TypeError && error.message === 'The database connection is not open') {
    const hint = 'Open it again, then repeat the last step.';
    return new EngineError('project-not-found', 'The project was closed meanwhile.', hint, context, error);
  }
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== 'string') return null;
  const text = (error as Error).message;
  // SHMSIZE: the memory that openers share is a file as well, and there was no room for it.
  if (code === 'SQLITE_FULL' || code === 'SQLITE_IOERR_SHMSIZE' || code === 'ENOSPC' || code === 'EDQUOT') {
    return new EngineError(
      'disk-full',
      'The disk is full; the last change was not saved.',
      'Free some space on this disk, then repeat the last step.',
      context,
      error,
    );
  }
  if (
    code.startsWith('SQLITE_IOERR') ||
    code === 'SQLITE_CANTOPEN' ||
    code === 'SQLITE_READONLY' ||
    code.startsWith('SQLITE_READONLY_') ||
    code === 'EIO' ||
    code === 'EROFS' ||
    code === 'EACCES' ||
    code === 'EPERM'
  ) {
    return new EngineError(
      'io-failed',
      `The disk reported an error (${code}: ${text}); the last change was not saved.`,
      'Check the disk and your rights to the folder, then open the project again.',
      context,
      error,
    );
  }
  const unreadable = code === 'SQLITE_ERROR' && /unsupported file format|malformed database schema/.test(text);
  if (unreadable || code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') {
    return damaged(text, error, context);
  }
  return null;
}

/** Runs `work`; foreseeable trouble leaves as an EngineError, anything else as it came. */
export function translated<T>(context: { file: string }, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw troubleOf(error, context) ?? error;
  }
}

export interface Guard {
  /** The object with every function run through the guard. */
  wrap<T extends object>(subject: T): T;
  /** Why the connection is no longer trusted, or null. */
  readonly distrust: EngineError | null;
}

/** Translates errors at the door, and refuses to go on after a failed read or write of the disk: what SQLite then holds in memory may differ from what is on disk. `after` runs when a call has gone well, `before` ahead of each. */
export function createGuard(file: string, after?: () => void, before?: () => void): Guard {
  let distrust: EngineError | null = null;
  const run = <T>(work: () => T): T => {
    if (distrust) throw distrust;
    try {
      before?.();
      const result = work();
      after?.();
      return result;
    } catch (error) {
      const trouble = troubleOf(error, { file });
      if (trouble && (trouble !== error || trouble.code === 'place-unsafe') && trouble.code !== 'disk-full')
        distrust = trouble;
      throw trouble ?? error;
    }
  };
  return {
    get distrust() {
      return distrust;
    },
    wrap<T extends object>(subject: T): T {
      const guarded: Record<string, unknown> = {};
      for (const [name, value] of Object.entries(subject)) {
        guarded[name] =
          typeof value === 'function'
            ? (...args: unknown[]) => run(() => value.apply(subject, args) as unknown)
            : value;
      }
      return guarded as T;
    },
  };
}

/** Parses JSON that the store wrote itself. Errors: `project-damaged`. */
export function fromJson<T>(text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw damaged('a value in it is no JSON', error);
  }
}
