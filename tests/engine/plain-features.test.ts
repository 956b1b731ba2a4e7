/** Features that nobody fitted: worked out by hand, the same whoever stands first, and exact in a two-sample test where an encoder's vectors would not be. */
import { expect, test } from 'vitest';
import type { Part } from '../../main/domain/item.ts';
import { row, takeRows, type Matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import { embeddingShift } from '../../main/evidence/index.ts';
import { plainFeatures } from '../../main/plain-features.ts';

const text = (words: string): Part[] => [{ kind: 'text', text: words, sha256: '', path: null }];
const numbers = (values: Record<string, number | string | null>): Part[] => [{ kind: 'numbers', values }];
const dot = (m: Matrix, i: number, j: number) => row(m, i).reduce((sum, value, d) => sum + value * row(m, j)[d], 0);

test('texts are alike by the words that they share, rare ones counting more', async () => {
  const words = ['the red rash', 'the RED rash!', 'the cough', 'the red cough', ''];
  const m = await plainFeatures(words.map(text));
  expect(dot(m, 0, 1)).toBeCloseTo(1, 6);
  // Inverse document frequencies: the ln(5/4 + 1), red ln(5/3 + 1), rash and cough ln(5/2 + 1).
  const [the, red, rare] = [4, 3, 2].map((n) => Math.log(5 / n + 1));
  const expected = (the * the + red * red) / (the * the + red * red + rare * rare);
  expect(dot(m, 0, 3)).toBeCloseTo(expected, 6);
  expect(row(m, 4).every((value) => value === 0)).toBe(true);
});

test('numbers stand on the scale of their column, categories are columns, and what is missing is average', async () => {
  const m = await plainFeatures([
    numbers({ age: 40, sex: 'f', constant: 1 }),
    numbers({ age: 60, sex: 'm', constant: 1 }),
    numbers({ age: null, sex: 'f', constant: 1 }),
  ]);
  // Four columns: age, sex f, constant, sex m.
  expect(m.columns).toBe(4);
  expect(Array.from(m.data.subarray(0, 1))).toEqual([-0.5]);
  expect([m.data[4], m.data[8]]).toEqual([0.5, 0]);
  expect([m.data[2], m.data[6], m.data[10]]).toEqual([0, 0, 0]);
  expect(m.data[1]).toBeCloseTo((1 / 3 / Math.sqrt(2 / 9)) * 0.5, 6);
});

test('whoever stands first, the vectors are the same', async () => {
  const parts = ['a b c', 'b c d', 'x y'].map(text);
  const m = await plainFeatures(parts);
  const turned = await plainFeatures(parts.toReversed());
  for (let i = 0; i < 3; i++) expect(row(turned, 2 - i)).toEqual(row(m, i));
});

test('samples of one place raise about as few alarms as the level says', async () => {
  let alarms = 0;
  for (let t = 0; t < 40; t++) {
    const rng = createRng(t);
    const parts = Array.from({ length: 70 }, () =>
      text(Array.from({ length: 12 }, () => `w${Math.floor(200 * rng.next() ** 3)}`).join(' ')),
    );
    const m = await plainFeatures(parts);
    const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
    const { pValue } = await embeddingShift(takeRows(m, range(0, 40)), takeRows(m, range(40, 70)), {
      rng,
      permutations: 39,
    });
    if (pValue <= 0.1) alarms++;
  }
  // 40 at 0.1: mean 4, three standard deviations 5.7.
  expect(alarms).toBeLessThanOrEqual(9);
});
