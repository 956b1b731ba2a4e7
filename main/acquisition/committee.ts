/**
 * Strategies by a committee: several heads, each fitted to the labels with other weights
 * (a bootstrap). Where they disagree a label would teach something; where all are equally
 * unsure it would not. Probabilities `[m, n, c]` come a few thousand items at a time.
 */
import type { Pace } from './pace.ts';
import { timesLog } from './scores.ts';
import { scoreInChunks, type SelectionInput, type Strategy, type StrategyName } from './strategy.ts';
import { explainMargin, highestFirst } from './uncertain.ts';

/** Members, items and classes of `p`, `[m, n, c]`. */
interface Shape {
  m: number;
  n: number;
  c: number;
}

type Disagreement = (p: Float32Array, item: number, shape: Shape) => number;

function binaryEntropy(p: number): number {
  return -(timesLog(p) + timesLog(1 - p));
}

/** Mutual information between label and model: H(mean of p) − mean of H(p), in nats. Houlsby et al. 2011. */
const mutualInformation: Disagreement = (p, item, { m, n, c }) => {
  let information = 0;
  for (let j = 0; j < c; j++) {
    let mean = 0;
    for (let member = 0; member < m; member++) {
      const value = p[(member * n + item) * c + j];
      mean += value / m;
      information += timesLog(value) / m;
    }
    information -= timesLog(mean);
  }
  return information;
};

/** The same for one class that is there or not. */
function binaryInformation(p: Float32Array, at: number, { m, n, c }: Shape): number {
  let mean = 0;
  let own = 0;
  for (let member = 0; member < m; member++) {
    const value = p[member * n * c + at];
    mean += value / m;
    own += binaryEntropy(value) / m;
  }
  return binaryEntropy(mean) - own;
}

const mostInformativeClass: Disagreement = (p, item, shape) => {
  let most = -Infinity;
  for (let j = 0; j < shape.c; j++) most = Math.max(most, binaryInformation(p, item * shape.c + j, shape));
  return most;
};

/** Entropy of the members' votes, over log min(m, c). A tie goes to the first class. Dagan & Engelson 1995. */
const votes: Disagreement = (p, item, { m, n, c }) => {
  const count = new Uint16Array(c);
  let sum = 0;
  for (let member = 0; member < m; member++) {
    const from = (member * n + item) * c;
    let best = 0;
    for (let j = 0; j < c; j++) {
      sum += p[from + j];
      if (p[from + j] > p[from + best]) best = j;
    }
    count[best]++;
  }
  if (!Number.isFinite(sum)) return NaN;
  let entropy = 0;
  for (const each of count) entropy -= timesLog(each / m);
  return entropy / Math.log(Math.max(2, Math.min(m, c)));
};

/** Votes of yes and no for each class; the most divided class counts. */
const mostDividedClass: Disagreement = (p, item, { m, n, c }) => {
  let most = 0;
  for (let j = 0; j < c; j++) {
    let yes = 0;
    let sum = 0;
    for (let member = 0; member < m; member++) {
      const value = p[(member * n + item) * c + j];
      sum += value;
      if (value > 0.5) yes++;
    }
    if (!Number.isFinite(sum)) return NaN;
    most = Math.max(most, binaryEntropy(yes / m) / Math.LN2);
  }
  return most;
};

function disagreement(
  name: StrategyName,
  { committee, candidates }: SelectionInput,
  pace: Pace,
  measure: Disagreement,
): Promise<Float64Array> {
  const { members: m, classes: c, predict } = committee!;
  return scoreInChunks(name, candidates, pace, async (chunk) => {
    const p = await predict(chunk);
    const shape = { m, n: chunk.length, c };
    return Float64Array.from(chunk, (_, i) => measure(p, i, shape));
  });
}

/** The mutual information of every candidate; for many classes that of the class where it is largest. */
export function information(name: StrategyName, input: SelectionInput, pace: Pace): Promise<Float64Array> {
  const measure = input.task === 'classify-many' ? mostInformativeClass : mutualInformation;
  return disagreement(name, input, pace, measure);
}

/** The class of an item on which the members share the most information. */
export function mostInformative(p: Float32Array, item: number, shape: Shape): number {
  let best = 0;
  let most = -Infinity;
  for (let j = 0; j < shape.c; j++) {
    const value = binaryInformation(p, item * shape.c + j, shape);
    if (value > most) {
      most = value;
      best = j;
    }
  }
  return best;
}

export const bald: Strategy = highestFirst({
  name: 'bald',
  needs: ['committee'],
  cites: 'Houlsby et al. 2011, Bayesian active learning for classification and preference learning (BALD)',
  many: 'each class is a yes or no of its own, and the one with the most mutual information counts',
  scores: (input, pace) => information('bald', input, pace),
  why: whyDisagree,
});

export const voteEntropy: Strategy = highestFirst({
  name: 'vote-entropy',
  needs: ['committee'],
  cites: 'Dagan & Engelson 1995, Committee-based sampling for training probabilistic classifiers',
  many: 'yes and no votes for each class, and the most divided class counts',
  scores: (input, pace) =>
    disagreement('vote-entropy', input, pace, input.task === 'classify-many' ? mostDividedClass : votes),
  why: whyDisagree,
});

/** The classes that compete under the whole model, where it is there. */
export function whyDisagree(input: SelectionInput, item: number) {
  return {
    code: 'committee-disagrees' as const,
    members: input.committee!.members,
    ...(input.probabilities && explainMargin(input, item)),
  };
}
