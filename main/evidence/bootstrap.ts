/**
 * Intervals for what has no formula: whole components are drawn again with replacement,
 * since items of one patient are not independent (cluster bootstrap, Davison & Hinkley
 * 1997), and the percentiles are corrected for bias (Efron 1987), without which calibration
 * errors and F1 scores of few items would lie outside their own intervals. A draw is a
 * weight for every item, so a statistic is one pass and nothing is copied.
 */
import { createRng } from '../domain/rng.ts';
import type { Interval } from './binomial.ts';

export interface BootstrapInput {
  /** What must not be split, by item; any integers. */
  component: ArrayLike<number>;
  /** How many items of the population each stands for. */
  weights: ArrayLike<number>;
  /** Several statistics of items so weighted, written into `into`; NaN where one is undefined. */
  statistics(weights: Float64Array, into: Float64Array): void;
  /** How many statistics there are. */
  count: number;
  seed: number;
  draws: number;
  level?: number;
  /** Statistics that noise only raises (distances, calibration errors): their interval is mirrored at the value. */
  inflated?: readonly number[];
}

/** The intervals of all statistics from the same draws; null for one that is undefined, or undefined in most draws. Same seed, same intervals. Cost: `draws` + 1 passes. */
export function bootstrap(input: BootstrapInput): (Interval | null)[] {
  const { statistics, count, draws, level = 0.95, inflated = [] } = input;
  const n = input.component.length;
  const weights = Float64Array.from(input.weights);
  const found = new Float64Array(count);
  statistics(weights, found);
  const values = Float64Array.from(found);
  const { of, components } = numbered(input.component);
  const rng = createRng(input.seed).derive('bootstrap');
  const times = new Float64Array(components);
  const drawn = new Float64Array(n);
  const seen = Array.from({ length: count }, (): number[] => []);
  for (let draw = 0; draw < draws; draw++) {
    times.fill(0);
    for (let k = 0; k < components; k++) times[rng.int(components)]++;
    for (let i = 0; i < n; i++) drawn[i] = weights[i] * times[of[i]];
    statistics(drawn, found);
    for (let k = 0; k < count; k++) if (!Number.isNaN(found[k])) seen[k].push(found[k]);
  }
  return seen.map((own, k) => {
    if (Number.isNaN(values[k]) || own.length < draws / 2) return null;
    return (inflated.includes(k) ? mirrored : corrected)(Float64Array.from(own).sort(), values[k], level);
  });
}

function numbered(component: ArrayLike<number>): { of: Int32Array; components: number } {
  const names = new Map<number, number>();
  const of = Int32Array.from(component, (key) => {
    const name = names.get(key) ?? names.size;
    names.set(key, name);
    return name;
  });
  return { of, components: names.size };
}

/** Percentiles moved by twice the normal score of the share of draws below the value (BC, Efron 1987 without acceleration). */
function corrected(sorted: Float64Array, value: number, level: number): Interval {
  let below = 0;
  for (const one of sorted) below += one < value ? 1 : one === value ? 0.5 : 0;
  // One draw on either side at least: from so many draws nothing more extreme is known.
  const share = Math.min(Math.max(below, 1), sorted.length - 1) / sorted.length;
  const bias = normalQuantile(share);
  const tail = normalQuantile((1 - level) / 2);
  const at = (score: number) => sorted[Math.min(sorted.length - 1, Math.floor(normalCdf(score) * sorted.length))];
  return { value, low: Math.min(value, at(2 * bias + tail)), high: Math.max(value, at(2 * bias - tail)) };
}

/** What a draw adds to the value, the sample has added to the truth: twice the value less the percentiles (the basic interval, Davison & Hinkley 1997). */
function mirrored(sorted: Float64Array, value: number, level: number): Interval {
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  const tail = (1 - level) / 2;
  return {
    value,
    low: Math.max(0, Math.min(value, 2 * value - at(1 - tail))),
    high: Math.max(value, 2 * value - at(tail)),
  };
}

/** Φ(x) to 1.5e−7 (Abramowitz & Stegun 7.1.26). */
export function normalCdf(x: number): number {
  const t = 1 / (1 + (0.3275911 * Math.abs(x)) / Math.SQRT2);
  const series = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];
  const tail = 0.5 * Math.exp((-x * x) / 2) * t * series.reduce((sum, a) => sum * t + a, 0);
  return x >= 0 ? 1 - tail : tail;
}

/** x with Φ(x) = q, by bisection in [−8, 8]. */
function normalQuantile(q: number): number {
  let low = -8;
  let high = 8;
  while (high - low > 1e-9) {
    const middle = (low + high) / 2;
    if (normalCdf(middle) < q) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
