import { describe, expect, it } from 'vitest';
import { createRng, type Rng } from '../../main/domain/rng.ts';
import { clopperPearson, findGuarantee, nextLookAt, planLooks, spentAt } from '../../main/evidence/index.ts';

const level = { alpha: 0.1, delta: 0.1 };

/** Answers that are wrong a little more often than α, whatever the confidence: everything claimed of them is false. */
function hopeless(rng: Rng, n: number) {
  return {
    confidence: Array.from({ length: n }, () => rng.next()),
    correct: Array.from({ length: n }, () => rng.next() >= level.alpha * 1.01),
  };
}

/** Whether the first `n` audit labels lead to a claim at `delta`. */
function isClaimed(audit: ReturnType<typeof hopeless>, n: number, delta: number): boolean {
  return (
    findGuarantee({
      auditConfidence: audit.confidence.slice(0, n),
      auditCorrect: audit.correct.slice(0, n),
      poolConfidence: audit.confidence,
      alpha: level.alpha,
      delta,
    }).threshold !== null
  );
}

describe('looks', () => {
  it('spend δ between them and not more', () => {
    expect([1, 2, 3].map((look) => spentAt(look, 0.12))).toEqual([0.06, 0.02, 0.01]);
    const all = Array.from({ length: 100_000 }, (_, i) => spentAt(i + 1, 0.1)).reduce((sum, part) => sum + part);
    expect(all).toBeCloseTo(0.1, 5);
    expect(all).toBeLessThan(0.1);
  });

  it('come when half of the items are usually enough, then whenever the audit set has grown by half', () => {
    // By hand: 0.9^29 = 0.0471 ≤ 0.05 < 0.9^28; 2 (29 + 2 √29) = 79.5.
    expect(planLooks(4, level)).toEqual([80, 120, 180, 270]);
    // 0.95^59 = 0.0485; 2 (59 + 2 √59) = 148.7.
    expect(planLooks(2, { alpha: 0.05, delta: 0.1 })).toEqual([149, 224]);
  });

  it('go on where levels are changed, later for what needs more', () => {
    expect(nextLookAt(2, 80, { alpha: 0.2, delta: 0.1 })).toBe(120);
    expect(nextLookAt(2, 80, { alpha: 0.05, delta: 0.1 })).toBeGreaterThan(120);
  });

  it('keep what is promised where the expert stops at the first claim, and recomputing at every label does not', () => {
    const rng = createRng(7);
    const trials = 120;
    let atLooks = 0;
    let peeking = 0;
    const looks = planLooks(4, level);
    for (let trial = 0; trial < trials; trial++) {
      const audit = hopeless(rng, looks.at(-1)!);
      if (looks.some((size, j) => isClaimed(audit, size, spentAt(j + 1, level.delta)))) atLooks++;
      for (let n = 30; n <= looks.at(-1)!; n += 10) {
        if (!isClaimed(audit, n, level.delta)) continue;
        peeking++;
        break;
      }
    }
    // At most δ, and sampling error: the lower end of what was seen is not above it.
    expect(clopperPearson(atLooks, trials).low).toBeLessThanOrEqual(level.delta);
    expect(atLooks / trials).toBeLessThan(0.1);
    expect(clopperPearson(peeking, trials).low).toBeGreaterThan(level.delta);
  });
});
