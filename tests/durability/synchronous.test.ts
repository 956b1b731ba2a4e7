/**
 * Commits wait for the disk, on every connection that the program opens. The driver forgets
 * that after a connection's first write unless it was told so explicitly, so what a
 * connection says is not enough: in a recording of system calls nothing is acknowledged
 * while any file it rests on has bytes that were not synced.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Disk } from './disk.ts';
import { FAST, record, straceLack } from './strace.ts';

const work = mkdtempSync(join(FAST, 'marginalia-synchronous-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));
const WORKLOAD = join(import.meta.dirname, 'workload.child.ts');
const lack = straceLack();

/** What may wait: who holds the lock, and the copy of the audit trail's end, which may be behind. */
const MAY_WAIT = /(^|\/)project\.(lock(\.json.*)?|head)$/;

interface Unsynced {
  acknowledgements: number;
  /** Files with unsynced bytes at the moment of an acknowledgement. */
  waiting: string[];
  /** How often the write-ahead log was synced. */
  syncs: number;
}

function recorded(name: string, planted?: string): Unsynced {
  const root = join(work, name);
  mkdirSync(root);
  const calls = record(join(work, 'log'), WORKLOAD, [root, '5', '2', '60', ...(planted ? [planted] : [])]);
  const disk = new Disk(root);
  const found: Unsynced = { acknowledgements: 0, waiting: [], syncs: 0 };
  for (const call of calls) {
    if (call.name === 'write' && call.args[0] === 1) {
      found.acknowledgements++;
      found.waiting.push(...disk.unsynced().filter((file) => !MAY_WAIT.test(file)));
    }
    const synced = disk.apply(call) && /^f(data)?sync$/.test(call.name) ? disk.pathOf(Number(call.args[0])) : null;
    if (synced?.endsWith('project.sqlite-wal')) found.syncs++;
  }
  return found;
}

describe('Every connection', () => {
  it.skipIf(lack !== '')(
    `has its bytes on the disk before anything is acknowledged${lack}`,
    { timeout: 180_000 },
    () => {
      const { acknowledgements, waiting, syncs } = recorded('full');
      expect(waiting).toEqual([]);
      expect(acknowledgements).toBeGreaterThan(100);
      expect(syncs).toBeGreaterThanOrEqual(acknowledgements - 2);
    },
  );

  it.skipIf(lack !== '')(`is found out where it does not wait${lack}`, { timeout: 180_000 }, () => {
    const { acknowledgements, waiting } = recorded('normal', 'NORMAL');
    expect(waiting.filter((file) => file.endsWith('-wal')).length).toBeGreaterThan(acknowledgements / 2);
  });

  it('says FULL when it closes, in a run of everything that lasts', { timeout: 180_000 }, () => {
    const root = join(work, 'said');
    mkdirSync(root);
    const modules = [
      '--disable-warning=ExperimentalWarning',
      '--import',
      join(import.meta.dirname, 'connections.child.ts'),
    ];
    const { status, stderr } = spawnSync(process.execPath, [...modules, WORKLOAD, root, '5', '2', '60'], {
      encoding: 'utf8',
    });
    expect(status).toBe(0);
    const closed = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { name: string; synchronous: number; wrote: number })
      .filter(({ name }) => name !== ':memory:');
    const kinds = new Set(closed.map(({ name }) => basename(name).replace(/-\d.*$/, '')));
    expect([...kinds].toSorted()).toEqual(['backup', 'project.lock', 'project.restoring', 'project.sqlite']);
    expect(closed.filter(({ synchronous }) => synchronous !== 2)).toEqual([]);
    // The lock is held and never written.
    expect(closed.filter(({ name, wrote }) => name.endsWith('.lock') && wrote > 0)).toEqual([]);
  });

  it('is opened in one of five files of the store; of these the cache alone does not wait, and one is in memory', () => {
    const opens = (folder: string): string[] =>
      readdirSync(join(import.meta.dirname, '../..', folder), { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.ts'))
        .map((file) => join(folder, file))
        .filter((file) => /new Database\(/.test(readFileSync(join(import.meta.dirname, '../..', file), 'utf8')));
    expect(['main', 'hosts', 'electron'].flatMap(opens).toSorted()).toEqual(
      ['backup', 'cache', 'connection', 'foreign', 'lock'].map((name) => join('main/store', `${name}.ts`)),
    );
    const text = (name: string) => readFileSync(join(import.meta.dirname, '../../main/store', `${name}.ts`), 'utf8');
    expect(text('foreign').match(/new Database\([^)]*\)/g)).toEqual(["new Database(':memory:')"]);
    expect(text('cache')).toContain("db.pragma('synchronous = NORMAL')");
  });
});
