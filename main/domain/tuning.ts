/** How many labels fine-tuning takes; the numbers behind it: docs/decisions/0009 and 0010. */

/** Fewer labelled items than this teach a network nothing that the head does not know. */
export const LEAST_TUNING_LABELS = 60;

/** From how many on a run is likely to gain something: from there it begins by itself. */
export const WORTH_TUNING_LABELS = 120;

/** Where all that a network can look at is a text's terms, it takes this many. */
export const LEAST_TERMS_LABELS = 3000;
