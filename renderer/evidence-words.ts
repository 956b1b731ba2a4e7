/**
 * What was measured, put into sentences: labels left, labels saved, advice to stop, claims,
 * gaps between groups, and p-values. Bounds that have no end are said, and so is what is
 * missing where nothing can be said yet.
 */
import type {
  DriftData,
  ForecastData,
  GuaranteeData,
  MeasuredData,
  SavedData,
  StopAdviceData,
  SubgroupColumnData,
} from '../main/api-evidence.ts';
import { count, decimal, level, percent, percentRange, plain, probability, roughly } from './format.ts';
import { m } from './paraglide/messages.js';
import type { Measure } from './state/differences.svelte.ts';

/** A value, its lower end and its upper end; null = beyond every number. */
type Bounded = NonNullable<ForecastData['labelsLeft']>;

/** Both ends of an interval of counts, rounded alike; "from 120 on" where it has no upper end. */
function span({ low, high }: Bounded, say: (x: number) => string = roughly): string {
  return high === null ? m.span_open({ low: say(low) }) : m.span({ low: say(low), high: say(high) });
}

/** How many labels to the target, in one sentence with its interval; a number beyond the items that are left is not told. */
export function labelsLeftSentence(
  { code, target, labelsLeft, ceiling, never }: ForecastData,
  open = Infinity,
): string {
  const aim = level(target);
  if (code === 'reached') return m.forecast_reached({ target: aim });
  if (code === 'out-of-reach')
    return ceiling?.value == null || never === null
      ? m.forecast_beyond({ target: aim })
      : m.forecast_beyond_ceiling({
          target: aim,
          never: probability(never),
          ceiling: percent(ceiling.value),
          range: percentRange(ceiling.low, ceiling.high ?? 1),
        });
  if (code === 'too-few' || labelsLeft === null) return m.forecast_too_few();
  if (labelsLeft.value === null) return m.forecast_at_least({ low: roughly(labelsLeft.low), target: aim });
  if (labelsLeft.value > open)
    return m.forecast_more_than_left({ n: count(open), span: span(labelsLeft), target: aim });
  return m.forecast_left({
    count: Math.round(labelsLeft.value),
    n: roughly(labelsLeft.value),
    span: span(labelsLeft),
    target: aim,
  });
}

/** The time that those labels take; empty where it is not known. */
export function hoursLeftSentence({ code, hoursLeft }: ForecastData): string {
  if (code !== 'ok' || hoursLeft?.value == null) return '';
  const inMinutes = hoursLeft.value < 1.5;
  const scale = inMinutes ? 60 : 1;
  const scaled = (x: number | null) => (x === null ? null : x * scale);
  const say = (x: number) => (inMinutes || x >= 10 ? roughly(x) : decimal(x, 1));
  const n = say(hoursLeft.value * scale);
  const range = span({ value: null, low: hoursLeft.low * scale, high: scaled(hoursLeft.high) }, say);
  return inMinutes ? m.pace_minutes({ n, span: range }) : m.pace_hours({ n, span: range });
}

export function savedSentence({ code, saved }: SavedData): string {
  if (code === 'too-few' || saved === null) return m.saved_too_few();
  if (code === 'none') return m.saved_none({ span: span(saved) });
  if (code === 'at-least' || saved.value === null) return m.saved_at_least({ low: roughly(saved.low) });
  return m.saved_so_far({ count: Math.round(saved.value), n: roughly(saved.value), span: span(saved) });
}

