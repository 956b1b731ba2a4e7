/**
 * The learning curve and where it leads: an inverse power law
 * accuracy(m) = ceiling − (ceiling − level)·(m / now)^(−rate)
 * (Figueroa et al. 2012, Predicting sample size; Viering & Loog 2022, The shape of learning
 * curves), as a posterior on a grid: nothing is drawn, so the same points give the same
 * forecast. All points of a curve are measured on the same items, so that their errors go
 * together; what a real curve strays from its law is a further error. Promises intervals
 * that cover, not narrow ones: a few dozen audit items leave much open, and it says so.
 */
import { assert } from '../domain/errors.ts';

/** `correct` of the same `n` items were right after training on `labels` items. */
export interface CurveMeasurement {
  labels: number;
  correct: number;
  n: number;
}

/** A median with its 95 % interval; null = beyond every number. */
export interface Bounded {
  value: number | null;
  low: number;
  high: number | null;
}

/** Possible curves and how likely each is. All arrays have one entry per curve. */
export interface CurvePosterior {
  /** The number of labels at which `level` is the accuracy. */
  now: number;
  level: Float64Array;
  ceiling: Float64Array;
  rate: Float64Array;
  /** Sums to 1. */
  weight: Float64Array;
  /** The accuracy of the other model, given each curve: its mean and its standard deviation. */
  partner?: { mean: Float64Array; deviation: number };
}

/** Another model measured on the same items, whose accuracy errs with the curve's. */
export interface Partner {
  correct: number;
  n: number;
  /** Correlation between its answers being right and those at the curve's last point, in [0, 1). */
  likeness: number;
}

/** How far a curve strays from its law, as an accuracy: one run's labels, the seeds of its heads. */
const STRAY = 0.01;
/** The same for the mean of many heads' curves, which is what a partner is compared with. */
const MEAN_STRAY = 0.005;
/** How alike correctness of one item is after m and after m′ labels: ALIKE · exp(−|ln m/m′| / REACH), as measured on simulated curves of four collections (docs/decisions/0013). */
const ALIKE = 0.93;
const REACH = 2.2;
const GRID = { rates: 20, shares: 20, levels: 40 };
const RATES = { low: 0.1, high: 2, median: 0.7, spread: 0.6 };
/** Beta(a, b) on the share of today's errors that labels can still remove. */
const REMOVABLE = { a: 1.5, b: 1 };
/** What is less likely than this, relative to the likeliest, is left out. */
const NEGLIGIBLE = 1e-5;
/** Fewest points and audit items that a curve is fitted to. */
const LEAST = { points: 3, items: 10 };

/** The posterior of curves through points in ascending order of labels, `now` being the last; null where there are fewer than three points or ten items. Cost: some ten milliseconds. */
export function fitCurve(points: readonly CurveMeasurement[], partner?: Partner): CurvePosterior | null {
  if (points.length < LEAST.points || points.at(-1)!.n < LEAST.items) return null;
  const { n, labels: now } = points.at(-1)!;
  for (const point of points) assert(point.n === n && point.labels > 0, `points on the same ${n} items`, point);
  const whiten = whitener(points.map(({ labels }) => labels));
  const told = partner && companion(partner, points, n);
  const stray = partner ? MEAN_STRAY : STRAY;
  const observed = points.map(({ correct }) => correct / n);
  const logRatio = points.map(({ labels }) => Math.log(labels / now));
  const total = GRID.rates * GRID.shares * GRID.levels;
  const kept = { level: new Float64Array(total), ceiling: new Float64Array(total), rate: new Float64Array(total) };
  const mean = new Float64Array(told ? total : 0);
  const logWeight = new Float64Array(total);
  const residual = new Float64Array(points.length);
  let at = 0;
  let best = -Infinity;
  for (let i = 0; i < GRID.rates; i++) {
    const rate = RATES.low * (RATES.high / RATES.low) ** ((i + 0.5) / GRID.rates);
    const decay = logRatio.map((ratio) => Math.exp(-rate * ratio));
    const rateZ = Math.log(rate / RATES.median) / RATES.spread;
    for (let j = 0; j < GRID.shares; j++) {
      const share = (j + 0.5) / GRID.shares;
      const prior =
        -0.5 * rateZ * rateZ + (REMOVABLE.a - 1) * Math.log(share) + (REMOVABLE.b - 1) * Math.log(1 - share);
      for (let k = 0; k < GRID.levels; k++) {
        const level = levelAt(k, observed.at(-1)!, n);
        const removable = share * (1 - level);
        let logLikelihood = prior;
        for (let p = 0; p < points.length; p++) {
          const expected = Math.max(1e-3, level + removable * (1 - decay[p]));
          const variance = (expected * (1 - expected)) / n + stray * stray;
          residual[p] = (observed[p] - expected) / Math.sqrt(variance);
          logLikelihood -= 0.5 * Math.log(variance);
        }
        logLikelihood -= 0.5 * whiten(residual);
        if (told) mean[at] = told.mean(residual);
        kept.level[at] = level;
        kept.ceiling[at] = level + removable;
        kept.rate[at] = rate;
        logWeight[at++] = logLikelihood;
        if (logLikelihood > best) best = logLikelihood;
      }
    }
  }
  const likely = Array.from(logWeight.keys()).filter((i) => logWeight[i] > best + Math.log(NEGLIGIBLE));
  const weight = Float64Array.from(likely, (i) => Math.exp(logWeight[i] - best));
  const sum = weight.reduce((a, b) => a + b, 0);
  const take = (values: Float64Array) => Float64Array.from(likely, (i) => values[i]);
  return {
    now,
    level: take(kept.level),
    ceiling: take(kept.ceiling),
    rate: take(kept.rate),
    weight: weight.map((w) => w / sum),
    ...(told && { partner: { mean: take(mean), deviation: told.deviation } }),
  };
}

