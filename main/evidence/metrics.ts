/**
 * How good suggestions are on an audit set, each number with a 95 % interval. Exact
 * (Clopper & Pearson 1934) for shares of independent, equally drawn items. Where items come
 * in components or were drawn with different probabilities: shares by Hájek's weighted
 * estimator, with the exact interval of the effective number of items (Korn & Graubard 1998);
 * F1, AUROC and calibration error by bootstrap over components. Means of a few shares
 * recover their interval from those of the parts (MOVER, Zou & Donner 2008). Same input and
 * seed, same numbers; float64 throughout.
 */
import { assert } from '../domain/errors.ts';
import type { Matrix } from '../domain/matrix.ts';
import { clopperPearson, type Interval } from './binomial.ts';
import { bootstrap } from './bootstrap.ts';

/** Something measured on `n` items; null where there was nothing to measure it on, and the interval then [0, 1]. */
export interface Measured {
  n: number;
  value: number | null;
  low: number;
  high: number;
}

export interface MetricsInput {
  /** Calibrated, `[n, c]`; labels may name classes from c on, which the model does not know. */
  probabilities: Matrix;
  labels: readonly (readonly number[])[];
  /** The suggestion for each item, its probability, and whether it is the label. */
  suggested: { classes: readonly (readonly number[])[]; confidence: ArrayLike<number>; correct: readonly boolean[] };
  classCount: number;
  /** What must not be split, by item; left out: every item stands for itself. */
  component?: ArrayLike<number>;
  /** 1 / the probability with which each item was drawn, up to a factor; left out: all alike. */
  weights?: ArrayLike<number>;
  seed: number;
  /** Of the bootstrap. */
  draws?: number;
}

export interface ClassMeasures {
  /** Share of the items of the class that were given it. */
  sensitivity: Measured;
  /** Share of the others that were not. */
  specificity: Measured;
  /** Share of those given it that are of the class. */
  precision: Measured;
  /** Of the class against the rest, ties counting half. */
  auroc: Measured;
}

export interface AuditMetrics {
  n: number;
  components: number;
  weighted: boolean;
  /** Share of the items whose suggestion is right; for several classes, every class right. */
  accuracy: Measured;
  /** Mean sensitivity of the classes that occur. */
  balancedAccuracy: Measured;
  /** Mean F1 of the classes that occur or were suggested. */
  macroF1: Measured;
  /** Mean over the classes that have items and others. */
  auroc: Measured;
  /** Expected calibration error of the suggestion's probability, 15 bins (Naeini 2015). */
  ece: Measured;
  perClass: ClassMeasures[];
}

/** All metrics. No items give nulls. Cost: about `draws` · n · (c + 4) steps; 0.2 s for 1,000 items of 10 classes. */
export function auditMetrics(input: MetricsInput): AuditMetrics {
  const { labels, suggested, classCount } = input;
  const n = labels.length;
  assert(input.probabilities.rows === n && suggested.correct.length === n, `${n} rows`, input.probabilities.rows);
  const audit = sampleOf(input);
  const all = Array.from({ length: n }, (_, i) => i);
  const has = Array.from({ length: classCount }, (_, j) => all.filter((i) => labels[i].includes(j)));
  const given = Array.from(
    { length: classCount },
    (_, j) => new Set(all.filter((i) => suggested.classes[i].includes(j))),
  );
  const curves = has.map((own, j) => (j < input.probabilities.columns ? curveOf(input.probabilities, j, own) : null));
  const drawn = drawnIntervals(input, audit, has, given, curves);

  const perClass = has.map((own, j): ClassMeasures => {
    const isOwn = new Set(own);
    const others = all.filter((i) => !isOwn.has(i));
    return {
      sensitivity: share(audit, own, (i) => given[j].has(i)),
      specificity: share(audit, others, (i) => !given[j].has(i)),
      precision: share(audit, [...given[j]], (i) => isOwn.has(i)),
      auroc: aurocOf(audit, own, others, drawn.auroc[j]),
    };
  });
  const accuracy = share(audit, all, (i) => suggested.correct[i]);
  const ece = measured(n, drawn.ece);
  const sensitivities = perClass.map(({ sensitivity }) => sensitivity).filter(({ value }) => value !== null);
  const balancedAccuracy = meanOf(sensitivities, n);
  const aurocs = perClass.map(({ auroc }) => auroc).filter(({ value }) => value !== null);
  const isSteady = varies(drawn.macroAuroc) && aurocs.every(({ n: few }) => few >= FEW);
  return {
    n,
    components: audit.components,
    weighted: audit.isWeighted,
    accuracy,
    balancedAccuracy,
    // Draws of flawless answers are all flawless and say nothing of what was not seen.
    macroF1: varies(drawn.macroF1)
      ? measured(n, drawn.macroF1)
      : { ...balancedAccuracy, value: drawn.macroF1?.value ?? null },
    auroc: isSteady
      ? measured(n, drawn.macroAuroc)
      : { ...boundsOf(aurocs), n, value: drawn.macroAuroc?.value ?? null },
    ece: accuracy.value === 1 ? { ...ece, high: Math.max(ece.high, 1 - accuracy.low) } : ece,
    perClass: perClass.map((own) => ({ ...own, auroc: { ...own.auroc, n } })),
  };
}

