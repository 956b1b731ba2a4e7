/**
 * When to stop: four rules, each answering with the numbers it goes by and a code that the
 * desk puts into words. They may disagree, and none of them stops anything: what an expert's
 * hour is worth is not theirs to say. A rule that cannot say yet answers null.
 */
import { pairTable, cohenKappa } from './agreement.ts';
import { gainOf, type CurvePosterior } from './forecast.ts';

export interface StopAdvice {
  rule: 'stable' | 'gain' | 'guarantee' | 'confident';
  /** Null: cannot be said yet. */
  met: boolean | null;
  [number: string]: unknown;
}

export interface StopInput {
  /** What successive versions, oldest first, suggest for the same stop set of the pool; any codes for suggestions. */
  suggestions: readonly (readonly number[])[];
  /** The learning curve, or null. */
  posterior: CurvePosterior | null;
  /** Median seconds per label, or null before anybody has labelled by hand. */
  secondsPerLabel: number | null;
  /** Open pool items, and those that are settled. */
  open: number;
  settled: number;
  /** The calibrated probabilities of the stop set's open items under the model in use, a row for each; empty without one. */
  probabilities: readonly ArrayLike<number>[];
}

/** Bloodgood & Vijay-Shanker 2009: kappa of at least .99, on average over three comparisons. */
const STABLE = { kappa: 0.99, comparisons: 3 };
/** Accuracy per hour of labelling that is hardly worth the hour. */
const GAIN_PER_HOUR = 0.005;
/** Share of the open pool that needs no eyes. */
const SETTLED_SHARE = 0.9;
/** Mean entropy, as a share of the largest there is. */
const UNCERTAIN = 0.05;

/** The advice of every rule, always in the same order. */
export function adviseStopping(input: StopInput): StopAdvice[] {
  return [
    stable(input.suggestions),
    gain(input.posterior, input.secondsPerLabel),
    guarantee(input),
    confident(input.probabilities),
  ];
}

/** Stabilising predictions (Bloodgood & Vijay-Shanker 2009): successive models hardly disagree any more about items that nobody has labelled. */
function stable(suggestions: StopInput['suggestions']): StopAdvice {
  const kappas: number[] = [];
  for (let k = Math.max(1, suggestions.length - STABLE.comparisons); k < suggestions.length; k++) {
    kappas.push(agreement(suggestions[k - 1], suggestions[k]));
  }
  const said = { rule: 'stable' as const, kappas, atLeast: STABLE.kappa, items: suggestions.at(-1)?.length ?? 0 };
  if (kappas.length < STABLE.comparisons || said.items === 0) return { ...said, met: null };
  const mean = kappas.reduce((sum, kappa) => sum + kappa, 0) / kappas.length;
  return { ...said, mean, met: mean >= STABLE.kappa };
}

/** Cohen's kappa of two lists of codes; 1 where both always say one and the same. */
function agreement(a: readonly number[], b: readonly number[]): number {
  const codes = new Map([...new Set([...a, ...b])].map((code, i) => [code, i]));
  const pairs = a.map((code, i) => [codes.get(code)!, codes.get(b[i])!] as const);
  return cohenKappa(pairTable(pairs, codes.size)).value ?? 1;
}

/** What another hour of labelling is forecast to add, at the usual pace. */
function gain(posterior: CurvePosterior | null, secondsPerLabel: number | null): StopAdvice {
  const rule = { rule: 'gain' as const, below: GAIN_PER_HOUR };
  if (!posterior || !secondsPerLabel) return { ...rule, met: null };
  const perHour = gainOf(posterior, 3600 / secondsPerLabel);
  return { ...rule, ...perHour, secondsPerLabel, met: perHour.value < GAIN_PER_HOUR };
}

/** Enough of what is left needs no eyes. */
function guarantee({ open, settled }: StopInput): StopAdvice {
  const share = open === 0 ? null : settled / open;
  return {
    rule: 'guarantee',
    open,
    settled,
    share,
    atLeast: SETTLED_SHARE,
    met: share === null ? null : share >= SETTLED_SHARE,
  };
}

/** Overall uncertainty (Zhu, Wang, Hovy & Ma 2010): the mean entropy of what is open, as a share of that of guessing. */
function confident(probabilities: StopInput['probabilities']): StopAdvice {
  const rule = { rule: 'confident' as const, below: UNCERTAIN, items: probabilities.length };
  if (probabilities.length === 0) return { ...rule, met: null };
  let sum = 0;
  for (const row of probabilities) {
    let entropy = 0;
    for (let j = 0; j < row.length; j++) if (row[j] > 0) entropy -= row[j] * Math.log(row[j]);
    sum += entropy / Math.log(row.length);
  }
  const uncertainty = sum / probabilities.length;
  return { ...rule, uncertainty, met: uncertainty < UNCERTAIN };
}
