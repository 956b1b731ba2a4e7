/**
 * The one table of query strategies: name → what it needs, whom it cites, how it picks a
 * batch. Every pick answers “why am I asked this?” with data, never with words. Every
 * batch obeys the batch rules (`batch-rules.ts`). Pure: same input and seed, same batch.
 */
import { assert, EngineError } from '../domain/errors.ts';
import type { Matrix } from '../domain/matrix.ts';
import { createRng } from '../domain/rng.ts';
import type { Task } from '../domain/schema.ts';
import { createGuard, takeInOrder, type BatchRules } from './batch-rules.ts';
import { kMeans, squaredDistance } from './k-means.ts';
import { createPace } from './pace.ts';
import { choosePhase, type LabelsSoFar, type Phase } from './policy.ts';
import { competing, descending, throwNotFinite, uncertainty, type Uncertainty } from './scores.ts';
import { pickTypical } from './typicality.ts';

export interface SelectionInput extends BatchRules {
  batch: number;
  seed: number;
  task?: Task;
  /** Calibrated probabilities of every item, `[n, c]`. */
  probabilities?: Matrix;
  /** The encoder's reduced vectors of every item, `[n, d]`. */
  reduced?: Matrix;
  /** What `default` decides by; without it `default` starts cold. */
  soFar?: LabelsSoFar;
  /** Cancels: the selection rejects with its reason. */
  signal?: AbortSignal;
}

/** Why an item is asked, as data: which fields are there depends on the strategy. */
export interface Why {
  /** What the desk puts into words: chosen by chance, uncertain, uncertain and unlike the others of the batch, typical of many. */
  code: 'random' | 'uncertain' | 'uncertain-diverse' | 'typical';
  /** The two likeliest classes by number, and their probabilities. */
  classes?: [number, number];
  probabilities?: [number, number];
  margin?: number;
  /** Share of the candidates with a closer margin, in [0, 1]. */
  closer?: number;
  typicality?: number;
  clusterSize?: number;
  clusterLabels?: number;
  /** The most similar item (a row) and its distance; for margin-diverse the most similar labelled one. */
  nearest?: number;
  nearestDistance?: number;
  /** Whether clusters or neighbours came from a sample. */
  sampled?: boolean;
  /** How many uncertain items this one was chosen from, for diversity. */
  shortlist?: number;
  /** What `default` decided, and from which numbers. */
  phase?: Phase;
}

export interface Pick {
  /** The row. */
  index: number;
  /** Higher = ask sooner; finite. */
  score: number;
  strategy: StrategyName;
  why: Why;
}

export interface Strategy {
  needs: readonly ('probabilities' | 'reduced')[];
  cites: string;
  select(input: SelectionInput): Promise<Pick[]>;
}

function explainMargin(input: SelectionInput, item: number): Omit<Why, 'code'> {
  const { first, second, p1, p2 } = competing(input.probabilities!, item, input.task);
  const margin = input.task === 'classify-many' ? Math.abs(2 * p1 - 1) : p1 - p2;
  return { classes: [first, second], probabilities: [p1, p2], margin };
}

function byUncertainty(kind: Uncertainty, cites: string): Strategy {
  return {
    needs: ['probabilities'],
    cites,
    async select(input) {
      const scores = uncertainty(kind, input.probabilities!, input.candidates, input.task);
      const order = descending(scores);
      const rank = new Map(order.map((position, i) => [position, i]));
      const taken = await takeInOrder(input, order, input.batch, createGuard(input), createPace(input.signal));
      return taken.map((position) => ({
        index: input.candidates[position],
        score: scores[position],
        strategy: kind,
        why: {
          code: 'uncertain',
          ...explainMargin(input, input.candidates[position]),
          closer: rank.get(position)! / scores.length,
        },
      }));
    },
  };
}

const random: Strategy = {
  needs: [],
  cites: 'the baseline of every comparison',
  async select(input) {
    const rng = createRng(input.seed).derive('random');
    const scores = Float64Array.from({ length: input.candidates.length }, () => rng.next());
    const pace = createPace(input.signal);
    const taken = await takeInOrder(input, descending(scores), input.batch, createGuard(input), pace);
    return taken.map((position) => ({
      index: input.candidates[position],
      score: scores[position],
      strategy: 'random' as const,
      why: { code: 'random' as const },
    }));
  },
};

const typicality: Strategy = {
  needs: ['reduced'],
  cites: 'Hacohen, Dekel & Weinshall 2022, Active learning on a budget (TypiClust)',
  async select(input) {
    const guard = createGuard(input);
    const rng = createRng(input.seed);
    const pick = (batch: number) =>
      pickTypical(input.reduced!, input.candidates, input.labelled, batch, rng, guard.allowed, guard.taken);
    const picks = pick(input.batch);
    if (picks.length < input.batch) {
      guard.forgetLabelled();
      picks.push(...pick(input.batch - picks.length));
    }
    return picks.map(({ index, ...why }) => {
      if (!Number.isFinite(why.typicality)) throwNotFinite(index, 'typicality');
      return {
        index,
        score: why.typicality,
        strategy: 'typicality' as const,
        why: { code: 'typical' as const, ...why },
      };
    });
  },
};

