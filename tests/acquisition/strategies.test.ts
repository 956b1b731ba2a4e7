import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  choosePhase,
  needsOf,
  possible,
  scoresOf,
  select,
  STRATEGIES,
  strategyNamed,
  type SelectionInput,
  type StrategyName,
} from '../../main/acquisition/index.ts';
import { matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import { committeeOf, names, pool } from './pools.ts';

const inputOf = (seed: number, more: Partial<SelectionInput> = {}): SelectionInput => ({
  ...pool(seed),
  candidates: Array.from({ length: 97 }, (_, i) => i + 3),
  labelled: [0, 1, 2],
  batch: 8,
  seed,
  ...more,
});

describe.each(names)('the strategy %s', (name) => {
  it('cites its source and says what it does with many classes', () => {
    expect(STRATEGIES[name].cites.length).toBeGreaterThan(5);
    expect(STRATEGIES[name].many.length).toBeGreaterThan(5);
  });

  it.each(['classify', 'classify-many'] as const)(
    'picks different items, as asked, with reasons (%s)',
    async (task) => {
      const input = inputOf(3, { task });
      const picks = await select(name, input);
      expect(new Set(picks.map(({ index }) => index)).size).toBe(8);
      for (const { index, score, strategy, why } of picks) {
        expect(input.candidates).toContain(index);
        expect(Number.isFinite(score)).toBe(true);
        // The policy and the bandit name the strategy that they turned to.
        expect(strategy).toBe(name === 'default' ? 'typicality' : name === 'albl' ? why.bandit!.arm : name);
        expect(why.code).toMatch(
          /^(random|uncertain|uncertain-diverse|typical|committee-disagrees|gradient|far|covers|contrastive)$/,
        );
      }
    },
  );

  it('picks the same batch for the same seed', async () => {
    expect(await select(name, inputOf(4))).toEqual(await select(name, inputOf(4)));
  });

  it('gives the scores by which it chose, or none where they depend on the batch', async () => {
    const input = inputOf(5);
    const scores = await scoresOf(name, input);
    if (scores === null) return;
    for (const { index, score } of await select(name, input)) expect(scores[index - 3]).toBe(score);
  });

  it('never takes two near duplicates, nor one of an item that has a label', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 3, max: 25 }), async (seed, clusters) => {
        const rng = createRng(seed);
        const duplicates = Int32Array.from({ length: 100 }, () => rng.int(clusters * 2) - clusters);
        const { candidates, labelled, ...input } = inputOf(seed, { duplicates, batch: 10 });
        const picks = await select(name, { candidates, labelled, ...input });
        const taken = picks.map(({ index }) => duplicates[index]).filter((cluster) => cluster >= 0);
        expect(new Set(taken).size).toBe(taken.length);
        const free = Array.from(candidates).filter((i) => duplicates[i] < 0).length;
        const known = Array.from(labelled, (i) => duplicates[i]);
        if (free >= 10) for (const cluster of taken) expect(known).not.toContain(cluster);
      }),
      { numRuns: 12, seed: 1 },
    );
  });

  it('takes near duplicates of labelled items when nothing else is left', async () => {
    const duplicates = Int32Array.from({ length: 100 }, (_, i) => i % 3);
    const picks = await select(name, inputOf(8, { duplicates, labelled: [0, 1, 2], batch: 5 }));
    expect(new Set(picks.map(({ index }) => index % 3))).toEqual(new Set([0, 1, 2]));
    expect(picks).toHaveLength(3);
  });

  it('takes at most so many of a group', async () => {
    const groups = Int32Array.from({ length: 100 }, (_, i) => i % 5);
    const picks = await select(name, inputOf(5, { groups, maxPerGroup: 1, batch: 10 }));
    expect(picks.length).toBe(5);
    expect(new Set(picks.map(({ index }) => index % 5)).size).toBe(5);
  });

  it('gives what there is when fewer are left, and nothing of nothing', async () => {
    const left = await select(name, inputOf(6, { candidates: [4, 9, 50] }));
    expect(left.map(({ index }) => index).sort((a, b) => a - b)).toEqual([4, 9, 50]);
    expect(await select(name, inputOf(6, { candidates: [] }))).toEqual([]);
    expect(await select(name, inputOf(6, { batch: 0 }))).toEqual([]);
  });

  it('rejects when it was cancelled before or is cancelled on the way', async () => {
    await expect(select(name, inputOf(7, { signal: AbortSignal.abort('never mind') }))).rejects.toBe('never mind');
    const cancel = new AbortController();
    // A signal that is aborted while the strategy rests; on a pool this small it may be done before.
    setImmediate(() => cancel.abort('enough'));
    const outcome = await select(name, inputOf(7, { signal: cancel.signal })).catch((reason: unknown) => reason);
    if (!Array.isArray(outcome)) expect(outcome).toBe('enough');
  });

  it('names the item whose numbers are broken', async () => {
    const broken = 40;
    const input = inputOf(9, { batch: 97 });
    for (const m of [input.probabilities!, input.reduced!])
      m.data.fill(NaN, broken * m.columns, (broken + 1) * m.columns);
    input.committee = committeeOf(input.probabilities!, 9);
    if (name === 'random') await expect(select(name, input)).resolves.toHaveLength(97);
    else {
      await expect(select(name, input)).rejects.toMatchObject({ code: 'score-not-finite', context: { item: broken } });
    }
  });

  it('gives way to one that is possible where something is missing', () => {
    const input = inputOf(1);
    expect(possible(name, input)).toBe(name);
    for (const need of needsOf(name)) {
      const without = need === 'labelled' ? { labelled: [] } : { [need]: undefined };
      expect(possible(name, { ...input, ...without })).toBe(need === 'reduced' ? 'random' : 'typicality');
    }
  });

  it('refuses to begin without what it needs', async () => {
    for (const need of needsOf(name)) {
      const without = need === 'labelled' ? { labelled: [] } : { [need]: undefined };
      await expect(select(name, inputOf(1, without))).rejects.toThrow(need);
    }
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

const everyone = Array.from({ length: 100 }, (_, i) => i);

describe('typicality', () => {
  it('goes to the densest part of the largest clusters first', async () => {
    const picks = await select('typicality', inputOf(9, { candidates: everyone, labelled: [], batch: 3 }));
    // One of each blob, the largest first.
    expect(picks.map(({ index }) => (index < 60 ? 0 : index < 90 ? 1 : 2))).toEqual([0, 1, 2]);
    expect(picks.map(({ why }) => why.clusterSize)).toEqual([60, 30, 10]);
    const { reduced } = pool(9);
    const fromCentre = (i: number, blob: number) =>
      Math.hypot(reduced.data[2 * i] - 10 * blob, reduced.data[2 * i + 1]);
    expect(fromCentre(picks[0].index, 0)).toBeLessThan(1);
  });

  it('avoids clusters that have a label', async () => {
    const candidates = everyone.filter((i) => i !== 0 && i !== 61);
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
