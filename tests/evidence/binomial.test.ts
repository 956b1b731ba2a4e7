import { describe, expect, it } from 'vitest';
import { binomialAtMost, clopperPearson, upperBound } from '../../main/evidence/index.ts';
import { hypergeometricAtMost, incompleteBeta, logGamma } from '../../main/evidence/binomial.ts';

// Every expected number below was printed by SciPy (scipy.stats.beta.ppf, hypergeom.cdf,
// binom.cdf, scipy.special.betainc, gammaln), which computes them by other algorithms.

describe('the exact interval', () => {
  it.each([
    [0, 20, 0.95, 0, 0.1684334709830853],
    [8, 10, 0.95, 0.4439045376923587, 0.9747892736731666],
    [190, 200, 0.95, 0.9099724622986486, 0.9757658345278919],
    [45, 60, 0.9, 0.6414602055951868, 0.839135621747198],
    [1000, 1200, 0.95, 0.8110201433159873, 0.8539988752730789],
    [1, 3, 0.99, 0.0016694521863086687, 0.9585998492839568],
  ])('for %i of %i at level %f is SciPy’s', (successes, n, level, low, high) => {
    const interval = clopperPearson(successes, n, level);
    expect(interval.low).toBeCloseTo(low, 10);
    expect(interval.high).toBeCloseTo(high, 10);
    expect(interval.value).toBe(successes / n);
  });

  it('knows nothing without items and everything about certainty', () => {
    expect(clopperPearson(0, 0)).toEqual({ value: 0, low: 0, high: 1 });
    expect(clopperPearson(20, 20).high).toBe(1);
    expect(upperBound(0, 0, 0.1)).toBe(1);
  });

  it('bounds no errors among n by the rule 1 − δ^(1/n)', () => {
    for (const n of [1, 10, 59, 1000]) expect(upperBound(0, n, 0.05)).toBeCloseTo(1 - 0.05 ** (1 / n), 12);
  });

  it('contains the true share at least as often as it says', () => {
    // Exact coverage by summing over all outcomes, no sampling.
    for (const p of [0.02, 0.3, 0.77]) {
      const n = 40;
      let coverage = 0;
      for (let k = 0; k <= n; k++) {
        const { low, high } = clopperPearson(k, n);
        if (low <= p && p <= high) coverage += binomialAtMost(k, n, p) - binomialAtMost(k - 1, n, p);
      }
      expect(coverage).toBeGreaterThanOrEqual(0.95);
    }
  });
});

describe('tails', () => {
  it('are SciPy’s', () => {
    expect(binomialAtMost(3, 40, 0.1)).toBeCloseTo(0.4231306530930026, 12);
    expect(binomialAtMost(7, 200, 0.05)).toBeCloseTo(0.21330470278470298, 12);
    expect(hypergeometricAtMost(2, 50, 10, 12)).toBeCloseTo(0.5506571973994744, 11);
    expect(hypergeometricAtMost(0, 300, 16, 50)).toBeCloseTo(0.049771554806646794, 11);
    expect(incompleteBeta(0.3, 2.5, 7)).toBeCloseTo(0.6412224629717211, 12);
    expect(incompleteBeta(0.97, 150, 3)).toBeCloseTo(0.16272424951841544, 12);
  });

  it('of fair coins are the hand-worked ones', () => {
    expect(binomialAtMost(1, 4, 0.5)).toBeCloseTo(5 / 16, 14);
    expect(binomialAtMost(-1, 4, 0.5)).toBe(0);
    expect(binomialAtMost(4, 4, 0.5)).toBe(1);
    // Two of five cards marked, two drawn: none marked with chance 3/10.
    expect(hypergeometricAtMost(0, 5, 2, 2)).toBeCloseTo(0.3, 12);
    expect(hypergeometricAtMost(1, 5, 2, 2)).toBeCloseTo(0.9, 12);
  });

  it('rest on a gamma function that is SciPy’s', () => {
    expect(logGamma(0.3)).toBeCloseTo(1.0957979948180756, 12);
    expect(logGamma(5.5)).toBeCloseTo(3.9578139676187165, 12);
    expect(logGamma(1000.25) / 5906.94727).toBeCloseTo(1, 7);
  });
});
