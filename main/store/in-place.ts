/**
 * Keeps watch over the database file while it is open. A folder that is moved goes on being
 * written to where it is now, but nothing else finds it; a file that a synchronising
 * program exchanges for another takes every later label with it when it is closed. Both
 * are noticed before the next act, which is then refused; of an exchanged file, what was
 * saved is first written beside it.
 */
import fs from 'node:fs';
import path from 'node:path';
import { EngineError } from '../domain/errors.ts';
import type { Db } from './connection.ts';

/** A function that returns as long as the file's name leads to the file that is open. Errors: `place-unsafe`. */
export function keepInPlace(db: Db, file: string): () => void {
  const opened = identityOf(file);
  return () => {
    const now = identityOf(file);
    if (now === opened) return;
    throw now === null ? moved(file) : exchanged(db, file);
  };
}

function identityOf(file: string): string | null {
  const stat = fs.statSync(file, { bigint: true, throwIfNoEntry: false });
  return stat ? `${stat.dev} ${stat.ino}` : null;
}

function moved(file: string): EngineError {
  return new EngineError(
    'place-unsafe',
    `${file} was moved, renamed or removed while the project was open.`,
    'Close the project and open it where it is now; what was shown as saved is there. The last change was not made.',
    { file, place: 'moved', by: '' },
  );
}

function exchanged(db: Db, file: string): EngineError {
  const rescued = path.join(path.dirname(file), `project.rescued-${process.pid}.sqlite`);
  let found = 'Of what was saved since, no copy could be written.';
  try {
    if (!fs.existsSync(rescued)) db.prepare('VACUUM INTO ?').run(rescued);
    found = `What was saved in it lies in ${rescued}.`;
  } catch {
    // The disk is full, or the connection is no longer good for reading: said above.
  }
  return new EngineError(
    'place-unsafe',
    `Another program exchanged ${file} while it was open. ${found} The last change was not made.`,
    'Close the project, keep both files, and move the folder to where nothing synchronises it.',
    { file, place: 'exchanged', by: '', rescued },
  );
}
