import { describe, expect, it } from 'vitest';
import {
  findGuarantee,
  guaranteesAt,
  guaranteesByClass,
  PREVIEWED_ALPHAS,
  smallestAudit,
} from '../../main/evidence/index.ts';
import { riskPValue } from '../../main/evidence/guarantee.ts';
import { createRng } from '../../main/domain/rng.ts';

const range = (n: number, of: (i: number) => number) => Array.from({ length: n }, (_, i) => of(i));

describe('the guarantee', () => {
  it('needs as many flawless audit items as the hand-worked formula says', () => {
    // 0.95^45 = 0.0994 ≤ 0.1 < 0.95^44; 0.9^22 = 0.0985; 0.95^59 = 0.0485.
    expect(smallestAudit(0.05, 0.1)).toBe(45);
    expect(smallestAudit(0.1, 0.1)).toBe(22);
    expect(smallestAudit(0.05, 0.05)).toBe(59);
  });

  it('says how many audit items are missing where there are too few', () => {
    const input = {
      auditConfidence: range(30, () => 0.9),
      auditCorrect: range(30, () => 1),
      poolConfidence: range(100, () => 0.9),
    };
    const result = findGuarantee({ ...input, alpha: 0.05, delta: 0.1 });
    expect(result).toMatchObject({ threshold: null, settled: 0, bound: 1, auditSize: 30, needed: 15 });
  });

  it('settles everything when nothing is wrong, with the exact bound', () => {
    const result = findGuarantee({
      auditConfidence: range(100, (i) => 0.5 + i / 250),
      auditCorrect: range(100, () => 1),
      poolConfidence: range(5000, (i) => 0.5 + i / 12_500),
      alpha: 0.05,
      delta: 0.1,
    });
    expect(result.settled).toBe(5000);
    expect(result.bound).toBeCloseTo(1 - 0.1 ** (1 / 100), 10);
    expect(result.needed).toBe(0);
  });

  it('stops before the confidences at which errors begin', () => {
    const result = findGuarantee({
      auditConfidence: range(400, (i) => 1 - i / 800),
      auditCorrect: range(400, (i) => (i < 200 ? 1 : i % 2)),
      poolConfidence: range(4000, (i) => 1 - i / 8000),
      alpha: 0.05,
      delta: 0.1,
    });
    // 200 are right, then every second is wrong: 5 % is exceeded soon after 200 of 400.
    expect(result.settled).toBeGreaterThan(1800);
    expect(result.settled).toBeLessThan(2300);
    expect(result.auditErrors / result.auditSettled).toBeLessThan(0.05);
    expect(result.bound).toBeLessThanOrEqual(0.05);
  });

  it('tests small pools by their own items: ten items may hold no error at 5 %', () => {
    // Hand-worked: the one error among n + 10 items escapes the audit with chance 10 / (n + 10).
    expect(riskPValue(0, 90, 10, 0.05)).toBeCloseTo(10 / 100, 10);
    expect(riskPValue(0, 190, 10, 0.05)).toBeCloseTo(10 / 200, 10);
  });

  it('is violated less often than it allows, on pools where it settles a good part', () => {
    const rng = createRng(11);
    const draw = (n: number) => {
      const confidence = range(n, () => 0.5 + 0.5 * rng.next());
      return {
        confidence,
        correct: confidence.map((c) => Number(rng.next() < Math.min(1, 0.6 + 0.8 * Math.sqrt(c - 0.5)))),
      };
    };
    let violations = 0;
    let settled = 0;
    const trials = 400;
    for (let trial = 0; trial < trials; trial++) {
      const audit = draw(300);
      const pool = draw(600);
      const { threshold } = findGuarantee({
        auditConfidence: audit.confidence,
        auditCorrect: audit.correct,
        poolConfidence: pool.confidence,
        alpha: 0.05,
        delta: 0.1,
      });
      if (threshold === null) continue;
      const chosen = pool.correct.filter((_, i) => pool.confidence[i] >= threshold);
      settled += chosen.length / 600 / trials;
      if (chosen.filter((right) => !right).length > 0.05 * chosen.length) violations++;
    }
    expect(violations / trials).toBeLessThan(0.1);
    expect(settled).toBeGreaterThan(0.3);
  });

  it('is the same from one sort for many levels, and settles no less at a higher one', () => {
    const rng = createRng(3);
    const auditConfidence = range(300, () => rng.next());
    const sample = {
      auditConfidence,
      auditCorrect: auditConfidence.map((c) => rng.next() < 0.7 + 0.3 * c),
      poolConfidence: range(2000, () => rng.next()),
    };
    const found = guaranteesAt(sample, PREVIEWED_ALPHAS, 0.1);
    expect(found).toHaveLength(25);
    expect([found[0].alpha, found[24].alpha]).toEqual([0.005, 0.3]);
    expect(found).toEqual(PREVIEWED_ALPHAS.map((alpha) => findGuarantee({ ...sample, alpha, delta: 0.1 })));
    expect(found.map(({ settled }) => settled)).toEqual(found.map(({ settled }) => settled).sort((a, b) => a - b));
    expect(found[24].settled).toBe(2000);
  });

  it('of each class needs audit items of that class, and more for all classes at once', () => {
    const sample = (n: number) => ({
      auditConfidence: range(n, () => 0.9),
      auditCorrect: range(n, () => 1),
      poolConfidence: range(500, () => 0.9),
    });
    const { each, together } = guaranteesByClass([sample(60), sample(50), sample(20)], { alpha: 0.05, delta: 0.1 });
    // 0.95^45 ≤ 0.1; for three classes at once 0.95^67 ≤ 0.1 / 3 < 0.95^66.
    expect(each.map(({ settled, needed }) => [settled, needed])).toEqual([
      [500, 0],
      [500, 0],
      [0, 25],
    ]);
    expect(together.map(({ settled, needed }) => [settled, needed])).toEqual([
      [0, 7],
      [0, 17],
      [0, 47],
    ]);
  });

  it('promises nothing of a model that guesses', () => {
    const rng = createRng(5);
    const input = {
      auditConfidence: range(500, () => rng.next()),
      auditCorrect: range(500, () => rng.int(2)),
      poolConfidence: range(1000, () => rng.next()),
    };
    expect(findGuarantee({ ...input, alpha: 0.05, delta: 0.1 })).toMatchObject({ threshold: null, needed: null });
  });

  it('refuses levels that are not shares', () => {
    const input = { auditConfidence: [], auditCorrect: [], poolConfidence: [], alpha: 5, delta: 0.1 };
    expect(() => findGuarantee(input)).toThrowError(expect.objectContaining({ code: 'input-invalid' }));
  });
});
