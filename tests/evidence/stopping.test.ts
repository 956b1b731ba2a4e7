/** The rules for stopping, on tables small enough to check by hand. */
import { describe, expect, test } from 'vitest';
import { adviseStopping, fitCurve } from '../../main/evidence/index.ts';

const nothing = {
  suggestions: [],
  posterior: null,
  secondsPerLabel: null,
  open: 0,
  settled: 0,
  probabilities: [],
};
const advice = (input: Partial<Parameters<typeof adviseStopping>[0]>, rule: string) =>
  adviseStopping({ ...nothing, ...input }).find((one) => one.rule === rule)!;

describe('Stop advice', () => {
  test('says that it cannot say before there is anything to go by', () => {
    expect(adviseStopping(nothing).map(({ rule, met }) => [rule, met])).toEqual([
      ['stable', null],
      ['gain', null],
      ['guarantee', null],
      ['confident', null],
    ]);
  });

  test('calls predictions stable after three comparisons with a mean kappa of .99', () => {
    const same = Array.from({ length: 200 }, (_, i) => i % 2);
    const other = same.map((code, i) => (i < 40 ? 1 - code : code));
    expect(advice({ suggestions: [same, same, same] }, 'stable').met).toBeNull();
    expect(advice({ suggestions: [other, same, same, same, same] }, 'stable')).toMatchObject({ mean: 1, met: true });
    const moving = advice({ suggestions: [same, same, other, other] }, 'stable');
    // 160 of 200 agree, half by chance: (0.8 − 0.5) / 0.5
    expect(moving.kappas).toEqual([1, expect.closeTo(0.6, 10), 1]);
    expect(moving.met).toBe(false);
  });

  test('compares suggestions of any codes, and models that always say one thing', () => {
    const one = [700, 700, 700];
    expect(advice({ suggestions: [one, one, one, one] }, 'stable')).toMatchObject({ mean: 1, met: true });
  });

  test('weighs the forecast gain against an hour at the usual pace', () => {
    const curve = (ceiling: number) =>
      fitCurve([25, 50, 100, 200].map((labels) => ({ labels, correct: 1e4 * (ceiling - 2 / labels), n: 1e4 })));
    const slow = advice({ posterior: curve(0.9), secondsPerLabel: 600 }, 'gain');
    // Six labels an hour at 0.9 − 2/m: 2/200 − 2/206 = 0.0003
    expect(slow.met).toBe(true);
    expect(slow.value as number).toBeLessThan(0.001);
    const steep = fitCurve(
      [10, 20, 40].map((labels) => ({ labels, correct: 1e4 * (0.95 - 2 / labels ** 0.7), n: 1e4 })),
    );
    expect(advice({ posterior: steep, secondsPerLabel: 4 }, 'gain').met).toBe(false);
    expect(advice({ posterior: steep }, 'gain').met).toBeNull();
  });

  test('counts the share that needs no eyes', () => {
    expect(advice({ open: 100, settled: 90 }, 'guarantee')).toMatchObject({ share: 0.9, met: true });
    expect(advice({ open: 100, settled: 89 }, 'guarantee').met).toBe(false);
  });

  test('takes the mean entropy as a share of guessing', () => {
    const half = advice(
      {
        probabilities: [
          [0.5, 0.5],
          [1, 0],
        ],
      },
      'confident',
    );
    expect(half).toMatchObject({ uncertainty: 0.5, met: false });
    expect(
      advice(
        {
          probabilities: [
            [1, 0],
            [0.999, 0.001],
          ],
        },
        'confident',
      ).met,
    ).toBe(true);
  });
});
