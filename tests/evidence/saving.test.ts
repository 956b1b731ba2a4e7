/**
 * Labels saved, against simulations in which random's curve is known. `savings.json` holds
 * 24 runs of the default policy (medquad, chest-xray, 1,000 cells and 1,500 notes of the sample
 * projects, seeds 1 to 3, at two numbers of labels): random's own curve as shadow heads
 * drew it on the audit items (a quarter of the labels), how many of these the live head got
 * right, and how alike the two are. `needed` is where the mean curve of random labels, six
 * or eight seeds on the whole test side, meets the default policy's mean accuracy; null
 * where it did not within the `tried` labels.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { measureSaving } from '../../main/evidence/index.ts';

interface Run {
  labels: number;
  audit: number;
  live: number;
  likeness: number;
  needed: number | null;
  tried: number;
  random: [number, number][];
}
const runs = JSON.parse(readFileSync(new URL('savings.json', import.meta.url), 'utf8')) as Run[];

const onLaw = (sizes: number[], n: number) =>
  sizes.map((labels) => ({ labels, correct: n * (0.95 - 1.5 * labels ** -0.6), n }));

describe('Labels saved', () => {
  test('lie within the 95 % interval on at least 22 of 24 simulations', () => {
    expect(runs).toHaveLength(24);
    const covered = runs.filter((run) => {
      const random = run.random.map(([labels, correct]) => ({ labels, correct, n: run.audit }));
      const live = { correct: run.live, n: run.audit };
      const { code, saved } = measureSaving({ random, live, likeness: run.likeness, labels: run.labels });
      expect(['ok', 'at-least', 'none']).toContain(code);
      const [least, most] = run.needed === null ? [run.tried, Infinity] : [run.needed, run.needed];
      return saved!.low <= most - run.labels && (saved!.high ?? Infinity) >= least - run.labels;
    });
    expect(covered.length).toBeGreaterThanOrEqual(22);
  });

  test('are random’s labels less those given, where everything is known well', () => {
    const n = 20_000;
    const random = onLaw([10, 16, 25, 40, 63, 100, 160, 250], n);
    // Random needs 30^(1/0.6) = 290 labels for 0.9.
    const { code, saved } = measureSaving({ random, live: { correct: 0.9 * n, n }, likeness: 0.5, labels: 90 });
    expect(code).toBe('ok');
    expect(saved!.value).toBeGreaterThan(120);
    expect(saved!.value).toBeLessThan(320);
    expect(saved!.low).toBeGreaterThan(0);
    expect(saved!.high).toBeGreaterThan(saved!.value!);
  });

  test('are none where random does as well, and at least so many where random never gets there', () => {
    const n = 2_000;
    const random = onLaw([10, 16, 25, 40, 63, 100], n);
    expect(measureSaving({ random, live: random[5], likeness: 0.5, labels: 100 }).code).toBe('none');
    const { code, saved } = measureSaving({ random, live: { correct: 0.99 * n, n }, likeness: 0.5, labels: 100 });
    expect(code).toBe('at-least');
    expect(saved!.high).toBeNull();
    expect(saved!.low).toBeGreaterThan(100);
  });

  test('are known better the more alike the two models err', () => {
    const n = 200;
    const random = onLaw([10, 16, 25, 40, 63, 100, 160], n);
    const low = (likeness: number) =>
      measureSaving({ random, live: { correct: 176, n }, likeness, labels: 60 }).saved!.low;
    expect(low(0.9)).toBeGreaterThan(low(0));
  });

  test('are not guessed from nineteen audit items', () => {
    const random = onLaw([8, 10, 15], 19);
    expect(measureSaving({ random, live: { correct: 15, n: 19 }, likeness: 0.5, labels: 60 })).toEqual({
      code: 'too-few',
      saved: null,
      random: [],
    });
  });
});
