/**
 * k-center greedy (core-set, Sener & Savarese 2018): always the item farthest from
 * everything labelled or picked so far, so that the batch covers the pool. An item's
 * distance to what is chosen can only fall, so only items that might be the farthest are
 * compared with what was chosen since (`lazy-greedy.ts`): the same picks, mostly without
 * looking at the bulk of the pool again. Where nothing is labelled it begins with the item
 * nearest to the mean. The score is the distance.
 */
import { createGuard } from './batch-rules.ts';
import { lazyGreedy } from './lazy-greedy.ts';
import { createPace } from './pace.ts';
import { scoreInChunks, type Strategy } from './strategy.ts';
import { nearestLabelled } from './uncertain.ts';
import { meanOf, squaredDistance } from './vectors.ts';

export const kCenter: Strategy = {
  needs: ['reduced'],
  cites: 'Sener & Savarese 2018, Active learning for convolutional neural networks: a core-set approach',
  many: 'classes play no part',
  async select(input) {
    const pace = createPace(input.signal);
    const { candidates, labelled } = input;
    const { data, columns: d } = input.reduced!;
    const guard = createGuard(input);
    const chosen = Array.from(labelled);
    const distancesTo = (vectors: Float32Array, row: number) =>
      scoreInChunks('k-center', candidates, pace, (chunk) =>
        Float64Array.from(chunk, (item) => squaredDistance(data, item, vectors, row, d)),
      );

    const first: { position: number; score: number }[] = [];
    let bounds: Float64Array;
    if (chosen.length === 0) {
      const fromMean = await distancesTo((await meanOf(input.reduced!, candidates, pace)).data, 0);
      let middle = -1;
      for (let i = 0; i < candidates.length; i++) {
        if ((middle < 0 || fromMean[i] < fromMean[middle]) && guard.allowed(candidates[i])) middle = i;
      }
      if (middle < 0) return [];
      guard.taken(candidates[middle]);
      chosen.push(candidates[middle]);
      bounds = await distancesTo(data, candidates[middle]);
      // Nothing was chosen before it: its distance counts as the largest there is.
      first.push({ position: middle, score: Math.sqrt(bounds.reduce((a, b) => Math.max(a, b), 0)) });
    } else {
      bounds = await distancesTo(data, chosen[0]);
    }
    const compared = new Int32Array(candidates.length).fill(1);
    // By number of the nearest chosen item: the chosen item that was last found nearer than it. Neighbours share it.
    const centre = new Int32Array(candidates.length);
    const nearer: number[] = [];
    const compare = (position: number, to: number) => {
      const distance = squaredDistance(data, candidates[position], data, chosen[to], d);
      if (distance >= bounds[position]) return;
      bounds[position] = distance;
      nearer[centre[position]] = to;
      centre[position] = to;
    };
    const scores: number[] = [];
    const taken = await lazyGreedy(
      {
        candidates,
        bounds,
        refine(position, enough) {
          // First what a neighbour found nearer: often that is enough.
          for (let next = nearer[centre[position]]; next >= compared[position]; next = nearer[next]) {
            compare(position, next);
            if (bounds[position] < enough) return false;
            if (centre[position] !== next) break;
          }
          while (compared[position] < chosen.length && bounds[position] >= enough) {
            compare(position, compared[position]++);
          }
          return compared[position] === chosen.length;
        },
        take(position) {
          scores.push(Math.sqrt(bounds[position]));
          chosen.push(candidates[position]);
        },
      },
      input.batch - first.length,
      guard,
      pace,
    );
    const picks = [...first, ...taken.map((position, i) => ({ position, score: scores[i] }))];
    const items = picks.map(({ position }) => candidates[position]);
    const nearest = await nearestLabelled(input, items, pace);
    return picks.map(({ score }, i) => ({
      index: items[i],
      score,
      strategy: 'k-center' as const,
      why: { code: 'far' as const, ...nearest[i] },
    }));
  },
};