const FEW = 10;
const BINS = 15;

interface Sample {
  component: ArrayLike<number>;
  components: number;
  weights: Float64Array;
  isWeighted: boolean;
  /** Every item by itself, all drawn alike. */
  isSimple: boolean;
}

function sampleOf({ labels, component, weights }: MetricsInput): Sample {
  const own = component ?? Int32Array.from(labels, (_, i) => i);
  const w = weights ? Float64Array.from(weights) : new Float64Array(labels.length).fill(1);
  assert(
    w.every((weight) => weight > 0 && Number.isFinite(weight)),
    'weights above 0',
  );
  const isWeighted = w.some((weight) => weight !== w[0]);
  const components = new Set(Array.from(own)).size;
  return { component: own, components, weights: w, isWeighted, isSimple: !isWeighted && components === own.length };
}

function measured(n: number, interval: Interval | null): Measured {
  return interval
    ? { n, value: interval.value, low: interval.low, high: interval.high }
    : { n, value: null, low: 0, high: 1 };
}

const varies = (interval: Interval | null) => interval !== null && interval.low < interval.high;

/** The share of `among` for which `holds`. */
function share(
  { component, weights, isSimple }: Sample,
  among: readonly number[],
  holds: (i: number) => boolean,
): Measured {
  const n = among.length;
  if (n === 0) return measured(0, null);
  if (isSimple) return measured(n, clopperPearson(among.filter(holds).length, n));
  let total = 0;
  let held = 0;
  let squares = 0;
  for (const i of among) {
    total += weights[i];
    squares += weights[i] ** 2;
    if (holds(i)) held += weights[i];
  }
  const value = Math.min(1, held / total);
  // The ratio's variance, linearised, between components (Cochran 1977).
  const residual = new Map<number, number>();
  for (const i of among) {
    const own = weights[i] * (Number(holds(i)) - value);
    residual.set(component[i], (residual.get(component[i]) ?? 0) + own);
  }
  const c = residual.size;
  let variance = 0;
  for (const e of residual.values()) variance += (e * e) / (total * total);
  variance *= c > 1 ? c / (c - 1) : 1;
  // No more than equal weights would be worth, and no more than components where nothing varies.
  const most = total ** 2 / squares;
  const effective = variance > 0 ? Math.min(most, (value * (1 - value)) / variance) : Math.min(most, c);
  const { low, high } = clopperPearson(value * effective, effective);
  return { n, value, low, high };
}

/** The mean of independent shares, from their intervals; null of none. */
export function meanOf(parts: readonly Measured[], n: number): Measured {
  if (parts.length === 0) return measured(n, null);
  const k = parts.length;
  const value = parts.reduce((sum, part) => sum + part.value!, 0) / k;
  const spread = (end: 'low' | 'high') => Math.hypot(...parts.map((part) => part.value! - part[end])) / k;
  return { n, value, low: value - spread('low'), high: value + spread('high') };
}

/** Both ends as if all parts were at theirs at once. */
function boundsOf(parts: readonly Measured[]): { low: number; high: number } {
  const mean = (end: 'low' | 'high') => parts.reduce((sum, part) => sum + part[end], 0) / parts.length;
  return parts.length === 0 ? { low: 0, high: 1 } : { low: mean('low'), high: mean('high') };
}

