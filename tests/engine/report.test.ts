/**
 * The report on the version in use: what it measures is worked out again from predictions
 * and labels; it is on record with version, sequence and seed, there at once after a
 * restart, made anew only where something changed, and by itself after a training.
 */
import { expect, test } from 'vitest';
import { clopperPearson } from '../../main/evidence/index.ts';
import type { Project } from '../../main/project.ts';
import {
  closed,
  COMPLAINTS,
  done,
  idle,
  imported,
  label,
  labelNext,
  newProject,
  reading,
  reopened,
  truthOf,
  until,
  writeNotes,
  type Notes,
} from './small-projects.ts';

const MAPPING = { text: 'text', id: 'id' };

/** A project of notes with a version trained on the first `count` labels. */
async function trained(notes: Notes, count: number, many = false): Promise<Project> {
  const task = many ? ('classify-many' as const) : ('classify' as const);
  const project = await newProject({ classes: COMPLAINTS, auditShare: 0.3, task });
  project.looks.setReadings({ share: 0 });
  await imported(project, { sources: [notes.file], mapping: MAPPING });
  await labelNext(project, notes.truth, count);
  done(await project.train().finished);
  return project;
}

const recorded = (project: Project) => reading(project, ({ reports }) => reports.all('evidence'));

test('A report measures the live version on the audit set, and names version, seed and the last act it knows of', async () => {
  const notes = writeNotes(240);
  const project = await trained(notes, 100);
  expect(project.evidence.report()).toBeNull();
  expect(project.status().forecast).toBeNull();
  const report = (await project.evidence.reportNow())!;
  const [record] = recorded(project);
  expect(report).toMatchObject({ modelVersion: 1, sequence: record.sequence, seed: record.seed, at: record.at });
  expect(report.sequence).toBe(100);

  const { n } = project.status().audit;
  const { classes, items } = await project.predict();
  const audit = reading(project, ({ items: reader }) => {
    const rows = reader.poolRows();
    return new Set(rows.id.filter((_, i) => rows.role[i] === 1 && rows.state[i] === 1));
  });
  const right = items.filter(
    ({ item, probabilities }) =>
      audit.has(item) && project.item(item).classes![0] === classes[probabilities.indexOf(Math.max(...probabilities))],
  );
  expect(report.audit).toEqual({ n, components: n, weighted: false });
  expect(report.metrics.accuracy).toEqual({ n, ...clopperPearson(right.length, n) });
  expect(report.perClass.map((own) => own.class)).toEqual(COMPLAINTS);

  const { forecast, saved, stopping } = report;
  expect(forecast).toMatchObject({ target: 0.9, labels: 100 - n });
  expect(forecast.curve.length).toBeGreaterThan(5);
  expect(saved.code).not.toBe('too-few');
  expect(stopping.map(({ rule, met }) => [rule, met === null])).toEqual([
    ['stable', true],
    ['gain', false],
    ['guarantee', false],
    ['confident', false],
  ]);
  expect(project.status().forecast).toEqual(forecast);
});

test('A report that is cancelled leaves nothing behind; one that was made is there at once after a restart, and made anew only where something has changed', async () => {
  const notes = writeNotes(160);
  const project = await trained(notes, 70);
  const controller = new AbortController();
  const cancelled = project.evidence.reportNow(controller.signal);
  setTimeout(() => controller.abort(), 50);
  await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' });
  expect(recorded(project)).toHaveLength(0);
  const first = await project.evidence.reportNow();
  expect(await project.evidence.reportNow()).toEqual(first);
  const { dir } = project;
  await closed(project);

  const again = await reopened(dir, { resume: false });
  expect(again.evidence.report()).toEqual(first);
  expect(await again.evidence.reportNow()).toEqual(first);
  expect(recorded(again)).toHaveLength(1);

  // Another target: the forecast changes, and what was measured stays.
  const aimed = (await again.evidence.setTarget(0.7))!;
  expect(aimed.forecast.target).toBe(0.7);
  expect(aimed.forecast.labelsAtTarget!.low).toBeLessThanOrEqual(first!.forecast.labelsAtTarget!.low);
  expect({ ...aimed, at: 0, forecast: null }).toEqual({ ...first!, at: 0, forecast: null });
  expect(recorded(again)).toHaveLength(2);

  // Another label: all of it is measured again.
  const [entry] = await again.queue(1);
  label(again, entry.item, truthOf(notes.truth, entry.view.name));
  const later = (await again.evidence.reportNow())!;
  expect(later.sequence).toBe(71);
  expect(later.forecast.target).toBe(0.7);
});

test('The same project gives the same report', async () => {
  const notes = writeNotes(120);
  const [one, other] = [await trained(notes, 60), await trained(notes, 60)];
  const [first, second] = [await one.evidence.reportNow(), await other.evidence.reportNow()];
  // Only how long a person took is the tests' own.
  expect({ ...second, at: 0 }).toEqual({ ...first, at: 0 });
});

test('Where an item may have many classes, the report is about all of them', async () => {
  const notes = writeNotes(160, { many: true });
  const project = await trained(notes, 90, true);
  const report = (await project.evidence.reportNow())!;
  expect(report.forecast.curve.length).toBeGreaterThan(3);
  expect(report.perClass).toHaveLength(3);
  expect(report.stopping.find(({ rule }) => rule === 'confident')!.uncertainty).toBeGreaterThan(0);
});

test('While somebody labels, a report follows every training by itself', async () => {
  const notes = writeNotes(160);
  const project = await newProject({ classes: COMPLAINTS, auditShare: 0.3 }, { resume: true });
  project.looks.setReadings({ share: 0 });
  await imported(project, { sources: [notes.file], mapping: MAPPING });
  expect(await project.evidence.reportNow()).toBeNull();
  await until('the pool is embedded', () => project.status().encoder !== null);
  await labelNext(project, notes.truth, 40);
  await until('there is a report', () => project.evidence.report() !== null);
  await labelNext(project, notes.truth, 30);
  await idle(project);
  await until('it is about the newest training', () => {
    const [newest] = project.versions();
    const trainedOn = reading(project, ({ versions }) => versions.newest()!.metrics as { sequence: number });
    const report = project.evidence.report()!;
    return newest !== undefined && report.sequence >= trainedOn.sequence;
  });
});
