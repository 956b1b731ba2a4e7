/** `marginalia looks` and `marginalia consistency`: what people and models said differently. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ConsistencyData } from '../../main/api-looks.ts';
import { generateSample } from '../../resources/sample-project/generate.ts';
import { runCli, runJson } from '../served-desk.ts';

const work = mkdtempSync(join(tmpdir(), 'marginalia-looks-'));
const project = join(work, 'project');
let one: string;
let other: string;

beforeAll(async () => {
  const sample = await generateSample(join(work, 'material'), { seed: 3, cells: 12, notes: 0 });
  [one, other] = sample.cellClasses;
  await runJson('new', project, '--classes', sample.cellClasses.join(','));
  await runJson('import', project, sample.cellsTable, '--image', 'image');
}, 120_000);
afterAll(() => rmSync(work, { recursive: true, force: true }));

test('a second answer to the queue is kept beside the label, listed, and taken off by a new label', async () => {
  const { json: queue } = await runJson<{ items: { item: string }[] }>('queue', project, '--count', '1');
  const [{ item }] = queue.items;
  await runJson('label', project, item, one, '--annotator', 'Kim', '--asked');
  const second = await runJson<{ repeats: number }>('label', project, item, other, '--annotator', 'Lee', '--asked');
  expect(second.json.repeats).toBe(1);
  interface Looks {
    total: number;
    looks: { item: string; reason: string; readings: { annotator: string }[] }[];
  }
  const { json: listed } = await runJson<Looks>('looks', project);
  expect(listed).toMatchObject({ total: 1, looks: [{ item, reason: 'annotators-differ' }] });
  expect(listed.looks[0].readings.map(({ annotator }) => annotator)).toEqual(['Kim', 'Lee']);
  const { json: found } = await runJson<ConsistencyData>('consistency', project, '--other-share', '0.1');
  expect(found.between?.pairs).toMatchObject([{ a: 'Kim', b: 'Lee', pairs: 1 }]);
  expect(found.readings).toEqual({ share: 0.02, after: 50, otherShare: 0.1, made: 1 });
  await runJson('label', project, item, one);
  const said = async (command: string) => (await runCli([command, project])).stdout;
  expect(await said('looks')).toContain('0 labels are worth a second look.');
  expect(await said('consistency')).toContain('Kim and Lee: 0.0 % of 1 alike');
  const { code } = await runJson('consistency', project, '--share', '0.9');
  expect(code).toBe(2);
}, 120_000);
