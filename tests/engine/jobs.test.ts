/**
 * Long work that is stopped half-way: cancelled, its process killed, or the project closed.
 * What was done stays, what was not can be begun again, and the end is the same as if
 * nothing had happened.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { JobData } from '../../main/api.ts';
import type { Project } from '../../main/project.ts';
import { generateSample } from '../../resources/sample-project/generate.ts';
import {
  canFindProcesses,
  closed,
  COMPLAINTS,
  computeProcesses,
  done,
  idle,
  imported,
  importing,
  itemsOf,
  label,
  labelNext,
  newFolder,
  newProject,
  reopened,
  truthOf,
  until,
  writeNotes,
} from './small-projects.ts';

const MAPPING = { text: 'text', id: 'id' };

/** Many small text files, so that an import takes several batches. */
function manyTexts(count: number, from = 0): string {
  const folder = newFolder();
  for (let i = from; i < from + count; i++) {
    writeFileSync(
      join(folder, `text-${String(i).padStart(5, '0')}.txt`),
      `Text number ${i} of ${i % 7} with ${i * 31}.`,
    );
  }
  return folder;
}

const idsOf = (project: Project) => itemsOf(project).map(({ id }) => id);

/** Waits until a job of a kind is at a stage; without one, until it has begun to report. */
async function at(project: Project, kind: JobData['kind'], stage?: string): Promise<JobData> {
  const isThere = (job: JobData) =>
    job.kind === kind && job.state === 'running' && job.stage !== null && job.stage === (stage ?? job.stage);
  let found: JobData | undefined;
  await until(`${kind} is at ${stage ?? 'work'}`, () => {
    found = project.jobs.active().find(isThere);
    return found !== undefined;
  });
  return found!;
}

describe('An import', () => {
  test('that is cancelled half-way keeps what it has, and can be started again', async () => {
    const folder = manyTexts(1000);
    const project = await newProject({ classes: ['a', 'b'] });
    const job = importing(project, { sources: [folder] });
    await until('something is imported', () => project.status().items > 0);
    project.jobs.cancel(job.id);
    expect(await job.finished).toMatchObject({ state: 'cancelled', error: null });
    const kept = idsOf(project);
    expect(kept.length).toBeGreaterThan(0);
    expect(kept.length).toBeLessThan(1000);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(project.status().items).toBe(kept.length);

    const { result } = await imported(project, { sources: [folder] });
    expect(result).toMatchObject({ added: 1000 - kept.length, duplicates: kept.length });
    expect(idsOf(project).slice(0, kept.length)).toEqual(kept);
    expect(project.verify()).toMatchObject({ ok: true });
  });

  test('that the project is closed on goes on at the next start, to the same items as an undisturbed one', async () => {
    const folder = manyTexts(1000);
    const calm = await newProject({ classes: ['a', 'b'] });
    await imported(calm, { sources: [folder] });

    const project = await newProject({ classes: ['a', 'b'] });
    const job = importing(project, { sources: [folder] });
    const ended = job.finished.catch((error: unknown) => error);
    await until('something is imported', () => project.status().items > 0);
    await closed(project);
    expect(await ended).toMatchObject({ code: 'cancelled' });

    const again = await reopened(project.dir, { resume: true });
    const had = again.status().items;
    expect(had).toBeLessThan(1000);
    const resumed = done(await again.jobs.finished(job.id));
    expect(resumed.result).toMatchObject({ added: 1000, duplicates: 0 });
    expect(idsOf(again)).toEqual(idsOf(calm));
    await closed(again);
  });

  test.skipIf(!canFindProcesses)(
    'whose process is killed reads on from where it was; two imports run one after the other',
    async () => {
      const [first, second] = [manyTexts(700), manyTexts(300, 700)];
      const project = await newProject({ classes: ['a', 'b'] });
      const jobs = [importing(project, { sources: [first] }), importing(project, { sources: [second] })];
      await until('something is imported', () => project.status().items > 0);
      const [reader] = computeProcesses(project.dir);
      process.kill(reader, 'SIGKILL');
      const [one, two] = [done(await jobs[0].finished), done(await jobs[1].finished)];
      expect([one.result, two.result]).toMatchObject([
        { added: 700, duplicates: 0 },
        { added: 300, duplicates: 0 },
      ]);
      expect(one.endedAt!).toBeLessThanOrEqual(two.endedAt!);
      expect(itemsOf(project).map(({ name }) => name)).toEqual(
        Array.from({ length: 1000 }, (_, i) => `text-${String(i).padStart(5, '0')}.txt`),
      );
    },
  );
});

