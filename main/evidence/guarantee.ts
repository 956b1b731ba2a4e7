/**
 * The guarantee that rests on the audit set: the largest set of pool items, taken
 * from the most confident down, whose suggested labels are wrong at most a share `alpha`
 * of the time, with probability at least 1 − `delta` over the drawing of the audit set
 * (Learn then Test, Angelopoulos et al. 2021: fixed-sequence testing of thresholds).
 * Thresholds come from the confidences of audit and pool together, never from which audit
 * answers were right. Each is tested twice, exactly: by a binomial tail for items like
 * these, and by a hypergeometric one for the very items that lie in this pool.
 * It holds for independent items drawn like the audit set, and for one asking: who asks again
 * and again needs the looks of `claims.ts`.
 */
import { EngineError, assert } from '../domain/errors.ts';
import { binomialAtMost, hypergeometricAtMost, upperBound } from './binomial.ts';

/** What was seen: suggestions on the audit set, where the truth is known, and in the pool. */
export interface GuaranteeSample {
  /** The top probability of each audit item under the model in question. */
  auditConfidence: ArrayLike<number>;
  /** Whether the model's suggestion for it is the expert's label. */
  auditCorrect: ArrayLike<boolean | number>;
  /** The top probability of each pool item. */
  poolConfidence: ArrayLike<number>;
}

export interface Level {
  alpha: number;
  delta: number;
}

export interface GuaranteeInput extends GuaranteeSample, Level {}

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
  return guaranteeOn(rungsOf(input), input);
}

/** The guarantee at many α and one δ, from one sort. A preview: whoever chooses among them by what they settle chooses with the audit set open. Errors: `input-invalid`. */
export function guaranteesAt(sample: GuaranteeSample, alphas: readonly number[], delta: number): Guarantee[] {
  const ladder = rungsOf(sample);
  return alphas.map((alpha) => guaranteeOn(ladder, { alpha, delta }));
}

/** The guarantee for the items of each suggested class alone: `each` holds for one class at a time with probability 1 − δ, `together` for all classes at once (δ divided by their number, Bonferroni). Per label where items have several. */
export function guaranteesByClass(
  samples: readonly GuaranteeSample[],
  { alpha, delta }: Level,
): { each: Guarantee[]; together: Guarantee[] } {
  const ladders = samples.map(rungsOf);
  const at = (level: number) => ladders.map((ladder) => guaranteeOn(ladder, { alpha, delta: level }));
  return { each: at(delta), together: at(delta / samples.length) };
}

/** The α that are previewed, as a person would say them; about evenly spaced as ratios. */
export const PREVIEWED_ALPHAS: readonly number[] = [
  0.005, 0.006, 0.008, 0.01, 0.012, 0.015, 0.018, 0.02, 0.025, 0.03, 0.035, 0.04, 0.045, 0.05, 0.06, 0.07, 0.08, 0.1,
  0.12, 0.14, 0.16, 0.18, 0.2, 0.25, 0.3,
];

interface Ladder {
  auditSize: number;
  rungs: Rung[];
}

/** One threshold: the pool items at or above it, the audit items, and how many of these were wrong. */
interface Rung {
  threshold: number;
  settled: number;
  tested: number;
  errors: number;
}

function rungsOf({ auditConfidence, auditCorrect, poolConfidence }: GuaranteeSample): Ladder {
  const n = auditConfidence.length;
  assert(auditCorrect.length === n, `${n} audit answers`, auditCorrect.length);
  const audit = Array.from({ length: n }, (_, i) => i).sort((a, b) => auditConfidence[b] - auditConfidence[a]);
  const pool = Float64Array.from(poolConfidence).sort().reverse();
  const rungs: Rung[] = [];
  let settled = 0;
  let tested = 0;
  let errors = 0;
  for (const threshold of thresholds(auditConfidence, pool)) {
    while (settled < pool.length && pool[settled] >= threshold) settled++;
    while (tested < n && auditConfidence[audit[tested]] >= threshold) {
      if (!auditCorrect[audit[tested]]) errors++;
      tested++;
    }
    rungs.push({ threshold, settled, tested, errors });
  }
  return { auditSize: n, rungs };
}