/** One class against the rest; `n` is the smaller side's components. With few of them, or where no draw differs, the interval of a share of so many (an AUROC varies no more: Birnbaum & Klose 1957). */
function aurocOf(
  { component }: Sample,
  own: readonly number[],
  others: readonly number[],
  found: Interval | null,
): Measured {
  const fewer = Math.min(...[own, others].map((side) => new Set(side.map((i) => component[i])).size));
  if (found === null || fewer === 0) return measured(fewer, null);
  if (fewer >= FEW && varies(found)) return measured(fewer, found);
  const { low, high } = clopperPearson(found.value * fewer, fewer);
  return { n: fewer, value: found.value, low, high };
}

/** Rows in ascending order of one class's probability, where equal ones begin, and which are of the class. */
interface Curve {
  order: Int32Array;
  isNew: Uint8Array;
  isOwn: Uint8Array;
}

function curveOf({ data, rows, columns }: Matrix, j: number, own: readonly number[]): Curve {
  const p = (i: number) => data[i * columns + j];
  const order = Int32Array.from({ length: rows }, (_, i) => i).sort((a, b) => p(a) - p(b));
  const isNew = Uint8Array.from(order, (i, at) => Number(at === 0 || p(i) !== p(order[at - 1])));
  const isOwn = new Uint8Array(rows);
  for (const i of own) isOwn[i] = 1;
  return { order, isNew, isOwn };
}

/** The share of pairs in which the item of the class has the higher probability, ties half (Mann & Whitney 1947); NaN without both sides. */
function areaUnder({ order, isNew, isOwn }: Curve, weights: Float64Array): number {
  let below = 0;
  let own = 0;
  let tiedOwn = 0;
  let tiedOthers = 0;
  let pairs = 0;
  for (let at = 0; at < order.length; at++) {
    if (isNew[at] === 1) {
      pairs += tiedOwn * (below + tiedOthers / 2);
      below += tiedOthers;
      own += tiedOwn;
      tiedOwn = 0;
      tiedOthers = 0;
    }
    const i = order[at];
    if (isOwn[i] === 1) tiedOwn += weights[i];
    else tiedOthers += weights[i];
  }
  pairs += tiedOwn * (below + tiedOthers / 2);
  return pairs / ((own + tiedOwn) * (below + tiedOthers));
}

function drawnIntervals(
  { suggested, seed, draws = 1000 }: MetricsInput,
  { component, weights }: Sample,
  has: readonly (readonly number[])[],
  given: readonly ReadonlySet<number>[],
  curves: readonly (Curve | null)[],
) {
  const c = has.length;
  const bin = Int32Array.from(suggested.confidence, (p) => Math.min(BINS - 1, Math.floor(p * BINS)));
  const both = has.map((own, j) => own.filter((i) => given[j].has(i)));
  const lists = given.map((own) => [...own]);
  const gaps = new Float64Array(BINS);
  const statistics = (w: Float64Array, into: Float64Array) => {
    const sum = (rows: readonly number[]) => {
      let total = 0;
      for (const i of rows) total += w[i];
      return total;
    };
    let f1 = 0;
    let occurring = 0;
    let areas = 0;
    let curved = 0;
    for (let j = 0; j < c; j++) {
      const size = sum(has[j]) + sum(lists[j]);
      if (size > 0) {
        f1 += (2 * sum(both[j])) / size;
        occurring++;
      }
      const curve = curves[j];
      into[j] = curve ? areaUnder(curve, w) : Number.NaN;
      if (!Number.isNaN(into[j])) {
        areas += into[j];
        curved++;
      }
    }
    into[c] = f1 / occurring;
    into[c + 1] = areas / curved;
    gaps.fill(0);
    let total = 0;
    for (let i = 0; i < w.length; i++) {
      gaps[bin[i]] += w[i] * (suggested.confidence[i] - Number(suggested.correct[i]));
      total += w[i];
    }
    into[c + 2] = gaps.reduce((all, gap) => all + Math.abs(gap), 0) / total;
  };
  const found = bootstrap({ component, weights, statistics, count: c + 3, seed, draws, inflated: [c + 2] });
  return { auroc: found.slice(0, c), macroF1: found[c], macroAuroc: found[c + 1], ece: found[c + 2] };
}
