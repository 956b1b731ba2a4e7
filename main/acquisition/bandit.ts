/**
 * A bandit over strategies (ALBL, Hsu & Lin 2015): each place of a batch goes to a strategy
 * drawn by shares, and shares follow what labelling taught about the model, by EXP4.P
 * (Beygelzimer et al. 2011). The reward is the accuracy of the suggestions that people saw
 * corrected or confirmed, weighted by one over the chance with which each item was asked;
 * other than in the paper the weights are normalised, so that it stays in [0, 1]. Chance is
 * one of the strategies and keeps its share. Keeps nothing: shares follow from the history.
 */
import { createRng } from '../domain/rng.ts';
import { createGuard } from './batch-rules.ts';
import type { Pick, SelectionInput, StrategyName } from './strategy.ts';

/** What the bandit chooses among, as the paper does: uncertain, representative, both, chance. */
export const ARMS = ['margin', 'typicality', 'margin-diverse', 'random'] as const satisfies StrategyName[];

export type Arm = (typeof ARMS)[number];

/** An item that the bandit asked: for whom, with which chance, and whether the suggestion was right. Oldest first. */
export interface Asked {
  arm: Arm;
  probability: number;
  correct: boolean;
}

/** The paper’s δ: the confidence of its regret bound. */
const DELTA = 0.1;

/** The share of each arm after what was asked; even at first, never below a least share, summing to 1. */
export function armShares(asked: readonly Asked[]): number[] {
  const k = ARMS.length;
  const logWeights = new Array<number>(k).fill(0);
  let right = 0;
  let all = 0;
  let shares = sharesOf(logWeights, 1);
  for (const [t, { arm, probability, correct }] of asked.entries()) {
    right += Number(correct) / probability;
    all += 1 / probability;
    const reward = right / all;
    const caution = Math.sqrt(Math.log(k / DELTA) / (k * (t + 1)));
    const step = leastShare(t + 1) / 2;
    for (let j = 0; j < k; j++) {
      const seen = ARMS[j] === arm ? reward / probability : 0;
      logWeights[j] += step * (seen + caution / shares[j]);
    }
    shares = sharesOf(logWeights, t + 2);
  }
  return shares;
}

function leastShare(t: number): number {
  const k = ARMS.length;
  return Math.min(1 / (2 * k), Math.sqrt(Math.log(k) / (k * t)));
}

function sharesOf(logWeights: readonly number[], t: number): number[] {
  const k = logWeights.length;
  const least = leastShare(t);
  const most = Math.max(...logWeights);
  const weights = logWeights.map((weight) => Math.exp(weight - most));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => (1 - k * least) * (weight / total) + least);
}

/** Draws a strategy for every place; `choose` gives a strategy's own batch, best first. */
export async function selectByBandit(input: SelectionInput, choose: (arm: Arm) => Promise<Pick[]>): Promise<Pick[]> {
  const shares = armShares(input.asked ?? []);
  const rng = createRng(input.seed).derive('bandit');
  const lists: Pick[][] = [];
  for (const arm of ARMS) lists.push(await choose(arm));
  const guard = createGuard(input);
  const picks: Pick[] = [];
  let relaxed = false;
  while (picks.length < input.batch) {
    const next = lists.map((list) => list.find(({ index }) => guard.allowed(index)));
    const left = shares.map((share, j) => (next[j] ? share : 0));
    const total = left.reduce((sum, share) => sum + share, 0);
    if (total === 0) {
      if (relaxed) break;
      relaxed = true;
      guard.forgetLabelled();
      continue;
    }
    let at = rng.next() * total;
    let drawn = left.findLastIndex((share) => share > 0);
    for (let j = 0; j < left.length; j++) {
      if (left[j] > 0 && at < left[j]) {
        drawn = j;
        break;
      }
      at -= left[j];
    }
    const pick = next[drawn]!;
    // Whoever else would have asked the same item adds to its chance.
    const probability = left.reduce((sum, share, j) => sum + (next[j]?.index === pick.index ? share / total : 0), 0);
    guard.taken(pick.index);
    picks.push({ ...pick, why: { ...pick.why, bandit: { arm: ARMS[drawn], probability } } });
  }
  return picks;
}
