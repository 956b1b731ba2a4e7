/**
 * Second looks through a whole project: wrong labels come up with the numbers that speak
 * against them, answers that differ come up without a model, a new label takes an item off,
 * and all of it is there after a restart.
 */
import { expect, test } from 'vitest';
import type { Project } from '../../main/project.ts';
import {
  closed,
  COMPLAINTS,
  done,
  idle,
  imported,
  itemsOf,
  label,
  newProject,
  reopened,
  truthOf,
  until,
  writeNotes,
  type Notes,
} from './small-projects.ts';

const MAPPING = { text: 'text', id: 'id' };

/** A project of which all labels are true but those of every fifteenth item. */
async function withErrors(notes: Notes): Promise<{ project: Project; wrong: string[] }> {
  const project = await newProject({ classes: COMPLAINTS, auditShare: 0 });
  await imported(project, { sources: [notes.file], mapping: MAPPING });
  const wrong: string[] = [];
  itemsOf(project).forEach(({ id, name }, i) => {
    const [truth] = truthOf(notes.truth, name);
    const isWrong = i % 15 === 7;
    if (isWrong) wrong.push(name);
    label(project, id, [isWrong ? COMPLAINTS[(COMPLAINTS.indexOf(truth) + 1) % 3] : truth]);
  });
  return { project, wrong };
}

test('Labels that held-out models find unlikely are listed with what speaks against them, until they are looked at', async () => {
  const notes = writeNotes(150, { seed: 12 });
  const { project, wrong } = await withErrors(notes);
  expect(project.looks.list(9).total).toBe(0);
  expect(project.looks.isOutdated()).toBe(false);
  done(await project.train().finished);
  expect(project.looks.isOutdated()).toBe(true);
  await project.looks.refresh();
  expect(project.looks.isOutdated()).toBe(false);
  const { total, modelVersion, looks } = project.looks.list(50);
  expect(modelVersion).toBe(1);
  expect(total).toBe(looks.length);
  const names = looks.map(({ view }) => view.name);
  expect(wrong.filter((name) => names.slice(0, 12).includes(name)).length).toBeGreaterThanOrEqual(6);
  expect(looks.map(({ score }) => score)).toEqual(looks.map(({ score }) => score).toSorted((a, b) => b - a));
  const [first, second] = looks;
  expect(['noise', 'third-opinion']).toContain(first.reason);
  expect(first.readings).toEqual([
    { annotator: 'expert', classes: first.view.classes, at: expect.any(Number) as number },
  ]);
  expect(first.suggested?.classes).toEqual(truthOf(notes.truth, first.view.name));
  expect(first.fused?.probability).toBeGreaterThan(0.5);
  expect(first.score).toBeGreaterThan(0.5);
  expect([first.modelVersion, typeof first.seed]).toEqual([1, 'number']);
  expect(project.status().secondLooks).toBe(total);

  // One is changed, one is confirmed: both are done with, now and after the next training.
  label(project, first.view.id, truthOf(notes.truth, first.view.name));
  label(project, second.view.id, second.view.classes!);
  const left = () => project.looks.list(50).looks.map(({ view }) => view.id);
  expect(left()).toEqual(looks.slice(2).map(({ view }) => view.id));
  const before = project.looks.list(50);
  await closed(project);
  const again = await reopened(project.dir, { resume: false });
  expect(again.looks.list(50)).toEqual(before);
  done(await again.train().finished);
  await again.looks.refresh();
  const now = again.looks.list(50);
  const held = again.versions()[0].state === 'held';
  expect(now.modelVersion).toBe(held ? 1 : 2);
  for (const { view } of [first, second]) expect(now.looks.map((look) => look.view.id)).not.toContain(view.id);
});

test('Answers that differ are listed before there is any model, one’s own and other people’s', async () => {
  const notes = writeNotes(30, { seed: 10 });
  const project = await newProject({ classes: COMPLAINTS });
  await imported(project, { sources: [notes.file], mapping: MAPPING });
  const [a, b, c, d] = itemsOf(project).map(({ id }) => id);
  const answer = (item: typeof a, name: string, annotator: string) =>
    project.annotate({ item, act: 'label', classes: [name], annotator, durationMs: 900, asked: true });
  for (const item of [a, b, c, d]) answer(item, 'fever', 'Kim');
  answer(a, 'rash', 'Kim');
  answer(b, 'rash', 'Lee');
  answer(c, 'fever', 'Lee');
  project.annotate({ item: d, act: 'skip', annotator: 'Lee', durationMs: 900, asked: true });
  const { total, looks } = project.looks.list(9);
  expect(total).toBe(2);
  const told = looks.map(({ view, reason, readings, suggested, fused, modelVersion }) => ({
    item: view.id,
    reason,
    readings: readings.map(({ annotator, classes }) => `${annotator}: ${classes.join()}`),
    model: [suggested, fused, modelVersion],
  }));
  const none = [null, null, null];
  expect(new Set(told)).toEqual(
    new Set([
      { item: a, reason: 'repeat-differs', readings: ['Kim: fever', 'Kim: rash'], model: none },
      { item: b, reason: 'annotators-differ', readings: ['Kim: fever', 'Lee: rash'], model: none },
    ]),
  );
  label(project, a, ['fever']);
  expect(project.looks.list(9).looks.map(({ view }) => view.id)).toEqual([b]);
  project.undo('expert');
  expect(project.looks.list(9).total).toBe(2);
});

