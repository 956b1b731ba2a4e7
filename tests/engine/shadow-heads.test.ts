/**
 * Heads that are only measured: on material where remembering and learning give different
 * answers, and on one with a law.
 */
import { describe, expect, test } from 'vitest';
import { matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import { learningCurve, randomCurve, type ShadowInput } from '../../main/shadow-heads.ts';
import { poolPrior } from '../../main/training/index.ts';

const DIMS = 6;

/** `n` rows in `n / 2` components of two. The class follows the first feature, or is drawn by component where `learnable` is false; the two of a component are the same row. */
async function material(n: number, learnable: boolean): Promise<ShadowInput> {
  const rng = createRng(3);
  const embedding = matrix(n, DIMS);
  const classes: number[] = [];
  for (let i = 0; i < n; i++) {
    const twin = i % 2 === 1;
    for (let j = 0; j < DIMS; j++) {
      embedding.data[i * DIMS + j] = twin ? embedding.data[(i - 1) * DIMS + j] : rng.normal();
    }
    const own = learnable ? Number(embedding.data[i * DIMS] > 0) : rng.int(2);
    classes.push(twin ? classes[i - 1] : own);
  }
  return {
    embedding,
    classesOf: (row) => [classes[row]],
    task: 'classify',
    classCount: 2,
    component: Int32Array.from({ length: n }, (_, i) => i >> 1),
    prior: await poolPrior(embedding, 0),
    strength: 100,
    seed: 5,
  };
}

const rows = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

describe('The learning curve', () => {
  test('rises with the labels to the last, on all audit items at every point', async () => {
    const curve = await learningCurve(await material(300, true), rows(0, 180), rows(180, 300));
    expect(curve.map(({ labels }) => labels)).toEqual([12, 16, 22, 30, 40, 54, 73, 99, 133, 180]);
    expect(new Set(curve.map(({ n }) => n))).toEqual(new Set([120]));
    const shares = curve.map(({ correct, n }) => correct / n);
    expect(shares[9]).toBeGreaterThan(0.93);
    expect(shares[9]).toBeGreaterThan(shares[0]);
  });

  test('has no points where the labels are all of one class, and none without labels', async () => {
    const input = { ...(await material(100, true)), classesOf: () => [1] };
    expect(await learningCurve(input, rows(0, 60), rows(60, 100))).toEqual([]);
    expect(await learningCurve(input, [], rows(60, 100))).toEqual([]);
    expect(await learningCurve(input, rows(0, 60), [])).toEqual([]);
  });
});

describe('Random’s own curve', () => {
  test('counts nothing that a head has seen, nor its twin: where classes are chance, so are the answers', async () => {
    const { points } = await randomCurve(await material(200, false), [], rows(0, 200), new Array(200).fill(1));
    for (const { correct, n } of points) {
      expect(n).toBe(200);
      // 100 independent coins: three and a half deviations.
      expect(Math.abs(correct / n - 0.5)).toBeLessThan(0.175);
    }
  });

  test('goes up to four fifths of the random items, of which those in the pool only train', async () => {
    const input = await material(200, true);
    const live = rows(0, 100).map((row) => Number(row % 10 !== 0));
    const alone = await randomCurve(input, [], rows(0, 100), live);
    const helped = await randomCurve(input, rows(100, 200), rows(0, 100), live);
    expect(alone.points.at(-1)).toMatchObject({ labels: 80, n: 100 });
    expect(helped.points.at(-1)).toMatchObject({ labels: 160, n: 100 });
    expect(alone.likeness).toBeGreaterThanOrEqual(0);
    expect(alone.likeness).toBeLessThan(1);
  });

  test('can be cancelled, and is empty where there is nothing random', async () => {
    const input = await material(60, true);
    const nothing = { points: [], likeness: 0 };
    expect(await randomCurve(input, [], [], [])).toEqual(nothing);
    expect(await randomCurve(input, [], rows(0, 5), [1, 1, 1, 1, 1])).toEqual(nothing);
    expect(await randomCurve(input, rows(0, 60), [], [])).toEqual(nothing);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(randomCurve({ ...input, signal }, [], rows(0, 60), new Array(60).fill(1))).rejects.toThrow('enough');
  });
});
