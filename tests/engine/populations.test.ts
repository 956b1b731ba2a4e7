/**
 * Who the items are, through the whole engine: a gap between two sites is found and no other,
 * and an import from elsewhere raises an alert where one from the same place does not. Both
 * are on record and the same after a restart.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createRng } from '../../main/domain/rng.ts';
import { closed, done, imported, newFolder, newProject, reopened, writeNotes } from './small-projects.ts';

const CLASSES = ['fever', 'rash', 'cough'];

test('of the attributes of items, the gap between two sites is found and no other', async () => {
  const { truth, file } = writeNotes(420, { seed: 3 });
  const rng = createRng(5);
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  const rows = lines.map((line, i) => {
    const note = JSON.parse(line) as { id: string };
    const site = i % 3 === 0 ? 'south' : 'north';
    // In the south half the labels are anything: there the model is right less often.
    const label = site === 'south' && rng.next() < 0.5 ? CLASSES[rng.int(3)] : truth.get(note.id)![0];
    return JSON.stringify({ ...note, label, site, sex: i % 2 === 0 ? 'f' : 'm', years: 20 + rng.int(60) });
  });
  const table = join(newFolder(), 'visits.jsonl');
  writeFileSync(table, rows.join('\n'));
  const project = await newProject({ classes: CLASSES, auditShare: 0.5 });
  const mapping = { text: 'text', label: 'label', attributes: ['site', 'sex', 'years'] };
  await imported(project, { sources: [table], labels: 'given', mapping });
  done(await project.train().finished);

  const found = await project.evidence.subgroups();
  expect(found).toMatchObject({ modelVersion: 1, balanced: null });
  expect(found.columns.map(({ name, kind }) => [name, kind])).toEqual([
    ['sex', 'category'],
    ['site', 'category'],
    ['years', 'band'],
  ]);
  const [sex, site, years] = found.columns;
  expect([sex.gap, years.gap]).toEqual([null, null]);
  expect(site.gap).toMatchObject({ best: 'north', worst: 'south' });
  expect(site.gap!.difference.low).toBeGreaterThan(0);
  expect(site.gap!.pValue).toBeLessThanOrEqual(0.05);
  const [north, south] = site.groups;
  expect([north.items, south.items]).toEqual([280, 140]);
  expect(north.audited + south.audited).toBe(project.status().audit.n);
  expect(north.accuracy.value! - south.accuracy.value!).toBeCloseTo(site.gap!.difference.value!, 12);
  for (const { accuracy, sensitivity, specificity } of site.groups) {
    for (const { value, low, high } of [accuracy, sensitivity, specificity]) {
      expect(value).toBeGreaterThanOrEqual(low);
      expect(value).toBeLessThanOrEqual(high);
    }
  }
  expect(years.groups.map(({ value }) => value)).toHaveLength(4);
  await closed(project);

  const again = await reopened(project.dir, { resume: false });
  expect(await again.evidence.subgroups()).toEqual(found);
});

test('an import from elsewhere raises an alert, one from the same place does not', async () => {
  const project = await newProject({ classes: CLASSES, auditShare: 0.2 });
  const mapping = { text: 'text', id: 'id', label: 'classes' };
  const first = writeNotes(160, { seed: 1 });
  await imported(project, { sources: [first.file], labels: 'given', mapping });
  done(await project.train().finished);
  expect(project.evidence.drift()).toEqual([]);

  const same = writeNotes(60, { seed: 2, from: 1000 });
  await imported(project, { sources: [same.file], mapping: { text: 'text', id: 'id' } });
  const elsewhere = join(newFolder(), 'elsewhere.jsonl');
  const rng = createRng(4);
  const words = 'hip knee fracture fall x-ray plaster swelling bruise wrist ankle ladder bicycle ice cough rash'.split(
    ' ',
  );
  const other = Array.from({ length: 60 }, (_, i) =>
    JSON.stringify({ id: `other-${i}`, text: Array.from({ length: 9 }, () => words[rng.int(words.length)]).join(' ') }),
  );
  writeFileSync(elsewhere, other.join('\n'));
  await imported(project, { sources: [elsewhere], mapping: { text: 'text', id: 'id' } });
  await project.queue(5);

  const [later, earlier] = project.evidence.drift();
  expect(earlier).toMatchObject({ source: same.file, alert: false, modelVersion: 1 });
  expect(later).toMatchObject({ source: elsewhere, alert: true, modelVersion: 1, items: 60 });
  expect(later.pValue).toBeLessThanOrEqual(0.005);
  expect(later.distance).toBeGreaterThan(earlier.distance);
  expect(later.examples).toHaveLength(6);
  expect(later.examples.every(({ name }) => name.startsWith('other'))).toBe(true);
  await closed(project);

  const again = await reopened(project.dir, { resume: false });
  await again.queue(5);
  expect(again.evidence.drift()).toEqual([later, earlier]);
});
