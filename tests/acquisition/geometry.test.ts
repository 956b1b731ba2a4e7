import { describe, expect, it } from 'vitest';
import { select, type SelectionInput } from '../../main/acquisition/index.ts';
import { pureRadius } from '../../main/acquisition/covering.ts';
import { drawLazily } from '../../main/acquisition/lazy-draw.ts';
import { createPace } from '../../main/acquisition/pace.ts';
import { distancesInBlocks, plainProducts, squaredDistance } from '../../main/acquisition/vectors.ts';
import { matrix, type Matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import { pool, rows } from './pools.ts';

const inputOf = (reduced: Matrix, more: Partial<SelectionInput> = {}): SelectionInput => ({
  candidates: Array.from({ length: reduced.rows }, (_, i) => i),
  labelled: [],
  batch: 3,
  seed: 1,
  reduced,
  ...more,
});

function normals(n: number, d: number, seed: number): Matrix {
  const rng = createRng(seed);
  return matrix(
    n,
    d,
    Float32Array.from({ length: n * d }, () => rng.normal()),
  );
}

const items = (picks: { index: number }[]) => picks.map(({ index }) => index);

describe('distances in blocks', () => {
  it('are those of one row and one vector at a time, whatever the shapes', async () => {
    for (const [n, m, d] of [
      [5, 3, 7],
      [2, 4, 4],
      [7, 9, 1],
    ]) {
      const a = normals(n, d, n);
      const b = normals(m, d, m + 50);
      const seen: number[] = [];
      await distancesInBlocks(a, null, b, { products: plainProducts, pace: createPace() }, (_, { data }) =>
        seen.push(...data),
      );
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < m; j++) expect(seen[i * m + j]).toBeCloseTo(squaredDistance(a.data, i, b.data, j, d), 4);
      }
    }
  });
});

describe('k-center', () => {
  it('takes the farthest, then the farthest from both', async () => {
    const line = rows([0], [1], [4], [9], [10]);
    const picks = await select('k-center', inputOf(line, { labelled: [0], candidates: [1, 2, 3, 4] }));
    expect(items(picks)).toEqual([4, 2, 1]);
    expect(picks.map(({ score }) => score)).toEqual([10, 4, 1]);
    expect(picks[0].why).toEqual({ code: 'far', nearest: 0, nearestDistance: 10 });
  });

  it('begins in the middle where nothing is labelled', async () => {
    // The mean is 4.8.
    const picks = await select('k-center', inputOf(rows([0], [1], [4], [9], [10])));
    expect(items(picks)).toEqual([2, 4, 0]);
    expect(picks.map(({ score }) => score)).toEqual([6, 6, 4]);
  });

  it('picks what comparing everything with everything picks', async () => {
    for (const labelled of [[], [7], [3, 50, 90]]) {
      const { reduced } = pool(labelled.length);
      const candidates = Array.from({ length: 100 }, (_, i) => i).filter((i) => !labelled.includes(i));
      const picks = items(await select('k-center', inputOf(reduced, { candidates, labelled, batch: 30 })));
      const chosen = labelled.length > 0 ? [...labelled] : [picks[0]];
      for (const pick of labelled.length > 0 ? picks : picks.slice(1)) {
        const distances = candidates.map((i) =>
          Math.min(...chosen.map((j) => squaredDistance(reduced.data, i, reduced.data, j, 2))),
        );
        expect(candidates[distances.indexOf(Math.max(...distances))]).toBe(pick);
        chosen.push(pick);
      }
    }
  });
});

