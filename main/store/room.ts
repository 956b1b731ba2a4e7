/**
 * Room on a disk, asked for before work that needs much of it: a copy that cannot fit is
 * refused before it fills the disk, and long work leaves enough for labels. Where the
 * system does not say how much is free, nothing is refused: a disk that turns out to be
 * full is a message all the same.
 */
import fs from 'node:fs';
import path from 'node:path';
import { EngineError } from '../domain/errors.ts';
import type { Db } from './connection.ts';

/** What long work leaves free: the write-ahead log at its largest. */
export const RESERVE_BYTES = 64 << 20;

/** Bytes that this user may still write in a folder, or in the nearest above it that exists; null where the system does not say. */
export function freeBytes(dir: string): number | null {
  for (let at = path.resolve(dir); ; at = path.dirname(at)) {
    try {
      const { bavail, bsize, blocks } = fs.statfsSync(at);
      // A file system that counts no blocks knows nothing of room.
      return blocks === 0 ? null : bavail * bsize;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || path.dirname(at) === at) return null;
    }
  }
}

/** How large a copy of a database is at most, its write-ahead log folded in. */
export function bytesOf(db: Db): number {
  return (db.pragma('page_count', { simple: true }) as number) * (db.pragma('page_size', { simple: true }) as number);
}

/** Refuses work for which there is no room; `what` begins the sentence. Errors: `disk-full`. */
export function requireRoom(dir: string, bytes: number, what: string): void {
  const free = freeBytes(dir);
  if (free === null || free >= bytes) return;
  const megabytes = (n: number) => `${(n / (1 << 20)).toFixed(n < 10 << 20 ? 1 : 0)} MB`;
  throw new EngineError(
    'disk-full',
    `${what} needs ${megabytes(bytes)} on the disk of ${dir}, where ${megabytes(free)} are free.`,
    'Free some space on this disk, or choose another one; then try again.',
    { path: dir, needed: bytes, free },
  );
}
