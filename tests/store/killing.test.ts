/**
 * A process is killed without warning while it writes; what it had acknowledged is there,
 * nothing is half there, and the next process goes on. A kill does not show what a power
 * loss would: that commits wait for the disk is shown in `project.test.ts`.
 */
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openProject } from '../../main/store/index.ts';
import { closing, fill, newProject, startChild, tickingClock } from './projects.ts';

const clock = tickingClock();

/** Starts a child, waits until it has acknowledged something and `afterMs` more, kills it, and gives all it acknowledged. */
async function killed(command: 'label' | 'import', dir: string, afterMs: number): Promise<string[]> {
  const child = startChild(command, dir);
  expect(await child.line()).toBe('ready');
  const first = await child.line();
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  return [...(first === null ? [] : [first]), ...(await child.kill())];
}

describe('SIGKILL', () => {
  beforeAll(async () => {
    const store = newProject();
    store.close();
    expect(await startChild('race', path.join(store.dir, 'nowhere')).line()).toBe('project-not-found');
  });

  it(
    'never loses an acknowledged annotation in 25 kills, and the project always reopens clean',
    { timeout: 120_000 },
    async () => {
      const store = newProject();
      fill(store, 50);
      store.close();
      let acknowledged = 0;
      for (let kill = 0; kill < 25; kill++) {
        const lines = await killed('label', store.dir, (kill * 7) % 40);
        const reopened = openProject(store.dir, { clock });
        const lost = lines.filter((line) => {
          const [sequence, hash] = line.split(' ');
          return reopened.annotations.get(Number(sequence))?.hash !== hash;
        });
        expect(lost).toEqual([]);
        acknowledged += lines.length;
        // At most the one act in flight was recorded without being acknowledged.
        expect(reopened.annotations.head().sequence - Number(lines.at(-1)?.split(' ')[0])).toBeLessThanOrEqual(1);
        if (kill % 5 === 4) expect(reopened.verify()).toEqual({ ok: true, problems: [] });
        reopened.close();
      }
      expect(acknowledged).toBeGreaterThan(25);
    },
  );

  it('lets an import go on exactly where its last batch ended in 25 kills', { timeout: 120_000 }, async () => {
    const store = newProject();
    store.close();
    for (let kill = 0; kill < 25; kill++) {
      const lines = await killed('import', store.dir, (kill * 11) % 40);
      const reopened = openProject(store.dir, { clock });
      const [job] = reopened.jobs.interrupted();
      const counts = reopened.counts();
      expect(counts.items).toBe(job.cursor);
      expect(counts.items).toBeGreaterThanOrEqual(Number(lines.at(-1)));
      expect(job.result).toMatchObject({ added: counts.items, duplicates: 0, problems: 0 });
      expect(counts.annotations + counts.oracle).toBe(counts.items);
      if (kill % 8 === 7) expect(reopened.verify()).toEqual({ ok: true, problems: [] });
      reopened.close();
    }
    const last = closing(openProject(store.dir, { clock }));
    expect(last.jobs.list()).toHaveLength(1);
  });
});
