/**
 * One opener at a time. The lock is an exclusive transaction on `project.lock`, a small
 * SQLite file of its own: the operating system drops it when the process dies, however it
 * dies, so there is nothing stale to clean up. Who holds it is written beside it, in
 * `project.lock.json`, only for the message; the lock file itself is never read by other
 * means, since closing any handle on it would drop the lock of this process.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import Database from 'better-sqlite3';
import { EngineError } from '../domain/errors.ts';
import { translated } from './connection.ts';

export interface LockHolder {
  pid: number;
  host: string;
  /** Milliseconds since 1970; null where it is held only for a moment, as by a restore. */
  since: number | null;
}

export interface ProjectLock {
  release(): void;
}

/** Locks of this process: kept here so that the garbage collector, which closes connections nobody refers to, cannot let go of one whose project is in use by a part of it. */
const held = new Set<Database.Database>();

/** Takes the project's lock or says who holds it. Errors: `project-locked`. Never waits longer than a fifth of a second. */
export function takeLock(dir: string, now: number | null): ProjectLock {
  const file = path.join(dir, 'project.lock');
  const holderFile = path.join(dir, 'project.lock.json');
  const db = translated({ file }, () => new Database(file, { timeout: 200 }));
  try {
    db.pragma('journal_mode = MEMORY');
    db.pragma('locking_mode = EXCLUSIVE');
    db.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    db.close();
    const code = (error as { code?: string }).code ?? '';
    if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED'))
      throw lockedBy(dir, readHolder(holderFile), now);
    return translated({ file }, () => {
      throw error;
    });
  }
  held.add(db);
  const holder: LockHolder = { pid: process.pid, host: os.hostname(), since: now };
  try {
    fs.writeFileSync(`${holderFile}.${process.pid}`, `${JSON.stringify(holder)}\n`);
    fs.renameSync(`${holderFile}.${process.pid}`, holderFile);
  } catch {
    // The holder's name only serves a message; the lock is held without it.
  }
  return {
    release() {
      if (!db.open) return;
      try {
        fs.rmSync(holderFile, { force: true });
      } catch {
        // As above.
      }
      db.close();
      held.delete(db);
    },
  };
}

function readHolder(file: string): LockHolder | null {
  try {
    return JSON.parse(fs.readFileSync(file).toString('utf8')) as LockHolder;
  } catch {
    return null;
  }
}

function lockedBy(dir: string, holder: LockHolder | null, now: number | null): EngineError {
  const minutes = holder?.since && now !== null ? Math.round((now - holder.since) / 60_000) : 0;
  const since = minutes > 0 ? `, for ${minutes === 1 ? '1 minute' : `${minutes} minutes`}` : '';
  const who = holder ? `process ${holder.pid} on ${holder.host}${since}` : 'another process';
  return new EngineError(
    'project-locked',
    `The project is open elsewhere (${who}).`,
    'Close the other window or command, then try again.',
    holder ? { dir, pid: holder.pid, host: holder.host, since: holder.since } : { dir },
  );
}
