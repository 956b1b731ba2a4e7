/**
 * The audit trail: one entry for each act, in the act's own transaction; what is changed,
 * removed, swapped or cut off is found, and an exported trail can be checked by a script
 * that knows nothing of this program.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRng } from '../../main/domain/rng.ts';
import { createProject, openProject, openReader, restoreBackup, type ProjectStore } from '../../main/store/index.ts';
import { closing, codeOf, fill, newProject, tampered, temporaryFolder, tickingClock } from './projects.ts';

const clock = tickingClock();
const FILES = ['project.sqlite', 'project.head'] as const;
const label = (store: ProjectStore, item: string, classes = ['odd']) =>
  store.annotations.append({ item: item as never, act: 'label', classes, annotator: 'Kim Ångström', durationMs: 4 });

/** A project with `n` acts by hand, closed. */
function labelled(n: number): string {
  const store = newProject();
  const items = fill(store, 3);
  for (let i = 0; i < n; i++) {
    if (i % 5 === 4) store.annotations.undo({ annotator: 'Kim Ångström' });
    else label(store, items[i % items.length], [i % 2 ? 'odd' : 'round']);
  }
  store.close();
  return store.dir;
}

describe('an entry', () => {
  it('is left by making a project, and by every act, with who, what and the hash of the act', () => {
    const dir = temporaryFolder();
    const made = { name: 'one', task: 'classify', classes: ['odd', 'even'], seed: 1, clock, who: 'dr-a' } as const;
    const store = closing(createProject(dir, made));
    const [item] = fill(store, 1);
    const a = label(store, item);
    const b = store.annotations.undo({ annotator: 'Kim Ångström' });
    const c = store.annotations.redo({ annotator: 'Kim Ångström' });
    const said = store.audit.latest().map(({ entry, who, call, subject }) => ({ entry, who, call, subject }));
    expect(said.toReversed()).toMatchObject([
      { entry: 1, who: 'dr-a', call: 'desk.create', subject: { id: store.facts.id, classes: ['odd', 'even'] } },
      { entry: 2, who: 'import', call: 'program.import', subject: { added: 1 } },
      { entry: 3, who: 'Kim Ångström', call: 'annotations.add', subject: { annotation: 1, hash: a.hash } },
      { entry: 4, who: 'Kim Ångström', call: 'annotations.undo', subject: { annotation: 2, hash: b.hash } },
      { entry: 5, who: 'Kim Ångström', call: 'annotations.redo', subject: { annotation: 3, hash: c.hash } },
    ]);
    expect(store.verify()).toEqual({ ok: true, problems: [] });
  });

  it('is there with what was done or not at all', () => {
    const store = newProject();
    const before = store.audit.head();
    const failing = () =>
      store.recorded({ who: 'dr-a', call: 'schema.addClass' }, () => {
        store.schema.addClass('late');
        throw new Error('a fault');
      });
    expect(failing).toThrow('a fault');
    expect(store.schema.current().classes).not.toContain('late');
    expect(store.audit.head()).toEqual(before);
    const done = store.recorded(
      { who: 'dr-a', call: 'schema.addClass' },
      () => store.schema.addClass('late'),
      ({ version }) => ({ version }),
    );
    expect(done.classes).toContain('late');
    expect(store.audit.latest({ limit: 1 })).toMatchObject([
      { entry: before.entry + 1, who: 'dr-a', call: 'schema.addClass', subject: { version: 2 } },
    ]);
    expect(codeOf(() => label(store, 'nowhere'))).toBe('item-unknown');
    expect(store.audit.head().entry).toBe(before.entry + 1);
  });

  it('says what the clock said, and that it was set back', () => {
    let now = 1.8e12;
    const store = newProject({ clock: () => now });
    const [item] = fill(store, 1);
    label(store, item);
    now -= 3_600_000;
    label(store, item);
    now -= 200; // As a time server corrects it.
    label(store, item);
    const said = store.audit.latest({ limit: 4 }).toReversed();
    expect(said.map(({ call, at, subject }) => [call, at - now, (subject as { ms?: number }).ms])).toEqual([
      ['annotations.add', 3_600_200, undefined],
      ['program.clock-set-back', 200, 3_600_000],
      ['annotations.add', 200, undefined],
      ['annotations.add', 0, undefined],
    ]);
    expect(store.verify()).toEqual({ ok: true, problems: [] });
  });

  it('cannot be changed or removed on a connection that keeps the triggers', () => {
    const dir = labelled(3);
    const db = new Database(path.join(dir, 'project.sqlite'));
    for (const sql of ['UPDATE audit SET at = 0', 'DELETE FROM audit WHERE entry = 2']) {
      expect(() => db.exec(sql)).toThrow('append-only');
    }
    expect(() =>
      db.exec(
        `INSERT INTO audit (entry, at, who, call, subject, previous_hash, hash) VALUES (99, 0, '', '', '1', '', '')`,
      ),
    ).toThrow('append-only');
    db.close();
  });
});

