/**
 * How many labels a random choice would have needed more for what the model in use has
 * reached. Nobody labels anything for it: audit items, and the few that were drawn at
 * random on purpose, are a random sample already, so heads trained on parts of them and
 * measured on the rest give random's own learning curve, whose law is carried on until it
 * meets the accuracy of the model in use on the same audit items.
 * Accounting: saved = random's training labels − training labels given. Audit labels would
 * have been needed for either, and cancel. Random's curve reaches no further than the random
 * labels there are, usually a fifth of all: the interval says what that leaves open.
 */
import { accuracyAt, FARTHEST, fitCurve, labelsAt, type Bounded, type CurveMeasurement } from './forecast.ts';

export interface SavingInput {
  /** Random's curve, by labels ascending, all on the same audit items. */
  random: readonly CurveMeasurement[];
  /** The model in use on these items. */
  live: { correct: number; n: number };
  /** How alike its answers are to random's at the last point, in [0, 1). */
  likeness: number;
  /** Training labels that it has. */
  labels: number;
}

export interface Saving {
  /** too-few: random's curve cannot be drawn yet. none: the interval does not exclude that nothing was saved. at-least: no upper end. */
  code: 'ok' | 'at-least' | 'none' | 'too-few';
  /** Labels; null bounds have no end. */
  saved: Bounded | null;
  /** Random's curve and its continuation, with a 95 % band. */
  random: { labels: number; value: number; low: number; high: number }[];
}

/** Fewest audit items with which a curve of random labels means anything. */
const FEWEST_ITEMS = 20;

/** The labels saved, with a 95 % interval. */
export function measureSaving({ random, live, likeness, labels }: SavingInput): Saving {
  const posterior = live.n < FEWEST_ITEMS ? null : fitCurve(random, { ...live, likeness });
  if (!posterior) return { code: 'too-few', saved: null, random: [] };
  const needed = labelsAt(posterior, 'partner');
  const less = (found: number | null) => (found === null ? null : Math.round(found - labels));
  const saved = { value: less(needed.value), low: Math.round(needed.low - labels), high: less(needed.high) };
  const code = saved.low <= 0 ? 'none' : saved.high === null ? 'at-least' : 'ok';
  const sizes = random.map((point) => point.labels);
  for (let size = sizes.at(-1)! * 1.5; size < Math.min(FARTHEST, 2 * labels); size *= 1.5) sizes.push(Math.round(size));
  return { code, saved, random: sizes.map((size) => ({ labels: size, ...accuracyAt(posterior, size) })) };
}
