import { describe, expect, it } from 'vitest';
import { matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import {
  decidePromotion,
  evaluate,
  expectedCalibrationError,
  fitTemperature,
  suggestions,
  toProbabilities,
} from '../../main/training/index.ts';
import { targetsOf } from '../../main/training/head.ts';

describe('evaluation', () => {
  const probabilities = matrix(
    6,
    3,
    Float32Array.of(0.7, 0.2, 0.1, 0.1, 0.5, 0.4, 0.3, 0.3, 0.4, 0.2, 0.6, 0.2, 0.05, 0.15, 0.8, 0.5, 0.25, 0.25),
  );
  const metrics = evaluate(probabilities, [[0], [2], [2], [1], [2], [1]], 'classify');

  it('gives scikit-learn’s log loss and macro F1', () => {
    expect(metrics.logLoss).toBeCloseTo(0.7182533239811889, 6);
    expect(metrics.macroF1).toBeCloseTo(0.6555555555555556, 12);
  });

  it('counts per class and bounds the accuracy', () => {
    expect(metrics.accuracy.value).toBeCloseTo(4 / 6, 12);
    expect(metrics.perClass[2]).toMatchObject({ labelled: 3, predicted: 2, correct: 2, precision: 1, recall: 2 / 3 });
    expect(metrics.accuracy.low).toBeLessThan(0.3);
  });

  it('measures many classes by whether all are right', () => {
    const many = evaluate(matrix(2, 2, Float32Array.of(0.9, 0.8, 0.6, 0.1)), [[0, 1], []], 'classify-many');
    expect(many.accuracy.value).toBe(0.5);
    expect(suggestions(matrix(1, 2, Float32Array.of(0.9, 0.2)), [[0]], 'classify-many')).toMatchObject({
      classes: [[0]],
      correct: [true],
    });
    expect(many.logLoss).toBeCloseTo(-(Math.log(0.9) + Math.log(0.8) + Math.log(0.4) + Math.log(0.9)) / 2, 5);
  });

  it('of nothing is zeros with an open interval', () => {
    expect(evaluate(matrix(0, 2), [], 'classify')).toMatchObject({
      n: 0,
      accuracy: { low: 0, high: 1 },
      macroF1: 0,
      logLoss: 0,
      ece: 0,
    });
  });
});

describe('calibration', () => {
  it('error is the hand-worked one', () => {
    // Bin of 0.9: three items, two right: |2/3 − 0.9| · 3/4; bin of 0.5: |1 − 0.5| · 1/4.
    expect(expectedCalibrationError([0.9, 0.9, 0.9, 0.5], [true, true, false, true])).toBeCloseTo(0.175 + 0.125, 12);
  });

  it('finds the factor by which logits are too sure', () => {
    const rng = createRng(3);
    const logits = matrix(4000, 3);
    const labels: number[][] = [];
    for (let i = 0; i < 4000; i++) {
      const z = [rng.normal(), rng.normal(), rng.normal()];
      const p = toProbabilities(matrix(1, 3, Float32Array.from(z)), 'classify').data;
      const u = rng.next();
      labels.push([u < p[0] ? 0 : u < p[0] + p[1] ? 1 : 2]);
      z.forEach((value, j) => (logits.data[3 * i + j] = 3 * value));
    }
    expect(fitTemperature(logits, targetsOf(labels, 3), 'classify')).toBeGreaterThan(2.6);
    expect(fitTemperature(logits, targetsOf(labels, 3), 'classify')).toBeLessThan(3.4);
  });

  it('stays near 1 on a handful of lucky answers', () => {
    const temperature = fitTemperature(
      matrix(3, 2, Float32Array.of(1, 0, 1, 0, 1, 0)),
      targetsOf([[0], [0], [0]], 2),
      'classify',
    );
    expect(temperature).toBeGreaterThan(0.5);
  });
});

describe('promotion', () => {
  const answers = (text: string) => Array.from(text, (letter) => letter === '1');

  it('takes the first version, and one that is better or equal', () => {
    expect(decidePromotion(answers('110'), null)).toMatchObject({ promote: true, code: 'first' });
    expect(decidePromotion(answers('1110'), answers('1100'))).toMatchObject({
      promote: true,
      code: 'better',
      gained: 1,
      lost: 0,
    });
    expect(decidePromotion(answers('1010'), answers('0110'))).toMatchObject({
      promote: true,
      code: 'equal',
      gained: 1,
      lost: 1,
    });
    expect(decidePromotion([], [])).toMatchObject({ promote: true, code: 'no-audit' });
  });

  it('forgives one lost answer and refuses more than chance explains', () => {
    // One-sided McNemar by hand: 1 of 1 lost has p = ½; 3 of 3 lost p = 1/8; 2 gained, 4 lost p = 22/64.
    expect(decidePromotion(answers('0111'), answers('1111'))).toMatchObject({
      promote: true,
      code: 'not-worse',
      lost: 1,
    });
    const refused = decidePromotion(answers('0001'), answers('1111'));
    expect(refused).toMatchObject({ promote: false, code: 'worse', lost: 3 });
    expect(refused.pValue).toBeCloseTo(1 / 8, 12);
    expect(decidePromotion(answers('110000'), answers('001111')).pValue).toBeCloseTo(22 / 64, 12);
  });
});
