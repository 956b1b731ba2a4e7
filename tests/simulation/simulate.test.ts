import { describe, expect, it } from 'vitest';
import { STRATEGIES, type StrategyName } from '../../main/acquisition/index.ts';
import { matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import { simulate, type SimulationInput } from '../../main/training/index.ts';

/** Four classes of very different size on a ring, overlapping a little; every fifth item has a near duplicate next to it. */
function world(seed: number, more: Partial<SimulationInput> = {}): SimulationInput {
  const rng = createRng(seed);
  const n = 300;
  const embedding = matrix(n, 8);
  const labels: number[][] = [];
  for (let i = 0; i < n; i++) {
    const k = [0, 0, 0, 0, 1, 1, 1, 2, 2, 3][rng.int(10)];
    labels.push([k]);
    for (let j = 0; j < 8; j++) embedding.data[8 * i + j] = rng.normal() * (j < 2 ? 0.7 : 0.3);
    embedding.data[8 * i] += 2 * Math.cos((k * Math.PI) / 2);
    embedding.data[8 * i + 1] += 2 * Math.sin((k * Math.PI) / 2);
  }
  return {
    embedding,
    reduced: embedding,
    labels,
    task: 'classify',
    classCount: 4,
    groups: Int32Array.from({ length: n }, (_, i) => (i % 10 === 0 ? i / 50 : -1)),
    duplicates: Int32Array.from({ length: n }, (_, i) => (i % 5 < 2 ? Math.floor(i / 5) : -1)),
    strategies: ['random'],
    budget: 60,
    batch: 20,
    start: 10,
    seeds: [1],
    testFraction: 0.25,
    ...more,
  };
}

describe('the simulation', () => {
  it('gives a curve per strategy and seed, at the labels asked for', async () => {
    const strategies = Object.keys(STRATEGIES) as StrategyName[];
    const { curves } = await simulate(world(1, { strategies, seeds: [1, 2], budget: 50 }));
    expect(curves.map(({ strategy, seed }) => `${strategy} ${seed}`).sort()).toEqual(
      strategies.flatMap((strategy) => [`${strategy} 1`, `${strategy} 2`]).sort(),
    );
    for (const { points } of curves) {
      expect(points.map(({ labels }) => labels)).toEqual([10, 30, 50]);
      for (const { accuracy, macroF1, ece } of points) {
        for (const value of [accuracy, macroF1, ece]) expect(value >= 0 && value <= 1).toBe(true);
      }
      expect(points.at(-1)!.accuracy).toBeGreaterThan(0.75);
    }
  });

  it('is the same for the same seed', async () => {
    const input = world(2, { strategies: ['default', 'random'], budget: 30 });
    expect(await simulate(input)).toEqual(await simulate(input));
  });

  it('leaves out items without a recorded label', async () => {
    const input = world(3, { budget: 1000 });
    const labels = input.labels.map((own, i) => (i % 3 === 0 ? null : own));
    const { curves } = await simulate({ ...input, labels });
    const most = curves[0].points.at(-1)!.labels;
    // 200 of 300 are usable, about a quarter of them for testing.
    expect(most).toBeGreaterThan(130);
    expect(most).toBeLessThan(170);
  });

  it('reports its progress and stops when cancelled', async () => {
    const cancel = new AbortController();
    const seen: string[] = [];
    const input = world(4, {
      signal: cancel.signal,
      onProgress: ({ done, total }) => {
        seen.push(`${done}/${total}`);
        if (done === 2) cancel.abort('enough');
      },
    });
    await expect(simulate(input)).rejects.toBe('enough');
    expect(seen).toEqual(['1/4', '2/4']);
  });

  it('tries the guarantee with audit samples of the app’s share, within what it allows', async () => {
    const { guarantee } = await simulate(
      world(5, {
        testFraction: 0.5,
        seeds: [1, 2, 3],
        budget: 140,
        batch: 25,
        guarantee: { alpha: 0.25, delta: 0.2, trials: 100 },
      }),
    );
    expect(guarantee).toMatchObject({ trials: 100, splits: 3 });
    // A fifth of about 130 labels; some components hold several items.
    expect(guarantee!.auditSize).toBeGreaterThan(15);
    expect(guarantee!.auditSize).toBeLessThanOrEqual(28);
    expect(guarantee!.violationRate).toBeLessThanOrEqual(0.2);
    expect(guarantee!.anyClaimViolated).toBeLessThanOrEqual(0.2);
    expect(guarantee!.settledFraction).toBeGreaterThan(0.2);
  });

  it('says so when nothing has a recorded label', async () => {
    const input = world(6);
    await expect(simulate({ ...input, labels: input.labels.map(() => null) })).rejects.toMatchObject({
      code: 'oracle-missing',
    });
  });
});