/** What the errors of the curve's points tell of the partner's: the normal conditional on them. */
function companion({ correct, n, likeness }: Partner, points: readonly CurveMeasurement[], items: number) {
  const smoothed = (correct + 1) / (n + 2);
  const deviation = Math.sqrt((smoothed * (1 - smoothed)) / n);
  const labels = points.map((point) => point.labels);
  const shared = likeness * Math.sqrt(Math.min(1, n / items));
  // As if it lay as far behind the last point as its likeness says.
  const alike = Float64Array.from(labels, (m) => shared * Math.exp(Math.log(m / labels.at(-1)!) / REACH));
  const factor = correlationFactor(labels);
  const pull = backward(factor, forward(factor, alike));
  const explained = pull.reduce((sum, w, k) => sum + w * alike[k], 0);
  return {
    mean: (residual: Float64Array) => correct / n - deviation * residual.reduce((sum, r, k) => sum + pull[k] * r, 0),
    deviation: deviation * Math.sqrt(Math.max(1e-3, 1 - explained)),
  };
}

/** Levels to try: five standard errors to both sides of what was observed, inside (0, 1). */
function levelAt(k: number, observed: number, n: number): number {
  const centre = (observed * n + 2) / (n + 4);
  const reach = 5 * Math.sqrt((centre * (1 - centre)) / (n + 4) + STRAY * STRAY);
  const low = Math.max(0.001, centre - reach);
  const high = Math.min(0.9995, centre + reach);
  return low + ((k + 0.5) / GRID.levels) * (high - low);
}

/** r → rᵀ C⁻¹ r for the correlation C of errors at these numbers of labels. */
function whitener(labels: readonly number[]): (residual: Float64Array) => number {
  const factor = correlationFactor(labels);
  return (residual) => forward(factor, residual).reduce((sum, z) => sum + z * z, 0);
}

/** L with L Lᵀ = C (Cholesky), by rows. */
function correlationFactor(labels: readonly number[]): Float64Array[] {
  const factor = labels.map(() => new Float64Array(labels.length));
  for (let i = 0; i < labels.length; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = i === j ? 1 : ALIKE * Math.exp(-Math.abs(Math.log(labels[i] / labels[j])) / REACH);
      for (let p = 0; p < j; p++) sum -= factor[i][p] * factor[j][p];
      factor[i][j] = i === j ? Math.sqrt(sum) : sum / factor[j][j];
    }
  }
  return factor;
}

/** L⁻¹ v. */
function forward(factor: readonly Float64Array[], values: Float64Array): Float64Array {
  const solved = new Float64Array(values.length);
  for (let i = 0; i < solved.length; i++) {
    let value = values[i];
    for (let p = 0; p < i; p++) value -= factor[i][p] * solved[p];
    solved[i] = value / factor[i][i];
  }
  return solved;
}

/** L⁻ᵀ v. */
function backward(factor: readonly Float64Array[], values: Float64Array): Float64Array {
  const solved = new Float64Array(values.length);
  for (let i = solved.length - 1; i >= 0; i--) {
    let value = values[i];
    for (let p = i + 1; p < solved.length; p++) value -= factor[p][i] * solved[p];
    solved[i] = value / factor[i][i];
  }
  return solved;
}

/** Five points of the standard normal and their weights (Gauss–Hermite). */
const NORMAL = [
  [-2.8569700138728056, 0.011257411327720691],
  [-1.355626179974266, 0.22207592200561266],
  [0, 0.5333333333333333],
  [1.355626179974266, 0.22207592200561266],
  [2.8569700138728056, 0.011257411327720691],
] as const;