describe('BADGE', () => {
  it('begins with the longest gradient and then looks elsewhere', async () => {
    // Gradients towards the likeliest class: (−0.5, 0.5)·h, with h along two axes.
    const reduced = rows([3, 0], [2.9, 0], [2.8, 0], [0, 2.5], [0, 0.1]);
    const probabilities = matrix(5, 2, new Float32Array(10).fill(0.5));
    const picks = await select('badge', inputOf(reduced, { probabilities, batch: 2, seed: 3 }));
    expect(items(picks)).toEqual([0, 3]);
    // ‖a‖ = √½, ‖h‖ = 3; then √(½·9 + ½·6.25).
    expect(picks[0].score).toBeCloseTo(3 * Math.SQRT1_2, 6);
    expect(picks[1].score).toBeCloseTo(Math.sqrt(7.625), 5);
  });

  it('measures as the gradients written out do, for one class and for many', async () => {
    const h = normals(40, 5, 1);
    const { probabilities } = pool(2);
    for (const task of ['classify', 'classify-many'] as const) {
      const gradient = (i: number) => {
        const p = Array.from(probabilities.data.subarray(3 * i, 3 * i + 3));
        const best = p.indexOf(Math.max(...p));
        const a = p.map((value, j) => value - Number(task === 'classify' ? j === best : value > 0.5));
        return a.flatMap((value) => Array.from(h.data.subarray(5 * i, 5 * i + 5), (x) => value * x));
      };
      const picks = await select('badge', inputOf(h, { probabilities, task, batch: 12 }));
      picks.forEach(({ index, score }, k) => {
        const own = gradient(index);
        const distances = (k === 0 ? [own.map(() => 0)] : picks.slice(0, k).map((pick) => gradient(pick.index))).map(
          (other) => Math.hypot(...own.map((x, j) => x - other[j])),
        );
        expect(score).toBeCloseTo(Math.min(...distances), 4);
      });
    }
  });

  it('draws as k-means++ does: in proportion to the squared distance', async () => {
    // Points at 0, 4, 5 and 6 on a line. First 6 (the longest); then 0, 4, 5 with weights 36, 4, 1; given 6 and 0: 4, 5 with 4, 1.
    const at = [0, 4, 5, 6];
    const norms = Float64Array.from(at, (x) => x * x);
    const distance = (i: number, j: number) => (at[i] - at[j]) ** 2;
    const rules = { candidates: [0, 1, 2, 3], labelled: [] };
    const trials = 4000;
    const second = [0, 0, 0, 0];
    const third = [0, 0, 0, 0];
    for (let seed = 0; seed < trials; seed++) {
      const drawn = await drawLazily(rules, { norms, distance }, 3, createRng(seed), createPace());
      const [a, b, c] = drawn.map(({ position }) => position);
      expect(a).toBe(3);
      second[b]++;
      if (b === 0) third[c]++;
    }
    // Three standard errors.
    const near = (count: number, n: number, p: number) =>
      expect(Math.abs(count / n - p)).toBeLessThan(3 * Math.sqrt((p * (1 - p)) / n));
    [36, 4, 1].forEach((weight, i) => near(second[i], trials, weight / 41));
    near(third[1], second[0], 4 / 5);
  });
});

describe('expected gradient length', () => {
  it('is the hand-worked one', async () => {
    const reduced = rows([3, 4]);
    const one = await select('gradient-length', inputOf(reduced, { probabilities: rows([0.8, 0.2]) }));
    // 0.8·‖(−0.2, 0.2)‖ + 0.2·‖(0.8, −0.8)‖ = 0.32·√2, times ‖(3, 4, 1)‖ = √26.
    expect(one[0].score).toBeCloseTo(0.32 * Math.SQRT2 * Math.sqrt(26), 5);
    const many = await select(
      'gradient-length',
      inputOf(reduced, { probabilities: rows([0.8, 0.5]), task: 'classify-many' }),
    );
    expect(many[0].score).toBeCloseTo(Math.sqrt(0.16 + 0.25) * Math.sqrt(26), 5);
  });
});

describe('ProbCover', () => {
  it('chooses the largest radius at which 95 % of the balls are pure', async () => {
    // Two clusters of ten on a line, 1 apart within, 5 apart between: the two at the rim meet the other cluster at 5, their neighbours at 6.
    const line = matrix(
      20,
      1,
      Float32Array.from({ length: 20 }, (_, i) => (i < 10 ? i : i + 4)),
    );
    const work = { products: plainProducts, pace: createPace() };
    // The 5th percentile of 20 distances is the second least.
    expect(await pureRadius(line, 2, createRng(1), work)).toBe(25);
    expect(await pureRadius(rows([1], [1], [1]), 2, createRng(1), work)).toBe(0);
  });

  it('takes the ball that holds most of what is uncovered, and counts what labels cover', async () => {
    // Two dense places and a sparse one; half of a place lies within the radius of its middle.
    const rng = createRng(5);
    const reduced = matrix(60, 2);
    for (let i = 0; i < 60; i++) {
      reduced.data[2 * i] = (i < 30 ? 0 : i < 50 ? 20 : 40) + 0.1 * rng.normal();
      reduced.data[2 * i + 1] = 0.1 * rng.normal();
    }
    const soFar = { counts: [0, 0, 0], correct: 0, tested: 0 };
    const picks = await select('probcover', inputOf(reduced, { soFar }));
    expect(items(picks).map((i) => (i < 30 ? 0 : i < 50 ? 1 : 2))).toEqual([0, 1, 2]);
    // One ball in twenty may reach into the next place.
    picks.forEach(({ why, score }, k) => {
      expect(Math.abs(why.covers! - [30, 20, 10][k])).toBeLessThanOrEqual(3);
      expect(score).toBe(why.covers! / 60);
    });
    const candidates = Array.from({ length: 59 }, (_, i) => i + 1);
    const after = await select('probcover', inputOf(reduced, { soFar, candidates, labelled: [0], batch: 2 }));
    expect(items(after).map((i) => (i < 30 ? 0 : i < 50 ? 1 : 2))).toEqual([1, 2]);
  });
});
