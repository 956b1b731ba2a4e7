/**
 * Strategies that ask what the model is unsure of: least confidence, margin, ratio and
 * entropy; the margin spread over clusters; and uncertainty weighted by how typical of the
 * pool an item is. All from one model's probabilities (`scores.ts`).
 */
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
import { dot, plainProducts, squaredDistance } from './vectors.ts';

interface Scored {
  name: StrategyName;
  needs: readonly Need[];
  cites: string;
  many: string;
  scores(input: SelectionInput, pace: Pace): Promise<Float64Array>;
  why(input: SelectionInput, item: number): Why;
}

/** A strategy that asks the items with the highest scores; each reason but chance says how many are `closer`. */
export function highestFirst({ name, needs, cites, many, scores: score, why }: Scored): Strategy {
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
      return positions.map((position) => {
        const index = input.candidates[position];
        const closer = name === 'random' ? {} : { closer: ranking.rankOf(position) / scores.length };
        return { index, score: scores[position], strategy: name, why: { ...why(input, index), ...closer } };
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

/** The labelled item nearest to another, by the reduced vectors. */
export function nearestLabelled(input: SelectionInput, item: number): Partial<Why> {
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
    return chosen.map((position) => {
      const index = input.candidates[position];
      return {
        index,
        score: scores[position],
        strategy: 'margin-diverse' as const,
        why: {
          code: 'uncertain-diverse' as const,
          ...explainMargin(input, index),
          closer: ranking.rankOf(position) / scores.length,
          shortlist: shortlist.length,
          ...nearestLabelled(input, index),
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
