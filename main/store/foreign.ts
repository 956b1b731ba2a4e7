/**
 * Project files that others made, before anything in them is used: the schema has to be the
 * one that our migrations give, word for word, so that no trigger or view acts in our name;
 * and a file of moderate size has to pass SQLite's own check, which also sees values of a
 * type that their column cannot have. Reads only.
 */
import Database from 'better-sqlite3';
import { EngineError } from '../domain/errors.ts';
import type { Db } from './connection.ts';
import { migrate, MIGRATIONS, versionOf } from './migrations.ts';

/** Checking takes about 4 ms for each; larger files are checked by `verify`. */
const CHECKED_BYTES = 32 * 2 ** 20;

interface Entry {
  type: string;
  name: string;
  tbl_name: string;
  sql: string | null;
}

const expectedOf = new Map<number, Set<string>>();

function entriesOf(db: Db): Entry[] {
  return db
    .prepare<[], Entry>(
      "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite~_stat%' ESCAPE '~'",
    )
    .all();
}

/** Without how it is laid out: a migration may be written otherwise and do the same. */
const textOf = ({ type, name, tbl_name, sql }: Entry) =>
  JSON.stringify([type, name, tbl_name, sql?.replace(/\s+/g, ' ').trim() ?? null]);

/** The schema of a format, from the migrations that lead to it. */
function expected(version: number): Set<string> {
  let entries = expectedOf.get(version);
  if (!entries) {
    const fresh = new Database(':memory:');
    try {
      migrate(fresh, ':memory:', undefined, MIGRATIONS.slice(0, version));
      entries = new Set(entriesOf(fresh).map(textOf));
    } finally {
      fresh.close();
    }
    expectedOf.set(version, entries);
  }
  return entries;
}

/** Refuses a file whose schema is not ours, but for the table `besides`, or whose pages are not sound. Errors: `project-damaged`. */
export function refuseForeign(db: Db, file: string, besides?: string): void {
  const version = versionOf(db);
  if (version < 1) throw damaged(file, `its format is ${version}`);
  const wanted = expected(version);
  const found = entriesOf(db);
  const isBeside = ({ type, name, tbl_name }: Entry) =>
    tbl_name === besides && (name === besides ? type === 'table' : name.startsWith('sqlite_autoindex_'));
  const strange = found.find((entry) => !wanted.has(textOf(entry)) && !isBeside(entry));
  if (strange) throw damaged(file, `it has a ${strange.type} “${strange.name}” that Marginalia does not make`);
  const names = new Set(found.map(textOf));
  // triggers that are gone are for `verify` to tell: nothing acts then, and the record can still be read
  const missing = [...wanted].find((entry) => !names.has(entry) && (JSON.parse(entry) as string[])[0] === 'table');
  if (missing !== undefined) throw damaged(file, `the table “${(JSON.parse(missing) as string[])[1]}” is missing`);
  const bytes = Number(db.pragma('page_count', { simple: true })) * Number(db.pragma('page_size', { simple: true }));
  if (bytes > CHECKED_BYTES) return;
  const [problem] = db.pragma('quick_check(1)') as { quick_check: string }[];
  if (problem?.quick_check !== 'ok') throw damaged(file, problem?.quick_check ?? 'it cannot be checked');
}

function damaged(file: string, reason: string): EngineError {
  return new EngineError(
    'project-damaged',
    `The project file is not as Marginalia writes it: ${reason}.`,
    'Restore it from its last backup, and do not use a file that somebody else has changed.',
    { file },
  );
}