describe('Learning', () => {
  test('that is cancelled while it embeds is over, stays over until asked for, and then uses what was embedded', async () => {
    const sample = await generateSample(newFolder(), { seed: 6, cells: 70, notes: 0 });
    const project = await newProject({ classes: sample.cellClasses }, { resume: true });
    await imported(project, { sources: [sample.cellsTable], mapping: { image: 'image', id: 'id' } });
    const { id } = await at(project, 'encode', 'embedding');
    project.jobs.cancel(id);
    expect(await project.jobs.finished(id)).toMatchObject({ state: 'cancelled', error: null });
    for (let i = 0; i < 10; i++) project.next(5);
    await idle(project);
    const kinds = () => project.jobs.list(100).map(({ kind, state }) => `${kind} ${state}`);
    expect(kinds().filter((job) => job.startsWith('encode'))).toEqual(['encode cancelled']);
    expect(await project.queue(20)).toHaveLength(20);
    expect((await project.predict().catch((error: unknown) => error)) as object).toMatchObject({
      code: 'version-unknown',
    });
    await idle(project);
  });

  test.skipIf(!canFindProcesses)(
    'whose process is killed while it embeds or trains is done again, and the next job works',
    async () => {
      const sample = await generateSample(newFolder(), { seed: 7, cells: 50, notes: 0 });
      const project = await newProject({ classes: sample.cellClasses });
      await imported(project, { sources: [sample.cellsTable], mapping: { image: 'image', id: 'id' } });
      const compute = () => computeProcesses(project.dir);
      const before = new Set(compute());
      const queued = project.queue(10);
      await until('compute has started', () => compute().some((pid) => !before.has(pid)));
      await at(project, 'queue', 'embedding');
      for (const pid of compute()) if (!before.has(pid)) process.kill(pid, 'SIGKILL');
      const entries = await queued;
      expect(entries).toHaveLength(10);

      entries.forEach(({ item }, i) => label(project, item, [sample.cellClasses[i % 4]]));
      const training = project.train();
      await at(project, 'train');
      for (const pid of compute()) process.kill(pid, 'SIGKILL');
      done(await training.finished);
      expect((await project.predict()).items).toHaveLength(50);

      // One that dies again and again is not tried for ever: it fails, says so, and the next one works.
      let kills = 0;
      const killing = setInterval(() => {
        for (const pid of compute()) {
          process.kill(pid, 'SIGKILL');
          kills++;
        }
      }, 20);
      const doomed = await project.train().finished;
      clearInterval(killing);
      expect(doomed).toMatchObject({ state: 'failed', error: { code: 'compute-died' } });
      expect(kills).toBeLessThan(10);
      done(await project.train().finished);
    },
  );

  test('that was under way when the project was closed is marked as stopped, and what is due begins anew', async () => {
    const notes = writeNotes(120);
    const project = await newProject({ classes: COMPLAINTS });
    await imported(project, { sources: [notes.file], mapping: MAPPING });
    await labelNext(project, notes.truth, 12);
    const training = project.train();
    const ended = training.finished.catch((error: unknown) => error);
    await at(project, 'train');
    await closed(project);
    expect(await ended).toMatchObject({ code: 'cancelled' });
    const again = await reopened(project.dir, { resume: true });
    await idle(again);
    expect(await again.jobs.finished(training.id)).toMatchObject({ state: 'cancelled' });
    expect(again.status()).toMatchObject({ labelled: 12, modelVersion: 1 });
    for (const { item, view } of again.next(3)) label(again, item, truthOf(notes.truth, view.name));
    await idle(again);
    expect(again.status().labelled).toBe(15);
  });
});
