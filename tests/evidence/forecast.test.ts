/**
 * The forecast against curves whose end is known. `curves.json` holds twenty runs of the
 * simulation that were cut off at a third or a half: of medquad, chest-xray and larger
 * versions of the two sample projects (1,000 cells, 1,500 notes), the default policy with
 * seeds 1 to 3 and random with 1 and 2, none left out. Each point is labels, and how many
 * of `audit` items (a quarter of the labels, drawn from the test items) and of all `test`
 * items were right. `target` is the accuracy of the mean of six (medquad) or eight seeds at
 * four fifths of the full run, `truth` where that mean, made monotone, meets it.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fitCurve, forecast, type CurveMeasurement } from '../../main/evidence/index.ts';

interface Cut {
  collection: string;
  audit: number;
  test: number;
  target: number;
  truth: number;
  points: [number, number, number][];
}
const cuts = JSON.parse(readFileSync(new URL('curves.json', import.meta.url), 'utf8')) as Cut[];

function forecasts(of: 'audit' | 'test') {
  return cuts.map((cut) => {
    const points = cut.points.map(([labels, audited, tested]) => ({
      labels,
      correct: of === 'audit' ? audited : tested,
      n: cut[of],
    }));
    const found = forecast(fitCurve(points), points, { target: cut.target, labels: points.at(-1)!.labels });
    const { low, high } = found.labelsAtTarget!;
    return { covers: low <= cut.truth && cut.truth <= (high ?? Infinity), low, high, found, truth: cut.truth };
  });
}

/** Points on a law, as if measured on very many items. */
function onLaw(ceiling: number, b: number, rate: number, sizes: number[], n = 100_000): CurveMeasurement[] {
  return sizes.map((labels) => ({ labels, correct: Math.round(n * (ceiling - b * labels ** -rate)), n }));
}

describe('Labels to a target', () => {
  test('lie within the 95 % interval on at least 17 of 20 simulated curves', () => {
    expect(cuts).toHaveLength(20);
    const audited = forecasts('audit');
    expect(audited.filter(({ covers }) => covers).length).toBeGreaterThanOrEqual(17);
    // An interval from nothing to infinity would cover as well: these say at least how many are needed.
    const low = audited.map((one) => one.low / one.truth).sort((a, b) => a - b);
    expect(low[10]).toBeGreaterThan(0.2);
  });

  test('are narrowed down by more audit items', () => {
    const few = forecasts('audit');
    const many = forecasts('test');
    expect(many.filter(({ covers }) => covers).length).toBeGreaterThanOrEqual(17);
    expect(many.filter(({ high }) => high !== null).length).toBeGreaterThan(
      few.filter(({ high }) => high !== null).length,
    );
    const width = (all: typeof few) => {
      const bands = all.map(({ found }) => found.curve.at(-1)!.high - found.curve.at(-1)!.low);
      return bands.reduce((a, b) => a + b, 0) / bands.length;
    };
    expect(width(many)).toBeLessThan(0.75 * width(few));
  });

  test('are those of the law where the points lie on one', () => {
    const points = onLaw(0.95, 1.5, 0.6, [20, 30, 45, 70, 100, 150, 220]);
    // 0.95 − 1.5 m^−0.6 = 0.9 at m = 30^(1/0.6)
    const truth = 30 ** (1 / 0.6);
    const { code, labelsAtTarget, curve } = forecast(fitCurve(points), points, { target: 0.9, labels: 220 });
    expect(code).toBe('ok');
    expect(labelsAtTarget!.value! / truth).toBeGreaterThan(0.75);
    expect(labelsAtTarget!.value! / truth).toBeLessThan(1.35);
    const fitted = curve.find(({ labels }) => labels === 100)!;
    expect(fitted.value).toBeCloseTo(0.95 - 1.5 * 100 ** -0.6, 2);
    expect(fitted.low).toBeLessThan(fitted.value);
    expect(curve.every((point, i) => i === 0 || point.labels > curve[i - 1].labels)).toBe(true);
  });

  test('are behind us where the target is met, and nowhere where the curve has flattened below it', () => {
    const met = onLaw(0.95, 1.5, 0.6, [20, 40, 80, 160, 320]);
    expect(forecast(fitCurve(met), met, { target: 0.85, labels: 320 })).toMatchObject({ code: 'reached' });
    const flat = onLaw(0.8, 0.5, 1.2, [20, 40, 80, 160, 320, 640]);
    const nowhere = forecast(fitCurve(flat), flat, { target: 0.95, labels: 640 });
    expect(nowhere.code).toBe('out-of-reach');
    expect(nowhere.labelsAtTarget).toMatchObject({ value: null, high: null });
    expect(nowhere.never).toBeGreaterThan(0.95);
  });

  test('of which the probability that they never do stays one, however its share is summed', () => {
    for (let last = 40; last < 60; last++) {
      const points = onLaw(0.26, 0, 0.5, [20, 30, last], 345);
      const { never } = forecast(fitCurve(points), points, { target: 0.9, labels: last });
      expect(never).toBeGreaterThan(0.999);
      expect(never).toBeLessThanOrEqual(1);
    }
  });

  test('are not guessed from two points or nine audit items', () => {
    const two = onLaw(0.9, 1, 0.5, [20, 40]);
    const nine = onLaw(0.9, 1, 0.5, [20, 40, 80], 9);
    for (const points of [[], two, nine]) {
      const said = forecast(fitCurve(points), points, { target: 0.9, labels: 80 });
      expect(said).toMatchObject({ code: 'too-few', labelsAtTarget: null, curve: [], never: null });
    }
  });

  test('can be asked for where every audit item is right, or none', () => {
    for (const correct of [0, 30]) {
      const points = [10, 20, 40].map((labels) => ({ labels, correct, n: 30 }));
      const { ceiling, never } = forecast(fitCurve(points), points, { target: 0.9, labels: 40 });
      expect(ceiling!.low).toBeGreaterThanOrEqual(0);
      expect(ceiling!.high).toBeLessThanOrEqual(1);
      expect(never).toBeGreaterThanOrEqual(0);
    }
  });
});