/** How many times the batch is shortlisted by margin before diversity decides. */
const SHORTLIST = 5;

const marginDiverse: Strategy = {
  needs: ['probabilities', 'reduced'],
  cites: 'Scheffer 2001 for the margin; Zhdanov 2019, Diverse mini-batch active learning',
  async select(input) {
    const scores = uncertainty('margin', input.probabilities!, input.candidates, input.task);
    const order = descending(scores);
    const rank = new Map(order.map((position, i) => [position, i]));
    const guard = createGuard(input);
    const pace = createPace(input.signal);
    // The shortlist obeys the rules too, so that duplicates do not crowd it.
    const shortlist = await takeInOrder(
      input,
      order,
      SHORTLIST * input.batch,
      createGuard({ ...input, maxPerGroup: undefined }),
      pace,
    );
    const chosen: number[] = [];
    if (shortlist.length > input.batch) {
      const items = shortlist.map((position) => input.candidates[position]);
      const weights = Float64Array.from(shortlist, (position) => Math.max(scores[position], 1e-6));
      const clusters = kMeans(input.reduced!, items, input.batch, {
        rng: createRng(input.seed).derive('diverse'),
        weights,
      });
      const best = new Map<number, number>();
      // The shortlist is in order of margin: the first of each cluster is its most uncertain.
      shortlist.forEach((position, i) => {
        const cluster = clusters.assignment[i];
        if (best.has(cluster) || !guard.allowed(items[i])) return;
        best.set(cluster, position);
        guard.taken(items[i]);
      });
      chosen.push(...best.values());
    }
    if (chosen.length < input.batch) {
      chosen.push(...(await takeInOrder(input, order, input.batch - chosen.length, guard, pace)));
    }
    chosen.sort((a, b) => rank.get(a)! - rank.get(b)!);
    return chosen.map((position) => {
      const index = input.candidates[position];
      const why = {
        code: 'uncertain-diverse' as const,
        ...explainMargin(input, index),
        closer: rank.get(position)! / scores.length,
        shortlist: shortlist.length,
      };
      return {
        index,
        score: scores[position],
        strategy: 'margin-diverse' as const,
        why: { ...why, ...nearestLabelled(input, index) },
      };
    });
  },
};

function nearestLabelled(input: SelectionInput, item: number): Partial<Why> {
  const { data, columns } = input.reduced!;
  let nearest = -1;
  let least = Infinity;
  for (let i = 0; i < input.labelled.length; i++) {
    const distance = squaredDistance(data, item, data, input.labelled[i], columns);
    if (distance < least) {
      least = distance;
      nearest = input.labelled[i];
    }
  }
  return nearest < 0 ? {} : { nearest, nearestDistance: Math.sqrt(least) };
}

const automatic: Strategy = {
  needs: ['reduced'],
  cites: 'Hacohen et al. 2022: typical items while labels are few, uncertain ones after',
  async select(input) {
    const phase = choosePhase(input.soFar ?? null);
    const usable = input.probabilities ? phase.strategy : 'typicality';
    const picks = await STRATEGIES[usable].select(input);
    return picks.map((pick) => ({ ...pick, why: { ...pick.why, phase } }));
  },
};

/** Every query strategy by name. `default` is the automatic policy; its picks name the strategy it used. */
export const STRATEGIES = {
  random,
  'least-confidence': byUncertainty('least-confidence', 'Lewis & Gale 1994'),
  margin: byUncertainty('margin', 'Scheffer, Decomain & Wrobel 2001'),
  entropy: byUncertainty('entropy', 'Settles & Craven 2008, after Shannon 1948'),
  typicality,
  'margin-diverse': marginDiverse,
  default: automatic,
} as const satisfies Record<string, Strategy>;

export type StrategyName = 'random' | Uncertainty | 'typicality' | 'margin-diverse' | 'default';

/** Picks the next batch: fewer when fewer candidates are left, none when there are none. Same input and seed, same picks. Gives the event loop its turns; cancelling rejects with the signal's reason. Errors: `score-not-finite`. */
export async function select(name: StrategyName, input: SelectionInput): Promise<Pick[]> {
  input.signal?.throwIfAborted();
  const strategy: Strategy = STRATEGIES[name];
  for (const need of strategy.needs) assert(input[need] !== undefined, `${need} for the strategy ${name}`);
  if (input.batch <= 0 || input.candidates.length === 0) return [];
  const picks = await strategy.select(input);
  for (const pick of picks) if (!Number.isFinite(pick.score)) throwNotFinite(pick.index, name);
  return picks;
}

/** The strategy that a person named. Errors: `usage`, listing the known ones. */
export function strategyNamed(name: string): StrategyName {
  if (Object.hasOwn(STRATEGIES, name)) return name as StrategyName;
  throw new EngineError(
    'usage',
    `There is no strategy “${name}”.`,
    `Choose among ${Object.keys(STRATEGIES).join(', ')}.`,
    {
      strategy: name,
    },
  );
}