describe('verify', () => {
  let bytes: Record<string, Buffer>;
  let dir: string;
  beforeAll(() => {
    const from = labelled(12);
    bytes = Object.fromEntries(FILES.map((name) => [name, fs.readFileSync(path.join(from, name))]));
    dir = fs.mkdtempSync(path.join(temporaryFolder(), '..', 'marginalia-audit-'));
  });
  afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

  const after = (change: (db: Database.Database) => void) => tampered(dir, bytes, change).map(({ code }) => code);

  it('finds nothing in a trail that was left alone', () => {
    expect(after(() => {})).toEqual([]);
  });

  it('finds each of 1,000 edits of a byte, removals, swaps and cut-off ends', { timeout: 120_000 }, () => {
    const rng = createRng(5);
    const below = (n: number) => Math.floor(rng.next() * n);
    const columns = ['who', 'call', 'subject', 'previous_hash', 'hash'];
    let found = 0;
    for (let round = 0; round < 1000; round++) {
      const entry = 1 + below(14);
      const codes = after((db) => {
        if (round % 4 === 0) db.prepare('DELETE FROM audit WHERE entry = ?').run(entry);
        else if (round % 4 === 1) db.prepare('DELETE FROM audit WHERE entry >= ?').run(1 + below(14));
        else if (round % 4 === 2) {
          const move = db.prepare('UPDATE audit SET entry = ? WHERE entry = ?');
          const other = (entry % 14) + 1;
          for (const [to, from] of [
            [99, entry],
            [entry, other],
            [other, 99],
          ])
            move.run(to, from);
        } else if (round % 8 === 3) {
          db.prepare('UPDATE audit SET at = at + ? WHERE entry = ?').run(1 + below(1000), entry);
        } else {
          const column = columns[below(columns.length)];
          const value = db
            .prepare<[number], Buffer>(`SELECT CAST(${column} AS BLOB) FROM audit WHERE entry = ?`)
            .pluck()
            .get(entry)!;
          value[below(value.length)] ^= 1 + below(255);
          db.prepare(`UPDATE audit SET ${column} = CAST(? AS TEXT) WHERE entry = ?`).run(value, entry);
        }
      });
      if (codes.length > 0) found++;
    }
    expect(found).toBe(1000);
  });

  it('misses a cut-off end without the line beside the database: that line is what finds it', () => {
    const cut = (db: Database.Database) => {
      db.exec(
        `DELETE FROM audit WHERE entry = 14; DELETE FROM item_state; DELETE FROM annotations WHERE sequence = 12`,
      );
    };
    expect(after(cut)).toContain('head-differs');
    bytes['project.head'] = Buffer.from(bytes['project.head']);
    const kept = bytes['project.head'];
    const db = new Database(path.join(dir, 'project.sqlite'), { readonly: true });
    const { entry, hash } = db
      .prepare<[], { entry: number; hash: string }>('SELECT entry, hash FROM audit ORDER BY entry DESC LIMIT 1')
      .get()!;
    db.close();
    bytes['project.head'] = Buffer.from(`${`marginalia ${entry} ${hash}`.padEnd(127)}\n`);
    expect(after(cut)).not.toContain('head-differs');
    bytes['project.head'] = kept;
  });
});

describe('a project that was exchanged for an older copy', () => {
  it('opens, says so in its trail for good, and goes on', () => {
    const dir = labelled(4);
    const older = fs.readFileSync(path.join(dir, 'project.sqlite'));
    const store = openProject(dir, { clock });
    label(store, store.items.list()[0].id);
    store.close();
    fs.writeFileSync(path.join(dir, 'project.sqlite'), older);
    const reopened = openProject(dir, { clock });
    expect(reopened.audit.latest({ limit: 1 })[0]).toMatchObject({
      call: 'program.head-differs',
      subject: { expected: { entry: 7 }, found: { entry: 6 } },
    });
    label(reopened, reopened.items.list()[1].id);
    reopened.close();
    const again = closing(openProject(dir, { clock }));
    expect(again.verify().problems.map(({ code }) => code)).toEqual(['head-differs']);
    expect(again.audit.head().entry).toBe(8);
  });

  it('is not suspected after a restore, which the trail names', () => {
    const store = newProject();
    const [item] = fill(store, 2);
    label(store, item);
    const file = path.join(temporaryFolder(), 'b');
    store.backup(file);
    const dir = path.join(temporaryFolder(), 'restored');
    restoreBackup(file, dir, { who: 'it-desk', clock });
    const restored = closing(openProject(dir, { clock }));
    expect(restored.audit.latest({ limit: 1 })).toMatchObject([{ who: 'it-desk', call: 'project.restore' }]);
    expect(restored.verify()).toEqual({ ok: true, problems: [] });
  });
});

describe('an exported trail', () => {
  const script = new URL('../../resources/verify-audit.mjs', import.meta.url).pathname;
  const check = (lines: readonly string[], ...more: string[]) => {
    const file = path.join(temporaryFolder(), 'trail.jsonl');
    fs.writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
    const { status, stdout } = spawnSync(process.execPath, [script, file, ...more], { encoding: 'utf8' });
    return { status, stdout };
  };

  it('is checked by a script of 50 lines that needs nothing of ours', () => {
    expect(fs.readFileSync(script, 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(50);
    expect(fs.readFileSync(script, 'utf8')).not.toMatch(/from '\.|require\(|import\(/);
    const dir = labelled(9);
    const reader = closing(openReader(dir));
    const lines = [...reader.audit.lines()];
    const { entry, hash } = reader.audit.head();
    expect(check(lines)).toEqual({ status: 0, stdout: `11 entries, in order and unchanged. Head: 11 ${hash}\n` });
    expect(check(lines, `${entry} ${hash}`).status).toBe(0);
    expect(check(lines.slice(0, -1), `${entry} ${hash}`).status).toBe(1);
    expect(check([]).status).toBe(1);
    for (let i = 0; i < lines.length; i++) {
      expect(check(lines.toSpliced(i, 1), `${entry} ${hash}`).status).toBe(1);
      expect(
        check(lines.with(i, lines[i].replace('Kim', 'Tim').replace('import', 'impart').replace('desk', 'dusk'))).status,
      ).toBe(1);
    }
  });
});
