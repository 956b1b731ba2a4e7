import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ImagePart, NumbersPart, Part, TextPart } from '../../main/domain/item.ts';
import { type Matrix, row } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import { type EncoderFile, fitEncoder, inputsOf, openEncoder } from '../../main/inference/index.ts';
import { readModel } from '../../main/onnx/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'encoder-'));
afterAll(() => rmSync(folder, { recursive: true }));

const text = (words: string): TextPart => ({ kind: 'text', text: words, sha256: '', path: null });
const numbers = (values: NumbersPart['values']): NumbersPart => ({ kind: 'numbers', values });
const image = (path: string): ImagePart => ({
  kind: 'image',
  path,
  sha256: '',
  sizeBytes: 0,
  width: 0,
  height: 0,
  format: 'png',
});

/** Stripes, upright or lying, with noise. */
async function stripes(name: string, lying: boolean, seed: number, coloured = false): Promise<ImagePart> {
  const rng = createRng(seed);
  const side = 48;
  const data = new Uint8Array(side * side * 3);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const value = 128 + 80 * Math.sin((lying ? y : x) * 0.9) + 20 * rng.normal();
      for (let c = 0; c < 3; c++)
        data[(y * side + x) * 3 + c] = Math.max(0, Math.min(255, coloured && c === 1 ? value / 2 : value));
    }
  }
  const path = join(folder, `${name}.png`);
  writeFileSync(
    path,
    await sharp(data, { raw: { width: side, height: side, channels: 3 } })
      .png()
      .toBuffer(),
  );
  return image(path);
}

const FEVER = ['fever and chills', 'high fever with cough', 'cough, fever', 'chills and cough at night'];
const SKIN = ['itching rash on the arm', 'rash and itching', 'red rash, itching skin', 'skin of the arm red'];

function meanSquaredNorm(m: Matrix): number {
  return m.data.reduce((sum, value) => sum + value * value, 0) / m.rows;
}

/** Equal up to the order in which ONNX Runtime sums, which follows the batch. */
function expectSameRow(a: Float32Array, b: Float32Array) {
  const furthest = a.reduce((most, value, d) => Math.max(most, Math.abs(value - b[d])), 0);
  expect(furthest).toBeLessThan(1e-5);
}

function distance(m: Matrix, i: number, j: number): number {
  return Math.sqrt(row(m, i).reduce((sum, value, d) => sum + (value - row(m, j)[d]) ** 2, 0));
}

async function embed(file: EncoderFile, items: readonly Part[][]) {
  const encoder = await openEncoder(file.model, file.card, { threads: 1 });
  try {
    return await encoder.embed(items);
  } finally {
    await encoder.close();
  }
}

describe('an encoder of numbers', () => {
  const pool = [
    [numbers({ age: 30, glucose: null, sex: 'f' })],
    [numbers({ age: 50, glucose: 4, sex: 'm' })],
    [numbers({ age: 40, glucose: 6, sex: 'f' })],
    [numbers({ age: 40, glucose: 5, sex: null })],
  ];

  it('gives the numbers worked by hand: standardised, missing marked, categories one-hot', async () => {
    const file = await fitEncoder(pool, { seed: 1 });
    const { embedding } = await embed(file, pool);
    // Columns: age, glucose (standardised); glucose missing, sex missing; sex = f, sex = m.
    // Mean squared norm before scaling: 1 + 3/4 + 1/4 + 1/4 + 3/4 = 3.
    const age = Math.SQRT2;
    const glucose = 1 / Math.sqrt(2 / 3);
    const byHand = [
      [-age, 0, 1, 0, 1, 0],
      [age, -glucose, 0, 0, 0, 1],
      [0, glucose, 0, 0, 1, 0],
      [0, 0, 0, 1, 0, 0],
    ].map((values) => values.map((value) => value / Math.sqrt(3)));
    byHand.forEach((values, i) => values.forEach((value, d) => expect(row(embedding, i)[d]).toBeCloseTo(value, 5)));
    expect(meanSquaredNorm(embedding)).toBeCloseTo(1, 5);
  });

  it('takes an unknown category and an absent column as missing, and bounds a slip of the unit', async () => {
    const file = await fitEncoder(pool, { seed: 1 });
    const { embedding, problems } = await embed(file, [[numbers({ sex: 'x', age: 4e6 })]]);
    expect(problems).toEqual([]);
    const expected = [6, 0, 1, 1, 0, 0].map((value) => value / Math.sqrt(3));
    expected.forEach((value, d) => expect(embedding.data[d]).toBeCloseTo(value, 5));
  });
});

