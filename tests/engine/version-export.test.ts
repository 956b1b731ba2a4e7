/**
 * A version as a file of its own: run by ONNX Runtime alone it says what the project says,
 * and as int8 it differs by as much as the export tells.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { VersionExported } from '../../main/api-version-export.ts';
import type { ItemId } from '../../main/domain/item.ts';
import { openItemModel, type Preparation } from '../../main/inference/index.ts';
import { readModel } from '../../main/onnx/index.ts';
import type { Project } from '../../main/project.ts';
import { COMPLAINTS, done, imported, labelNext, newFolder, newProject, reading, writeNotes } from './small-projects.ts';

async function trained(auditShare: number): Promise<Project> {
  const { file, truth } = writeNotes(60);
  const project = await newProject({ classes: COMPLAINTS, auditShare });
  await imported(project, { sources: [file], mapping: { text: 'text', id: 'id' } });
  await labelNext(project, truth, 30);
  done(await project.train().finished);
  return project;
}

async function exported(project: Project, file: string, int8: boolean): Promise<VersionExported> {
  const job = done(await project.exportVersion({ version: 1, file, int8 }).finished);
  return job.result as unknown as VersionExported;
}

/** Probabilities of each item on its own, from nothing but the file and the item's parts. */
async function answers(project: Project, file: string, ids: readonly ItemId[]): Promise<number[][]> {
  const bytes = readFileSync(file);
  const preparations = JSON.parse(readModel(bytes).metadata.preparations) as Preparation[];
  const model = await openItemModel(bytes, preparations, { threads: 1 });
  const parts = reading(project, ({ items }) => items.partsOf(ids.map((id) => items.seqOf(id)!)));
  const found: number[][] = [];
  for (const own of parts) {
    const { outputs } = await model.run([own], ['probabilities']);
    found.push([...outputs.probabilities.data]);
  }
  await model.close();
  return found;
}

const apart = (a: number[][], b: number[][]) =>
  Math.max(...a.flatMap((row, i) => row.map((p, j) => Math.abs(p - b[i][j]))));

test('The exported file gives the project’s probabilities, and as int8 those that the export tells of', async () => {
  const project = await trained(0.4);
  const folder = newFolder();
  const [plain, small] = [join(folder, 'plain.onnx'), join(folder, 'small.onnx')];
  writeFileSync(small, 'an older file');
  expect(await exported(project, plain, false)).toMatchObject({ version: 1, file: plain, speed: null, audit: null });

  const { classes, items } = await project.predict();
  const ids = items.map(({ item }) => item);
  const said = items.map(({ probabilities }) => probabilities);
  expect(JSON.parse(readModel(readFileSync(plain)).metadata.classes)).toEqual(classes);
  expect(apart(await answers(project, plain, ids), said)).toBeLessThan(1e-5);

  const told = await exported(project, small, true);
  expect(told.sizeBytes).toBe(readFileSync(small).length);
  expect(told.sizeBytes).toBeLessThan(told.sizeBytesBefore);
  expect(told.speed).toBeGreaterThan(0);
  const audited = reading(project, ({ items: reader }) => {
    const rows = reader.poolRows();
    return rows.id.filter((_, i) => rows.role[i] === 1 && rows.classes[i] !== null);
  });
  const [before, after] = [await answers(project, plain, audited), await answers(project, small, audited)];
  expect(told.audit).toMatchObject({ of: 'audit', n: audited.length });
  expect(told.audit!.largestDifference).toBeCloseTo(apart(before, after), 5);
  expect(told.audit!.before!.accuracy).toBeCloseTo(project.versions()[0].audit.accuracy!, 9);
  const best = (row: number[]) => row.indexOf(Math.max(...row));
  expect(told.audit!.changed).toBe(before.filter((row, i) => best(row) !== best(after[i])).length);
});

test('Without an audit set it is compared on open items; what cannot be written or is not there says so', async () => {
  const project = await trained(0);
  const folder = newFolder();
  const { audit } = await exported(project, join(folder, 'small.onnx'), true);
  expect(audit).toMatchObject({ of: 'pool', n: 30, before: null, after: null });
  expect(audit!.largestDifference).toBeLessThan(0.05);

  const nowhere = join(folder, 'nowhere', 'model.onnx');
  const lost = await project.exportVersion({ version: 1, file: nowhere, int8: false }).finished;
  expect(lost.error).toMatchObject({ code: 'io-failed', context: { path: nowhere } });
  const unknown = await project.exportVersion({ version: 7, file: join(folder, 'seven.onnx'), int8: false }).finished;
  expect(unknown.error).toMatchObject({ code: 'version-unknown' });
  expect(existsSync(join(folder, 'seven.onnx'))).toBe(false);
});
