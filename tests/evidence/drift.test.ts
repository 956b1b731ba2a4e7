/** The two-sample tests: hand-worked values, an exact test enumerated, the false alarms under no difference and the power under one. */
import { expect, test } from 'vitest';
import { matrix } from '../../main/domain/matrix.ts';
import { createRng, type Rng } from '../../main/domain/rng.ts';
import { embeddingShift, predictionShift } from '../../main/evidence/drift.ts';

function normals(rng: Rng, rows: number, columns: number, mean = 0) {
  return matrix(
    rows,
    columns,
    Float32Array.from({ length: rows * columns }, () => rng.normal() + mean),
  );
}

test('the distance and the witness of four points are what one works out by hand', async () => {
  // Squared distances: 1 within each side, 9 and 16 and 4 and 9 across; the median of the pairs lies in {1, 4, 9, 16}.
  const before = matrix(2, 1, Float32Array.of(0, 1));
  const after = matrix(2, 1, Float32Array.of(3, 4));
  const shift = await embeddingShift(before, after, { rng: createRng(1), permutations: 19 });
  const expected = [4, 9].map((median) => {
    const k = (squared: number) => Math.exp(-squared / (2 * median));
    const across = (k(9) + k(16) + k(4) + k(9)) / 4;
    return [1 - across / k(1), k(1) - (k(9) + k(4)) / 2, k(1) - (k(16) + k(9)) / 2];
  });
  const near = expected.find(([distance]) => Math.abs(distance - shift.distance) < 1e-6);
  expect(near).toBeDefined();
  expect(shift.witness[0]).toBeCloseTo(near![1], 6);
  expect(shift.witness[1]).toBeCloseTo(near![2], 6);
});

test('without a difference, about as many tests alarm as the level says', async () => {
  let alarms = 0;
  const trials = 200;
  for (let t = 0; t < trials; t++) {
    const rng = createRng(t);
    const options = { rng: rng.derive('test'), permutations: 39 };
    const { pValue } = await embeddingShift(normals(rng, 30, 3), normals(rng, 20, 3), options);
    if (pValue <= 0.1) alarms++;
  }
  // 200 trials at 0.1: mean 20, three standard deviations 13.
  expect(alarms).toBeGreaterThan(6);
  expect(alarms).toBeLessThan(34);
});

test('a shift of one standard deviation in one of five dimensions is found, and the examples are of it', async () => {
  let found = 0;
  for (let t = 0; t < 20; t++) {
    const rng = createRng(100 + t);
    const after = normals(rng, 60, 5);
    for (let i = 0; i < 60; i++) after.data[5 * i] += 1;
    const shift = await embeddingShift(normals(rng, 100, 5), after, { rng: rng.derive('test'), permutations: 99 });
    if (shift.pValue <= 0.05 && shift.distance > 0.02) found++;
  }
  expect(found).toBeGreaterThanOrEqual(18);
  const rng = createRng(7);
  const mixed = normals(rng, 40, 4);
  for (let i = 30; i < 40; i++) for (let j = 0; j < 4; j++) mixed.data[4 * i + j] += 4;
  const { witness } = await embeddingShift(normals(rng, 80, 4), mixed, { rng, permutations: 19 });
  const typical = [...witness.keys()].sort((a, b) => witness[b] - witness[a]).slice(0, 5);
  expect(typical.every((i) => i >= 30)).toBe(true);
});

test('it is the same whichever side is larger, and stops when it is cancelled', async () => {
  const rng = createRng(3);
  const [a, b] = [normals(rng, 25, 2), normals(rng, 60, 2, 0.4)];
  const [one, other] = await Promise.all([
    embeddingShift(a, b, { rng: createRng(1), permutations: 199 }),
    embeddingShift(b, a, { rng: createRng(1), permutations: 199 }),
  ]);
  expect(one.distance).toBeCloseTo(other.distance, 1);
  expect(one.pValue).toBeCloseTo(other.pValue, 1);
  const signal = AbortSignal.abort();
  await expect(embeddingShift(a, b, { rng, signal })).rejects.toThrow();
});

/** Two-sided Fisher's test of a 2 × 2 table, by adding up all tables that are no likelier. */
function fisher(a: number, n: number, b: number, m: number): number {
  const choose = (of: number, k: number) =>
    Array.from({ length: k }, (_, i) => (of - i) / (k - i)).reduce((x, y) => x * y, 1);
  const total = a + b;
  const chance = (k: number) => (choose(n, k) * choose(m, total - k)) / choose(n + m, total);
  let p = 0;
  const surplus = (k: number) => Math.abs(k - (total * n) / (n + m));
  for (let k = Math.max(0, total - m); k <= Math.min(n, total); k++)
    if (surplus(k) >= surplus(a) - 1e-9) p += chance(k);
  return p;
}

test('a shift of predicted classes has the p-value of the exact test', () => {
  const side = (ones: number, n: number) => Array.from({ length: n }, (_, i) => Number(i < ones));
  for (const [a, n, b, m] of [
    [12, 40, 9, 15],
    [5, 20, 6, 20],
    [2, 30, 8, 25],
  ]) {
    const shift = predictionShift(side(a, n), side(b, m), { rng: createRng(5), permutations: 4999 });
    expect(shift.distance).toBeCloseTo(Math.abs(a / n - b / m), 12);
    expect(Math.abs(shift.pValue - fisher(a, n, b, m))).toBeLessThan(0.02);
  }
});