type Rule = StopAdviceData['rule'];
/** A rule's name, what it says from its numbers, and what it waits for without them. */
interface RuleWords {
  name: () => string;
  numbers: readonly string[];
  says: (...numbers: number[]) => string;
  waits: () => string;
}
const RULES: Record<Rule, RuleWords> = {
  stable: {
    name: () => m.advice_stable(),
    numbers: ['mean', 'atLeast'],
    says: (mean, enough) => m.advice_stable_why({ kappa: decimal(mean, 3), enough: decimal(enough) }),
    waits: () => m.advice_stable_unknown(),
  },
  gain: {
    name: () => m.advice_gain(),
    numbers: ['value', 'low', 'high', 'below'],
    says: (value, low, high, below) => {
      const points = (share: number) => decimal(share * 100, 1);
      return m.advice_gain_why({
        points: points(value),
        low: points(low),
        high: points(high),
        below: points(below),
      });
    },
    waits: () => m.advice_gain_unknown(),
  },
  guarantee: {
    name: () => m.advice_guarantee(),
    numbers: ['share', 'atLeast'],
    says: (share, enough) => m.advice_guarantee_why({ share: percent(share), enough: percent(enough) }),
    waits: () => m.advice_guarantee_unknown(),
  },
  confident: {
    name: () => m.advice_confident(),
    numbers: ['uncertainty', 'below'],
    says: (uncertainty, below) => m.advice_confident_why({ share: percent(uncertainty, 1), below: percent(below) }),
    waits: () => m.advice_confident_unknown(),
  },
};

/** A rule's name, and its reason in one line. */
export function adviceWords(advice: StopAdviceData): { name: string; reason: string } {
  const { name, numbers, says, waits } = RULES[advice.rule];
  const values = numbers.map((key) => advice[key]).filter((value) => typeof value === 'number');
  const isKnown = advice.met !== null && values.length === numbers.length;
  return { name: name(), reason: isKnown ? says(...values) : waits() };
}

/** What is missing to promise anything at a level; empty where something is promised. */
export function neededSentence({ threshold, needed, alpha }: GuaranteeData): string {
  if (threshold !== null) return '';
  return needed === null
    ? m.needed_unknown({ alpha: level(alpha) })
    : m.needed_more({ count: needed, n: count(needed), alpha: level(alpha) });
}

const MEASURE_NAMES: Record<Measure, () => string> = {
  accuracy: () => m.accuracy(),
  balancedAccuracy: () => m.balanced_accuracy(),
  sensitivity: () => m.mean_sensitivity(),
  specificity: () => m.mean_specificity(),
};
export const measureWord = (measure: Measure) => MEASURE_NAMES[measure]();

/** A group as people call it: rare values come joined under one name. */
export const groupWord = (value: string) => (value === 'other' ? m.group_other() : plain(value));

/** The largest gap that the numbers support, or that there is none. */
export function gapSentence(gap: SubgroupColumnData['gap']): string {
  if (gap === null || gap.difference.value === null) return m.gap_none();
  return m.gap_some({
    worst: groupWord(gap.worst),
    best: groupWord(gap.best),
    points: decimal(gap.difference.value * 100, 1),
    low: decimal(gap.difference.low * 100, 1),
    high: decimal(gap.difference.high * 100, 1),
    chance: chanceWords(gap.pValue),
  });
}

/** How often chance alone would make so large a difference. */
export function chanceWords(pValue: number): string {
  if (pValue >= 0.1) return m.chance_often({ share: percent(pValue) });
  const of = pValue <= 0 ? 1000 : Math.min(1000, Math.floor(1 / pValue));
  return pValue < 0.001 ? m.chance_less({ n: count(1000) }) : m.chance_one({ n: count(of) });
}

/** The size of a difference between two sets of vectors, from 0 (none) to 1 (nothing in common). The words are a reading aid: texts without a word in common differ by about 0.2. */
export function distanceWords({ distance }: Pick<DriftData, 'distance'>): string {
  if (distance < 0.01) return m.distance_none();
  if (distance < 0.05) return m.distance_small();
  return distance < 0.15 ? m.distance_clear() : m.distance_large();
}

/** A value with its interval; what is missing where there is none. */
export function measuredWords(measured: MeasuredData): string {
  if (measured.value === null) return m.measured_none();
  return m.measured({ value: percent(measured.value, 1), range: percentRange(measured.low, measured.high) });
}
