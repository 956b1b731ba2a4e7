/** `verify` finds what was changed behind the store's back, and names it. */
import fs from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBlobs, openReader, type VerificationProblem } from '../../main/store/index.ts';
import { closing, fill, newProject, tampered, temporaryFolder } from './projects.ts';

const FILES = ['project.sqlite', 'project.head'] as const;
const ROWS = 8;
const COLUMNS = {
  item: 'text',
  act: 'text',
  classes: 'text',
  text: 'text',
  annotator: 'text',
  suggestion: 'text',
  previous_hash: 'text',
  hash: 'text',
  retracts: 'integer',
  repeats: 'integer',
  at: 'integer',
  suggestion_visible: 'integer',
  schema_version: 'integer',
  duration_ms: 'real',
} as const;
const NAMES = Object.keys(COLUMNS) as (keyof typeof COLUMNS)[];

/** The files of a project with eight acts of every sort in it, as bytes. */
function original(): Record<(typeof FILES)[number], Buffer> {
  const store = newProject();
  const [a, b] = fill(store, 3);
  const suggestion = { modelVersion: 2, classes: ['odd', 'naïve \u{1f52c}'], probability: 0.1 + 0.2 };
  const by = { annotator: 'Kim \uFFFD Ångström', durationMs: 0.1 };
  store.annotations.append({
    ...by,
    item: a,
    act: 'label',
    classes: ['odd'],
    suggestion,
    suggestionVisible: true,
    text: 'tail\u0000\uFFFD',
  });
  store.annotations.append({
    ...by,
    item: b,
    act: 'label',
    classes: ['long'],
    suggestion: { ...suggestion, probability: 1e-7 },
  });
  store.annotations.append({ ...by, item: b, act: 'label', classes: ['odd'], repeats: 2 });
  store.annotations.append({ ...by, item: a, act: 'comment', text: '细胞', durationMs: 0 });
  store.annotations.append({ ...by, item: a, act: 'skip' });
  store.annotations.undo(by);
  store.annotations.redo(by);
  store.annotations.append({ ...by, item: b, act: 'flag', text: 'why' });
  store.close();
  const read = (name: string) => fs.readFileSync(path.join(store.dir, name));
  return { 'project.sqlite': read('project.sqlite'), 'project.head': read('project.head') };
}

let bytes: ReturnType<typeof original>;
let dir: string;
beforeAll(() => {
  dir = fs.mkdtempSync(path.join(temporaryFolder(), '..', 'marginalia-tampering-'));
  bytes = original();
});
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

const after = (change: (db: Database.Database) => void) => tampered(dir, bytes, change);

const named = (problems: VerificationProblem[], sequence: number) =>
  problems.some(({ where }) => where === `annotation ${sequence}`);

