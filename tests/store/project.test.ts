/** Making, opening, locking and refusing projects. */
import fs from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { connectWriter, enterWal } from '../../main/store/connection.ts';
import { createProject, openProject, openReader } from '../../main/store/index.ts';
import { fileKind, migrate, MIGRATIONS } from '../../main/store/migrations.ts';
import { closing, codeOf, fill, newProject, startChild, temporaryFolder, tickingClock } from './projects.ts';

const clock = tickingClock();

describe('making a project', () => {
  it('gives an empty project with its facts and its first schema version', () => {
    const store = newProject({ auditShare: 0.25 });
    expect(store.facts).toMatchObject({ name: 'cells', seed: 7, auditShare: 0.25 });
    expect(store.schema.current()).toEqual({ version: 1, task: 'classify', classes: ['round', 'long', 'odd'] });
    expect(store.counts()).toMatchObject({ items: 0, annotations: 0 });
    expect(store.verify()).toEqual({ ok: true, problems: [] });
  });

  it('refuses a folder that holds a project, and leaves that one as it is', () => {
    const store = newProject();
    store.close();
    expect(codeOf(() => newProject({ name: 'other' }, store.dir))).toBe('project-exists');
    expect(closing(openProject(store.dir, { clock })).facts.name).toBe('cells');
  });

  it('refuses classes that leave nothing to decide and a share that is none, making no file', () => {
    const dir = temporaryFolder();
    expect(codeOf(() => newProject({ classes: ['one'] }, dir))).toBe('schema-invalid');
    expect(codeOf(() => newProject({ auditShare: 1.5 }, dir))).toBe('input-invalid');
    expect(fs.readdirSync(dir)).toEqual([]);
  });

  it('refuses a path that cannot be a folder’s', () => {
    const file = path.join(temporaryFolder(), 'file');
    fs.writeFileSync(file, '');
    for (const dir of [file, path.join(file, 'inside'), `${file}\0`]) {
      expect(codeOf(() => newProject({}, dir))).toBe('io-failed');
    }
  });

  it('says to whoever still asks that it was closed', () => {
    const store = newProject();
    store.close();
    expect(codeOf(() => store.versions.live())).toBe('project-not-found');
  });

  it('goes on where a creation was killed before its one transaction was there', () => {
    const dir = temporaryFolder();
    const half = connectWriter(path.join(dir, 'project.sqlite'));
    enterWal(half);
    half.close();
    expect(codeOf(() => openProject(dir, { clock }))).toBe('project-not-found');
    expect(newProject({}, dir).counts().items).toBe(0);
  });

  it('waits for the disk at every commit, also after the first write', () => {
    const store = newProject();
    const [item] = fill(store, 1);
    const levels: unknown[] = [];
    const probe = connectWriter(path.join(store.dir, 'project.sqlite'));
    levels.push(probe.pragma('synchronous', { simple: true }));
    probe.prepare('INSERT INTO settings VALUES (?, ?)').run('probe', '1');
    levels.push(probe.pragma('synchronous', { simple: true }));
    probe.close();
    store.annotations.append({ item, act: 'skip', annotator: 'kim', durationMs: 1 });
    expect(levels).toEqual([2, 2]);
  });

  it('keeps strict tables with every foreign key enforced', () => {
    const store = newProject();
    store.close();
    const db = new Database(path.join(store.dir, 'project.sqlite'), { readonly: true });
    const tables = db
      .prepare<[], { name: string; strict: number }>(
        `SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'`,
      )
      .all();
    db.close();
    expect(tables.length).toBeGreaterThan(15);
    expect(tables.filter(({ strict }) => strict !== 1)).toEqual([]);
  });
});

