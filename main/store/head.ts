/**
 * The end of the audit trail, kept a second time in `project.head` beside the database:
 * an entry's number and hash in one line of 128 bytes, written over in place after each
 * commit. A trail whose last entries were cut off, or a database that was exchanged for an
 * older copy, does not reach what is written here. The line may be behind the database (it
 * does not wait for the disk, and one sector is written whole or not at all), never ahead.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { AuditHead, AuditReader } from './audit.ts';
import { syncFolder } from './blobs.ts';

const LINE_BYTES = 128;
const LINE = /^marginalia (\d{1,15}) ([0-9a-f]{64}) *\n$/;

/** The call of the entry that notes, at opening, that the trail did not reach this line. */
export const HEAD_DIFFERS = 'program.head-differs';

/** Whether the trail holds the entry that the line names. */
export function isReached(audit: AuditReader, known: AuditHead | 'unreadable' | null): boolean {
  if (known === null || known === 'unreadable') return false;
  return known.entry === 0 || audit.get(known.entry)?.hash === known.hash;
}

export interface HeadFile {
  /** Notes where the trail ends now. A disk that refuses is not heard: the entry itself is saved, and a line that is behind is still true. */
  write(head: AuditHead): void;
  close(): void;
}

/** What `project.head` says: null where there is no such file, `unreadable` where it makes no sense. */
export function readHead(dir: string): AuditHead | 'unreadable' | null {
  let text: string;
  try {
    // As bytes: asked for text, Node ends the process where the file cannot be closed.
    text = fs.readFileSync(path.join(dir, 'project.head')).toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const [, entry, hash] = LINE.exec(text) ?? [];
  return hash === undefined ? 'unreadable' : { entry: Number(entry), hash };
}

/** Opens the line for writing. `initial` is written and waits for the disk. */
export function openHead(dir: string, initial: AuditHead): HeadFile {
  const file = path.join(dir, 'project.head');
  const line = ({ entry, hash }: AuditHead) => `${`marginalia ${entry} ${hash}`.padEnd(LINE_BYTES - 1)}\n`;
  if (readHead(dir) === null) {
    // A line that a power loss takes away, or half of it, reads as a trail that was tampered with.
    fs.writeFileSync(`${file}.new`, line(initial), { flush: true, mode: 0o644 });
    fs.renameSync(`${file}.new`, file);
    syncFolder(dir);
  }
  const fd = fs.openSync(file, 'r+');
  const put = (head: AuditHead) => void fs.writeSync(fd, line(head), 0);
  try {
    put(initial);
    fs.ftruncateSync(fd, LINE_BYTES);
    fs.fsyncSync(fd);
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
  let isOpen = true;
  return {
    write(head) {
      try {
        put(head);
      } catch {
        // Said above: a line that is behind is still true.
      }
    },
    close() {
      if (!isOpen) return;
      isOpen = false;
      try {
        fs.closeSync(fd);
      } catch {
        // Neither is this.
      }
    },
  };
}