function guaranteeOn({ auditSize, rungs }: Ladder, { alpha, delta }: Level): Guarantee {
  if (!(alpha > 0 && alpha < 1 && delta > 0 && delta < 1)) {
    throw new EngineError(
      'input-invalid',
      'Alpha and delta are shares between 0 and 1.',
      'Choose, for example, alpha 0.05 and delta 0.1.',
      { alpha, delta },
    );
  }
  let last: Rung | null = null;
  const starts = startsOf(rungs.length, auditSize, alpha, delta);
  for (const start of starts) {
    for (const rung of rungs.slice(start)) {
      if (riskPValue(rung.errors, rung.tested, rung.settled, alpha) > delta / starts.length) break;
      if (last === null || rung.threshold < last.threshold) last = rung;
    }
  }
  if (last === null || last.settled === 0) {
    const none = { threshold: null, settled: 0, bound: 1, auditSettled: 0, auditErrors: 0 };
    return { alpha, delta, ...none, auditSize, needed: missing(rungs, auditSize, { alpha, delta }) };
  }
  return {
    alpha,
    delta,
    threshold: last.threshold,
    settled: last.settled,
    bound: upperBound(last.errors, last.tested, delta),
    auditSize,
    auditSettled: last.tested,
    auditErrors: last.errors,
    needed: 0,
  };
}

/** Descending thresholds at about two hundred quantiles of the joined confidences. */
function thresholds(audit: ArrayLike<number>, pool: Float64Array): number[] {
  if (audit.length === 0) return [];
  const all = new Float64Array(audit.length + pool.length);
  all.set(Float64Array.from(audit));
  all.set(pool, audit.length);
  all.sort().reverse();
  return Array.from({ length: STEPS }, (_, step) => all[Math.ceil(((step + 1) * all.length) / STEPS) - 1]);
}

const STEPS = 200;

/** With about so many audit items tested, `smallestAudit` of them are expected in spite of chance (the mean plus two deviations). */
export function usualAudit(alpha: number, delta: number): number {
  const smallest = smallestAudit(alpha, delta);
  return smallest + 2 * Math.sqrt(smallest);
}

/** Where the sequences begin; depends on sizes and levels alone. The first lies where enough audit items to pass are expected, since a test that cannot pass ends its sequence. A large audit set affords a second, at half of `delta` each as LTT allows, where a few errors among the surest items are forgiven. */
function startsOf(steps: number, n: number, alpha: number, delta: number): number[] {
  if (steps === 0) return [];
  const later = Math.max(n / 4, 2 * usualAudit(alpha, delta / 2));
  const wanted = later <= n / 2 ? [usualAudit(alpha, delta / 2), later] : [usualAudit(alpha, delta)];
  return wanted.map((items) => Math.min(steps, Math.ceil((items / n) * steps)) - 1);
}

/** A forecast, not a promise: the audit size at which a sequence could begin with a test that passes, at today's error shares. */
function missing(rungs: readonly Rung[], n: number, { alpha, delta }: Level): number | null {
  const smallest = smallestAudit(alpha, delta);
  if (n < smallest) return smallest - n;
  for (let size = n + 1; size <= MOST_AUDIT; size += Math.ceil(size / 50)) {
    const starts = startsOf(rungs.length, size, alpha, delta);
    const passes = (start: number) => {
      const { tested, errors, settled } = rungs[start];
      if (settled === 0 || tested === 0) return false;
      const grown = Math.floor((tested * size) / n);
      return riskPValue(Math.ceil((errors / tested) * grown), grown, settled, alpha) <= delta / starts.length;
    };
    if (starts.some(passes)) return size - n;
  }
  return null;
}

/** Nobody labels more to be sure. */
const MOST_AUDIT = 100_000;
