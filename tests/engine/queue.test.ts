/**
 * The queue over time: what the expert is about to see stays where it is, undone items come
 * back, and the same seed with the same acts gives the same queue and the same bytes.
 */
import { expect, test } from 'vitest';
import { COMPLAINTS, done, idle, imported, labelNext, newProject, reading, writeNotes } from './small-projects.ts';

const MAPPING = { text: 'text', id: 'id' };

test('After training, the first six open entries are the same in the same order, and what follows is chosen by the new version', async () => {
  const notes = writeNotes(150);
  const project = await newProject({ classes: COMPLAINTS });
  await imported(project, { sources: [notes.file], mapping: MAPPING });
  for (let version = 1; version <= 3; version++) {
    await labelNext(project, notes.truth, 14);
    const before = (await project.queue(20)).map(({ item }) => item);
    done(await project.train().finished);
    const after = await project.queue(30);
    expect(after.slice(0, 6).map(({ item }) => item)).toEqual(before.slice(0, 6));
    expect(after.map(({ rank }) => rank)).toEqual(after.map((_, i) => i + 1));
    expect(new Set(after.map(({ item }) => item)).size).toBe(after.length);
    expect(new Set(after.slice(6).map(({ modelVersion }) => modelVersion))).toEqual(new Set([version]));
  }
});

test('The same seed and the same acts give the same questions and byte for byte the same versions', async () => {
  const notes = writeNotes(120, { seed: 4 });
  const run = async () => {
    const project = await newProject({ classes: COMPLAINTS, seed: 77 });
    await imported(project, { sources: [notes.file], mapping: MAPPING });
    const asked: string[] = [];
    for (let round = 0; round < 3; round++) {
      asked.push(...(await labelNext(project, notes.truth, 12)).map(({ item }) => item));
      done(await project.train().finished);
    }
    asked.push(...(await project.queue(30)).map(({ item, score }) => `${item} ${score}`));
    const files = reading(project, ({ versions }) => [
      ...versions.encoders().map(({ blob }) => blob),
      ...versions.list().flatMap(({ blob, card }) => [blob, JSON.stringify(card)]),
      ...versions.runs().map(({ snapshot }) => snapshot),
    ]);
    return { asked, files };
  };
  const first = await run();
  expect(first.files).toHaveLength(1 + 6 + 3);
  expect(await run()).toEqual(first);
});

test('An item that is taken back can be asked again, and its label is not learned from', async () => {
  const notes = writeNotes(60);
  const project = await newProject({ classes: COMPLAINTS, auditShare: 0 });
  await imported(project, { sources: [notes.file], mapping: MAPPING });
  await labelNext(project, notes.truth, 11);
  const [last] = await labelNext(project, notes.truth, 1);
  project.undo('expert');
  expect(project.item(last.item).state).toBe('open');
  done(await project.train().finished);
  expect(project.versions()[0].labels).toBe(11);
  expect((await project.queue(60)).map(({ item }) => item)).toContain(last.item);
});

test('Skipping, flagging and commenting train nothing: only labels do', async () => {
  const notes = writeNotes(80);
  const project = await newProject({ classes: COMPLAINTS }, { resume: true });
  await imported(project, { sources: [notes.file], mapping: MAPPING });
  await idle(project);
  await labelNext(project, notes.truth, 15);
  await idle(project);
  const versions = project.versions().length;
  expect(versions).toBeGreaterThan(0);
  for (let i = 0; i < 12; i++) {
    const [{ item }] = await project.queue(1);
    project.annotate({ item, act: 'comment', text: 'blurred', annotator: 'expert', durationMs: 1 });
    project.annotate({ item, act: i % 2 ? 'skip' : 'flag', annotator: 'expert', durationMs: 1 });
  }
  await idle(project);
  expect(project.versions()).toHaveLength(versions);
  expect(project.status()).toMatchObject({ skipped: 6, flagged: 6 });
  expect(project.status().labelsSinceTraining).toBeLessThan(5);
});
