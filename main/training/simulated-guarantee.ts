/**
 * Tries the guarantee where the truth is on record. Of every replay one side was drawn by
 * chance, by component, as the app draws its audit set, and never trained on. From it an
 * audit sample of the app's share is drawn again and again: exact, because the model does not
 * depend on it. Counted are the settled items among what is left open of the other side; the
 * guarantee is violated where more than α of them are wrong. Twice: once at the end at the
 * whole δ, and as the app makes its claims, at planned looks along the way.
 * What claims would keep the strategy from asking is not replayed.
 */
import { drawAudit } from '../acquisition/index.ts';
import type { Rng } from '../domain/rng.ts';
import { findGuarantee, nextLookAt, spentAt, type Level } from '../evidence/index.ts';

/** How many of all labels go to the audit set; the app's default. */
export const AUDIT_SHARE = 0.2;

/** A replay after a refit: how many labels the model learned from, its suggestions, and what was still open. */
export interface Round {
  labels: number;
  confidence: ArrayLike<number>;
  correct: readonly boolean[];
  open: readonly number[];
}

export interface Replayed {
  /** In order. */
  rounds: readonly Round[];
  /** The side that was drawn by chance. */
  frame: readonly number[];
  component: ArrayLike<number>;
}

export interface SimulatedGuarantee {
  alpha: number;
  delta: number;
  trials: number;
  /** Replays with a model of their own, among which the trials are divided. */
  splits: number;
  /** Mean audit labels, one a component, at the end of the budget. */
  auditSize: number;
  /** Share of trials in which more than `alpha` of the settled items were wrong; should be at most `delta`. */
  violationRate: number;
  /** Mean share of open items settled. */
  settledFraction: number;
  /** Share of trials in which any claim was wrong, of those made at looks along the way; should be at most `delta`. */
  anyClaimViolated: number;
  /** Mean share of open items that the claim in force at the end settles, and mean looks until then. */
  claimedFraction: number;
  looks: number;
}

export class GuaranteeTrials {
  readonly #level: Level;
  readonly #trials: number;
  readonly #splits: number;
  readonly #budget: number;
  readonly #sum = { trials: 0, splits: 0, audit: 0, violated: 0, settled: 0, anyViolated: 0, claimed: 0, looks: 0 };

  /** `budget` counts all labels, the audit set's too. */
  constructor(options: { alpha: number; delta: number; trials: number; splits: number; budget: number }) {
    const { alpha, delta, trials, splits, budget } = options;
    this.#level = { alpha, delta };
    this.#trials = trials;
    this.#splits = splits;
    this.#budget = budget;
  }

  /** This replay's part of the trials. */
  try(replayed: Replayed, rng: Rng): void {
    const sum = this.#sum;
    const rounds = replayed.rounds.filter(({ labels }, i) => i === 0 || labels <= (1 - AUDIT_SHARE) * this.#budget);
    sum.splits++;
    const until = Math.round((this.#trials * sum.splits) / this.#splits);
    for (; sum.trials < until; sum.trials++) {
      const audit = auditOrder(replayed, rng.int(2 ** 31));
      this.#atTheEnd(rounds.at(-1)!, audit);
      this.#atLooks(rounds, audit);
    }
  }

  #atTheEnd(round: Round, audit: readonly number[]): void {
    const own = audit.slice(0, auditAt(round));
    const settled = settledBy(round, own, this.#level);
    this.#sum.audit += own.length;
    this.#sum.settled += settled.length / round.open.length;
    if (this.#isWrong(settled, round)) this.#sum.violated++;
  }

  #atLooks(rounds: readonly Round[], audit: readonly number[]): void {
    const { alpha, delta } = this.#level;
    let look = 0;
    let before = 0;
    let claimed: number[] = [];
    let anyWrong = false;
    for (const round of rounds) {
      const size = Math.min(audit.length, auditAt(round));
      if (size < nextLookAt(look + 1, before, this.#level)) continue;
      look++;
      before = size;
      claimed = settledBy(round, audit.slice(0, size), { alpha, delta: spentAt(look, delta) });
      anyWrong ||= this.#isWrong(claimed, round);
    }
    const open = new Set(rounds.at(-1)!.open);
    this.#sum.looks += look;
    this.#sum.claimed += claimed.filter((i) => open.has(i)).length / open.size;
    if (anyWrong) this.#sum.anyViolated++;
  }

  #isWrong(settled: readonly number[], { correct }: Round): boolean {
    return settled.filter((i) => !correct[i]).length > this.#level.alpha * settled.length;
  }

  result(): SimulatedGuarantee {
    const { trials, splits, audit, violated, settled, anyViolated, claimed, looks } = this.#sum;
    return {
      ...this.#level,
      trials,
      splits,
      auditSize: audit / trials,
      violationRate: violated / trials,
      settledFraction: settled / trials,
      anyClaimViolated: anyViolated / trials,
      claimedFraction: claimed / trials,
      looks: looks / trials,
    };
  }
}

/** Audit labels that come with a round's training labels. */
function auditAt({ labels }: Round): number {
  return Math.round((labels * AUDIT_SHARE) / (1 - AUDIT_SHARE));
}

/** The whole frame in the order of asking, one item a component. */
function auditOrder({ frame, component }: Replayed, seed: number): number[] {
  const drawn = drawAudit({ candidates: frame, component, audited: new Set(), count: frame.length, seed });
  return drawn.slice(0, new Set(frame.map((i) => component[i])).size);
}

/** The open items that one guarantee settles. */
function settledBy({ confidence, correct, open }: Round, audit: readonly number[], level: Level): number[] {
  const { threshold } = findGuarantee({
    auditConfidence: audit.map((i) => confidence[i]),
    auditCorrect: audit.map((i) => correct[i]),
    poolConfidence: open.map((i) => confidence[i]),
    ...level,
  });
  return threshold === null ? [] : open.filter((i) => confidence[i] >= threshold);
}

/** Divides items into a pool and a side drawn by chance alone, whole components with probability `share`. */
export function drawSides(component: ArrayLike<number>, share: number, rng: Rng): { pool: number[]; test: number[] } {
  const drawn = new Map<number, boolean>();
  const sides = { pool: [] as number[], test: [] as number[] };
  for (let i = 0; i < component.length; i++) {
    const isDrawn = drawn.get(component[i]) ?? rng.next() < share;
    drawn.set(component[i], isDrawn);
    (isDrawn ? sides.test : sides.pool).push(i);
  }
  return sides;
}