test('Consistency counts pairs that were answered blind and apart, by hand', async () => {
  const notes = writeNotes(60, { seed: 11 });
  const project = await newProject({ classes: COMPLAINTS });
  await imported(project, { sources: [notes.file], mapping: MAPPING });
  const items = itemsOf(project).map(({ id }) => id);
  const answer = (i: number, name: string, annotator: string, suggestionVisible = false) =>
    project.annotate({
      item: items[i],
      act: 'label',
      classes: [name],
      annotator,
      durationMs: 4000,
      asked: true,
      suggestionVisible,
    });
  const first = ['fever', 'fever', 'fever', 'rash', 'rash', 'cough', 'cough', 'cough', 'cough', 'cough'];
  first.forEach((name, i) => answer(i, name, 'Kim'));
  // Six own pairs, of which five agree; one in sight of the model, one right after the first time.
  ['fever', 'fever', 'rash', 'rash', 'rash', 'cough'].forEach((name, i) => answer(i, name, 'Kim'));
  answer(6, 'rash', 'Kim', true);
  answer(20, 'fever', 'Kim');
  answer(20, 'rash', 'Kim');
  // Four of Lee’s, of which three agree.
  ['cough', 'cough', 'fever', 'cough'].forEach((name, i) => answer(6 + i, name, 'Lee'));
  const { annotators, between, readings } = project.looks.consistency();
  expect(annotators.map(({ annotator, labels, pairs }) => [annotator, labels, pairs])).toEqual([
    ['Kim', 19, 6],
    ['Lee', 4, 0],
  ]);
  const [kim, lee] = annotators;
  // First readings 3, 2, 1 of six; second 2, 3, 1: chance 13/36, agreement 5/6.
  expect(kim.agreement.value).toBeCloseTo(5 / 6, 12);
  expect(kim.kappa.value).toBeCloseTo((5 / 6 - 13 / 36) / (1 - 13 / 36), 12);
  expect(kim.drift).toHaveLength(1);
  expect(kim.drift[0]).toMatchObject({ fromMinute: 0, toMinute: 20, pairs: 6 });
  expect(lee.kappa.value).toBeNull();
  expect(lee.agreement.value).toBeNull();
  expect(kim.pace.suggestBreak).toBe(false);
  expect(between!.items).toBe(4);
  expect(between!.pairs).toHaveLength(1);
  expect(between!.pairs[0]).toMatchObject({ a: 'Kim', b: 'Lee', pairs: 4 });
  expect(between!.pairs[0].agreement.value).toBeCloseTo(3 / 4, 12);
  expect(between!.alpha?.n).toBe(4);
  expect(between!.fleiss?.n).toBe(4);
  expect(between!.confusion.map(({ annotator }) => annotator)).toEqual(['Kim', 'Lee']);
  for (const { matrix } of between!.confusion)
    for (const row of matrix) expect(row.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 9);
  expect(readings).toEqual({ share: 0.02, after: 50, otherShare: 0, made: 12 });
});

test('With the desk open, second looks follow each training by themselves', async () => {
  const notes = writeNotes(90, { seed: 12 });
  const project = await newProject({ classes: COMPLAINTS, auditShare: 0 }, { resume: true });
  await imported(project, { sources: [notes.file], mapping: MAPPING });
  await idle(project);
  itemsOf(project)
    .slice(0, 60)
    .forEach(({ id, name }, i) => {
      const [truth] = truthOf(notes.truth, name);
      label(project, id, [i % 15 === 7 ? COMPLAINTS[(COMPLAINTS.indexOf(truth) + 1) % 3] : truth]);
    });
  await until('labels were judged', () => project.looks.list(1).modelVersion !== null);
  await idle(project);
  expect(project.looks.list(1).modelVersion).toBe(project.status().modelVersion);
});

test('Where an item may have many classes, the answer that is wrong is what is suspected', async () => {
  const notes = writeNotes(150, { seed: 13, many: true });
  const project = await newProject({ classes: COMPLAINTS, task: 'classify-many', auditShare: 0 });
  await imported(project, { sources: [notes.file], mapping: MAPPING });
  const wrong = new Set<string>();
  itemsOf(project).forEach(({ id, name }, i) => {
    const truth = truthOf(notes.truth, name);
    if (i % 15 === 7) wrong.add(name);
    // The rash is forgotten, or seen where there is none.
    const has = (complaint: string) => truth.includes(complaint) !== (wrong.has(name) && complaint === 'rash');
    label(project, id, COMPLAINTS.filter(has));
  });
  done(await project.train().finished);
  await project.looks.refresh();
  const { looks } = project.looks.list(50);
  const found = looks.filter(({ view }) => wrong.has(view.name));
  expect(found.length).toBeGreaterThanOrEqual(4);
  expect(found.length / looks.length).toBeGreaterThan(0.5);
  for (const { view, fused } of found.filter(({ reason }) => reason === 'third-opinion'))
    expect(fused?.classes).toEqual(truthOf(notes.truth, view.name));
});