describe('verify', () => {
  it('finds nothing in a project that was left alone', () => {
    expect(after(() => {})).toEqual([]);
  });

  it('names the annotation in which a single byte of any text was changed', () => {
    const texts = NAMES.filter((name) => COLUMNS[name] === 'text');
    fc.assert(
      fc.property(
        fc.constantFrom(...texts),
        fc.integer({ min: 1, max: ROWS }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (name, sequence, at, flip) => {
          let changed = false;
          const problems = after((db) => {
            const value = db
              .prepare<[number], Buffer | null>(`SELECT CAST(${name} AS BLOB) FROM annotations WHERE sequence = ?`)
              .pluck()
              .get(sequence);
            if (!value || value.length === 0) return;
            value[at % value.length] ^= flip;
            changed =
              db.prepare(`UPDATE annotations SET ${name} = CAST(? AS TEXT) WHERE sequence = ?`).run(value, sequence)
                .changes === 1;
          });
          expect(changed ? named(problems, sequence) : problems.length === 0).toBe(true);
        },
      ),
      { numRuns: 120, endOnFailure: true },
    );
  });

  it('names the annotation in which a single bit of any number was changed', () => {
    const numbers = NAMES.filter((name) => COLUMNS[name] !== 'text');
    fc.assert(
      fc.property(
        fc.constantFrom(...numbers),
        fc.integer({ min: 1, max: ROWS }),
        fc.integer({ min: 0, max: 47 }),
        (name, sequence, bit) => {
          let changed = false;
          const problems = after((db) => {
            const value =
              db
                .prepare<[number], number | null>(`SELECT ${name} FROM annotations WHERE sequence = ?`)
                .pluck()
                .get(sequence) ?? null;
            if (value === null) return;
            const view = new DataView(new ArrayBuffer(8));
            let next = value;
            if (COLUMNS[name] === 'real') {
              view.setFloat64(0, value);
              view.setBigUint64(0, view.getBigUint64(0) ^ (1n << BigInt(bit)));
              next = view.getFloat64(0);
            } else next = Number(BigInt(value) ^ (1n << BigInt(bit)));
            changed =
              db
                .prepare(`UPDATE annotations SET ${name} = ? WHERE sequence = ?`)
                .run(COLUMNS[name] === 'real' ? next : BigInt(next), sequence).changes === 1;
          });
          expect(changed ? named(problems, sequence) : problems.length === 0).toBe(true);
        },
      ),
      { numRuns: 80, endOnFailure: true },
    );
  });

  it('finds every annotation that was removed and every pair that was swapped', () => {
    for (let sequence = 1; sequence <= ROWS; sequence++) {
      expect(after((db) => db.prepare('DELETE FROM annotations WHERE sequence = ?').run(sequence))).not.toEqual([]);
      const other = (sequence % ROWS) + 1;
      const swapped = after((db) => {
        const move = db.prepare('UPDATE annotations SET sequence = ? WHERE sequence = ?');
        move.run(99, sequence);
        move.run(sequence, other);
        move.run(other, 99);
      });
      expect(named(swapped, sequence) && named(swapped, other)).toBe(true);
    }
  });

  it('finds a byte flipped in the file itself, wherever in the annotations’ pages it lies', () => {
    const file = path.join(dir, 'project.sqlite');
    const needle = Buffer.from('Kim \uFFFD Ångström');
    const places: number[] = [];
    const whole = bytes['project.sqlite'];
    for (let at = whole.indexOf(needle); at >= 0; at = whole.indexOf(needle, at + 1)) places.push(at);
    expect(places.length).toBeGreaterThanOrEqual(ROWS);
    for (const place of places) {
      const flipped = Buffer.from(whole);
      flipped[place + 2] ^= 1;
      for (const suffix of ['-wal', '-shm']) fs.rmSync(file + suffix, { force: true });
      fs.writeFileSync(file, flipped);
      const reader = openReader(dir);
      expect(reader.verify().ok).toBe(false);
      reader.close();
    }
  });

  it('finds a state, a counter, a missing trigger and a dangling row that do not follow from the record', () => {
    const codes = (change: (db: Database.Database) => void) => [...new Set(after(change).map(({ code }) => code))];
    expect(
      codes((db) => db.exec(`UPDATE item_state SET classes = '["round"]', state = 'labelled' WHERE item = 1`)),
    ).toContain('state-wrong');
    expect(codes((db) => db.exec('DELETE FROM item_state WHERE item = 2'))).toContain('state-wrong');
    expect(codes((db) => db.exec(`UPDATE counters SET n = n + 1 WHERE what = 'open'`))).toEqual(['counter-wrong']);
    expect(codes((db) => db.exec(`INSERT INTO counters VALUES ('pool', 'class:ghost', 2)`))).toEqual(['counter-wrong']);
    expect(codes((db) => db.exec('DELETE FROM items WHERE seq = 3'))).toEqual(['file-structure', 'counter-wrong']);
    expect(codes((db) => db.exec('UPDATE promotions SET version = 1'))).toEqual([]);
    const file = path.join(dir, 'project.sqlite');
    const db = new Database(file);
    db.exec('DROP TRIGGER annotations_no_update');
    db.close();
    const reader = closing(openReader(dir));
    expect(reader.verify().problems.map(({ code }) => code)).toEqual(['append-only-broken']);
  });
});

describe('blobs', () => {
  it('are found changed by one bit or missing, and named', () => {
    const store = newProject();
    const kept = store.blobs.put(Buffer.from('weights'));
    const lost = store.blobs.put(Buffer.from('other weights'));
    store.versions.add({ blob: kept, encoder: null, run: null, card: {}, metrics: {} });
    store.versions.addEncoder({ kind: 'image', blob: lost, card: {} });
    expect(store.verify().ok).toBe(true);
    fs.writeFileSync(store.blobs.pathOf(kept), 'weighus');
    fs.rmSync(store.blobs.pathOf(lost));
    expect(store.verify().problems.map(({ code, where }) => [code, where])).toEqual([
      ['blob-changed', `blob ${kept}`],
      ['blob-missing', `blob ${lost}`],
    ]);
    expect(() => store.blobs.read(kept)).toThrow('has changed');
    expect(() => store.blobs.read(lost)).toThrow('missing');
    expect(store.blobs.put(Buffer.from('weights'))).toBe(kept);
    expect(store.blobs.read(kept).toString()).toBe('weights');
  });

  it('sweeps away what a dead writer left half-written, and nothing of a living one', () => {
    const store = newProject();
    const folder = path.dirname(store.blobs.pathOf('0'.repeat(64)));
    fs.writeFileSync(path.join(folder, '.tmp-999999999-1'), 'half');
    fs.writeFileSync(path.join(folder, `.tmp-${process.ppid}-1`), 'half');
    openBlobs(store.dir).sweep();
    expect(fs.readdirSync(folder)).toEqual([`.tmp-${process.ppid}-1`]);
  });
});
