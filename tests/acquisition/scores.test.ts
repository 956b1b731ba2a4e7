import { describe, expect, it } from 'vitest';
import { select, uncertainty, type SelectionInput, type Uncertainty } from '../../main/acquisition/index.ts';
import { rankingOf } from '../../main/acquisition/ranking.ts';
import { matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import { rows } from './pools.ts';

const kinds: Uncertainty[] = ['least-confidence', 'margin', 'ratio', 'entropy'];

describe('acquisition scores', () => {
  const p = rows([0.5, 0.3, 0.2], [0.9, 0.05, 0.05], [1, 0, 0]);

  it('are the hand-worked ones for one class per item', () => {
    const of = (kind: Uncertainty) => Array.from(uncertainty(kind, p, [0, 1, 2]));
    of('least-confidence').forEach((score, i) => expect(score).toBeCloseTo([0.5, 0.1, 0][i], 6));
    of('margin').forEach((score, i) => expect(score).toBeCloseTo([0.8, 0.15, 0][i], 6));
    of('ratio').forEach((score, i) => expect(score).toBeCloseTo([0.6, 0.05 / 0.9, 0][i], 6));
    // −(½ ln ½ + 0.3 ln 0.3 + 0.2 ln 0.2) / ln 3 = 1.02965 / 1.09861.
    expect(of('entropy')[0]).toBeCloseTo(0.937227, 5);
    expect(of('entropy')[2]).toBe(0);
  });

  it('take the least certain class where an item may have many', () => {
    const many = rows([0.99, 0.6], [0.1, 0.02]);
    const expected = { margin: [0.8, 0.2], 'least-confidence': [0.4, 0.1], ratio: [2 / 3, 1 / 9] };
    for (const [kind, scores] of Object.entries(expected)) {
      uncertainty(kind as Uncertainty, many, [0, 1], 'classify-many').forEach((s, i) =>
        expect(s).toBeCloseTo(scores[i], 6),
      );
    }
    expect(uncertainty('entropy', rows([0.5, 1]), [0], 'classify-many')[0]).toBeCloseTo(1, 6);
  });

  it('read logarithms from the bits of a float to 5·10⁻⁸', () => {
    const rng = createRng(1);
    const many = matrix(2000, 4);
    for (let i = 0; i < 2000; i++) {
      const weights = Array.from({ length: 4 }, () => Math.exp(-20 * rng.next()));
      const total = weights.reduce((a, b) => a + b, 0);
      weights.forEach((w, j) => (many.data[4 * i + j] = w / total));
    }
    const all = Array.from({ length: 2000 }, (_, i) => i);
    uncertainty('entropy', many, all).forEach((score, i) => {
      let sum = 0;
      for (let j = 4 * i; j < 4 * i + 4; j++) sum -= many.data[j] * Math.log(many.data[j]);
      expect(Math.abs(score - sum / Math.log(4))).toBeLessThan(5e-8);
    });
  });

  it.each(['classify', 'classify-many'] as const)('name the item whose probability is not a number (%s)', (task) => {
    for (const kind of kinds) {
      for (const bad of [NaN, Infinity]) {
        expect(() => uncertainty(kind, rows([0.5, 0.5], [bad, 1], [1, 0]), [0, 1, 2], task)).toThrowError(
          expect.objectContaining({ code: 'score-not-finite', context: expect.objectContaining({ item: 1 }) }),
        );
      }
    }
  });
});

describe('a ranking', () => {
  it('is the full sort, however far it is read', () => {
    const rng = createRng(3);
    const scores = Float64Array.from({ length: 6000 }, () => rng.int(500));
    const sorted = Array.from(scores, (_, i) => i).sort((a, b) => scores[b] - scores[a] || a - b);
    const ranking = rankingOf(scores);
    const [first] = ranking;
    expect(first).toBe(sorted[0]);
    expect([...ranking]).toEqual(sorted);
    expect(ranking.rankOf(sorted[4321])).toBe(4321);
  });
});

describe('information density', () => {
  it('weighs the entropy by the mean cosine to the pool', async () => {
    // Unit vectors at 0°, 0° and 90°: their mean is (⅔, ⅓), so the mean cosines are ⅔, ⅔ and ⅓, moved to ⅚, ⅚ and ⅔.
    const input: SelectionInput = {
      candidates: [0, 1, 2],
      labelled: [],
      batch: 3,
      seed: 1,
      reduced: rows([2, 0], [5, 0], [0, 1]),
      probabilities: rows([0.9, 0.1], [0.5, 0.5], [0.5, 0.5]),
    };
    const picks = await select('density', input);
    expect(picks.map(({ index }) => index)).toEqual([1, 2, 0]);
    expect(picks[0].score).toBeCloseTo(5 / 6, 6);
    expect(picks[1].score).toBeCloseTo(2 / 3, 6);
    // The entropy of (0.9, 0.1) is 0.468996 bits.
    expect(picks[2].score).toBeCloseTo((0.468996 * 5) / 6, 5);
  });
});

describe('contrastive selection', () => {
  const input: SelectionInput = {
    candidates: [1, 2],
    labelled: [0],
    batch: 2,
    seed: 1,
    reduced: rows([0, 0], [1, 0], [2, 0]),
    probabilities: rows([0.8, 0.2], [0.8, 0.2], [0.5, 0.5]),
  };

  it('scores the divergence from the labelled neighbours’ predictions', async () => {
    const picks = await select('contrastive', input);
    expect(picks.map(({ index }) => index)).toEqual([2, 1]);
    // KL((0.8, 0.2) ‖ (0.5, 0.5)) = 0.8 ln 1.6 + 0.2 ln 0.4.
    expect(picks[0].score).toBeCloseTo(0.8 * Math.log(1.6) + 0.2 * Math.log(0.4), 6);
    expect(picks[1].score).toBeCloseTo(0, 6);
    expect(picks[0].why).toMatchObject({ code: 'contrastive', nearest: 0, nearestDistance: 2 });
  });

  it('adds the divergences of independent classes', async () => {
    const [pick] = await select('contrastive', { ...input, task: 'classify-many' });
    const one = 0.8 * Math.log(1.6) + 0.2 * Math.log(0.4);
    expect(pick.score).toBeCloseTo(2 * one, 6);
  });

  it('looks at the ten nearest labelled items only', async () => {
    const n = 30;
    const reduced = matrix(
      n,
      1,
      Float32Array.from({ length: n }, (_, i) => i),
    );
    // The far half is labelled too, and predicted otherwise.
    const probabilities = matrix(
      n,
      2,
      Float32Array.from({ length: 2 * n }, (_, k) => (k < 24 ? 0.5 : k % 2 ? 0.9 : 0.1)),
    );
    const labelled = Array.from({ length: n - 1 }, (_, i) => i + 1);
    const [pick] = await select('contrastive', { ...input, reduced, probabilities, labelled, candidates: [0] });
    expect(pick.score).toBeCloseTo(0, 6);
  });
});
