/**
 * The one table of query strategies: name → what it needs, whom it cites, how it picks a
 * batch. Every pick answers “why am I asked this?” with data, never with words. Every
 * batch obeys the batch rules (`batch-rules.ts`). Pure: same input and seed, same batch.
 */
import { assert, EngineError } from '../domain/errors.ts';
import { createRng } from '../domain/rng.ts';
import { selectByBandit } from './bandit.ts';
import { batchBald } from './batch-bald.ts';
import { bald, voteEntropy } from './committee.ts';
import { contrastive } from './contrastive.ts';
import { kCenter } from './core-set.ts';
import { probCover } from './covering.ts';
import { badge, gradientLength } from './gradients.ts';
import { createPace } from './pace.ts';
import { choosePhase } from './policy.ts';
import { throwNotFinite } from './scores.ts';
import {
  scoreInChunks,
  squaredLengths,
  type Need,
  type Pick,
  type SelectionInput,
  type Strategy,
  type StrategyName,
} from './strategy.ts';
import { typicality } from './typicality.ts';
import { byUncertainty, density, highestFirst, marginDiverse } from './uncertain.ts';

const random = highestFirst({
  name: 'random',
  needs: [],
  cites: 'the baseline of every comparison',
  many: 'classes play no part',
  scores({ candidates, seed }, pace) {
    const rng = createRng(seed).derive('random');
    return scoreInChunks('random', candidates, pace, (chunk) => Float64Array.from(chunk, () => rng.next()));
  },
  why: () => ({ code: 'random' }),
});

const automatic: Strategy = {
  needs: ['reduced'],
  cites: 'Hacohen et al. 2022: typical items while labels are few, uncertain ones after',
  many: 'as the strategy that it turns to',
  async select(input) {
    const phase = choosePhase(input.soFar ?? null);
    const usable = input.probabilities ? phase.strategy : 'typicality';
    const picks = await STRATEGIES[usable].select(input);
    return picks.map((pick) => ({ ...pick, why: { ...pick.why, phase } }));
  },
};

const albl: Strategy = {
  needs: ['probabilities', 'reduced'],
  cites: 'Hsu & Lin 2015, Active learning by learning; Beygelzimer et al. 2011 for EXP4.P',
  many: 'as the strategies that it draws',
  select: (input) => selectByBandit(input, (arm) => STRATEGIES[arm].select(input)),
};

/** Every query strategy by name. `default` is the automatic policy; its picks name the strategy it used. */
export const STRATEGIES: Record<StrategyName, Strategy> = {
  random,
  'least-confidence': byUncertainty('least-confidence', 'Lewis & Gale 1994'),
  margin: byUncertainty('margin', 'Scheffer, Decomain & Wrobel 2001'),
  ratio: byUncertainty('ratio', 'Settles 2012, Active Learning, section 2.3'),
  entropy: byUncertainty('entropy', 'Settles & Craven 2008, after Shannon 1948'),
  'margin-diverse': marginDiverse,
  density,
  typicality,
  probcover: probCover,
  'k-center': kCenter,
  'gradient-length': gradientLength,
  badge,
  contrastive,
  bald,
  'vote-entropy': voteEntropy,
  'batch-bald': batchBald,
  albl,
  default: automatic,
};

/** What a strategy must be given; a caller that cannot give it asks another. */
export function needsOf(name: StrategyName): readonly Need[] {
  return STRATEGIES[name].needs;
}

/** The strategy itself where all that it needs is there; else typicality, which needs no model, or chance. */
export function possible(name: StrategyName, input: Omit<SelectionInput, 'batch' | 'seed'>): StrategyName {
  const can = (strategy: StrategyName) => needsOf(strategy).every((need) => isGiven(need, input));
  return can(name) ? name : can('typicality') ? 'typicality' : 'random';
}

/** Picks the next batch: fewer when fewer candidates are left, none when there are none. Same input and seed, same picks. Gives the event loop its turns; cancelling rejects with the signal's reason. Errors: `score-not-finite`. */
export async function select(name: StrategyName, input: SelectionInput): Promise<Pick[]> {
  input.signal?.throwIfAborted();
  assertGiven(name, input);
  if (input.batch <= 0 || input.candidates.length === 0) return [];
  // A comparison with a broken vector would be false in silence.
  if (input.reduced) await squaredLengths(name, input.reduced, input.labelled, createPace(input.signal));
  const picks = await STRATEGIES[name].select(input);
  for (const pick of picks) if (!Number.isFinite(pick.score)) throwNotFinite(pick.index, name);
  return picks;
}

/** The scores of all candidates under a strategy, by position; null where an item's score depends on the rest of the batch. Errors: `score-not-finite`. */
export async function scoresOf(name: StrategyName, input: SelectionInput): Promise<Float64Array | null> {
  assertGiven(name, input);
  return (await STRATEGIES[name].scores?.(input, createPace(input.signal))) ?? null;
}

function isGiven(need: Need, input: Omit<SelectionInput, 'batch' | 'seed'>): boolean {
  return need === 'labelled' ? input.labelled.length > 0 : input[need] !== undefined;
}

function assertGiven(name: StrategyName, input: SelectionInput): void {
  for (const need of needsOf(name)) assert(isGiven(need, input), `${need} for the strategy ${name}`);
}

/** The strategy that a person named. Errors: `usage`, listing the known ones. */
export function strategyNamed(name: string): StrategyName {
  if (Object.hasOwn(STRATEGIES, name)) return name as StrategyName;
  throw new EngineError(
    'usage',
    `There is no strategy “${name}”.`,
    `Choose among ${Object.keys(STRATEGIES).join(', ')}.`,
    { strategy: name },
  );
}
