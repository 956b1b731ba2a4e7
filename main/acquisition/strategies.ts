/**
 * The one table of query strategies: name → what it needs, whom it cites, how it picks a
 * batch. Every pick answers “why am I asked this?” with data, never with words. In every
 * strategy a batch holds at most one item of a near-duplicate cluster, none of a cluster
 * that already has a label, and at most `maxPerGroup` of a group; these rules give way
 * only when nothing else is left to ask. Pure: same input and seed, same batch.
 */
import { assert, EngineError } from '../domain/errors.ts';
import type { Matrix } from '../domain/matrix.ts';
import { createRng } from '../domain/rng.ts';
import type { Task } from '../domain/schema.ts';
import { kMeans, squaredDistance } from './k-means.ts';
import { choosePhase, type LabelsSoFar, type Phase } from './policy.ts';
import { competing, descending, throwNotFinite, uncertainty, type Uncertainty } from './scores.ts';
import { pickTypical } from './typicality.ts';

export interface SelectionInput {
  /** Rows of the matrices that may be asked, in id order. */
  candidates: ArrayLike<number>;
  /** Rows that have a label (audit items too: they need no asking). */
  labelled: ArrayLike<number>;
  batch: number;
  seed: number;
  task?: Task;
  /** Calibrated probabilities of every item, `[n, c]`. */
  probabilities?: Matrix;
  /** The encoder's reduced vectors of every item, `[n, d]`. */
  reduced?: Matrix;
  /** Near-duplicate cluster of every item; −1 = none. */
  duplicates?: Int32Array;
  /** Group of every item as a number; −1 = none. */
  groups?: Int32Array;
  maxPerGroup?: number;
  /** What `default` decides by; without it `default` starts cold. */
  soFar?: LabelsSoFar;
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
  select(input: SelectionInput): Pick[];
}

/** At most one of a near-duplicate cluster, at most `maxPerGroup` of a group. */
function createGuard(input: SelectionInput) {
  const { duplicates, groups, maxPerGroup = Infinity } = input;
  const usedClusters = new Set<number>();
  const perGroup = new Map<number, number>();
  const usedItems = new Set<number>();
  if (duplicates) {
    for (let i = 0; i < input.labelled.length; i++) {
      if (duplicates[input.labelled[i]] >= 0) usedClusters.add(duplicates[input.labelled[i]]);
    }
  }
  return {
    allowed: (item: number) =>
      !usedItems.has(item) &&
      !(duplicates && duplicates[item] >= 0 && usedClusters.has(duplicates[item])) &&
      !(groups && groups[item] >= 0 && (perGroup.get(groups[item]) ?? 0) >= maxPerGroup),
    taken(item: number) {
      usedItems.add(item);
      if (duplicates && duplicates[item] >= 0) usedClusters.add(duplicates[item]);
      if (groups && groups[item] >= 0) perGroup.set(groups[item], (perGroup.get(groups[item]) ?? 0) + 1);
    },
    has: (item: number) => usedItems.has(item),
    /** Relaxes what was taken from earlier batches, never within this one. */
    forgetLabelled() {
      usedClusters.clear();
      if (duplicates) for (const item of usedItems) if (duplicates[item] >= 0) usedClusters.add(duplicates[item]);
    },
  };
}

type Guard = ReturnType<typeof createGuard>;

/** Candidates in `order` (positions) that the guard lets through, up to `count`; near duplicates of labelled items only when nothing else is left. */
function takeInOrder(input: SelectionInput, order: readonly number[], count: number, guard: Guard): number[] {
  const positions: number[] = [];
  const pass = () => {
    for (const position of order) {
      if (positions.length >= count) return;
      const item = input.candidates[position];
      if (!guard.allowed(item)) continue;
      guard.taken(item);
      positions.push(position);
    }
  };
  pass();
  if (positions.length < count) {
    guard.forgetLabelled();
    pass();
  }
  return positions;
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
    select(input) {
      const scores = uncertainty(kind, input.probabilities!, input.candidates, input.task);
      const order = descending(scores);
      const rank = new Map(order.map((position, i) => [position, i]));
      return takeInOrder(input, order, input.batch, createGuard(input)).map((position) => ({
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
  select(input) {
    const rng = createRng(input.seed).derive('random');
    const scores = Float64Array.from({ length: input.candidates.length }, () => rng.next());
    return takeInOrder(input, descending(scores), input.batch, createGuard(input)).map((position) => ({
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
  select(input) {
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
  select(input) {
    const scores = uncertainty('margin', input.probabilities!, input.candidates, input.task);
    const order = descending(scores);
    const rank = new Map(order.map((position, i) => [position, i]));
    const guard = createGuard(input);
    // The shortlist obeys the rules too, so that duplicates do not crowd it.
    const shortlist = takeInOrder(
      input,
      order,
      SHORTLIST * input.batch,
      createGuard({ ...input, maxPerGroup: undefined }),
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
    if (chosen.length < input.batch) chosen.push(...takeInOrder(input, order, input.batch - chosen.length, guard));
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
  select(input) {
    const phase = choosePhase(input.soFar ?? null);
    const usable = input.probabilities ? phase.strategy : 'typicality';
    return STRATEGIES[usable].select(input).map((pick) => ({ ...pick, why: { ...pick.why, phase } }));
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

/** Picks the next batch: fewer when fewer candidates are left, none when there are none. Same input and seed, same picks. Errors: `score-not-finite`. */
export function select(name: StrategyName, input: SelectionInput): Pick[] {
  const strategy: Strategy = STRATEGIES[name];
  for (const need of strategy.needs) assert(input[need] !== undefined, `${need} for the strategy ${name}`);
  if (input.batch <= 0 || input.candidates.length === 0) return [];
  const picks = strategy.select(input);
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
