/**
 * A process died, and its acknowledged acts are in the write-ahead log alone. A disk that
 * cannot give the log back must not make them disappear: the driver in use takes a read that
 * fails for the end of the log (decision 0018), so that the store reads it first.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createProject, openProject } from '../../main/store/index.ts';
import { FAST, runFailing, straceLack } from './strace.ts';
import { candidates, NEW_PROJECT } from './workload.ts';

const ACTS = 60;
const CHILD = join(import.meta.dirname, 'log.child.ts');
const lack = straceLack();
const work = mkdtempSync(join(FAST, 'marginalia-log-'));
const died = join(work, 'died');
const dir = join(work, 'project');

beforeAll(() => {
  let now = 1_000;
  const store = createProject(join(work, 'first'), { ...NEW_PROJECT, clock: () => now++ });
  const { id: job } = store.jobs.enqueue('import', {});
  store.items.addCandidates(candidates(0, 5), { job, cursor: 5 });
  const [{ id: item }] = store.items.list({ limit: 1 });
  for (let i = 0; i < ACTS; i++)
    store.annotations.append({ item, act: 'label', classes: ['odd'], annotator: 'kim', durationMs: 1 });
  cpSync(join(work, 'first'), died, { recursive: true });
  rmSync(join(died, 'project.sqlite-shm'));
  store.close();
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** What `who` finds while the `nth` read of the log fails, and later ones where `+`; then what a working disk gives. */
function found(who: 'store' | 'driver', nth: string): [then: string, later: number] {
  rmSync(dir, { recursive: true, force: true });
  cpSync(died, dir, { recursive: true });
  const log = join(dir, 'project.sqlite-wal');
  const then = runFailing(`pread64:error=EIO:when=${nth}`, [log], CHILD, [dir, who]).trim();
  const store = openProject(dir, { clock: () => 9_000_000 });
  const { sequence } = store.annotations.head();
  expect(store.verify().problems).toEqual([]);
  store.close();
  return [then, sequence];
}

describe.skipIf(lack !== '')(`A write-ahead log that cannot be read${lack}`, () => {
  it('is refused by the store, which then has lost nothing', { timeout: 180_000 }, () => {
    for (const nth of ['1', '1+']) expect(found('store', nth)).toEqual(['io-failed', ACTS]);
  });

  // A driver that hides failed reads finds fewer acts here and says nothing: there was one (decision 0018).
  it('is told of by the driver alone too', { timeout: 180_000 }, () => {
    expect(found('driver', '300')[0]).toMatch(/^SQLITE_IOERR/);
  });
});
