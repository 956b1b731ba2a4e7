import fs from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, describe, expect, it } from 'vitest';
import { openProject, type ProjectStore } from '../../main/store/index.ts';
import { MIGRATIONS } from '../../main/store/migrations.ts';
import { temporaryFolder } from './projects.ts';

// Each file was written by the program when its format was the newest: a table of seven
// notes, four labels that came with it, two by hand.
const FORMATS = [1, 2];
let store: ProjectStore | null = null;
afterEach(() => store?.close());

function unpacked(format: number): string {
  const dir = temporaryFolder();
  fs.copyFileSync(new URL(`../migrations/format-${format}.sqlite`, import.meta.url), path.join(dir, 'project.sqlite'));
  return dir;
}

describe.each(FORMATS)('a project of format %i', (format) => {
  it('opens with everything it held, and leaves a copy of what it was', () => {
    const dir = unpacked(format);
    store = openProject(dir, { clock: () => 2e12 });
    expect(store.counts()).toMatchObject({ items: 7 });
    expect(store.annotations.head().sequence).toBe(6);
    expect(store.items.list().map(({ name, state, classes }) => [name, state, classes?.[0]])).toEqual([
      ['a', 'labelled', 'routine'],
      ['b', 'labelled', 'urgent'],
      ['c', 'labelled', 'routine'],
      ['d', 'labelled', 'urgent'],
      ['e', 'labelled', 'routine'],
      ['f', 'labelled', 'urgent'],
      ['g', 'open', undefined],
    ]);
    expect(store.verify()).toEqual({ ok: true, problems: [] });
    const { hash } = store.annotations.head();
    expect(store.audit.latest()).toMatchObject([
      { entry: 1, call: 'program.migrate', subject: { annotation: 6, hash } },
    ]);
    const before = new Database(store.migrationBackup ?? '', { readonly: true });
    expect(before.pragma('user_version', { simple: true })).toBe(format);
    before.close();
  });

  it('goes on as a project of today', () => {
    const dir = unpacked(format);
    store = openProject(dir, { clock: () => 2e12 });
    const [item] = store.items.list({ state: 'open' });
    store.annotations.append({ item: item.id, act: 'label', classes: ['urgent'], annotator: 'kim', durationMs: 5 });
    store.reports.add({ kind: 'trial', version: null, sequence: 7, seed: 3, body: { n: 1 } });
    store.close();
    store = openProject(dir, { clock: () => 2e12 });
    expect(store.migrationBackup).toBe(null);
    expect(store.reports.newest('trial')).toMatchObject({ sequence: 7, seed: 3, body: { n: 1 } });
    expect(store.verify().ok).toBe(true);
  });
});

it('has a real file of every format before today’s', () => {
  expect(FORMATS).toEqual(Array.from({ length: MIGRATIONS.length - 1 }, (_, i) => i + 1));
});
