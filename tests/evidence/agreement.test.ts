import { describe, expect, it } from 'vitest';
import {
  bootstrapKappa,
  classKappas,
  cohenKappa,
  fleissKappa,
  kappaStandardError,
  krippendorffAlpha,
  largeSampleKappa,
  pairTable,
} from '../../main/evidence/agreement.ts';
import { createRng } from '../../main/domain/rng.ts';

/** Cohen 1960, table 2, as counts of 200; and Fleiss, Cohen & Everitt 1969, table 1, likewise. */
const COHEN = [
  [88, 14, 18],
  [10, 40, 10],
  [2, 6, 12],
];
const EVERITT = [
  [106, 10, 4],
  [22, 28, 10],
  [2, 12, 6],
];

/** Fleiss 1971, table 1: how many of six psychiatrists gave each of 30 patients each of five diagnoses. */
const FLEISS =
  '00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031 00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006'
    .split(' ')
    .map((row) => Array.from(row, Number));

/** Krippendorff 2011, the reliability data of four observers, 0 = not read; items in columns. */
const OBSERVERS = ['123321412000', '123322412503', '033323422510', '123324412510'];

describe('Cohen’s kappa', () => {
  it('is the published one', () => {
    const kappa = cohenKappa(COHEN);
    expect(kappa.agreement.value).toBeCloseTo(0.7, 12);
    expect(kappa.expected).toBeCloseTo(0.41, 12);
    expect(kappa.value).toBeCloseTo(0.492, 3);
    expect(cohenKappa(EVERITT).value).toBeCloseTo(0.429, 3);
  });

  it('has the large-sample standard error that NumPy computed from the published formula', () => {
    // A jackknife over the 200 pairs, which knows no formula, gave .0513 and .0541.
    expect(kappaStandardError(COHEN)).toBeCloseTo(0.05100181557607786, 12);
    expect(kappaStandardError(EVERITT)).toBeCloseTo(0.053711004869167356, 12);
  });

  it('has three intervals that agree where there are many pairs', () => {
    const exact = cohenKappa(COHEN);
    const large = largeSampleKappa(COHEN)!;
    const drawn = bootstrapKappa(COHEN, 1)!;
    for (const other of [large, drawn]) {
      expect(Math.abs(other.low - exact.low)).toBeLessThan(0.03);
      expect(Math.abs(other.high - exact.high)).toBeLessThan(0.03);
    }
  });

  it('does not claim certainty after ten agreements, as the two others do', () => {
    const table = [
      [6, 0],
      [0, 4],
    ];
    expect(largeSampleKappa(table)).toEqual({ low: 1, high: 1 });
    expect(bootstrapKappa(table, 1)).toEqual({ low: 1, high: 1 });
    const { value, low, high } = cohenKappa(table);
    expect(value).toBe(1);
    expect(low).toBeLessThan(0.4);
    expect(high).toBe(1);
  });

  it('has an interval that covers, with few pairs as well', () => {
    // Two readings that err one time in twenty, of two classes, one of them rare.
    const rng = createRng(5);
    const read = (truth: number) => (rng.next() < 0.95 ? truth : 1 - truth);
    const pair = (): [number, number] => {
      const truth = rng.next() < 0.2 ? 1 : 0;
      return [read(truth), read(truth)];
    };
    const truth = cohenKappa(pairTable(Array.from({ length: 200_000 }, pair), 2)).value!;
    let covered = 0;
    for (let t = 0; t < 300; t++) {
      const { low, high } = cohenKappa(pairTable(Array.from({ length: 20 }, pair), 2));
      if (low <= truth && truth <= high) covered++;
    }
    expect(covered).toBeGreaterThanOrEqual(280);
  });

  it('is not defined without pairs, nor where only one class was ever given', () => {
    expect(cohenKappa([[0, 0], [0, 0]]).value).toBeNull(); // prettier-ignore
    const one = cohenKappa([[9, 0], [0, 0]]); // prettier-ignore
    expect(one.value).toBeNull();
    expect(one.agreement.value).toBe(1);
    expect(kappaStandardError([[9, 0], [0, 0]])).toBeNull(); // prettier-ignore
    expect(bootstrapKappa([[9, 0], [0, 0]], 1)).toBeNull(); // prettier-ignore
  });
});

describe('Fleiss’ kappa', () => {
  it('is the published one', () => {
    const { value, low, high, standardError } = fleissKappa(FLEISS);
    expect(value).toBeCloseTo(0.43, 3);
    expect(low).toBeLessThan(0.43 - 2 * standardError!);
    expect(high).toBeGreaterThan(0.43 + 2 * standardError!);
    // NumPy, from the formula of 1979 that corrects the one of 1971.
    expect(standardError).toBeCloseTo(0.02437393209941115, 12);
  });

  it('is not defined where nothing could disagree', () => {
    expect(fleissKappa([]).value).toBeNull();
    expect(fleissKappa([[0, 3], [0, 3]]).value).toBeNull(); // prettier-ignore
  });
});

describe('Krippendorff’s alpha', () => {
  it('is the published one, with missing readings', () => {
    const items = Array.from({ length: 12 }, (_, i) =>
      OBSERVERS.map((row) => (row[i] === '0' ? null : Number(row[i]) - 1)),
    );
    const { value, low, high, n } = krippendorffAlpha(items, 5);
    expect(value).toBeCloseTo(0.743, 3);
    // One of the twelve was read once.
    expect(n).toBe(11);
    expect(low).toBeLessThan(0.5);
    expect(high).toBeGreaterThan(0.9);
  });

  it('comes near Fleiss’ kappa where nothing is missing', () => {
    const items = FLEISS.map((row) => row.flatMap((count, j) => new Array<number>(count).fill(j)));
    // α = 1 − (1 − κ)(1 − 1/N) for N readings in all.
    expect(krippendorffAlpha(items, 5).value).toBeCloseTo(1 - (1 - fleissKappa(FLEISS).value!) * (1 - 1 / 180), 12);
  });

  it('says nothing of items read once', () => {
    expect(krippendorffAlpha([[0, null], [null, 1]], 2).value).toBeNull(); // prettier-ignore
  });
});

it('asks of many classes each by itself', () => {
  const pairs = [
    [[0, 1], [0]],
    [[0], [0]],
    [[], [1]],
    [[1], []],
  ] as const; // prettier-ignore
  const [first, second] = classKappas(pairs, 2);
  expect(first.value).toBe(1);
  expect(first.agreement.value).toBe(1);
  // Of the second: yes/no, no/no, no/yes, yes/no → one of four agrees; chance: ½·¼ + ½·¾ = ½.
  expect(second.value).toBeCloseTo((0.25 - 0.5) / 0.5, 12);
});