describe('an encoder of texts', () => {
  const pool = [...FEVER, ...SKIN].map((words) => [text(words)]);

  it('places texts with common words close to each other, as rows of unit length', async () => {
    const { embedding, reduced } = await embed(await fitEncoder(pool, { seed: 1 }), pool);
    expect(distance(embedding, 0, 1)).toBeLessThan(distance(embedding, 0, 4));
    expect(distance(embedding, 4, 5)).toBeLessThan(distance(embedding, 4, 1));
    expect(meanSquaredNorm(embedding)).toBeCloseTo(1, 3);
    expect(reduced).toEqual(embedding);
  });

  it('does so for Chinese', async () => {
    const chinese = ['患者发热咳嗽', '发热三天，伴咳嗽', '皮疹瘙痒', '手臂皮疹，瘙痒明显'].map((words) => [
      text(words),
    ]);
    const { embedding } = await embed(await fitEncoder(chinese, { seed: 1 }), chinese);
    expect(distance(embedding, 0, 1)).toBeLessThan(distance(embedding, 0, 2));
    expect(distance(embedding, 2, 3)).toBeLessThan(distance(embedding, 1, 3));
  });

  it('gives the sparse vectors as well, of unit length, the rarer word weighing more', async () => {
    const file = await fitEncoder(pool, { seed: 1 });
    const encoder = await openEncoder(file.model, file.card);
    const { matrix } = await encoder.terms([[text('fever')], [text('')], [text('cough cough')]]);
    await encoder.close();
    expect(matrix.columns).toBe(file.card.terms);
    expect(Array.from(matrix.indptr).slice(0, 3)).toEqual([0, matrix.indptr[1], matrix.indptr[1]]);
    const first = matrix.data.subarray(0, matrix.indptr[1]);
    expect(first.reduce((sum, w) => sum + w * w, 0)).toBeCloseTo(1, 4);
    const columns = Array.from(matrix.indices.subarray(0, matrix.indptr[1]));
    expect(columns).toEqual([...new Set(columns)].sort((a, b) => a - b));
  });

  it('reads several texts of one item as one, and a text without known words as zeros', async () => {
    const file = await fitEncoder(pool, { seed: 1 });
    const { embedding } = await embed(file, [
      [text('fever'), text('chills')],
      [text('fever\n\nchills')],
      [text('???')],
    ]);
    expectSameRow(row(embedding, 0), row(embedding, 1));
    expect(row(embedding, 2).every((value) => value === 0)).toBe(true);
  });
});

describe('an encoder of images', () => {
  let pool: ImagePart[][];
  let file: EncoderFile;
  const stages = new Set<string>();
  beforeAll(async () => {
    const drawn = Array.from({ length: 12 }, (_, i) => stripes(`grey ${i}`, i >= 6, i));
    pool = (await Promise.all(drawn)).map((part) => [part]);
    file = await fitEncoder(pool, { seed: 7, onProgress: ({ stage }) => stages.add(stage) });
  });

  it('tells textures apart that have the same grey values', async () => {
    const { embedding, reduced, problems } = await embed(file, pool);
    expect(problems).toEqual([]);
    expect(embedding.columns).toBe(2304);
    expect(reduced.columns).toBe(file.card.reducedDims);
    expect(meanSquaredNorm(embedding)).toBeGreaterThan(0.8);
    expect(meanSquaredNorm(embedding)).toBeLessThan(1.05);
    for (let i = 0; i < 6; i++) {
      const same = distance(reduced, i, (i + 1) % 6);
      expect(same).toBeLessThan(distance(reduced, i, 6 + i));
    }
  });

  it('is grey for a grey pool and in colour for a coloured one, and reports its stages', async () => {
    expect(file.card.parts[0]).toMatchObject({ kind: 'image', channels: 1 });
    expect([...stages]).toEqual(expect.arrayContaining(['reading images', 'image dictionary', 'image features']));
    const colour = await fitEncoder([[await stripes('colour', false, 1, true)]], { seed: 1 });
    expect(colour.card.parts[0]).toMatchObject({ kind: 'image', channels: 3 });
    const { embedding } = await embed(colour, [pool[0]]);
    expect(embedding.data.every(Number.isFinite)).toBe(true);
  });

  it('is the same to the byte for the same seed, and another for another', async () => {
    const again = await fitEncoder(pool, { seed: 7 });
    expect(again.card.sha256).toBe(file.card.sha256);
    expect((await fitEncoder(pool, { seed: 8 })).card.sha256).not.toBe(file.card.sha256);
  });

  it('makes a missing or damaged file a problem with a row of zeros, and goes on', async () => {
    const damaged = join(folder, 'damaged.png');
    writeFileSync(damaged, 'nothing like an image');
    const items = [pool[0], [image(join(folder, 'absent.png'))], [image(damaged)], pool[1], [text('no image')]];
    const { embedding, problems } = await embed(file, items);
    expect(problems.map(({ index, error }) => [index, error.code])).toEqual([
      [1, 'source-unreadable'],
      [2, 'file-damaged'],
      [4, 'row-empty'],
    ]);
    for (const i of [1, 2, 4]) expect(row(embedding, i).every((value) => value === 0)).toBe(true);
    expectSameRow(row(embedding, 3), row((await embed(file, [pool[1]])).embedding, 0));
  });

  it('describes an item of two images by their mean', async () => {
    const { embedding } = await embed(file, [[pool[0][0], pool[7][0]], pool[0], pool[7]]);
    for (let d = 0; d < embedding.columns; d += 97) {
      expect(row(embedding, 0)[d]).toBeCloseTo((row(embedding, 1)[d] + row(embedding, 2)[d]) / 2, 5);
    }
  });

  it('stops when cancelled, while fitting and while embedding', async () => {
    const fitting = new AbortController();
    const fit = fitEncoder(pool, {
      seed: 1,
      signal: fitting.signal,
      onProgress: ({ stage }) => stage === 'image dictionary' && fitting.abort(),
    });
    await expect(fit).rejects.toMatchObject({ name: 'AbortError' });
    const embedding = new AbortController();
    const encoder = await openEncoder(file.model, file.card);
    const run = encoder.embed(pool, { signal: embedding.signal, onProgress: () => embedding.abort() });
    await expect(run).rejects.toMatchObject({ name: 'AbortError' });
    await encoder.close();
  });
});

