/**
 * Strategies that ask what the model is unsure of: least confidence, margin, ratio and
 * entropy; the margin spread over clusters; and uncertainty weighted by how typical of the
 * pool an item is. All from one model's probabilities (`scores.ts`).
 */
import { takeRows } from '../domain/matrix.ts';
import { createRng } from '../domain/rng.ts';
import { createGuard, takeInOrder } from './batch-rules.ts';
import { kMeans } from './k-means.ts';
import { createPace, type Pace } from './pace.ts';
import { rankingOf } from './ranking.ts';
import { competing, uncertainty, type Uncertainty } from './scores.ts';
import {
  scoreInChunks,
  type Need,
  type SelectionInput,
  type Strategy,
  type StrategyName,
  type Why,
} from './strategy.ts';
import { distancesInBlocks, dot, plainProducts, squaredDistance } from './vectors.ts';

interface Scored {
  name: StrategyName;
  needs: readonly Need[];
  cites: string;
  many: string;
  scores(input: SelectionInput, pace: Pace): Promise<Float64Array>;
  why(input: SelectionInput, item: number): Why;
  /** What else there is to say of the items picked, in their order. */
  more?(input: SelectionInput, items: readonly number[], pace: Pace): Promise<Partial<Why>[]>;
}

/** A strategy that asks the items with the highest scores; each reason but chance says how many are `closer`. */
export function highestFirst({ name, needs, cites, many, scores: score, why, more }: Scored): Strategy {
  return {
    needs,
    cites,
    many,
    scores: score,
    async select(input) {
      const pace = createPace(input.signal);
      const scores = await score(input, pace);
      const ranking = rankingOf(scores);
      const positions = await takeInOrder(input, ranking, input.batch, createGuard(input), pace);
      const items = positions.map((position) => input.candidates[position]);
      const others = await more?.(input, items, pace);
      return positions.map((position, i) => {
        const closer = name === 'random' ? {} : { closer: ranking.rankOf(position) / scores.length };
        return {
          index: items[i],
          score: scores[position],
          strategy: name,
          why: { ...why(input, items[i]), ...closer, ...others?.[i] },
        };
      });
    },
  };
}

/** The classes that compete for an item. */
export function explainMargin(input: SelectionInput, item: number): Omit<Why, 'code'> {
  const { first, second, p1, p2 } = competing(input.probabilities!, item, input.task);
  const margin = input.task === 'classify-many' ? Math.abs(2 * p1 - 1) : p1 - p2;
  return { classes: [first, second], probabilities: [p1, p2], margin };
}

/** The labelled item nearest to each of `items`, by the reduced vectors; nothing where none is labelled. */
export async function nearestLabelled(
  { labelled, products = plainProducts, ...input }: SelectionInput,
  items: readonly number[],
  pace: Pace,
): Promise<Partial<Why>[]> {
  const reduced = input.reduced!;
  const nearest = new Int32Array(items.length).fill(-1);
  const least = new Float64Array(items.length).fill(Infinity);
  const vectors = takeRows(reduced, items);
  await distancesInBlocks(reduced, labelled, vectors, { products, pace }, (from, { data, rows, columns }) => {
    for (let i = 0, at = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++, at++) {
        if (data[at] >= least[j]) continue;
        least[j] = data[at];
        nearest[j] = labelled[from + i];
      }
    }
  });
  return items.map((item, j) => {
    if (nearest[j] < 0) return {};
    const { data, columns } = reduced;
    const distance = Math.sqrt(squaredDistance(data, item, data, nearest[j], columns));
    return { nearest: nearest[j], nearestDistance: distance };
  });
}

/** A strategy by one of the four uncertainties. */
export function byUncertainty(kind: Uncertainty, cites: string): Strategy {
  return highestFirst({
    name: kind,
    needs: ['probabilities'],
    cites,
    many: 'each class is a yes or no of its own, and the most uncertain one counts',
    scores: (input, pace) =>
      scoreInChunks(kind, input.candidates, pace, (chunk) =>
        uncertainty(kind, input.probabilities!, chunk, input.task),
      ),
    why: (input, item) => ({ code: 'uncertain', ...explainMargin(input, item) }),
  });
}

