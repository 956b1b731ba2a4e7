/**
 * A project that grows while it is worked on: items arrive while others are labelled and
 * learned from, and a class is added that no version knew.
 */
import { expect, test } from 'vitest';
import {
  COMPLAINTS,
  done,
  idle,
  imported,
  importing,
  label,
  labelNext,
  newProject,
  truthOf,
  until,
  writeNotes,
} from './small-projects.ts';

const MAPPING = { text: 'text', id: 'id' };

test('While an import runs, items are asked, labels are learned from, and nothing waits for its end', async () => {
  const first = writeNotes(80, { seed: 2 });
  const second = writeNotes(6000, { seed: 3, from: 80 });
  const truth = new Map([...first.truth, ...second.truth]);
  const project = await newProject({ classes: COMPLAINTS }, { resume: true });
  await imported(project, { sources: [first.file], mapping: MAPPING });
  await idle(project);
  const job = importing(project, { sources: [second.file], mapping: MAPPING });
  let isOver = false;
  void job.finished.then(() => (isOver = true));
  let labelled = 0;
  let trained = false;
  while (!isOver && !trained) {
    const [entry] = project.next(1);
    if (entry && labelled < 60) {
      label(project, entry.item, truthOf(truth, entry.view.name));
      labelled++;
    }
    trained = project.versions().length > 0;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect({ trained, isOver }).toEqual({ trained: true, isOver: false });
  expect(project.next(1)).toHaveLength(1);
  expect((await project.predict()).items.length).toBeGreaterThanOrEqual(80);
  project.jobs.cancel(job.id);
  await job.finished;
});

test('A class that is added is asked for, learned, and wrong under the versions that did not know it', async () => {
  const notes = writeNotes(120);
  const project = await newProject({ classes: ['fever', 'rash'], auditShare: 0.4 }, { resume: true });
  await imported(project, { sources: [notes.file], mapping: MAPPING });
  await idle(project);
  const known = () => project.next(30).find(({ view }) => truthOf(notes.truth, view.name)[0] !== 'cough');
  for (let i = 0; i < 14; i++) {
    const entry = known();
    if (!entry) break;
    label(project, entry.item, truthOf(notes.truth, entry.view.name));
  }
  await until('a version is there', () => project.versions().length > 0);
  await idle(project);

  expect(project.addClass('cough').classes).toEqual(['fever', 'rash', 'cough']);
  await labelNext(project, notes.truth, 40);
  await idle(project);
  done(await project.train().finished);
  const [newest, ...others] = project.versions();
  expect(newest.perClass.map((own) => own.class)).toEqual(['fever', 'rash', 'cough']);
  expect(newest.live).toBe(true);
  const oldest = others.at(-1)!;
  expect(oldest.perClass.map((own) => own.class)).toEqual(['fever', 'rash']);
  expect(oldest.auditNow.n).toBe(newest.auditNow.n);
  expect(oldest.auditNow.accuracy!).toBeLessThan(newest.auditNow.accuracy!);
  const rest = project.next(30).slice(6);
  expect(rest.every(({ probabilities }) => probabilities?.length === 3)).toBe(true);

  // The version that knows two classes can still be put in use.
  project.promote(oldest.version, 'expert');
  await until('the queue follows', () => {
    const entries = project.next(30).slice(6);
    return entries.length > 0 && entries.every(({ modelVersion }) => modelVersion === oldest.version);
  });
  expect((await project.predict()).classes).toEqual(['fever', 'rash']);
  await idle(project);
});
