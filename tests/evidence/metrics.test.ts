import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { matrix } from '../../main/domain/matrix.ts';
import { createRng, type Rng } from '../../main/domain/rng.ts';
import { auditMetrics, clopperPearson, type AuditMetrics, type MetricsInput } from '../../main/evidence/index.ts';
import { normalCdf } from '../../main/evidence/bootstrap.ts';

/** The likeliest class of each row is suggested. */
function input(rows: number[][], labels: number[], more: Partial<MetricsInput> = {}): MetricsInput {
  const probabilities = matrix(rows.length, rows[0].length, Float32Array.from(rows.flat()));
  const classes = rows.map((p) => [p.indexOf(Math.max(...p))]);
  return {
    probabilities,
    labels: labels.map((label) => [label]),
    suggested: {
      classes,
      confidence: rows.map((p) => Math.max(...p)),
      correct: classes.map(([j], i) => j === labels[i]),
    },
    classCount: rows[0].length,
    seed: 1,
    ...more,
  };
}

interface Scikit {
  accuracy: number;
  balanced: number;
  f1: number;
  auroc: number[];
  sens: number[];
  spec: number[];
  prec: number[];
}

const scikit = JSON.parse(readFileSync(new URL('./scikit-metrics.json', import.meta.url), 'utf8')) as {
  percent: number[][];
  labels: number[];
  plain: Scikit;
  weighted: Scikit;
};
const rows = scikit.percent.map((row) => row.map((p) => p / 100));

function expectScikits(found: AuditMetrics, theirs: Scikit): void {
  expect(found.accuracy.value).toBeCloseTo(theirs.accuracy, 12);
  expect(found.balancedAccuracy.value).toBeCloseTo(theirs.balanced, 12);
  expect(found.macroF1.value).toBeCloseTo(theirs.f1, 12);
  expect(found.auroc.value).toBeCloseTo(theirs.auroc.reduce((sum, a) => sum + a) / 3, 12);
  found.perClass.forEach((own, j) => {
    expect(own.sensitivity.value).toBeCloseTo(theirs.sens[j], 12);
    expect(own.specificity.value).toBeCloseTo(theirs.spec[j], 12);
    expect(own.precision.value).toBeCloseTo(theirs.prec[j], 12);
    expect(own.auroc.value).toBeCloseTo(theirs.auroc[j], 12);
  });
}

