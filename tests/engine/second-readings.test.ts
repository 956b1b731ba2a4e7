/**
 * Items that come back: nobody can tell them from items that measure the model, the answer
 * is kept beside the label, and the label stays.
 */
import { expect, test } from 'vitest';
import type { QueueEntry } from '../../main/api.ts';
import type { Project } from '../../main/project.ts';
import {
  COMPLAINTS,
  done,
  imported,
  itemsOf,
  label,
  newProject,
  reading,
  truthOf,
  writeNotes,
  type Notes,
} from './small-projects.ts';

/** A project in which one place in four is a second reading after five more labels. */
async function started(notes: Notes): Promise<Project> {
  const project = await newProject({ classes: COMPLAINTS, auditShare: 0.2 });
  await imported(project, { sources: [notes.file], mapping: { text: 'text', id: 'id' } });
  project.looks.setReadings({ share: 0.2, after: 5 });
  return project;
}

/** Answers the next entry of the queue. */
async function answer(project: Project, notes: Notes, classes?: string[]): Promise<QueueEntry> {
  const [entry] = await project.queue(1);
  label(project, entry.item, classes ?? truthOf(notes.truth, entry.view.name), true);
  return entry;
}

const recorded = (project: Project) => reading(project, ({ annotations }) => [...annotations.all()]);

test('About as many places as asked are second readings, after as many labels, and none of them shows it', async () => {
  const notes = writeNotes(200, { seed: 3 });
  const project = await started(notes);
  const shown: QueueEntry[] = [];
  for (let i = 0; i < 110; i++) {
    if (i === 20 || i === 60) done(await project.train().finished);
    shown.push(await answer(project, notes));
  }
  const acts = recorded(project);
  const repeats = acts.filter((act) => act.repeats !== null);
  // One place in five, from the sixth label on: 21 expected, three deviations are 12.
  expect(repeats.length).toBeGreaterThan(8);
  expect(repeats.length).toBeLessThan(34);
  expect(new Set(repeats.map((act) => act.repeats)).size).toBe(repeats.length);
  for (const act of repeats) {
    const between = acts.filter(
      ({ sequence, repeats: of }) => sequence > act.repeats! && sequence < act.sequence && of === null,
    );
    expect(between.length).toBeGreaterThanOrEqual(5);
  }
  const again = shown.filter((_, i) => acts[i].repeats !== null);
  const measuring = shown.filter((entry, i) => acts[i].repeats === null && entry.blind);
  expect(measuring.length).toBeGreaterThan(0);
  const keys = (entry: QueueEntry) =>
    JSON.stringify([Object.keys(entry), Object.keys(entry.why), Object.keys(entry.view)]);
  const told = ({ strategy, why, score, blind, view }: QueueEntry) => [
    strategy,
    why.code,
    score,
    blind,
    view.state,
    view.classes,
  ];
  for (const entry of again) {
    expect(keys(entry)).toBe(keys(measuring[0]));
    expect(told(entry)).toEqual(told(measuring[0]));
    expect(entry.view.comments).toEqual([]);
  }
  // From the first version on, both have the model's suggestion, hidden until asked for.
  for (const entry of [...again, ...measuring].filter(({ modelVersion }) => modelVersion !== null))
    expect(entry.suggestion).not.toBeNull();
  expect(project.status().labelled).toBe(110 - repeats.length);
  expect(project.verify()).toEqual({ ok: true, problems: [] });
});

test('A different answer changes no label and trains nothing; undo brings the item back as it was asked', async () => {
  const notes = writeNotes(120, { seed: 5 });
  const project = await started(notes);
  for (let i = 0; i < 12; i++) await answer(project, notes);
  done(await project.train().finished);
  let found: QueueEntry | null = null;
  for (let i = 0; i < 60 && !found; i++) {
    const [entry] = await project.queue(1);
    if (reading(project, ({ queue }) => queue.isSecondReading(entry.item))) found = entry;
    else await answer(project, notes);
  }
  const { item } = found!;
  const before = project.item(item);
  expect(before.state).toBe('labelled');
  const status = project.status();
  const other = COMPLAINTS.find((name) => name !== before.classes![0])!;
  await expect(project.explain({ item })).rejects.toMatchObject({ code: 'item-blind' });
  await expect(project.choosing.why(item)).rejects.toMatchObject({ code: 'item-blind' });
  await answer(project, notes, [other]);
  expect(project.item(item)).toEqual(before);
  const after = project.status();
  expect([after.labelled, after.perClass, after.labelsSinceTraining]).toEqual([
    status.labelled,
    status.perClass,
    status.labelsSinceTraining,
  ]);
  project.undo('expert');
  const [back] = project.next(1);
  expect(back).toEqual(found);
  project.redo('expert');
  expect(project.next(1)[0]?.item).not.toBe(item);
  // Whoever opens the item to change its label changes it.
  label(project, item, [other]);
  expect(project.item(item).classes).toEqual([other]);
});

test('Two people who have the same item in front of them are two readings of it', async () => {
  const notes = writeNotes(30, { seed: 6 });
  const project = await newProject({ classes: COMPLAINTS });
  await imported(project, { sources: [notes.file], mapping: { text: 'text', id: 'id' } });
  const [entry] = await project.queue(1);
  const told = { item: entry.item, act: 'label' as const, durationMs: 1000, asked: true };
  project.annotate({ ...told, classes: ['fever'], annotator: 'Kim' });
  const second = project.annotate({ ...told, classes: ['rash'], annotator: 'Lee' });
  expect(second.repeats).toBe(1);
  expect(project.item(entry.item).classes).toEqual(['fever']);
});

test('Of others’ labels a share of one’s own choosing is read', async () => {
  const notes = writeNotes(80, { seed: 7 });
  const project = await newProject({ classes: COMPLAINTS });
  await imported(project, { sources: [notes.file], mapping: { text: 'text', id: 'id' } });
  for (const item of itemsOf(project).slice(0, 20))
    project.annotate({
      item: item.id,
      act: 'label',
      classes: truthOf(notes.truth, item.name),
      annotator: 'Lee',
      durationMs: 1000,
    });
  // Whoever labelled last is whom the queue is chosen for.
  label(project, itemsOf(project)[20].id, ['rash']);
  project.looks.setReadings({ share: 0, otherShare: 0.5 });
  for (let i = 0; i < 30; i++) await answer(project, notes);
  const acts = recorded(project);
  const repeats = acts.filter((act) => act.repeats !== null);
  expect(repeats.length).toBeGreaterThan(2);
  for (const act of repeats) expect([act.annotator, acts[act.repeats! - 1].annotator]).toEqual(['expert', 'Lee']);
});
