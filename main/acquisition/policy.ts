/**
 * The automatic policy's one decision: typical items while the model knows too little to
 * be uncertain in a useful way, uncertain and diverse ones after. It is made from the
 * labels seen so far and comes with the numbers it was made from, as data that the desk
 * puts into words. The rule was chosen by simulation (docs/decisions/0003).
 */
import { clopperPearson } from '../evidence/index.ts';

/** What is known when the next batch is drawn; all of it from training labels. */
export interface LabelsSoFar {
  /** Labels per class of the schema, classes without labels included. */
  counts: readonly number[];
  /** Cross-validated: how many of the labelled items the head got right when it had not seen them. */
  correct: number;
  /** How many were cross-validated; 0 = no head could be fitted yet. */
  tested: number;
}

export interface Phase {
  strategy: 'typicality' | 'margin-diverse';
  /** Why: `no-model`, `classes-unseen`, `not-better-than-majority`, `ready`, `enough-labels`. */
  code: 'no-model' | 'classes-unseen' | 'not-better-than-majority' | 'ready' | 'enough-labels';
  labels: number;
  /** Classes with at least `LABELS_PER_CLASS` labels, of all. */
  classesSeen: number;
  classes: number;
  /** Cross-validated accuracy with the lower end of its 80 % interval, and what always guessing the commonest class would reach. */
  accuracy: number;
  accuracyLow: number;
  majority: number;
}

/** A class counts as seen from this many labels on. */
const LABELS_PER_CLASS = 2;
/** The cold start ends at this many labels per class whatever the rest says: some classes are too rare to be met by typicality. */
const ENOUGH_PER_CLASS = 3;

/** Chooses the phase from the labels so far; null means nothing is labelled yet. */
export function choosePhase(soFar: LabelsSoFar | null): Phase {
  const counts = soFar?.counts ?? [];
  const labels = counts.reduce((sum, n) => sum + n, 0);
  const majority = labels === 0 ? 0 : Math.max(...counts) / labels;
  const classesSeen = counts.filter((n) => n >= LABELS_PER_CLASS).length;
  const tested = soFar?.tested ?? 0;
  const interval = clopperPearson(soFar?.correct ?? 0, tested, 0.8);
  const better = tested > 0 && interval.low > majority;
  const numbers = {
    labels,
    classesSeen,
    classes: counts.length,
    accuracy: interval.value,
    accuracyLow: interval.low,
    majority,
  };
  if (tested === 0) return { strategy: 'typicality', code: 'no-model', ...numbers };
  // Waiting for every class would wait for the rarest: half of them is enough to have something to tell apart.
  const seen = classesSeen >= Math.max(2, Math.ceil(counts.length / 2));
  if (better && seen) return { strategy: 'margin-diverse', code: 'ready', ...numbers };
  if (labels >= ENOUGH_PER_CLASS * counts.length) {
    return { strategy: 'margin-diverse', code: 'enough-labels', ...numbers };
  }
  return { strategy: 'typicality', code: better ? 'classes-unseen' : 'not-better-than-majority', ...numbers };
}
