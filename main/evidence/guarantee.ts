/**
 * The guarantee that rests on the audit set: the largest set of pool items, taken
 * from the most confident down, whose suggested labels are wrong at most a share `alpha`
 * of the time, with probability at least 1 − `delta` over the drawing of the audit set
 * (Learn then Test, Angelopoulos et al. 2021: fixed-sequence testing of thresholds).
 * Thresholds come from the confidences of audit and pool together, never from which audit
 * answers were right. Each is tested twice, exactly: by a binomial tail for items like
 * these, and by a hypergeometric one for the very items that lie in this pool.
 * It holds for independent items drawn like the audit set; drift or a new model voids it.
 */
import { EngineError, assert } from '../domain/errors.ts';
import { binomialAtMost, hypergeometricAtMost, upperBound } from './binomial.ts';

export interface GuaranteeInput {
  /** The top probability of each audit item under the model in question. */
  auditConfidence: ArrayLike<number>;
  /** Whether the model's suggestion for it is the expert's label. */
  auditCorrect: ArrayLike<boolean | number>;
  /** The top probability of each pool item. */
  poolConfidence: ArrayLike<number>;
  alpha: number;
  delta: number;
}

export interface Guarantee {
  alpha: number;
  delta: number;
  /** Pool items at or above it are settled; null when nothing can be promised. */
  threshold: number | null;
  /** How many pool items are settled. */
  settled: number;
  /** Exact upper bound of the settled items' error rate at level `delta`; 1 when none is. */
  bound: number;
  auditSize: number;
  /** Audit items at or above the threshold, and how many of them were wrong. */
  auditSettled: number;
  auditErrors: number;
  /** About how many more audit items until something can be promised: 0 = now; null = not at this accuracy. */
  needed: number | null;
}

/** The smallest audit set that could promise anything: with no error among m, (1 − α)^m ≤ δ. */
export function smallestAudit(alpha: number, delta: number): number {
  return Math.max(1, Math.ceil(Math.log(delta) / Math.log1p(-alpha) - 1e-12));
}

/** Exact p-value of “more than `alpha` of these are wrong”, for the error rate and for this pool's own items. */
export function riskPValue(errors: number, tested: number, poolItems: number, alpha: number): number {
  const rate = binomialAtMost(errors, tested, alpha);
  const tooMany = Math.floor(alpha * poolItems + 1e-9) + 1;
  if (tooMany > poolItems) return rate;
  return Math.max(rate, hypergeometricAtMost(errors, poolItems + tested, tooMany + errors, tested));
}

/** Finds the settled set. An empty audit set gives no threshold; cost O((audit + pool) log). Errors: `input-invalid` for levels outside (0, 1). */
export function findGuarantee(input: GuaranteeInput): Guarantee {
  const { alpha, delta } = input;
  if (!(alpha > 0 && alpha < 1 && delta > 0 && delta < 1)) {
    throw new EngineError(
      'input-invalid',
      'Alpha and delta are shares between 0 and 1.',
      'Choose, for example, alpha 0.05 and delta 0.1.',
      { alpha, delta },
    );
  }
  const n = input.auditConfidence.length;
  assert(input.auditCorrect.length === n, `${n} audit answers`, input.auditCorrect.length);
  const audit = Array.from({ length: n }, (_, i) => i).sort(
    (a, b) => input.auditConfidence[b] - input.auditConfidence[a],
  );
  const pool = Float64Array.from(input.poolConfidence).sort().reverse();
  const smallest = smallestAudit(alpha, delta);

  const steps = thresholds(
    audit.map((i) => input.auditConfidence[i]),
    pool,
  );
  const tests: Test[] = [];
  let settled = 0;
  let tested = 0;
  let errors = 0;
  for (const threshold of steps) {
    while (settled < pool.length && pool[settled] >= threshold) settled++;
    while (tested < n && input.auditConfidence[audit[tested]] >= threshold) {
      if (!input.auditCorrect[audit[tested]]) errors++;
      tested++;
    }
    tests.push({ threshold, settled, tested, errors });
  }

  let last: Test | null = null;
  const starts = startsOf(tests.length, n, alpha, delta);
  for (const start of starts) {
    for (let k = start; k < tests.length; k++) {
      const test = tests[k];
      if (riskPValue(test.errors, test.tested, test.settled, alpha) > delta / starts.length) break;
      if (last === null || test.threshold < last.threshold) last = test;
    }
  }
  if (last === null || last.settled === 0) {
    const none = { threshold: null, settled: 0, bound: 1, auditSettled: 0, auditErrors: 0 };
    return { alpha, delta, ...none, auditSize: n, needed: missing(tests, n, smallest, alpha, delta) };
  }
  const bound = upperBound(last.errors, last.tested, delta);
  return {
    alpha,
    delta,
    threshold: last.threshold,
    settled: last.settled,
    bound,
    auditSize: n,
    auditSettled: last.tested,
    auditErrors: last.errors,
    needed: 0,
  };
}

interface Test {
  threshold: number;
  settled: number;
  tested: number;
  errors: number;
}

/** Descending thresholds at about two hundred quantiles of the joined confidences. */
function thresholds(audit: number[], pool: Float64Array): number[] {
  const all = Float64Array.from([...audit, ...pool])
    .sort()
    .reverse();
  if (all.length === 0 || audit.length === 0) return [];
  const found: number[] = [];
  for (let step = 1; step <= STEPS; step++) found.push(all[Math.ceil((step * all.length) / STEPS) - 1]);
  return found;
}

const STEPS = 200;

/** Where the sequences begin; depends on sizes and levels alone. The first lies where enough audit items to pass are expected (the mean plus two deviations), since a test that cannot pass ends its sequence. A large audit set affords a second, at half of `delta` each as LTT allows, where a few errors among the surest items are forgiven. */
function startsOf(steps: number, n: number, alpha: number, delta: number): number[] {
  if (steps === 0) return [];
  const enough = (level: number) => {
    const smallest = smallestAudit(alpha, level);
    return smallest + 2 * Math.sqrt(smallest);
  };
  const later = Math.max(n / 4, 2 * enough(delta / 2));
  const wanted = later <= n / 2 ? [enough(delta / 2), later] : [enough(delta)];
  return wanted.map((items) => Math.min(steps, Math.ceil((items / n) * steps)) - 1);
}

/** A forecast, not a promise: at each threshold, the audit size at which today's error share would pass. */
function missing(
  tests: { settled: number; tested: number; errors: number }[],
  n: number,
  smallest: number,
  alpha: number,
  delta: number,
): number | null {
  if (n < smallest) return smallest - n;
  let best: number | null = null;
  for (const { tested, errors, settled } of tests) {
    if (tested === 0 || errors / tested >= alpha) continue;
    let low = Math.max(tested, smallest);
    let high = low;
    const passes = (m: number) => riskPValue(Math.ceil((errors / tested) * m), m, settled, alpha) <= delta;
    while (!passes(high)) {
      low = high;
      high *= 2;
      if (high > 1_000_000) break;
    }
    if (high > 1_000_000) continue;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (passes(middle)) high = middle;
      else low = middle;
    }
    const needed = Math.max(1, Math.ceil((high / tested) * n) - n);
    if (best === null || needed < best) best = needed;
  }
  return best;
}