describe('metrics', () => {
  it('are scikit-learn’s, with many tied probabilities', () => {
    expectScikits(auditMetrics(input(rows, scikit.labels)), scikit.plain);
  });

  it('are scikit-learn’s where items weigh differently', () => {
    const unweighted = input(rows, scikit.labels);
    const weights = unweighted.suggested.classes.map(([j]) => (j === 0 ? 4 : 1));
    expectScikits(auditMetrics({ ...unweighted, weights }), scikit.weighted);
  });

  it('of independent items have exact intervals', () => {
    const { accuracy, perClass, components, weighted } = auditMetrics(input(rows, scikit.labels));
    const { low, high } = clopperPearson(38, 60);
    expect(accuracy).toEqual({ n: 60, value: 38 / 60, low, high });
    expect(perClass[0].sensitivity).toMatchObject({ n: 34, low: clopperPearson(21, 34).low });
    expect({ components, weighted }).toEqual({ components: 60, weighted: false });
  });

  it('of a stratified audit set are those of the population, by a hand-worked table', () => {
    // 900 settled items of which 3 were drawn, 2 right; 100 others of which 5 were drawn, 1 right:
    // Hájek's estimate is (900 · 2/3 + 100 · 1/5) / 1000 = 0.62; unweighted it would be 3/8.
    const answers = [1, 1, 0, 1, 0, 0, 0, 0];
    const found = auditMetrics(
      input(
        answers.map(() => [0.9, 0.1]),
        answers.map((right) => 1 - right),
        { weights: answers.map((_, i) => (i < 3 ? 900 / 3 : 100 / 5)) },
      ),
    );
    expect(found.accuracy.value).toBeCloseTo(0.62, 12);
    expect(found.weighted).toBe(true);
    // Expected calibration error by hand: all in one bin, |0.9 − 0.62|.
    expect(found.ece.value).toBeCloseTo(0.28, 6);
    // Three items of nine tenths of the weight say less than eight alike.
    expect(found.accuracy.high - found.accuracy.low).toBeGreaterThan(
      clopperPearson(5, 8).high - clopperPearson(5, 8).low,
    );
  });

  it('of items in groups have wider intervals than of as many single ones', () => {
    const rng = createRng(2);
    const group = Int32Array.from({ length: 120 }, (_, i) => Math.floor(i / 6));
    const luck = Array.from({ length: 20 }, () => rng.next());
    const labels = Array.from(group, (g) => Number(luck[g] < 0.25));
    const sure = labels.map(() => [0.8, 0.2]);
    const single = auditMetrics(input(sure, labels)).accuracy;
    const grouped = auditMetrics(input(sure, labels, { component: group })).accuracy;
    expect(grouped.value).toBe(single.value);
    expect(grouped.high - grouped.low).toBeGreaterThan(1.8 * (single.high - single.low));
  });

  it('of flawless answers do not promise flawlessness', () => {
    const labels = Array.from({ length: 40 }, (_, i) => i % 2);
    const found = auditMetrics(
      input(
        labels.map((j) => (j === 0 ? [0.9, 0.1] : [0.2, 0.8])),
        labels,
      ),
    );
    for (const metric of [
      found.accuracy,
      found.balancedAccuracy,
      found.macroF1,
      found.auroc,
      found.perClass[1].auroc,
    ]) {
      expect(metric).toMatchObject({ value: 1, high: 1 });
      expect(metric.low).toBeLessThan(0.95);
    }
    expect(found.ece.high).toBeGreaterThan(0.15);
    // 20 of each: at an AUROC of θ all of 20 disjoint pairs are in order with chance θ^20.
    expect(found.perClass[0].auroc.low).toBeCloseTo(0.025 ** (1 / 20), 6);
  });

  it('of nothing are null, also for a class without items and one the model does not know', () => {
    const none = auditMetrics(input([[1, 0]], [0], { classCount: 3 }));
    expect(none.perClass[1]).toMatchObject({
      sensitivity: { n: 0, value: null, low: 0, high: 1 },
      auroc: { value: null },
    });
    expect(none.perClass[2].auroc.value).toBeNull();
    expect(none.auroc).toMatchObject({ value: null, low: 0, high: 1 });
    const empty = auditMetrics({
      ...input([[1, 0]], [0]),
      probabilities: matrix(0, 2),
      labels: [],
      suggested: { classes: [], confidence: [], correct: [] },
    });
    expect(empty).toMatchObject({
      n: 0,
      components: 0,
      accuracy: { value: null },
      ece: { value: null },
      macroF1: { value: null },
    });
  });

  it('count several labels an item one by one', () => {
    const found = auditMetrics({
      probabilities: matrix(3, 2, Float32Array.from([0.9, 0.8, 0.7, 0.2, 0.1, 0.6])),
      labels: [[0, 1], [], [1]],
      suggested: { classes: [[0, 1], [0], [1]], confidence: [0.8, 0.7, 0.6], correct: [true, false, true] },
      classCount: 2,
      seed: 1,
    });
    expect(
      found.perClass.map(({ sensitivity, specificity, precision }) => [
        sensitivity.value,
        specificity.value,
        precision.value,
      ]),
    ).toEqual([
      [1, 0.5, 0.5],
      [1, 1, 1],
    ]);
    expect(found.accuracy.value).toBeCloseTo(2 / 3, 12);
  });

  it('contain the truth about as often as they say, for items in groups', () => {
    // Groups of one to five items, alike in how likely class 0 looks.
    const world = (rng: Rng, n: number) => {
      const group: number[] = [];
      while (group.length < n) {
        const name = group.length;
        for (let left = 1 + rng.int(5); left > 0 && group.length < n; left--) group.push(name);
      }
      const shared = group.map(() => rng.normal());
      const labels = group.map(() => rng.int(3));
      const probabilities = labels.map((label, i) => {
        const z = [0, 1, 2].map((j) => 2.2 * Number(j === label) + 0.8 * rng.normal());
        z[0] += 0.6 * shared[group[i]];
        const e = z.map(Math.exp);
        return e.map((value) => value / (e[0] + e[1] + e[2]));
      });
      return { probabilities, labels, group };
    };
    const rng = createRng(12);
    const measured = (n: number, draws: number) => {
      const { probabilities, labels, group } = world(rng, n);
      return auditMetrics(input(probabilities, labels, { component: group, draws }));
    };
    const truth = measured(60_000, 1);
    const met = { accuracy: 0, balancedAccuracy: 0, macroF1: 0, auroc: 0, ece: 0 };
    const names = Object.keys(met) as (keyof typeof met)[];
    const trials = 120;
    for (let trial = 0; trial < trials; trial++) {
      const found = measured(150, 200);
      for (const name of names) {
        if (found[name].low <= truth[name].value! && truth[name].value! <= found[name].high) met[name]++;
      }
    }
    // Sampling error of 120 trials at 95 %: two standard deviations are 4 %.
    expect(met.accuracy / trials).toBeGreaterThan(0.9);
    expect(met.balancedAccuracy / trials).toBeGreaterThan(0.9);
    expect(met.macroF1 / trials).toBeGreaterThan(0.88);
    expect(met.auroc / trials).toBeGreaterThan(0.86);
    // The calibration error of a finite sample is biased upwards; its interval is the roughest.
    expect(met.ece / trials).toBeGreaterThan(0.7);
  });

  it('use a normal distribution that is SciPy’s', () => {
    // scipy.stats.norm.cdf
    expect(normalCdf(-1.96)).toBeCloseTo(0.024997895148220428, 6);
    expect(normalCdf(0.5)).toBeCloseTo(0.6914624612740131, 6);
  });
});
