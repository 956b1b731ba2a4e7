import { describe, expect, it } from 'vitest';
import { matrix, type Matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import { confidentLearning, suspectedAnswers } from '../../main/evidence/noise.ts';

/** Softmax rows of noisy logits around the true classes, and given classes of which some are wrong. */
function simulated(options: { n: number; c: number; wrong: number; sharpness: number; seed: number }) {
  const { n, c, wrong, sharpness, seed } = options;
  const rng = createRng(seed);
  const probabilities = matrix(n, c);
  const given: number[] = [];
  const flipped: boolean[] = [];
  for (let i = 0; i < n; i++) {
    const truth = rng.int(c);
    const logits = Array.from({ length: c }, (_, j) => Math.exp(rng.normal() + (j === truth ? sharpness : 0)));
    const sum = logits.reduce((a, b) => a + b, 0);
    probabilities.data.set(
      logits.map((v) => v / sum),
      i * c,
    );
    flipped.push(rng.next() < wrong);
    given.push(flipped[i] ? (truth + 1 + rng.int(c - 1)) % c : truth);
  }
  return { probabilities, given, flipped };
}

const rows = (...values: number[][]): Matrix =>
  matrix(values.length, values[0].length, Float32Array.from(values.flat()));

describe('confident learning', () => {
  it('is what one works out by hand', () => {
    const p = rows([0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9], [0.3, 0.7], [0.75, 0.25]);
    const { thresholds, joint, share, margins, suspects } = confidentLearning(p, [0, 0, 0, 1, 1, 1]);
    // Class 0: (.9 + .8 + .2) / 3; class 1: (.9 + .7 + .25) / 3.
    expect(thresholds[0]).toBeCloseTo(1.9 / 3, 6);
    expect(thresholds[1]).toBeCloseTo(1.85 / 3, 6);
    // Of those given 0, two are confidently 0 and one is confidently 1; of those given 1, two and one.
    [2, 1, 1, 2].forEach((count, at) => expect(joint[at]).toBeCloseTo(count / 6, 6));
    expect(share).toBeCloseTo(1 / 3, 6);
    expect(margins[2]).toBeCloseTo(-0.6, 6);
    expect(suspects).toEqual([2, 5]);
  });

  it('suspects nobody where every label is the likeliest class', () => {
    const p = rows([0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.45, 0.55]);
    expect(confidentLearning(p, [0, 0, 1, 1]).suspects).toEqual([]);
  });

  it('finds flipped labels and about how many there are', () => {
    const { probabilities, given, flipped } = simulated({ n: 2000, c: 5, wrong: 0.05, sharpness: 4, seed: 1 });
    const { share, suspects, margins } = confidentLearning(probabilities, given);
    expect(share).toBeGreaterThan(0.035);
    expect(share).toBeLessThan(0.075);
    const found = suspects.filter((i) => flipped[i]).length;
    const planted = flipped.filter(Boolean).length;
    expect(found / planted).toBeGreaterThan(0.75);
    expect(found / suspects.length).toBeGreaterThan(0.7);
    for (let k = 1; k < suspects.length; k++)
      expect(margins[suspects[k]]).toBeGreaterThanOrEqual(margins[suspects[k - 1]]);
  });

  it('bears classes without items and a single class', () => {
    const p = rows([0.5, 0.3, 0.2], [0.4, 0.5, 0.1]);
    const { thresholds, suspects } = confidentLearning(p, [0, 1]);
    expect(thresholds[2]).toBeNaN();
    expect(suspects).toEqual([]);
    expect(confidentLearning(rows([1], [1]), [0, 0]).suspects).toEqual([]);
    expect(confidentLearning(matrix(0, 3), []).share).toBe(0);
  });
});

describe('for items of many classes', () => {
  it('each class is a question of its own', () => {
    // 400 items; class 1 is forgotten on every twentieth item that has it, class 0 never.
    const rng = createRng(4);
    const n = 400;
    const p = matrix(n, 2);
    const given: number[][] = [];
    const forgotten: number[] = [];
    for (let i = 0; i < n; i++) {
      const has = [rng.next() < 0.5, rng.next() < 0.5];
      has.forEach((h, j) => (p.data[2 * i + j] = h ? 0.8 + 0.19 * rng.next() : 0.01 + 0.19 * rng.next()));
      const isForgotten = has[1] && i % 10 === 0;
      if (isForgotten) forgotten.push(i);
      given.push([0, 1].filter((j) => has[j] && !(j === 1 && isForgotten)));
    }
    const { suspects, margins } = suspectedAnswers(p, given);
    // An answer counts as confident from the class’s mean on, so about half are suspected, and nothing else is.
    expect(suspects.length).toBeGreaterThan(0.4 * forgotten.length);
    expect(suspects.filter(({ row }) => !forgotten.includes(row))).toEqual([]);
    for (const { row, class: j, given: wasGiven, margin } of suspects) {
      expect([j, wasGiven]).toEqual([1, false]);
      expect(margin).toBeCloseTo(margins[row], 12);
      expect(margin).toBeLessThan(-0.5);
    }
  });
});
