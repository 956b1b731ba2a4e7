/**
 * Contrastive active learning (CAL, Margatina et al. 2021): ask the items that lie among
 * labelled ones but are predicted unlike them. The score is the mean divergence
 * KL(p_neighbour ‖ p_item), in nats, over the nearest labelled items.
 */
import type { Matrix } from '../domain/matrix.ts';
import { takeRows } from '../domain/matrix.ts';
import type { Task } from '../domain/schema.ts';
import { scoreInChunks } from './strategy.ts';
import { explainMargin, highestFirst, nearestLabelled } from './uncertain.ts';
import { distancesInBlocks, plainProducts } from './vectors.ts';

/** Labelled neighbours, as in the paper. */
const NEIGHBOURS = 10;
/** float32 tells probabilities near 1 apart to about this; without a floor one underflow would be an endless divergence. */
const FLOOR = 1e-7;

/** KL(p ‖ q) of two rows; independent classes add their own. */
export function divergence(p: Float32Array, i: number, q: Float32Array, j: number, c: number, task?: Task): number {
  const part = (a: number, b: number) => (a === 0 ? b * 0 : a * Math.log(a / Math.max(b, FLOOR)));
  let sum = 0;
  for (let k = 0; k < c; k++) {
    sum += part(p[i + k], q[j + k]);
    if (task === 'classify-many') sum += part(1 - p[i + k], 1 - q[j + k]);
  }
  return sum;
}

export const contrastive = highestFirst({
  name: 'contrastive',
  needs: ['probabilities', 'reduced', 'labelled'],
  cites: 'Margatina et al. 2021, Active learning by acquiring contrastive examples (CAL)',
  many: 'the divergences of the classes are added',
  async scores(input, pace) {
    const { candidates, labelled, task, products = plainProducts } = input;
    const { data: p, columns: c } = input.probabilities!;
    const k = Math.min(NEIGHBOURS, labelled.length);
    const neighbours = new Int32Array(candidates.length * k);
    const vectors = takeRows(input.reduced!, labelled);
    await distancesInBlocks(input.reduced!, candidates, vectors, { products, pace }, (from, distances) =>
      nearestOfRows(distances, k, neighbours.subarray(from * k)),
    );
    return scoreInChunks('contrastive', candidates, pace, (chunk, from) =>
      Float64Array.from(chunk, (item, i) => {
        let sum = 0;
        for (let at = (from + i) * k; at < (from + i + 1) * k; at++) {
          sum += divergence(p, labelled[neighbours[at]] * c, p, item * c, c, task);
        }
        return sum / k;
      }),
    );
  },
  why: (input, item) => ({ code: 'contrastive', ...explainMargin(input, item) }),
  more: nearestLabelled,
});

/** The columns of the `k` least values of each row, into `into`; ties go to the first. */
function nearestOfRows({ data, rows, columns }: Matrix, k: number, into: Int32Array): void {
  const least = new Float64Array(k);
  for (let i = 0; i < rows; i++) {
    least.fill(Infinity);
    const own = into.subarray(i * k, (i + 1) * k);
    for (let j = 0; j < columns; j++) {
      const value = data[i * columns + j];
      if (!(value < least[k - 1])) continue;
      let at = k - 1;
      for (; at > 0 && least[at - 1] > value; at--) {
        least[at] = least[at - 1];
        own[at] = own[at - 1];
      }
      least[at] = value;
      own[at] = j;
    }
  }
}
