/**
 * An encoder from elsewhere, through the command line: described before it is accepted,
 * refused with a reason where it cannot serve, and taken back out again.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GraphBuilder } from '../../main/onnx/index.ts';
import { generateSample } from '../../resources/sample-project/generate.ts';
import { runJson } from '../served-desk.ts';

const work = mkdtempSync(join(tmpdir(), 'marginalia-encoder-'));
const project = join(work, 'project');
const model = join(work, 'colours.onnx');

interface Encoders {
  encoders: { version: number; dims: number; imported: boolean; live: boolean }[];
}

/** Mean colour of an image: the simplest encoder there is; `[n, 3, 32, 32]` → `[n, 3, 1, 1]`. */
function meanColour(batch: number | 'n'): Uint8Array {
  const g = new GraphBuilder('mean colour');
  const image = g.input('pixels', 'float32', [batch, 3, 32, 32]);
  g.output('colour', 'float32', [batch, 3, 1, 1], g.node('GlobalAveragePool', [image]));
  return g.toModel();
}

beforeAll(async () => {
  const sample = await generateSample(join(work, 'material'), { seed: 3, cells: 24, notes: 0 });
  await runJson('new', project, '--classes', sample.cellClasses.join(','));
  await runJson('import', project, sample.cellsDir);
  writeFileSync(model, meanColour('n'));
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

describe('An encoder from elsewhere', () => {
  test('is described without being kept', async () => {
    const { code, json } = await runJson(
      'encoder',
      project,
      model,
      '--mean',
      '0.5,0.5,0.5',
      '--std',
      '0.2,0.2,0.2',
      '--inspect',
    );
    expect(code).toBe(0);
    expect(json).toMatchObject({ output: 'colour', dims: 3, outputs: [{ name: 'colour', dims: [2, 3, 1, 1] }] });
    expect((await runJson<Encoders>('encoder', project)).json.encoders).toEqual([]);
  });

  test('embeds the pool once it is accepted, and the queue goes on from it', async () => {
    const { code, json } = await runJson<Encoders>('encoder', project, model);
    expect(code).toBe(0);
    expect(json.encoders[0]).toMatchObject({ dims: 3, imported: true, live: true });
    const queue = await runJson<{ items: { strategy: string }[] }>('queue', project, '--count', '4');
    expect(queue.json.items).toHaveLength(4);
  });

  test('is given up for our own again', async () => {
    const { json } = await runJson<Encoders>('encoder', project, '--own');
    expect(json.encoders[0]).toMatchObject({ imported: false, live: true });
    expect(json.encoders[0].dims).toBeGreaterThan(100);
    expect((await runJson<{ ok: boolean }>('verify', project)).json.ok).toBe(true);
  });

  test.each([
    ['a file that is no model', () => Buffer.from('not a model at all')],
    ['a model that takes exactly four images', () => meanColour(4)],
  ])('is refused with a hint: %s', async (_name, bytes) => {
    const file = join(work, 'refused.onnx');
    writeFileSync(file, bytes());
    const { code, json } = await runJson('encoder', project, file);
    expect({ code, trouble: json.code }).toEqual({ code: 1, trouble: 'encoder-invalid' });
    expect(json.hint).toMatch(/^[A-Z]/);
  });
});
