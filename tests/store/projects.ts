/**
 * Small real projects for the store's tests, in folders of their own under the system's
 * temporary folder, with a clock that ticks by one.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach } from 'vitest';
import { EngineError } from '../../main/domain/errors.ts';
import { itemIdOf, type Candidate, type Fingerprint, type ItemId, type TextPart } from '../../main/domain/item.ts';
import Database from 'better-sqlite3';
import {
  createProject,
  openReader,
  type NewProject,
  type ProjectStore,
  type VerificationProblem,
} from '../../main/store/index.ts';

const folders: string[] = [];
const open: { close(): void }[] = [];
const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const project of open.splice(0)) project.close();
  for (const folder of folders.splice(0)) fs.rmSync(folder, { recursive: true, force: true });
});

/** Closes it after the test, whatever happens; closing twice is allowed. */
export function closing<T extends { close(): void }>(project: T): T {
  open.push(project);
  return project;
}

export function temporaryFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'marginalia-store-'));
  folders.push(folder);
  return folder;
}

export function tickingClock(from = 1_000): () => number {
  let now = from;
  return () => now++;
}

export function newProject(options: Partial<NewProject> = {}, dir = temporaryFolder()): ProjectStore {
  const given = {
    name: 'cells',
    task: 'classify' as const,
    classes: ['round', 'long', 'odd'],
    seed: 7,
    clock: tickingClock(),
  };
  return closing(createProject(dir, { ...given, ...options }));
}

/** What `verify` says of the project whose `files` are put into `dir`, after `change` was made to its database by other means: no trigger hinders it. */
export function tampered(
  dir: string,
  files: Readonly<Record<string, Buffer>>,
  change: (db: Database.Database) => void,
): VerificationProblem[] {
  const file = path.join(dir, 'project.sqlite');
  for (const suffix of ['-wal', '-shm']) fs.rmSync(file + suffix, { force: true });
  for (const [name, bytes] of Object.entries(files)) fs.writeFileSync(path.join(dir, name), bytes);
  const db = new Database(file);
  db.pragma('journal_mode = MEMORY');
  db.pragma('synchronous = OFF');
  db.pragma('foreign_keys = OFF');
  db.pragma('ignore_check_constraints = ON');
  const triggers = db
    .prepare<[], { name: string; sql: string }>(`SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'`)
    .all();
  for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
  change(db);
  for (const { sql } of triggers) db.exec(sql);
  db.close();
  const reader = openReader(dir);
  const { problems } = reader.verify();
  reader.close();
  return problems;
}

export function textPart(text: string): TextPart {
  return { kind: 'text', text, sha256: createHash('sha256').update(text).digest('hex'), path: null };
}

/** A candidate of one text; equal texts are the same item. */
export function candidate(text: string, more: Partial<Candidate> = {}): Candidate {
  const parts = [textPart(text)];
  return {
    id: itemIdOf(parts, null),
    name: text,
    parts,
    group: null,
    label: null,
    fingerprint: null,
    source: `list.csv:${text}`,
    ...more,
  };
}

/** A fingerprint that is near every other one with the same bands. */
export const fingerprint = (...bands: number[]): Fingerprint => ({ kind: 'text', bands, code: 'ab12' });

/** Imports `count` texts and returns their ids. */
export function fill(store: ProjectStore, count: number, from = 0): ItemId[] {
  const job = store.jobs.enqueue('import', {}).id;
  const candidates = Array.from({ length: count }, (_, i) => candidate(`text ${from + i}`));
  store.items.addCandidates(candidates, { job, cursor: null });
  return candidates.map(({ id }) => id);
}

/** The code of the EngineError that `work` throws; also checks that it says what happened and what to do. */
export function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    if (!/^[A-Z]/.test(error.hint) || error.message === '')
      throw new Error(`Weak words: ${error.message} | ${error.hint}`, { cause: error });
    return error.code;
  }
  return 'nothing thrown';
}

export interface Child {
  /** Its next line, or null when it has ended. */
  line(): Promise<string | null>;
  /** SIGKILLs it and gives the lines that were written and not yet read. */
  kill(): Promise<string[]>;
}

/** Starts `child.ts` in a process of its own. */
export function startChild(command: 'race' | 'create' | 'label' | 'import', dir: string): Child {
  const process_ = spawn(process.execPath, [path.join(import.meta.dirname, 'child.ts'), command, dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(process_);
  const lines = createInterface({ input: process_.stdout })[Symbol.asyncIterator]();
  const line = async () => {
    const next = await lines.next();
    return next.done ? null : next.value;
  };
  return {
    line,
    async kill() {
      process_.kill('SIGKILL');
      const rest: string[] = [];
      for (let text = await line(); text !== null; text = await line()) rest.push(text);
      return rest;
    },
  };
}