/** How many times the batch is shortlisted by margin before diversity decides. */
const SHORTLIST = 5;

export const marginDiverse: Strategy = {
  needs: ['probabilities', 'reduced'],
  cites: 'Scheffer, Decomain & Wrobel 2001 for the margin; Zhdanov 2019, Diverse mini-batch active learning',
  many: 'the margin of the most uncertain class',
  async select(input) {
    const pace = createPace(input.signal);
    const { task, products = plainProducts } = input;
    const scores = await scoreInChunks('margin-diverse', input.candidates, pace, (chunk) =>
      uncertainty('margin', input.probabilities!, chunk, task),
    );
    const ranking = rankingOf(scores);
    const guard = createGuard(input);
    // The shortlist obeys the rules too, so that duplicates do not crowd it.
    const shortlistGuard = createGuard({ ...input, maxPerGroup: undefined });
    const shortlist = await takeInOrder(input, ranking, SHORTLIST * input.batch, shortlistGuard, pace);
    const chosen: number[] = [];
    if (shortlist.length > input.batch) {
      const items = shortlist.map((position) => input.candidates[position]);
      const clusters = await kMeans(input.reduced!, items, input.batch, {
        rng: createRng(input.seed).derive('diverse'),
        weights: Float64Array.from(shortlist, (position) => Math.max(scores[position], 1e-6)),
        products,
        pace,
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
      chosen.push(...(await takeInOrder(input, ranking, input.batch - chosen.length, guard, pace)));
    }
    chosen.sort((a, b) => ranking.rankOf(a) - ranking.rankOf(b));
    const items = chosen.map((position) => input.candidates[position]);
    const nearest = await nearestLabelled(input, items, pace);
    return chosen.map((position, i) => {
      const index = items[i];
      return {
        index,
        score: scores[position],
        strategy: 'margin-diverse' as const,
        why: {
          code: 'uncertain-diverse' as const,
          ...explainMargin(input, index),
          closer: ranking.rankOf(position) / scores.length,
          shortlist: shortlist.length,
          ...nearest[i],
        },
      };
    });
  },
};

/**
 * Information density: entropy × similarity to the pool, Settles & Craven 2008 with β = 1.
 * The mean cosine between an item and all candidates is its product with the mean of their
 * unit vectors, O(n·d); it is moved from [−1, 1] to [0, 1], because vectors about a mean
 * have as many negative cosines as positive ones.
 */
export const density = highestFirst({
  name: 'density',
  needs: ['probabilities', 'reduced'],
  cites: 'Settles & Craven 2008, An analysis of active learning strategies for sequence labeling tasks',
  many: 'the entropy of the most uncertain class',
  async scores(input, pace) {
    const { data, columns: d } = input.reduced!;
    const mean = new Float32Array(d);
    const sum = new Float64Array(d);
    const norms = await scoreInChunks('density', input.candidates, pace, (chunk) =>
      Float64Array.from(chunk, (item) => {
        const norm = Math.sqrt(dot(data, item * d, data, item * d, d));
        // An item without direction is like nothing.
        if (norm > 0) for (let j = 0; j < d; j++) sum[j] += data[item * d + j] / norm;
        return norm;
      }),
    );
    for (let j = 0; j < d; j++) mean[j] = sum[j] / norms.length;
    return scoreInChunks('density', input.candidates, pace, (chunk, from) =>
      uncertainty('entropy', input.probabilities!, chunk, input.task).map((entropy, i) => {
        const norm = norms[from + i];
        return (entropy * (1 + (norm > 0 ? dot(data, chunk[i] * d, mean, 0, d) / norm : 0))) / 2;
      }),
    );
  },
  why: (input, item) => ({ code: 'uncertain', ...explainMargin(input, item) }),
});
