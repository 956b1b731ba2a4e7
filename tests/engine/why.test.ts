/**
 * Why an item is asked, worked out again by hand from predictions and labels: where its
 * score stands in the pool, which classes compete, what is like it; and nothing of this
 * about what measures the model.
 */
import { expect, test } from 'vitest';
import type { QueueEntry } from '../../main/api.ts';
import type { Project } from '../../main/project.ts';
import {
  COMPLAINTS,
  done,
  imported,
  itemsOf,
  labelNext,
  newProject,
  reading,
  truthOf,
  writeNotes,
} from './small-projects.ts';

const MAPPING = { text: 'text', id: 'id' };

const marginOf = (probabilities: readonly number[]) => {
  const [first, second] = probabilities.toSorted((a, b) => b - a);
  return 1 - (first - second);
};

const byMargin = (entry: QueueEntry) => entry.strategy.startsWith('margin') && !entry.blind;

test('An item’s score stands among those of the open pool, beside its classes and what is like it', async () => {
  const notes = writeNotes(160);
  const project = await newProject({ classes: COMPLAINTS, auditShare: 0.2 });
  await imported(project, { sources: [notes.file], mapping: MAPPING });
  const typical = (await project.queue(20)).find(({ blind }) => !blind)!;
  const early = await project.choosing.why(typical.item);
  expect(early, 'there is nothing to compare before the first version').toMatchObject({
    strategy: 'typicality',
    modelVersion: null,
    distribution: { edges: [], counts: [] },
    shareAbove: null,
    contenders: [],
    nearest: [],
  });

  await labelNext(project, notes.truth, 60);
  done(await project.train().finished);
  const { items } = await project.predict();
  const chosen = (await project.queue(20)).filter(byMargin).find(({ modelVersion }) => modelVersion === 1)!;
  const why = await project.choosing.why(chosen.item);
  expect(why).toMatchObject({ item: chosen.item, strategy: chosen.strategy, modelVersion: 1, seed: chosen.seed });

  const pool = reading(project, ({ items: reader }) => {
    const rows = reader.poolRows();
    return new Set(rows.id.filter((_, i) => rows.role[i] === 0 && rows.state[i] === 0));
  });
  const scores = items.filter(({ item }) => pool.has(item)).map(({ probabilities }) => marginOf(probabilities));
  const own = marginOf(items.find(({ item }) => item === chosen.item)!.probabilities);
  expect(why.score).toBeCloseTo(own, 6);
  expect(why.shareAbove).toBeCloseTo(scores.filter((score) => score > own).length / scores.length, 10);
  const { edges, counts } = why.distribution;
  expect([edges.length, edges[0], edges.at(-1)]).toEqual([25, 0, 1]);
  const inBin = (k: number) => scores.filter((s) => s >= edges[k] && (s < edges[k + 1] || k === 23)).length;
  expect(counts).toEqual(counts.map((_, k) => inBin(k)));

  const { probabilities } = items.find(({ item }) => item === chosen.item)!;
  expect(why.contenders.map((c) => c.class).toSorted()).toEqual(COMPLAINTS.toSorted());
  for (const contender of why.contenders)
    expect(contender.probability).toBeCloseTo(probabilities[COMPLAINTS.indexOf(contender.class)], 6);
  expect(why.contenders.map((c) => c.probability)).toEqual(
    why.contenders.map((c) => c.probability).toSorted((a, b) => b - a),
  );
  expect(why.nearest).toHaveLength(4);
  expect(why.nearest).toEqual(await project.similar(chosen.item, 4));
  for (const { view } of why.nearest) expect(view.classes).toEqual(truthOf(notes.truth, view.name));

  // Another version in use does not change what the one that chose it said.
  await labelNext(project, notes.truth, 20);
  const before = project.next(6).find(byMargin)!;
  expect(before.modelVersion).toBe(1);
  done(await project.train().finished);
  expect(project.status().modelVersion).toBe(2);
  const still = await project.choosing.why(before.item);
  expect(still).toMatchObject({ modelVersion: 1, score: before.score });
  expect(still.distribution.counts.reduce((sum, n) => sum + n, 0)).toBe(project.status().open - openAudit(project));
});

const openAudit = (project: Project) =>
  reading(project, ({ items }) => {
    const rows = items.poolRows();
    return rows.id.filter((_, i) => rows.role[i] === 1 && rows.state[i] === 0).length;
  });

test('After the label, human and model together are told beside it', async () => {
  const notes = writeNotes(120);
  const project = await newProject({ classes: COMPLAINTS });
  await imported(project, { sources: [notes.file], mapping: MAPPING });
  await labelNext(project, notes.truth, 40);
  done(await project.train().finished);
  const queue = await project.queue(20);
  const { item, probabilities } = queue.find((entry) => !entry.blind && entry.probabilities !== null)!;
  const [given] = COMPLAINTS.toSorted(
    (a, b) => probabilities![COMPLAINTS.indexOf(a)] - probabilities![COMPLAINTS.indexOf(b)],
  );
  expect((await project.choosing.why(item)).fused).toBeNull();
  project.annotate({ item, act: 'label', classes: [given], annotator: 'expert', durationMs: 900, asked: true });
  // Of an annotator who read nothing twice, 95 readings in a hundred are taken to be right: of what they read, this one alone counts.
  const right = (1 + 9.5) / (1 + 10);
  const likely = probabilities!.map((p, j) => p * (COMPLAINTS[j] === given ? right : 0.25 / 10));
  const { fused } = await project.choosing.why(item);
  const best = likely.indexOf(Math.max(...likely));
  expect(fused!.classes).toEqual([COMPLAINTS[best]]);
  expect(fused!.probability).toBeCloseTo(likely[best] / likely.reduce((sum, p) => sum + p, 0), 6);
  expect(project.item(item).classes, 'the label stays').toEqual([given]);
});

test('Nothing is told of what measures the model before it has its label, nor of what is not asked', async () => {
  const notes = writeNotes(120);
  const project = await newProject({ classes: COMPLAINTS, auditShare: 0.4 });
  await imported(project, { sources: [notes.file], mapping: MAPPING });
  const blind = (await project.queue(20)).find((entry) => entry.blind)!;
  await expect(project.choosing.why(blind.item)).rejects.toMatchObject({ code: 'item-blind' });
  project.annotate({
    item: blind.item,
    act: 'label',
    classes: truthOf(notes.truth, blind.view.name),
    annotator: 'expert',
    durationMs: 900,
    suggestionVisible: false,
  });
  await expect(project.choosing.why(blind.item)).resolves.toMatchObject({ strategy: 'audit', shareAbove: null });
  const queued = new Set(project.next(200).map(({ item }) => item));
  const other = itemsOf(project).find(({ id, state }) => state === 'open' && !queued.has(id))!;
  await expect(project.choosing.why(other.id)).rejects.toMatchObject({ code: 'item-unknown' });
});
