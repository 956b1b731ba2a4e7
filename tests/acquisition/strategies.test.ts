import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  choosePhase,
  kMeans,
  select,
  STRATEGIES,
  strategyNamed,
  uncertainty,
  type SelectionInput,
  type StrategyName,
} from '../../main/acquisition/index.ts';
import { matrix, type Matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';

const names = Object.keys(STRATEGIES) as StrategyName[];
const rows = (...values: number[][]): Matrix =>
  matrix(values.length, values[0].length, Float32Array.from(values.flat()));

/** Three blobs of 2-d points of sizes 60, 30 and 10, and probabilities that waver. */
function pool(seed: number): { reduced: Matrix; probabilities: Matrix } {
  const rng = createRng(seed);
  const reduced = matrix(100, 2);
  const probabilities = matrix(100, 3);
  for (let i = 0; i < 100; i++) {
    const blob = i < 60 ? 0 : i < 90 ? 1 : 2;
    reduced.data[2 * i] = 10 * blob + rng.normal();
    reduced.data[2 * i + 1] = rng.normal();
    const weights = [rng.next(), rng.next(), rng.next()];
    const total = weights[0] + weights[1] + weights[2];
    weights.forEach((w, j) => (probabilities.data[3 * i + j] = w / total));
  }
  return { reduced, probabilities };
}

const inputOf = (seed: number, more: Partial<SelectionInput> = {}): SelectionInput => ({
  ...pool(seed),
  candidates: Array.from({ length: 100 }, (_, i) => i),
  labelled: [],
  batch: 8,
  seed,
  ...more,
});

describe('acquisition scores', () => {
  const p = rows([0.5, 0.3, 0.2], [0.9, 0.05, 0.05], [1, 0, 0]);

  it('are the hand-worked ones for one class per item', () => {
    const of = (kind: 'least-confidence' | 'margin' | 'entropy') => Array.from(uncertainty(kind, p, [0, 1, 2]));
    of('least-confidence').forEach((score, i) => expect(score).toBeCloseTo([0.5, 0.1, 0][i], 6));
    of('margin').forEach((score, i) => expect(score).toBeCloseTo([0.8, 0.15, 0][i], 6));
    // −(½ ln ½ + 0.3 ln 0.3 + 0.2 ln 0.2) / ln 3 = 1.02965 / 1.09861.
    expect(of('entropy')[0]).toBeCloseTo(0.937227, 5);
    expect(of('entropy')[2]).toBe(0);
  });

  it('take the least certain class where an item may have many', () => {
    const many = rows([0.99, 0.6], [0.1, 0.02]);
    uncertainty('margin', many, [0, 1], 'classify-many').forEach((s, i) => expect(s).toBeCloseTo([0.8, 0.2][i], 6));
    uncertainty('least-confidence', many, [0, 1], 'classify-many').forEach((s, i) =>
      expect(s).toBeCloseTo([0.4, 0.1][i], 6),
    );
    expect(uncertainty('entropy', rows([0.5, 1]), [0], 'classify-many')[0]).toBeCloseTo(1, 6);
  });

  it.each(['classify', 'classify-many'] as const)('name the item whose probability is not a number (%s)', (task) => {
    const broken = rows([0.5, 0.5], [NaN, 1], [1, 0]);
    for (const kind of ['least-confidence', 'margin', 'entropy'] as const) {
      expect(() => uncertainty(kind, broken, [0, 1, 2], task)).toThrowError(
        expect.objectContaining({ code: 'score-not-finite', context: expect.objectContaining({ item: 1 }) }),
      );
    }
  });
});

describe.each(names)('the strategy %s', (name) => {
  it('cites its source', () => expect(STRATEGIES[name].cites.length).toBeGreaterThan(5));

  it('picks different items, as many as asked, with finite scores and a reason', async () => {
    const picks = await select(name, inputOf(3));
    expect(new Set(picks.map(({ index }) => index)).size).toBe(8);
    for (const pick of picks) {
      expect(Number.isFinite(pick.score)).toBe(true);
      expect(pick.why.code).toMatch(/random|uncertain|uncertain-diverse|typical/);
    }
  });

  it('picks the same batch for the same seed', async () => {
    expect(await select(name, inputOf(4))).toEqual(await select(name, inputOf(4)));
  });

  it('never takes two near duplicates, nor one of an item that has a label', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 3, max: 25 }), async (seed, clusters) => {
        const rng = createRng(seed);
        const duplicates = Int32Array.from({ length: 100 }, () => rng.int(clusters * 2) - clusters);
        const labelled = [0, 1, 2];
        const candidates = Array.from({ length: 97 }, (_, i) => i + 3);
        const picks = await select(name, inputOf(seed, { duplicates, labelled, candidates, batch: 10 }));
        const taken = picks.map(({ index }) => duplicates[index]).filter((cluster) => cluster >= 0);
        expect(new Set(taken).size).toBe(taken.length);
        const free = candidates.filter((i) => duplicates[i] < 0).length;
        if (free >= 10) for (const cluster of taken) expect(labelled.map((i) => duplicates[i])).not.toContain(cluster);
      }),
      { numRuns: 15, seed: 1 },
    );
  });

  it('takes at most so many of a group', async () => {
    const groups = Int32Array.from({ length: 100 }, (_, i) => i % 5);
    const picks = await select(name, inputOf(5, { groups, maxPerGroup: 1, batch: 10 }));
    expect(picks.length).toBe(5);
    expect(new Set(picks.map(({ index }) => index % 5)).size).toBe(5);
  });

  it('gives what there is when fewer are left, and nothing of nothing', async () => {
    expect(
      (await select(name, inputOf(6, { candidates: [4, 9, 50] }))).map(({ index }) => index).sort((a, b) => a - b),
    ).toEqual([4, 9, 50]);
    expect(await select(name, inputOf(6, { candidates: [] }))).toEqual([]);
  });
});