describe('opening a project', () => {
  it('says that there is none, in an empty folder, a missing one and one with a foreign database', () => {
    const dir = temporaryFolder();
    expect(codeOf(() => openProject(dir, { clock }))).toBe('project-not-found');
    expect(codeOf(() => openReader(path.join(dir, 'nowhere')))).toBe('project-not-found');
    const foreign = path.join(dir, 'project.sqlite');
    const db = new Database(foreign);
    db.exec('CREATE TABLE theirs (x)');
    db.close();
    const bytes = fs.readFileSync(foreign);
    expect(codeOf(() => openProject(dir, { clock }))).toBe('project-not-found');
    expect(codeOf(() => openReader(dir))).toBe('project-not-found');
    expect(codeOf(() => newProject({}, dir))).toBe('project-exists');
    expect(fs.readFileSync(foreign).equals(bytes)).toBe(true);
  });

  it('refuses a file from a newer version and changes nothing in it', () => {
    const store = newProject();
    store.close();
    const file = path.join(store.dir, 'project.sqlite');
    const db = new Database(file);
    db.pragma(`user_version = ${MIGRATIONS.length + 1}`);
    db.close();
    const bytes = fs.readFileSync(file);
    expect(codeOf(() => openProject(store.dir, { clock }))).toBe('project-newer');
    expect(codeOf(() => openReader(store.dir))).toBe('project-newer');
    expect(fs.readFileSync(file).equals(bytes)).toBe(true);
  });

  it('says that a file is damaged when it is not a database', () => {
    const store = newProject();
    store.close();
    fs.writeFileSync(path.join(store.dir, 'project.sqlite'), Buffer.alloc(8192, 'x'));
    expect(codeOf(() => openProject(store.dir, { clock }))).toBe('project-damaged');
    expect(codeOf(() => openReader(store.dir))).toBe('project-damaged');
  });

  it('copies an older file beside itself before bringing it up, and keeps its rows', () => {
    const dir = temporaryFolder();
    const file = path.join(dir, 'project.sqlite');
    const old = connectWriter(file);
    const steps = [
      'CREATE TABLE a (x INTEGER) STRICT',
      'ALTER TABLE a ADD COLUMN y INTEGER',
      'CREATE TABLE b (z INTEGER) STRICT',
    ];
    expect(migrate(old, file, (db) => void db.exec('INSERT INTO a VALUES (5)'), steps.slice(0, 1))).toBe(null);
    expect(fileKind(old)).toBe('project');
    const backup = migrate(old, file, undefined, steps);
    expect(old.prepare('SELECT * FROM a').all()).toEqual([{ x: 5, y: null }]);
    expect(old.pragma('user_version', { simple: true })).toBe(3);
    old.close();
    const before = new Database(backup ?? '', { readonly: true });
    expect(before.prepare('SELECT * FROM a').all()).toEqual([{ x: 5 }]);
    expect(before.pragma('user_version', { simple: true })).toBe(1);
    before.close();
  });

  it('leaves a step of a migration that fails wholly undone', () => {
    const file = path.join(temporaryFolder(), 'project.sqlite');
    const db = connectWriter(file);
    expect(() => migrate(db, file, undefined, ['CREATE TABLE a (x INTEGER) STRICT; SELECT nonsense'])).toThrow();
    expect(fileKind(db)).toBe('empty');
    db.close();
  });
});

describe('reading beside the writer', () => {
  it('sees what is committed and cannot write', () => {
    const store = newProject();
    const reader = closing(openReader(store.dir));
    const [item] = fill(store, 3);
    expect(reader.counts().items).toBe(3);
    store.annotations.append({ item, act: 'label', classes: ['odd'], annotator: 'kim', durationMs: 9 });
    expect(reader.items.get(item)).toMatchObject({ state: 'labelled', classes: ['odd'], by: 1 });
    expect(Object.keys(reader.annotations)).not.toContain('append');
    expect(Object.keys(reader.items)).not.toContain('addCandidates');
    expect(reader.verify().ok).toBe(true);
  });

  it('works where no writer is open', () => {
    const store = newProject();
    fill(store, 2);
    store.close();
    expect(closing(openReader(store.dir)).items.poolRows().count).toBe(2);
  });
});

describe('the lock', () => {
  it('refuses a second opener, says who holds it, and lets go on closing', () => {
    const store = newProject();
    expect(codeOf(() => openProject(store.dir, { clock }))).toBe('project-locked');
    expect(() => openProject(store.dir, { clock })).toThrow(`process ${process.pid}`);
    store.close();
    expect(closing(openProject(store.dir, { clock })).facts.name).toBe('cells');
  });

  it('lets exactly one of several processes in at a time, and another after a kill', async () => {
    const store = newProject();
    store.close();
    for (let round = 0; round < 3; round++) {
      const children = [1, 2, 3].map(() => startChild('race', store.dir));
      const said = await Promise.all(children.map((child) => child.line()));
      expect(said.map(String).toSorted((a, b) => a.localeCompare(b))).toEqual([
        'opened',
        'project-locked',
        'project-locked',
      ]);
      await Promise.all(children.map((child) => child.kill()));
    }
    const reopened = closing(openProject(store.dir, { clock }));
    expect(reopened.verify().ok).toBe(true);
  });

  it('makes one project when two processes make it at once', async () => {
    const dir = temporaryFolder();
    const children = [1, 2].map(() => startChild('create', dir));
    const said = (await Promise.all(children.map((child) => child.line())))
      .map(String)
      .toSorted((a, b) => a.localeCompare(b));
    await Promise.all(children.map((child) => child.kill()));
    expect(said[0]).toBe('created');
    expect(['project-locked', 'project-exists']).toContain(said[1]);
    expect(codeOf(() => createProject(dir, { name: 'x', task: 'classify', classes: ['a', 'b'], seed: 1, clock }))).toBe(
      'project-exists',
    );
  });
});
