/** `marginalia versions`: a trained version becomes a file of its own, whole or smaller. */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { VersionExported } from '../../main/api-version-export.ts';
import { generateSample } from '../../resources/sample-project/generate.ts';
import { runJson } from '../served-desk.ts';

const work = mkdtempSync(join(tmpdir(), 'marginalia-versions-'));
const project = join(work, 'project');
const file = join(work, 'model.onnx');

beforeAll(async () => {
  const sample = await generateSample(join(work, 'material'), { seed: 3, cells: 30, notes: 0 });
  await runJson('new', project, '--classes', sample.cellClasses.join(','));
  await runJson('import', project, sample.cellsTable, '--image', 'image', '--label', 'kind', '--labels', 'given');
  await runJson('train', project);
}, 120_000);
afterAll(() => rmSync(work, { recursive: true, force: true }));

describe('marginalia versions', () => {
  test('lists what there is', async () => {
    const { json } = await runJson<{ versions: { version: number }[] }>('versions', project);
    expect(json.versions.map(({ version }) => version)).toEqual([1]);
  });

  test('writes a version as a file, and a smaller one in its place', async () => {
    const whole = await runJson<VersionExported>('versions', project, 'export', '1', file);
    expect(whole.json).toMatchObject({ file, int8: false, sizeBytes: statSync(file).size, audit: null });
    const small = await runJson<VersionExported>('versions', project, 'export', '1', file, '--int8');
    expect(small.json).toMatchObject({ file, int8: true, sizeBytes: statSync(file).size });
    expect(small.json.sizeBytes).toBeLessThan(whole.json.sizeBytes);
    expect(small.json.quantized).toBeGreaterThan(0);
    expect(readdirSync(work)).not.toContain('model.onnx.part');
  });

  test('says what is missing of the question', async () => {
    for (const rest of [['export', '1'], ['export', 'first', file], ['--int8']]) {
      const { code, json } = await runJson('versions', project, ...rest);
      expect([rest, code, json.code]).toEqual([rest, 2, 'usage']);
    }
  });
});
