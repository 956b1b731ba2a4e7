/** What is said about evidence: every code has a sentence in every language, missing bounds are said, and nothing reads NaN. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { ForecastData, SavedData, StopAdviceData } from '../../main/api-evidence.ts';
import {
  adviceWords,
  chanceWords,
  distanceWords,
  gapSentence,
  hoursLeftSentence,
  labelsLeftSentence,
  measuredWords,
  neededSentence,
  savedSentence,
} from '../../renderer/evidence-words.ts';
import { level, roughly } from '../../renderer/format.ts';
import { overwriteGetLocale } from '../../renderer/paraglide/runtime.js';
import { apart, nearest, placeIn, stairs } from '../../renderer/views/evidence/plot.ts';

const bounded = (value: number | null, low: number, high: number | null) => ({ value, low, high });
const forecast = (changes: Partial<ForecastData>): ForecastData => ({
  code: 'ok',
  target: 0.9,
  labels: 240,
  curve: [],
  labelsAtTarget: bounded(420, 360, 500),
  labelsLeft: bounded(183, 121, 263),
  hoursLeft: bounded(0.31, 0.2, 0.46),
  ceiling: bounded(0.95, 0.92, 0.97),
  never: 0.04,
  ...changes,
});
const saved = (code: SavedData['code'], bounds: SavedData['saved']): SavedData => ({ code, saved: bounds, random: [] });

beforeEach(() => overwriteGetLocale(() => 'en'));

describe('Labels left', () => {
  test('are told with their interval, roughly', () => {
    expect(labelsLeftSentence(forecast({}))).toBe('About 180 more labels (95 %: 120–260) to reach 90%.');
    expect(labelsLeftSentence(forecast({}), 170)).toBe(
      'More than the 170 items left, probably, to reach 90% (95 %: 120–260).',
    );
    expect(labelsLeftSentence(forecast({ labelsLeft: bounded(83, 21, null) }))).toContain(
      '83 more labels (95 %: 21 or more)',
    );
    expect(labelsLeftSentence(forecast({ labelsLeft: bounded(null, 1240, null) }))).toContain(
      'At least 1,200 more labels',
    );
  });

  test('are not told where nothing can be, with the reason', () => {
    const nothing = { labelsLeft: null, hoursLeft: null };
    expect(labelsLeftSentence(forecast({ code: 'reached', ...nothing }))).toBe('90% is reached.');
    expect(labelsLeftSentence(forecast({ code: 'too-few', ceiling: null, ...nothing }))).toContain('Too few');
    expect(labelsLeftSentence(forecast({ code: 'out-of-reach', ...nothing }))).toContain(
      '(probability 4%). The curve is heading for 95%',
    );
    expect(labelsLeftSentence(forecast({ code: 'out-of-reach', ceiling: null, ...nothing }))).toContain(
      'probably not reach',
    );
  });

  test('take minutes or hours at the usual pace', () => {
    expect(hoursLeftSentence(forecast({}))).toBe('About 19 minutes at your usual pace (95 %: 12–28).');
    expect(hoursLeftSentence(forecast({ hoursLeft: bounded(3.24, 1.5, 12.4) }))).toContain(
      '3.2 hours at your usual pace (95 %: 1.5–12)',
    );
    expect(hoursLeftSentence(forecast({ hoursLeft: bounded(2, 1, null) }))).toContain('1.0 or more');
    expect(hoursLeftSentence(forecast({ hoursLeft: null }))).toBe('');
    expect(hoursLeftSentence(forecast({ code: 'reached' }))).toBe('');
  });
});

test('Labels saved are told with their interval, or why not', () => {
  expect(savedSentence(saved('ok', bounded(183, 121, 242)))).toBe(
    'You have saved about 180 labels so far (95 % interval 120–240).',
  );
  expect(savedSentence(saved('at-least', bounded(null, 140, null)))).toContain('at least 140 labels');
  expect(savedSentence(saved('none', bounded(12, -30, 60)))).toContain('-30–60');
  expect(savedSentence(saved('too-few', null))).toContain('Too few');
});

describe('Advice to stop', () => {
  const rules: StopAdviceData[] = [
    { rule: 'stable', met: true, mean: 0.9921, atLeast: 0.99 },
    { rule: 'gain', met: false, value: 0.012, low: 0.003, high: 0.021, below: 0.005 },
    { rule: 'guarantee', met: false, share: 0.64, atLeast: 0.9 },
    { rule: 'confident', met: false, uncertainty: 0.123, below: 0.05 },
  ];

  test('gives its numbers', () => {
    const reasons = rules.map((rule) => adviceWords(rule).reason);
    expect(reasons[0]).toContain('0.992 (kappa); 0.99 is enough');
    expect(reasons[1]).toContain('1.2 points (95 %: 0.3 to 2.1); under 0.5');
    expect(reasons[2]).toContain('64% of the open items are settled; 90% is enough');
    expect(reasons[3]).toContain('12.3%');
  });

  test('says what it waits for where it cannot say yet', () => {
    for (const { rule } of rules) {
      const { name, reason } = adviceWords({ rule, met: null });
      expect(name).not.toBe('');
      expect(reason).not.toMatch(/NaN|undefined|\{/);
      expect(reason).not.toBe('');
    }
  });
});

describe('Gaps, chance and what is missing', () => {
  test('a gap names both groups, its size and how often chance makes as large a one', () => {
    const difference = { n: 40, value: 0.163, low: 0.041, high: 0.287 };
    const said = gapSentence({ best: 'North', worst: 'Harbour\u202E', difference, pValue: 0.012 });
    expect(said).toBe(
      'Harbour[U+202E]: 16.3 points less accurate than North (95 %: 4.1 to 28.7). Chance alone: about 1 time in 83.',
    );
    expect(gapSentence(null)).toBe('No gap in accuracy that the numbers support.');
  });

  test('p-values read as odds, never as zero', () => {
    expect([0.5, 0.05, 0.002, 0.0004, 0].map(chanceWords)).toEqual([
      'Chance alone does as much 50% of the time',
      'Chance alone: about 1 time in 20',
      'Chance alone: about 1 time in 500',
      'Chance alone: less than 1 time in 1,000',
      'Chance alone: less than 1 time in 1,000',
    ]);
    expect([-0.01, 0.04, 0.1, 0.2].map((distance) => distanceWords({ distance }))).toEqual([
      'next to none',
      'small',
      'clear',
      'large',
    ]);
  });

  test('what is missing to promise anything is counted', () => {
    const level = { alpha: 0.02, delta: 0.1, settled: 0, bound: null, auditSize: 80 };
    expect(neededSentence({ ...level, threshold: null, needed: 34 })).toBe(
      'Label 34 more audit items to be able to say anything at 2%.',
    );
    expect(neededSentence({ ...level, threshold: null, needed: null })).toContain('Nothing can be said at 2% yet');
    expect(neededSentence({ ...level, threshold: 0.9, needed: null })).toBe('');
    expect(measuredWords({ n: 0, value: null, low: 0, high: 1 })).toBe('none audited');
  });

  test('all of it is said in Chinese too', () => {
    overwriteGetLocale(() => 'zh-CN');
    const all = [
      labelsLeftSentence(forecast({})),
      hoursLeftSentence(forecast({})),
      savedSentence(saved('ok', bounded(183, 121, 242))),
      gapSentence(null),
      chanceWords(0.012),
      neededSentence({ alpha: 0.02, delta: 0.1, threshold: null, settled: 0, bound: null, auditSize: 80, needed: 34 }),
    ];
    for (const said of all) expect(said).toMatch(/\p{Script=Han}/u);
    expect(all[0]).toBe('大约还需 180 个标签（95%：120–260）达到 90%。');
  });
});

describe('The charts', () => {
  test('numbers known only roughly and levels are written short', () => {
    expect([7.4, 83, 183, -1240].map(roughly)).toEqual(['7', '83', '180', '-1,200']);
    expect([0.005, 0.05, 0.1].map(level)).toEqual(['0.5%', '5%', '10%']);
  });

  test('stairs hold each height until the next point', () => {
    expect(
      stairs([
        [0, 10],
        [5, 4],
        [9, 4],
      ]),
    ).toBe('M0.0 10.0H5.0V4.0H9.0V4.0');
    expect(stairs([])).toBe('');
  });

  test('words beside lines are pushed apart in their order', () => {
    expect(apart([50, 10, 52], 15)).toEqual([50, 10, 65]);
    expect(apart([5, 5], 10)).toEqual([5, 15]);
    expect(apart([], 10)).toEqual([]);
  });

  test('the nearest of a row, and a place between two of it', () => {
    expect([nearest([1, 4, 9], 6), nearest([1, 4, 9], 7), nearest([2, 4], 3), nearest([], 1)]).toEqual([1, 2, 0, -1]);
    expect([0.5, 1, 2.5, 4, 5].map((value) => placeIn([1, 2, 4], value))).toEqual([null, 0, 1.25, 2, null]);
  });
});
