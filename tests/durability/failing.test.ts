/**
 * Single system calls of the operations that have to last fail, as the disk's errors would
 * let them: an operation that says it went well is there, one that says it failed is there
 * in full or not at all, nothing older is gone, the error has the right code, and a
 * connection that failed saves nothing more. `npm run soak` has every call; here are every
 * call that writes in `label` and `save a version`, and a sample of all others.
 */
import { describe, expect, it } from 'vitest';
import { allFailures, Bench, named, someFailures, type Failure } from './failing.ts';
import type { OperationName } from './failing-operations.ts';
import { straceLack } from './strace.ts';

const OPERATIONS: OperationName[] = [
  ...(['label', 'undo', 'import 50', 'export', 'save a version', 'checkpoint', 'backup', 'close', 'migrate'] as const),
];

const lack = straceLack();

async function wrongOf(operations: OperationName[], choose: (all: Failure[]) => Failure[]): Promise<string[]> {
  const bench = new Bench();
  try {
    const surveys = bench.survey(operations);
    const wrong: string[] = [];
    await bench.run(choose(someFailures(surveys, 31)), surveys, (failure, { outcome }, found) => {
      wrong.push(...found.map((line) => `${named(failure)}: ${outcome}: ${line}`));
    });
    return wrong;
  } finally {
    bench.close();
  }
}

describe.skipIf(lack !== '')(`A system call that fails${lack}`, () => {
  it('is never passed over in silence, and costs nothing that was saved', { timeout: 600_000 }, async () => {
    let count = 0;
    const wrong = await wrongOf(OPERATIONS, (all) => {
      const writes = all.filter(({ call }) => call !== 'pread64');
      count = writes.length;
      return writes;
    });
    expect(wrong).toEqual([]);
    expect(count).toBeGreaterThan(110);
  });

  it('is heard when it is a read', { timeout: 300_000 }, async () => {
    expect(await wrongOf(OPERATIONS, (all) => all.filter(({ call }) => call === 'pread64'))).toEqual([]);
  });

  it(
    'of a commit that waits for the disk ends all saving until the project is opened again',
    { timeout: 180_000 },
    async () => {
      const bench = new Bench();
      const after: string[] = [];
      try {
        const surveys = bench.survey(['label']);
        const syncs = allFailures(surveys).filter(
          ({ call, error, isForEver }) => call === 'fsync' && error === 'EIO' && !isForEver,
        );
        await bench.run(syncs, surveys, (_, { outcome, second }, wrong) => {
          after.push(...wrong, ...(outcome === 'ok' ? [] : [`${outcome}, then ${second}`]));
        });
      } finally {
        bench.close();
      }
      // SQLite goes on where only the new log's folder could not be synced; else nothing is saved any more, though the disk works again.
      expect(new Set(after)).toEqual(new Set(['io-failed, then io-failed']));
    },
  );

  it('is found out where an operation hides it', { timeout: 300_000 }, async () => {
    const wrong = await wrongOf(['label and hide'], (all) =>
      all.filter(({ call }) => call === 'pwrite64' || call === 'fsync'),
    );
    expect(wrong.filter((line) => line.includes('silent')).length).toBeGreaterThan(0);
  });
});
