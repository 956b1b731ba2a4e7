import { describe, expect, it } from 'vitest';
import { matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import { judgeLabels } from '../../main/evidence/index.ts';

/** A calibrated model that says .9 or .6 for what is likeliest of three, and one annotator who errs one time in twenty. */
function project(n: number, seed: number) {
  const rng = createRng(seed);
  const model = matrix(n, 3);
  const given: number[][] = [];
  const wrong: boolean[] = [];
  for (let i = 0; i < n; i++) {
    const top = rng.int(3);
    const p = rng.next() < 0.7 ? 0.96 : 0.6;
    for (let j = 0; j < 3; j++) model.data[3 * i + j] = j === top ? p : (1 - p) / 2;
    const truth = rng.next() < p ? top : (top + 1 + rng.int(2)) % 3;
    wrong.push(rng.next() < 0.05);
    given.push([wrong[i] ? (truth + 1 + rng.int(2)) % 3 : truth]);
  }
  const readings = given.map((classes, item) => ({ item, annotator: 0, classes }));
  return { labels: { task: 'classify' as const, model, given, readings, annotators: 1 }, wrong };
}

describe('judging labels', () => {
  it('orders wrong labels before right ones, by probabilities that come true', () => {
    const { labels, wrong } = project(3000, 2);
    const { right, suspected } = judgeLabels(labels);
    const order = right.map((_, i) => i).sort((a, b) => right[a] - right[b]);
    const first = [...order.subarray(0, 300)].filter((i) => wrong[i]).length;
    expect(first / wrong.filter(Boolean).length).toBeGreaterThan(0.6);
    expect(suspected.filter(Boolean).length).toBeLessThan(600);
    const expected = right.reduce((sum, p) => sum + 1 - p, 0);
    expect(Math.abs(expected - wrong.filter(Boolean).length)).toBeLessThan(60);
  });

  it('believes a second reading of the same kind, and doubts a label that was answered differently', () => {
    const { labels } = project(500, 3);
    const before = judgeLabels(labels).right;
    const again = (classes: (own: readonly number[]) => number[]) =>
      judgeLabels({
        ...labels,
        readings: [...labels.readings, { item: 0, annotator: 0, classes: classes(labels.given[0]) }],
      }).right[0];
    expect(again(([own]) => [own])).toBeGreaterThan(before[0]);
    expect(again(([own]) => [(own + 1) % 3])).toBeLessThan(before[0]);
  });

  it('judges many classes one by one', () => {
    const n = 300;
    const rng = createRng(4);
    const model = matrix(n, 2);
    const given: number[][] = [];
    for (let i = 0; i < n; i++) {
      const has = [rng.next() < 0.5, rng.next() < 0.5];
      has.forEach((h, j) => (model.data[2 * i + j] = h ? 0.99 : 0.01));
      // On every fiftieth item the second class was forgotten, or given for nothing.
      given.push([0, 1].filter((j) => (j === 1 && i % 50 === 0 ? !has[j] : has[j])));
    }
    const readings = given.map((classes, item) => ({ item, annotator: 0, classes }));
    const judged = judgeLabels({ task: 'classify-many', model, given, readings, annotators: 1 });
    const least = judged.right.map((_, i) => i).sort((a, b) => judged.right[a] - judged.right[b]);
    expect([...least.subarray(0, 6)].toSorted((a, b) => a - b)).toEqual([0, 50, 100, 150, 200, 250]);
    expect(judged.fused[50].classes.includes(1)).toBe(!given[50].includes(1));
    expect(judged.fused[1].classes).toEqual(given[1]);
    expect(judged.model[1].probability).toBeCloseTo(0.99, 5);
  });

  it('has nothing to say of nothing', () => {
    const none = { task: 'classify' as const, model: matrix(0, 2), given: [], readings: [], annotators: 0 };
    expect(judgeLabels(none)).toEqual({ suspected: [], model: [], fused: [], right: new Float64Array(0) });
  });
});