describe('an encoder of several parts', () => {
  it('is one file that takes the tensors of all, each part with an equal share', async () => {
    const pool: Part[][] = [];
    for (let i = 0; i < 8; i++) {
      const words = i < 4 ? FEVER[i] : SKIN[i - 4];
      pool.push([await stripes(`both ${i}`, i % 2 === 0, i), text(words), numbers({ age: 20 + i })]);
    }
    pool.push([text('fever')], [numbers({ age: 33 })]);
    const file = await fitEncoder(pool, { seed: 3 });
    const inputs = readModel(file.model).inputs.map((input) => input.name);
    expect(inputs).toEqual([...file.card.parts.flatMap(inputsOf).map((input) => input.name), 'present']);
    expect(file.card.fittedOn).toEqual({ image: 8, text: 9, numbers: 9 });

    const { embedding, problems } = await embed(file, pool);
    expect(problems).toEqual([]);
    const widths = [2304, file.card.dims - 2304 - 1, 1];
    const shareOf = (i: number) => {
      let at = 0;
      return widths.map((width) => {
        const part = row(embedding, i).subarray(at, (at += width));
        return part.reduce((sum, value) => sum + value * value, 0) * 3;
      });
    };
    [0, 1, 2].forEach((part) => {
      const shares = pool.map((_, i) => shareOf(i)[part]).filter((share) => share > 0);
      expect(shares.length).toBe([8, 9, 9][part]);
      expect(Math.abs(shares.reduce((a, b) => a + b) / shares.length - 1)).toBeLessThan(0.2);
    });
    // What an item lacks is a block of zeros.
    expect(shareOf(8)[0]).toBe(0);
    expect(shareOf(8)[1]).toBeCloseTo(1, 3);
    expect(shareOf(9).slice(0, 2)).toEqual([0, 0]);
  });
});

describe('refusals', () => {
  it('of a pool in which nothing can be read', async () => {
    const absent = image(join(folder, 'absent.png'));
    await expect(fitEncoder([[absent]], { seed: 1 })).rejects.toMatchObject({ code: 'encoder-missing' });
    await expect(fitEncoder([], { seed: 1 })).rejects.toMatchObject({ code: 'encoder-missing' });
  });

  it('of a model whose bytes are not those of its card', async () => {
    const { model, card } = await fitEncoder([[numbers({ a: 1 })], [numbers({ a: 2 })]], { seed: 1 });
    const changed = model.slice();
    changed[changed.length >> 1] ^= 1;
    await expect(openEncoder(changed, card)).rejects.toMatchObject({ code: 'encoder-invalid' });
  });

  it('are not needed for a device that is not there: the processor takes over', async () => {
    const { model, card } = await fitEncoder([[numbers({ a: 1 })], [numbers({ a: 2 })]], { seed: 1 });
    const foreign = process.platform === 'darwin' ? 'dml' : 'coreml';
    const encoder = await openEncoder(model, card, { device: foreign });
    expect(encoder.device).toBe('cpu');
    await encoder.close();
  });
});
