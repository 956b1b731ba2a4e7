/** Small pools to select from, for the tests of this room. */
import { STRATEGIES, type Committee, type StrategyName } from '../../main/acquisition/index.ts';
import { matrix, type Matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';

export const names = Object.keys(STRATEGIES) as StrategyName[];

export const rows = (...values: number[][]): Matrix =>
  matrix(values.length, values[0].length, Float32Array.from(values.flat()));

/** Three blobs of 2-d points of sizes 60, 30 and 10, probabilities that waver, and a committee about them. */
export function pool(seed: number): { reduced: Matrix; probabilities: Matrix; committee: Committee } {
  const rng = createRng(seed);
  const reduced = matrix(100, 2);
  const probabilities = matrix(100, 3);
  for (let i = 0; i < 100; i++) {
    const blob = i < 60 ? 0 : i < 90 ? 1 : 2;
    reduced.data[2 * i] = 10 * blob + rng.normal();
    reduced.data[2 * i + 1] = rng.normal();
    const weights = [rng.next(), rng.next(), rng.next()];
    const total = weights[0] + weights[1] + weights[2];
    weights.forEach((w, j) => (probabilities.data[3 * i + j] = w / total));
  }
  return { reduced, probabilities, committee: committeeOf(probabilities, seed) };
}

/** Five members, each some way from the given probabilities to others of its own. */
export function committeeOf(probabilities: Matrix, seed: number): Committee {
  const rng = createRng(seed).derive('committee');
  const members = Array.from({ length: 5 }, () => {
    const own = matrix(probabilities.rows, probabilities.columns);
    for (let i = 0; i < own.rows; i++) {
      const certain = rng.int(own.columns);
      for (let j = 0; j < own.columns; j++) {
        const at = i * own.columns + j;
        own.data[at] = 0.7 * probabilities.data[at] + (j === certain ? 0.3 : 0);
      }
    }
    return own;
  });
  return committee(...members);
}

/** A committee of the given members. */
export function committee(...members: Matrix[]): Committee {
  const c = members[0].columns;
  return {
    members: members.length,
    classes: c,
    predict(items) {
      const p = new Float32Array(members.length * items.length * c);
      members.forEach((own, m) => {
        for (let i = 0; i < items.length; i++) {
          p.set(own.data.subarray(items[i] * c, (items[i] + 1) * c), (m * items.length + i) * c);
        }
      });
      return Promise.resolve(p);
    },
  };
}