/** Where a curve that strays as real ones do meets an accuracy, or that of the partner it was fitted with, and with what probability in [0, 1] it never will. */
export function labelsAt(posterior: CurvePosterior, accuracy: number | 'partner'): Bounded & { never: number } {
  const { level, ceiling, rate, weight, now, partner } = posterior;
  const values = new Float64Array(weight.length * NORMAL.length);
  const weights = new Float64Array(values.length);
  const farthest = Math.log(FARTHEST);
  let never = 0;
  for (let i = 0, at = 0; i < weight.length; i++) {
    for (const [z, share] of NORMAL) {
      const wanted = accuracy === 'partner' ? partner!.mean[i] + z * partner!.deviation : accuracy + z * STRAY;
      const reached = (ceiling[i] - level[i]) / (ceiling[i] - wanted);
      const log = wanted >= ceiling[i] ? Infinity : Math.log(now) + Math.log(reached) / rate[i];
      weights[at] = weight[i] * share;
      if (log > farthest) never += weights[at];
      values[at++] = Math.min(Math.max(0, log), farthest + 0.1);
    }
  }
  const [low, value, high] = weightedQuantiles(values, weights, [0.025, 0.5, 0.975]);
  const bounded = (log: number) => (log > farthest ? null : Math.exp(log));
  return { value: bounded(value), low: bounded(low) ?? FARTHEST, high: bounded(high), never: Math.min(1, never) };
}

/** More labels than anybody gives: what lies beyond is called out of reach. */
export const FARTHEST = 100_000;

/** The accuracy at a number of labels, median and 95 % interval, straying included. */
export function accuracyAt(posterior: CurvePosterior, labels: number): { value: number; low: number; high: number } {
  const { level, ceiling, rate, weight, now } = posterior;
  const values = new Float64Array(weight.length);
  for (let i = 0; i < values.length; i++) {
    values[i] = Math.max(0, ceiling[i] - (ceiling[i] - level[i]) * (labels / now) ** -rate[i]);
  }
  const [low, value, high] = weightedQuantiles(values, weight, [0.025, 0.5, 0.975]);
  return { value, low, high };
}

/** How much accuracy further labels add: median and 95 % interval. */
export function gainOf(posterior: CurvePosterior, labels: number): { value: number; low: number; high: number } {
  const { level, ceiling, rate, weight, now } = posterior;
  const gains = level.map((own, i) => (ceiling[i] - own) * (1 - ((now + labels) / now) ** -rate[i]));
  const [low, value, high] = weightedQuantiles(gains, weight, [0.025, 0.5, 0.975]);
  return { value, low, high };
}

export interface Forecast {
  /** reached: likelier than not, now. out-of-reach: likelier than not, never. */
  code: 'ok' | 'reached' | 'too-few' | 'out-of-reach';
  target: number;
  /** Training labels now. */
  labels: number;
  /** The fitted curve at past and future numbers of labels, with its 95 % band. */
  curve: { labels: number; value: number; low: number; high: number }[];
  /** Training labels at which the target is met; null where there is no curve. */
  labelsAtTarget: Bounded | null;
  /** Where the curve is heading. */
  ceiling: Bounded | null;
  /** The probability that the target is never met this way; null where there is no curve. */
  never: number | null;
}

/** Where a curve leads and when it meets a target. null for a posterior (too few points or items) says `too-few`. */
export function forecast(
  posterior: CurvePosterior | null,
  points: readonly CurveMeasurement[],
  { target, labels }: { target: number; labels: number },
): Forecast {
  if (!posterior) {
    return { code: 'too-few', target, labels, curve: [], labelsAtTarget: null, ceiling: null, never: null };
  }
  const { never, ...labelsAtTarget } = labelsAt(posterior, target);
  const { value } = labelsAtTarget;
  const farthest = Math.min(FARTHEST, Math.max(2 * labels, 1.3 * (value ?? 4 * labels)), 8 * labels);
  const sizes = points.map((point) => point.labels);
  for (let size = posterior.now * AHEAD; size < farthest * AHEAD; size *= AHEAD) sizes.push(Math.round(size));
  const [low, middle, high] = weightedQuantiles(posterior.ceiling, posterior.weight, [0.025, 0.5, 0.975]);
  return {
    code: value === null ? 'out-of-reach' : value <= labels ? 'reached' : 'ok',
    target,
    labels,
    curve: sizes.map((size) => ({ labels: size, ...accuracyAt(posterior, size) })),
    labelsAtTarget,
    ceiling: { value: middle, low, high },
    never,
  };
}

/** Points of the continued curve, by this factor apart. */
const AHEAD = 1.25;

const BINS = 4096;

/** The values below which each share of the weight lies, to a 4,096th of their range: sorting would take most of a forecast's time. */
function weightedQuantiles(values: Float64Array, weights: Float64Array, shares: readonly number[]): number[] {
  let [least, most, total] = [Infinity, -Infinity, 0];
  for (let i = 0; i < values.length; i++) {
    least = Math.min(least, values[i]);
    most = Math.max(most, values[i]);
    total += weights[i];
  }
  const step = (most - least) / BINS || 1;
  const bins = new Float64Array(BINS + 1);
  for (let i = 0; i < values.length; i++) bins[Math.floor((values[i] - least) / step)] += weights[i];
  let at = 0;
  let below = 0;
  return shares.map((share) => {
    while (at < BINS && below + bins[at] < share * total) below += bins[at++];
    const inside = bins[at] === 0 ? 0 : Math.min(1, Math.max(0, (share * total - below) / bins[at]));
    return Math.min(most, least + (at + inside) * step);
  });
}