describe('a strategy named by a person', () => {
  it('is found, and an unknown one is answered with the list', () => {
    for (const name of names) expect(strategyNamed(name)).toBe(name);
    expect(() => strategyNamed('toString')).toThrowError(
      expect.objectContaining({ code: 'usage', hint: expect.stringContaining('margin-diverse') }),
    );
  });
});

describe('typicality', () => {
  it('goes to the densest part of the largest clusters first', async () => {
    const picks = await select('typicality', inputOf(9, { batch: 3 }));
    // One of each blob, the largest first.
    expect(picks.map(({ index }) => (index < 60 ? 0 : index < 90 ? 1 : 2))).toEqual([0, 1, 2]);
    expect(picks.map(({ why }) => why.clusterSize)).toEqual([60, 30, 10]);
    const { reduced } = pool(9);
    const fromCentre = (i: number, blob: number) =>
      Math.hypot(reduced.data[2 * i] - 10 * blob, reduced.data[2 * i + 1]);
    expect(fromCentre(picks[0].index, 0)).toBeLessThan(1);
  });

  it('avoids clusters that have a label', async () => {
    const candidates = Array.from({ length: 100 }, (_, i) => i).filter((i) => i !== 0 && i !== 61);
    const [pick] = await select('typicality', inputOf(9, { batch: 1, labelled: [0, 61], candidates }));
    expect(pick.index).toBeGreaterThanOrEqual(90);
  });
});

describe('margin with diversity', () => {
  it('spreads a batch where margin alone would take near-equal items', async () => {
    // Ten equal most uncertain points in one place, ten nearly as uncertain in another.
    const reduced = matrix(
      20,
      2,
      Float32Array.from({ length: 40 }, (_, k) => (k < 20 ? 0 : 5) + (k % 2) * 0.01),
    );
    const probabilities = matrix(
      20,
      2,
      Float32Array.from({ length: 40 }, (_, k) => (k < 20 ? 0.5 : k % 2 ? 0.55 : 0.45)),
    );
    const input = {
      reduced,
      probabilities,
      candidates: Array.from({ length: 20 }, (_, i) => i),
      labelled: [],
      batch: 4,
      seed: 1,
    };
    const places = async (name: StrategyName) =>
      new Set((await select(name, input)).map(({ index }) => (index < 10 ? 0 : 1))).size;
    expect(await places('margin')).toBe(1);
    expect(await places('margin-diverse')).toBe(2);
  });

  it('tells the classes that compete and the labelled item that is nearest', async () => {
    const [pick] = await select('margin-diverse', inputOf(2, { labelled: [0], candidates: [1, 2, 3, 4, 5], batch: 1 }));
    expect(pick.why.classes).toHaveLength(2);
    expect(pick.why.probabilities![0]).toBeGreaterThanOrEqual(pick.why.probabilities![1]);
    expect(pick.why.margin).toBeCloseTo(1 - pick.score, 5);
    expect(pick.why.nearest).toBe(0);
    expect(pick.why.closer).toBe(0);
  });
});

describe('the automatic policy', () => {
  it('starts with typical items and says why', () => {
    expect(choosePhase(null)).toMatchObject({ strategy: 'typicality', code: 'no-model' });
    expect(choosePhase({ counts: [6, 1, 0], correct: 5, tested: 7 })).toMatchObject({
      code: 'not-better-than-majority',
    });
    expect(choosePhase({ counts: [7, 6, 0, 0, 0, 0], correct: 13, tested: 13 })).toMatchObject({
      strategy: 'typicality',
      code: 'classes-unseen',
    });
  });

  it('turns to uncertain items once the head clearly beats the commonest class', () => {
    const phase = choosePhase({ counts: [5, 4, 3], correct: 10, tested: 12 });
    expect(phase).toMatchObject({ strategy: 'margin-diverse', code: 'ready', labels: 12, classesSeen: 3, classes: 3 });
    expect(phase.accuracyLow).toBeGreaterThan(phase.majority);
    expect(choosePhase({ counts: [28, 1, 1], correct: 26, tested: 30 })).toMatchObject({
      strategy: 'margin-diverse',
      code: 'enough-labels',
    });
  });

  it('names the strategy it used in every pick', async () => {
    const soFar = { counts: [5, 4, 3], correct: 11, tested: 12 };
    expect((await select('default', inputOf(1)))[0]).toMatchObject({
      strategy: 'typicality',
      why: { phase: { code: 'no-model' } },
    });
    expect((await select('default', inputOf(1, { soFar })))[0]).toMatchObject({
      strategy: 'margin-diverse',
      why: { phase: { code: 'ready' } },
    });
  });
});

describe('k-means', () => {
  it('finds blobs that are far apart, also from a sample', () => {
    const { reduced } = pool(1);
    for (const sampleSize of [1000, 40]) {
      const { assignment, sampled, k } = kMeans(
        reduced,
        Array.from({ length: 100 }, (_, i) => i),
        3,
        { rng: createRng(1), sampleSize },
      );
      expect([k, sampled]).toEqual([3, sampleSize === 40]);
      expect([new Set(assignment.slice(0, 60)).size, new Set(assignment.slice(60, 90)).size]).toEqual([1, 1]);
      expect(new Set([assignment[0], assignment[60], assignment[95]]).size).toBe(3);
    }
  });

  it('makes no more clusters than there are rows', () => {
    expect(kMeans(rows([0, 0], [1, 1]), [0, 1], 5, { rng: createRng(1) }).k).toBe(2);
  });
});
