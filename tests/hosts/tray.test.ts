/** `marginalia tray`, `subgroups` and `drift` on one project of patients' numbers. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRng } from '../../main/domain/rng.ts';
import { runCli, runJson } from '../served-desk.ts';

const work = mkdtempSync(join(tmpdir(), 'marginalia-tray-'));
const project = join(work, 'project');

/** Patients as a table: two classes apart in pulse; `odd` of them impossible. */
function writePatients(name: string, count: number, { seed = 1, shift = 0, odd = 0 } = {}): string {
  const rng = createRng(seed);
  const rows = Array.from({ length: count }, (_, i) => {
    const ill = rng.next() < 0.5;
    const pulse = (ill ? 110 : 70) + 8 * rng.normal() + shift;
    const pressure = i < odd ? 900 : 120 + 10 * rng.normal();
    return [
      `${name}-${i}`,
      pulse.toFixed(1),
      pressure.toFixed(1),
      ['north', 'south'][i % 2],
      ill ? 'ill' : 'well',
    ].join();
  });
  const file = join(work, `${name}.csv`);
  writeFileSync(file, ['id,pulse,pressure,site,label', ...rows].join('\n'));
  return file;
}

beforeAll(async () => {
  await runJson('new', project, '--classes', 'well,ill');
  const columns = ['--numbers', 'pulse,pressure', '--attributes', 'site', '--id', 'id'];
  await runJson('import', project, writePatients('first', 160), ...columns, '--label', 'label');
  await runJson('train', project);
  await runJson('import', project, writePatients('later', 60, { seed: 2, shift: 25, odd: 3 }), ...columns);
}, 120_000);
afterAll(() => rmSync(work, { recursive: true, force: true }));

test('the tray lists what is unusual and lets it back in', async () => {
  const { json } = await runJson<{ total: number; items: { item: string; name: string; reason: string }[] }>(
    'tray',
    project,
  );
  const impossible = json.items.filter(({ name }) => ['later-0', 'later-1', 'later-2'].includes(name));
  // Of three, those that are no audit items.
  expect(impossible.length).toBeGreaterThan(0);
  expect(json.items.every(({ reason }) => reason === 'far')).toBe(true);
  expect(json.total).toBe(json.items.length);
  const { stdout } = await runCli(['tray', project, '--release', impossible[0].item]);
  expect(stdout).toContain(`${json.total - 1} items are in the tray.`);
}, 120_000);

test('subgroups shows columns named at import and columns of numbers, and sets what the queue evens out', async () => {
  interface Found {
    modelVersion: number;
    balanced: string | null;
    columns: { name: string; kind: string; groups: { value: string; audited: number }[] }[];
  }
  const { json } = await runJson<Found>('subgroups', project, '--balance', 'site');
  expect(json).toMatchObject({ modelVersion: 1, balanced: 'site' });
  expect(json.columns.map(({ name, kind }) => `${name} ${kind}`)).toEqual([
    'pressure band',
    'pulse band',
    'site category',
  ]);
  expect(json.columns[2].groups.map(({ value }) => value)).toEqual(['north', 'south']);
  const { stdout } = await runCli(['subgroups', project, '--balance', 'none']);
  expect(stdout).toContain('  north: 110 items, ');
  expect(stdout).not.toContain('evens out');
  expect((await runJson('subgroups', project, '--balance', 'age')).code).toBe(2);
}, 120_000);

test('drift tells that later patients are others', async () => {
  interface Found {
    imports: { alert: boolean; items: number; pValue: number; examples: { name: string }[] }[];
  }
  const { json } = await runJson<Found>('drift', project);
  expect(json.imports).toMatchObject([{ alert: true, items: 60 }]);
  expect(json.imports[0].examples.every(({ name }) => name.startsWith('later'))).toBe(true);
}, 120_000);
