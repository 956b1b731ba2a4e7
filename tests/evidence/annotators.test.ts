import { describe, expect, it } from 'vitest';
import { estimateAnnotators, USUAL_ANNOTATOR, type Reading } from '../../main/evidence/annotators.ts';
import { fuse } from '../../main/evidence/fusion.ts';
import { matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';

/** Dawid & Skene 1979, table 1: 45 patients; the first anaesthetist read each three times, four others once. */
const ANAESTHETISTS =
  '1111111 3334334 1122122 2223121 2223222 2223322 1222111 3333433 2222223 2322223 4444444 2223343 1111111 2223212 1211111 1112111 1111111 1111111 2222221 2221322 2222222 2222221 2223222 2212222 1111111 1111111 2322222 1111111 1111111 1121121 1111111 3333233 1111111 2222222 2223232 4334343 2212232 2323233 3333432 1111111 1111111 1212111 2322222 1211111 2222222'.split(
    ' ',
  );

const readings: Reading[] = ANAESTHETISTS.flatMap((given, item) =>
  Array.from(given, (digit, k) => ({ item, annotator: Math.max(0, k - 2), class: Number(digit) - 1 })),
);
const NONE = { right: 0, wrong: 0 };

describe('Dawid and Skene’s estimate', () => {
  const estimate = estimateAnnotators({ readings, items: 45, annotators: 5, classCount: 4, smoothing: NONE });

  it('gives the published frequencies of the classes', () => {
    // The paper prints .40 .42 .11 .07; NumPy's EM the rest of the digits.
    const expected = [0.39955475, 0.42198339, 0.11179519, 0.06666667];
    expected.forEach((share, j) => expect(estimate.prevalence[j]).toBeCloseTo(share, 6));
  });

  it('gives the published error rates of the first anaesthetist', () => {
    const expected = [
      [0.88948835, 0.11051165, 0, 0],
      [0.07058545, 0.87637994, 0.05303461, 0],
      [0, 0.33882154, 0.66117846, 0],
      [0, 0, 0.55555556, 0.44444444],
    ].flat();
    expected.forEach((share, at) => expect(estimate.confusions[0][at]).toBeCloseTo(share, 6));
  });

  it('is sure of all but three patients', () => {
    const unsure = ANAESTHETISTS.flatMap((_, i) =>
      Math.max(...estimate.probabilities.subarray(4 * i, 4 * i + 4)) < 0.99 ? [i + 1] : [],
    );
    expect(unsure).toEqual([7, 35, 38]);
    expect(estimate.probabilities[4 * 6]).toBeCloseTo(0.981, 3);
    expect(estimate.probabilities[4 * 34 + 1]).toBeCloseTo(0.948, 3);
    expect(estimate.probabilities[4 * 37 + 2]).toBeCloseTo(0.9788, 4);
  });

  it('does not call a class infallible that was read twice', () => {
    const few = [0, 1].map((item) => ({ item, annotator: 0, class: 1 }));
    const { confusions } = estimateAnnotators({ readings: few, items: 2, annotators: 1, classCount: 2 });
    const { right, wrong } = USUAL_ANNOTATOR;
    expect(confusions[0][3]).toBeLessThan((right + 2) / (right + wrong + 2) + 1e-9);
    expect(confusions[0][0]).toBeGreaterThan(0.9);
  });

  it('finds out with a model’s help how often one annotator errs', () => {
    // One reading of each of 2,000 items; the model knows the class with the probabilities it says.
    const rng = createRng(3);
    const items = 2000;
    const model = matrix(items, 2);
    const given: Reading[] = [];
    for (let item = 0; item < items; item++) {
      const p = [0.03, 0.1, 0.9, 0.97][rng.int(4)];
      model.data.set([1 - p, p], 2 * item);
      const truth = rng.next() < p ? 1 : 0;
      const isRight = rng.next() < (truth === 1 ? 0.8 : 0.95);
      given.push({ item, annotator: 0, class: isRight ? truth : 1 - truth });
    }
    const { confusions } = estimateAnnotators({ readings: given, items, annotators: 1, classCount: 2, model });
    expect(confusions[0][0]).toBeCloseTo(0.95, 1);
    expect(confusions[0][3]).toBeCloseTo(0.8, 1);
    expect(Math.abs(confusions[0][0] - 0.95)).toBeLessThan(0.03);
    expect(Math.abs(confusions[0][3] - 0.8)).toBeLessThan(0.03);
  });

  it('leaves an item without readings to the frequencies', () => {
    const { probabilities, prevalence } = estimateAnnotators({
      readings: [{ item: 0, annotator: 0, class: 0 }],
      items: 2,
      annotators: 1,
      classCount: 2,
    });
    expect(probabilities[2]).toBeCloseTo(prevalence[0], 5);
  });
});

describe('the third opinion', () => {
  const careful = Float64Array.of(0.9, 0.1, 0.2, 0.8);
  const preferred = (p: Float64Array) => (p[1] > p[0] ? 1 : 0);

  it('is the product that was worked by hand', () => {
    // P(h = 0 | y) = .9, .2; model .3, .7: .27 against .14.
    const fused = fuse([{ class: 0, confusion: careful }], [0.3, 0.7]);
    expect(fused[0]).toBeCloseTo(0.27 / 0.41, 12);
    expect(fused[1]).toBeCloseTo(0.14 / 0.41, 12);
  });

  it('differs from the human only where the model is surer than the human is reliable', () => {
    const reading = [{ class: 0, confusion: careful }];
    expect(preferred(fuse(reading, [0.3, 0.7]))).toBe(0);
    const other = fuse(reading, [0.05, 0.95]);
    expect(preferred(other)).toBe(1);
    expect(other[1]).toBeCloseTo(0.19 / (0.19 + 0.045), 12);
  });

  it('returns the model’s where everything is excluded', () => {
    const never = Float64Array.of(0, 1, 0, 1);
    expect([...fuse([{ class: 0, confusion: never }], [0.25, 0.75])]).toEqual([0.25, 0.75]);
  });

  it('is right more often than human and model are alone', () => {
    const rng = createRng(8);
    const right = { human: 0, model: 0, both: 0 };
    for (let t = 0; t < 4000; t++) {
      const p = rng.next();
      const truth = rng.next() < p ? 1 : 0;
      const human = rng.next() < careful[truth * 2 + truth] ? truth : 1 - truth;
      const model = [1 - p, p];
      const third = preferred(fuse([{ class: human, confusion: careful }], model));
      if (human === truth) right.human++;
      if ((p > 0.5 ? 1 : 0) === truth) right.model++;
      if (third === truth) right.both++;
    }
    expect(right.both).toBeGreaterThan(right.human);
    expect(right.both).toBeGreaterThan(right.model);
  });
});
