/**
 * A project of every released format is brought up to date and interrupted after each
 * statement on the way, by a failure and by SIGKILL: what is on disk is then the format
 * that the last finished step led to, whole, and opening it again ends the work. The copy made before is
 * never worth less than what it replaces.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { openProject } from '../../main/store/index.ts';
import { connectWriter, enterWal } from '../../main/store/connection.ts';
import { migrate, MIGRATIONS } from '../../main/store/migrations.ts';
import { temporaryFolder } from '../store/projects.ts';
import { statementsOf, stepsWith } from './statements.ts';

const clock = () => 2e12;
const FORMATS = Array.from({ length: MIGRATIONS.length - 1 }, (_, i) => i + 1);

function unpacked(format: number): { dir: string; file: string } {
  const dir = temporaryFolder();
  const file = path.join(dir, 'project.sqlite');
  fs.copyFileSync(new URL(`../migrations/format-${format}.sqlite`, import.meta.url), file);
  return { dir, file };
}

/** Everything of a format that people made: the labels, as text, and the format's number. */
function heldBy(file: string): { format: unknown; sound: unknown; acts: unknown[]; tables: unknown[] } {
  const db = new Database(file);
  try {
    return {
      format: db.pragma('user_version', { simple: true }),
      sound: db.pragma('integrity_check', { simple: true }),
      acts: db.prepare('SELECT sequence, item, act, classes, annotator, at, hash FROM annotations').all(),
      tables: db
        .prepare("SELECT name FROM sqlite_schema WHERE type IN ('table', 'trigger') ORDER BY name")
        .pluck()
        .all(),
    };
  } finally {
    db.close();
  }
}

/** What each format's file holds when nothing went wrong on the way to it. */
function stagesFrom(format: number) {
  const stages = new Map<number, ReturnType<typeof heldBy>>();
  for (let to = format; to <= MIGRATIONS.length; to++) {
    const { file } = unpacked(format);
    const db = connectWriter(file);
    migrate(db, file, undefined, MIGRATIONS.slice(0, to));
    db.close();
    stages.set(to, heldBy(file));
  }
  return stages;
}

function expectToGoOn(dir: string): void {
  const store = openProject(dir, { clock });
  try {
    expect(store.annotations.head().sequence).toBe(6);
    expect(store.verify()).toEqual({ ok: true, problems: [] });
  } finally {
    store.close();
  }
}

/** An SQLite file of its own, as the person who goes back to the older program would use it. */
function expectWholeCopy(file: string, format: number, acts: unknown[]): void {
  const copy = path.join(temporaryFolder(), 'project.sqlite');
  fs.copyFileSync(`${file}.format-${format}.backup`, copy);
  expect(heldBy(copy)).toMatchObject({ format, sound: 'ok', acts });
  expectToGoOn(path.dirname(copy));
}

describe.each(FORMATS)('bringing format %i up to date', (format) => {
  const statements = statementsOf(format);
  const stages = stagesFrom(format);
  const { acts } = heldBy(unpacked(format).file);

  it('leaves the last finished step whole when any statement fails', () => {
    expect(statements.length).toBeGreaterThan(3);
    for (let n = 1; n <= statements.length; n++) {
      const { dir, file } = unpacked(format);
      const db = connectWriter(file);
      enterWal(db);
      expect(() => migrate(db, file, undefined, stepsWith('SELECT nonsense;', statements, n))).toThrow('nonsense');
      db.close();
      expect(heldBy(file), `statement ${n}`).toEqual(stages.get(statements[n - 1].step - 1));
      if (n % 12 === 1) expectToGoOn(dir);
    }
  });

  it('leaves the last finished step whole when it is killed, with a copy that opens', { timeout: 60_000 }, () => {
    const last = statements.length;
    const cuts = new Set([1, Math.ceil(last / 2), last]);
    for (const n of cuts) {
      const { dir, file } = unpacked(format);
      const child = path.join(import.meta.dirname, 'migrate-child.ts');
      const { signal } = spawnSync(process.execPath, [child, dir, String(format), String(n)]);
      expect(signal).toBe('SIGKILL');
      expect(fs.existsSync(`${file}-wal`)).toBe(true);
      expect(heldBy(file), `statement ${n}`).toEqual(stages.get(statements[n - 1].step - 1));
      expectWholeCopy(file, format, acts);
      expectToGoOn(dir);
      expectWholeCopy(file, format, acts);
    }
  });

  it('keeps the earlier copy until the new one is whole, and clears away half a one', () => {
    const { dir, file } = unpacked(format);
    const backup = `${file}.format-${format}.backup`;
    fs.copyFileSync(file, backup);
    const before = fs.readFileSync(backup);
    // Where nothing can be written, as on a full disk: here a folder is in the way.
    fs.mkdirSync(path.join(`${backup}.partial`, 'in the way'), { recursive: true });
    expect(() => openProject(dir, { clock })).toThrow();
    expect(fs.readFileSync(backup).equals(before)).toBe(true);
    expect(heldBy(file).format).toBe(format);
    fs.rmSync(`${backup}.partial`, { recursive: true });
    fs.writeFileSync(`${backup}.partial`, before.subarray(0, 5000));
    expectToGoOn(dir);
    expect(fs.readdirSync(dir).filter((name) => name.includes('partial'))).toEqual([]);
    expectWholeCopy(file, format, acts);
  });
});

it('would notice steps that are not one transaction each', () => {
  const { file } = unpacked(FORMATS.at(-1) ?? 0);
  const statements = statementsOf(FORMATS.at(-1) ?? 0);
  const db = connectWriter(file);
  for (const { text } of statements.slice(0, 2)) db.exec(text);
  db.close();
  expect(heldBy(file)).not.toEqual(stagesFrom(FORMATS.at(-1) ?? 0).get(FORMATS.at(-1) ?? 0));
});
