/**
 * What the expert is told of a version's worth, worked out again by hand from predictions,
 * annotations and roles; and what follows from it: a version that got worse is held, and
 * any version can be put in use by hand, with the queue following.
 */
import { expect, test } from 'vitest';
import { clopperPearson } from '../../main/evidence/index.ts';
import type { Project } from '../../main/project.ts';
import {
  COMPLAINTS,
  done,
  idle,
  imported,
  label,
  labelNext,
  newProject,
  reading,
  truthOf,
  until,
  writeNotes,
} from './small-projects.ts';

const MAPPING = { text: 'text', id: 'id' };

async function auditByHand(project: Project) {
  const { classes, items } = await project.predict();
  const audit = reading(project, ({ items: reader }) => {
    const rows = reader.poolRows();
    return new Set(rows.id.filter((_, i) => rows.role[i] === 1 && rows.state[i] === 1));
  });
  const answers = items
    .filter(({ item }) => audit.has(item))
    .map(
      ({ item, probabilities }) =>
        project.item(item).classes![0] === classes[probabilities.indexOf(Math.max(...probabilities))],
    );
  const { value, low, high } = clopperPearson(answers.filter(Boolean).length, answers.length);
  return { n: answers.length, accuracy: value, low, high };
}

test('The accuracy shown is that of the live version on the labelled audit items, which alone are asked blind and have their share of the places', async () => {
  const notes = writeNotes(260);
  const project = await newProject({ classes: COMPLAINTS, auditShare: 0.25 });
  // Second readings look the same: here there are none.
  project.looks.setReadings({ share: 0 });
  await imported(project, { sources: [notes.file], mapping: MAPPING });
  const roles = reading(project, ({ items }) => {
    const rows = items.poolRows();
    return new Map(rows.id.map((id, i) => [id, rows.role[i]]));
  });
  const shown = [];
  for (const count of [20, 40, 60]) {
    shown.push(...(await labelNext(project, notes.truth, count)));
    done(await project.train().finished);
    const { audit } = project.status();
    expect(audit.n).toBe(shown.filter(({ blind }) => blind).length);
    expect(audit).toEqual(await auditByHand(project));
  }
  for (const { item, blind, strategy } of shown) {
    expect(blind).toBe(roles.get(item) === 1);
    expect(strategy === 'audit').toBe(blind);
  }
  // 120 places at a quarter each: four deviations either way.
  const share = shown.filter(({ blind }) => blind).length / shown.length;
  expect(Math.abs(share - 0.25)).toBeLessThan(4 * Math.sqrt((0.25 * 0.75) / 120));

  // A label given to an audit item afterwards is counted once the versions are measured again.
  const { n } = project.status().audit;
  const blind = (await project.queue(40)).find((entry) => entry.blind)!;
  label(project, blind.item, truthOf(notes.truth, blind.view.name));
  await project.refreshEvidence();
  expect(project.status().audit).toEqual(await auditByHand(project));
  expect(project.status().audit.n).toBe(n + 1);
  for (const { version, auditNow } of project.versions()) expect(auditNow.n, `version ${version}`).toBe(n + 1);
});

test('A version that learned from wrong labels is held, and any version goes in and out of use by hand', async () => {
  const notes = writeNotes(240);
  const project = await newProject({ classes: COMPLAINTS, auditShare: 0.3, seed: 8 });
  await imported(project, { sources: [notes.file], mapping: MAPPING });
  for (const count of [30, 20]) {
    await labelNext(project, notes.truth, count);
    done(await project.train().finished);
  }
  expect(project.versions().map(({ state }) => state)).toEqual(['live', 'promoted']);

  const wrong = new Map([...notes.truth].map(([id, [name]]) => [id, [COMPLAINTS[(COMPLAINTS.indexOf(name) + 1) % 3]]]));
  for (let i = 0; i < 90; i++) {
    const [entry] = await project.queue(1);
    label(project, entry.item, truthOf(entry.blind ? notes.truth : wrong, entry.view.name));
  }
  const { result } = done(await project.train().finished);
  expect(result).toEqual({ version: 3, promoted: false });
  const [third] = project.versions();
  expect(third).toMatchObject({ state: 'held', live: false, decision: { promote: false, code: 'worse' } });
  expect(project.status().modelVersion).toBe(2);
  expect(third.auditNow.accuracy!).toBeLessThan(project.status().audit.accuracy!);
  expect((await project.predict()).modelVersion).toBe(2);

  expect(project.rollback('expert')).toBe(1);
  expect(() => project.rollback('expert')).toThrow(expect.objectContaining({ code: 'version-unknown' }));
  expect((await project.predict()).modelVersion).toBe(1);
  expect((await project.queue(30)).slice(6).map(({ modelVersion }) => modelVersion)).not.toContain(2);
  expect(project.promote(3, 'expert')).toBe(3);
  expect((await project.predict()).modelVersion).toBe(3);
  expect(new Set((await project.queue(30)).slice(6).map(({ modelVersion }) => modelVersion))).toEqual(new Set([3]));
  expect(project.rollback('expert')).toBe(1);
  expect(() => project.promote(9, 'expert')).toThrow(expect.objectContaining({ code: 'version-unknown' }));
  expect(project.status().modelVersion).toBe(1);
  expect(project.versions().map(({ state }) => state)).toEqual(['promoted', 'promoted', 'live']);
});

test('With the desk open the queue is chosen anew by whatever version is put in use', async () => {
  const notes = writeNotes(120);
  const project = await newProject({ classes: COMPLAINTS }, { resume: true });
  await imported(project, { sources: [notes.file], mapping: MAPPING });
  await idle(project);
  await labelNext(project, notes.truth, 24);
  await idle(project);
  const last = project.status().modelVersion!;
  expect(last).toBeGreaterThan(1);
  project.rollback('expert');
  await until('the queue follows', () => {
    const rest = project.next(30).slice(6);
    return rest.length > 0 && rest.every(({ modelVersion }) => modelVersion === last - 1);
  });
  await idle(project);
  expect(project.status().audit.n).toBe(project.versions().find(({ live }) => live)!.auditNow.n);
});
