/**
 * Exact binomial and hypergeometric tails, and the Clopper–Pearson interval made of them.
 * Everything is float64 and exact up to rounding: no normal approximations, because audit
 * sets are small and error rates near zero. The incomplete beta function is evaluated by
 * its continued fraction with the modified Lentz method (Thompson & Barnett 1986).
 */
import { assert } from '../domain/errors.ts';

const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** log Γ(x) for x > 0 (Lanczos 1964, g = 7, nine terms; about 15 digits). */
export function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const y = x - 1;
  let sum = LANCZOS[0];
  for (let i = 1; i < LANCZOS.length; i++) sum += LANCZOS[i] / (y + i);
  const t = y + 7.5;
  return 0.5 * Math.log(2 * Math.PI) + (y + 0.5) * Math.log(t) - t + Math.log(sum);
}

/** The regularised incomplete beta function I_x(a, b), for a, b > 0 and x in [0, 1]. */
export function incompleteBeta(x: number, a: number, b: number): number {
  assert(a > 0 && b > 0 && x >= 0 && x <= 1, 'a, b > 0 and x in [0, 1]', { x, a, b });
  if (x === 0 || x === 1) return x;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x));
  // The fraction converges fast below the mean; above it, use the mirrored one.
  return x < (a + 1) / (a + b + 2) ? (front * betaFraction(x, a, b)) / a : 1 - (front * betaFraction(1 - x, b, a)) / b;
}

function betaFraction(x: number, a: number, b: number): number {
  const tiny = 1e-300;
  const away = (value: number) => (Math.abs(value) < tiny ? tiny : value);
  let c = 1;
  let d = 1 / away(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m <= 10_000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away(1 + even * d);
    c = away(1 + even / c);
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away(1 + odd * d);
    c = away(1 + odd / c);
    const step = d * c;
    fraction *= step;
    if (Math.abs(step - 1) < 1e-15) break;
  }
  return fraction;
}

/** P(X ≤ k) for X ~ Binomial(n, p). */
export function binomialAtMost(k: number, n: number, p: number): number {
  if (k < 0) return 0;
  if (k >= n) return 1;
  return incompleteBeta(1 - p, n - k, k + 1);
}

/** P(X ≤ k) for X = marked ones among `draws` of `total` without replacement, `marked` of them marked. */
export function hypergeometricAtMost(k: number, total: number, marked: number, draws: number): number {
  const lowest = Math.max(0, draws - (total - marked));
  if (k < lowest) return 0;
  if (k >= Math.min(draws, marked)) return 1;
  const choose = (n: number, r: number) => logGamma(n + 1) - logGamma(r + 1) - logGamma(n - r + 1);
  let term = Math.exp(choose(marked, k) + choose(total - marked, draws - k) - choose(total, draws));
  let sum = term;
  // Downwards from k each term is the one above times a ratio of counts; below the mode they only fall.
  for (let i = k; i > lowest && term > sum * 1e-17; i--) {
    term *= (i * (total - marked - draws + i)) / ((marked - i + 1) * (draws - i + 1));
    sum += term;
  }
  return Math.min(1, sum);
}

/** x with I_x(a, b) = q, by bisection to float64 resolution. */
function betaQuantile(q: number, a: number, b: number): number {
  let low = 0;
  let high = 1;
  for (let i = 0; i < 200 && high - low > Number.EPSILON * high; i++) {
    const middle = (low + high) / 2;
    if (incompleteBeta(middle, a, b) < q) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** A share of successes with its interval; all in [0, 1]. */
export interface Interval {
  value: number;
  low: number;
  high: number;
}

/** The exact two-sided interval for `successes` of `n` (Clopper & Pearson 1934). Of n = 0 nothing is known: 0 in [0, 1]. */
export function clopperPearson(successes: number, n: number, level = 0.95): Interval {
  assert(successes >= 0 && successes <= n, `0 to ${n} successes`, successes);
  if (n === 0) return { value: 0, low: 0, high: 1 };
  const tail = (1 - level) / 2;
  return {
    value: successes / n,
    low: successes === 0 ? 0 : betaQuantile(tail, successes, n - successes + 1),
    high: successes === n ? 1 : betaQuantile(1 - tail, successes + 1, n - successes),
  };
}

/** The one-sided upper bound for a share of `errors` of `n`: above it with probability at most `delta`. n = 0 gives 1. */
export function upperBound(errors: number, n: number, delta: number): number {
  return errors >= n ? 1 : betaQuantile(1 - delta, errors + 1, n - errors);
}
