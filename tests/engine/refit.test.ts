/**
 * The pool grows to more than twice its size: it gets a new encoder, the loop trains on it
 * at once so that suggestions do not go away, and versions of the encoder before can still
 * be measured and put in use, for new items too.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  accuracyOnOpen,
  closed,
  COMPLAINTS,
  done,
  idle,
  imported,
  labelNext,
  newProject,
  reopened,
  writeNotes,
} from './small-projects.ts';

const MAPPING = { text: 'text', id: 'id' };

test('After the encoder is fitted anew the loop trains at once, and versions of the one before stay of use', async () => {
  const first = writeNotes(60, { seed: 2 });
  const second = writeNotes(80, { seed: 3, from: 60 });
  const truth = new Map([...first.truth, ...second.truth]);
  const project = await newProject({ classes: COMPLAINTS, auditShare: 0.3 }, { resume: true });
  await imported(project, { sources: [first.file], mapping: MAPPING });
  await idle(project);
  await labelNext(project, truth, 24);
  await idle(project);
  const before = project.versions()[0];
  expect(before).toMatchObject({ live: true, encoder: 1 });

  await imported(project, { sources: [second.file], mapping: MAPPING });
  await idle(project);
  expect(project.encoders().map(({ version, fittedOn }) => [version, fittedOn])).toEqual([
    [2, 140],
    [1, 60],
  ]);
  const [newest] = project.versions();
  expect(newest).toMatchObject({ version: before.version + 1, encoder: 2, live: true });
  expect(newest.decision.code).not.toBe('no-audit');
  expect((await project.predict()).items).toHaveLength(140);
  expect(
    project
      .next(30)
      .slice(6)
      .every(({ modelVersion }) => modelVersion === newest.version),
  ).toBe(true);
  expect(await accuracyOnOpen(project, truth)).toBeGreaterThan(0.7);

  // Audit items that came after a version are embedded for its encoder too.
  await labelNext(project, truth, 30);
  await idle(project);
  await project.refreshEvidence();
  const { n } = project.status().audit;
  expect(n).toBeGreaterThan(before.auditNow.n);
  expect(project.versions().map(({ auditNow }) => auditNow.n)).toEqual(project.versions().map(() => n));

  project.promote(before.version, 'expert');
  await idle(project);
  expect(project.status()).toMatchObject({ modelVersion: before.version });
  const { modelVersion, items } = await project.predict();
  expect([modelVersion, items.length]).toEqual([before.version, 140]);
  const rest = project.next(30).slice(6);
  expect(rest.length).toBeGreaterThan(5);
  expect(rest.every((entry) => entry.modelVersion === before.version && entry.probabilities?.length === 3)).toBe(true);
  const runs = project.jobs.list(100).filter(({ kind }) => kind === 'train').length;
  await idle(project);
  expect(project.jobs.list(100).filter(({ kind }) => kind === 'train')).toHaveLength(runs);
});

test('Started by hand after the pool grew, training uses the new encoder, and a cache that was deleted only loses time', async () => {
  const first = writeNotes(50, { seed: 2 });
  const second = writeNotes(60, { seed: 3, from: 50 });
  const truth = new Map([...first.truth, ...second.truth]);
  const project = await newProject({ classes: COMPLAINTS, auditShare: 0.3 });
  await imported(project, { sources: [first.file], mapping: MAPPING });
  await labelNext(project, truth, 20);
  done(await project.train().finished);
  const predicted = (await project.predict()).items;
  await imported(project, { sources: [second.file], mapping: MAPPING });

  const grown = await project.predict();
  expect(grown.modelVersion).toBe(1);
  expect(grown.items).toHaveLength(110);
  grown.items
    .slice(0, 50)
    .forEach(({ probabilities }, i) =>
      probabilities.forEach((p, j) => expect(p).toBeCloseTo(predicted[i].probabilities[j], 5)),
    );
  done(await project.train().finished);
  expect(project.versions().map(({ encoder }) => encoder)).toEqual([2, 1]);

  project.promote(1, 'expert');
  const now = await project.predict();
  await closed(project);
  for (const end of ['', '-wal', '-shm']) rmSync(join(project.dir, `cache.sqlite${end}`), { force: true });
  const again = await reopened(project.dir, { resume: false });
  const recomputed = await again.predict();
  expect(recomputed.items.map(({ item }) => item)).toEqual(now.items.map(({ item }) => item));
  // Sums follow the batches, so the last bits may differ.
  recomputed.items.forEach(({ probabilities }, i) =>
    probabilities.forEach((p, j) => expect(p).toBeCloseTo(now.items[i].probabilities[j], 5)),
  );
  await again.refreshEvidence();
  expect(again.versions().map(({ auditNow }) => auditNow.n)).toEqual(
    again.versions().map(() => again.status().audit.n),
  );
});
