/**
 * Labels spread over the unlabelled pool: a sample of it is a graph in which each item is
 * tied to its nearest neighbours, and what is known about the labelled items flows along
 * the ties (label spreading, Zhou et al. 2004). With twenty labels this knows what a head
 * alone cannot, which items hang together; from about eighty on it adds nothing
 * (docs/decisions/0011). The result is only ever a soft target for the head, so a model
 * version stays one linear layer. Pure; the same pool, labels and seed give the same numbers.
 */
import { toUnitRows } from '../acquisition/index.ts';
import { matrix, takeRows, type Matrix } from '../domain/matrix.ts';
import type { Rng } from '../domain/rng.ts';
import { multiply } from './products.ts';

/** A sample of the pool as a graph. */
export interface PoolGraph {
  /** Which rows were sampled, ascending. */
  rows: number[];
  /** The directions in which the pool varies most, orthonormal columns, `[d, a]`: neighbours are sought among them. */
  axes: Matrix;
  /** The sampled items along the axes, as directions, `[m, a]`. */
  points: Matrix;
  /** The nearest items of each and how strongly it is tied to them, `[m, k]`. */
  neighbours: Int32Array;
  ties: Float64Array;
  /** The squared distance over which a tie falls to 1/e. */
  reach: number;
  /** Ties of each item. */
  neighbourCount: number;
}

const MOST_ITEMS = 1500;
/** Fewer axes lose classes, more drown them in noise: 16, 64 and 200 were each worse. */
const AXES = 32;
const NEIGHBOURS = 10;
const SUBSPACE_ROUNDS = 8;
/** How much a neighbour counts against the label that an item started with. */
const FLOW = 0.95;
const STEPS = 30;

/** The graph of a pool's centred embeddings `[n, d]`, of at most 1,500 of them. */
export async function poolGraph(centred: Matrix, rng: Rng): Promise<PoolGraph> {
  const axes = await leadingAxes(centred, rng);
  const rows = rng.sample(centred.rows, Math.min(centred.rows, MOST_ITEMS)).sort((a, b) => a - b);
  const points = toUnitRows(await multiply('a·b', takeRows(centred, rows), axes));
  const neighbourCount = Math.max(0, Math.min(NEIGHBOURS, points.rows - 1));
  const neighbours = new Int32Array(points.rows * neighbourCount);
  const ties = new Float64Array(points.rows * neighbourCount);
  let reach = 0;
  for (let i = 0; i < points.rows; i++) {
    const near = nearest(points, points, i, neighbourCount, i);
    near.forEach(({ index, distance }, k) => {
      neighbours[i * neighbourCount + k] = index;
      ties[i * neighbourCount + k] = distance;
    });
    reach += (near.at(-1)?.distance ?? 0) / points.rows;
  }
  reach = Math.max(reach, 1e-12);
  for (let at = 0; at < ties.length; at++) ties[at] = Math.exp(-ties[at] / reach);
  return { rows, axes, points, neighbours, ties, reach, neighbourCount };
}

/** An orthonormal basis of what the rows vary in most, by subspace iteration (Golub & Van Loan, 8.2): distances do not mind which basis it is. */
async function leadingAxes(centred: Matrix, rng: Rng): Promise<Matrix> {
  const d = centred.columns;
  const width = Math.min(AXES, d, Math.max(1, centred.rows));
  let basis = matrix(d, width);
  for (let i = 0; i < basis.data.length; i++) basis.data[i] = rng.normal();
  for (let round = 0; round < SUBSPACE_ROUNDS; round++) {
    basis = orthonormal(await multiply('aᵀ·b', centred, await multiply('a·b', centred, basis)));
  }
  return basis;
}

/** Gram–Schmidt, twice, in float64; columns without anything of their own become zero. */
function orthonormal({ data, rows, columns }: Matrix): Matrix {
  const kept: Float64Array[] = [];
  for (let j = 0; j < columns; j++) {
    const own = Float64Array.from({ length: rows }, (_, i) => data[i * columns + j]);
    const before = Math.sqrt(inner(own, own));
    for (let pass = 0; pass < 2; pass++) {
      for (const other of kept) {
        const along = inner(own, other);
        for (let i = 0; i < rows; i++) own[i] -= along * other[i];
      }
    }
    const norm = Math.sqrt(inner(own, own));
    const scale = norm > 1e-6 * before ? 1 / norm : 0;
    kept.push(own.map((x) => x * scale));
  }
  const result = matrix(rows, columns);
  kept.forEach((own, j) => own.forEach((x, i) => (result.data[i * columns + j] = x)));
  return result;
}

function inner(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** The `count` rows of `among` nearest to row `i` of `points`, nearest first, ties by index. */
function nearest(
  points: Matrix,
  among: Matrix,
  i: number,
  count: number,
  except = -1,
): { index: number; distance: number }[] {
  const a = points.columns;
  const found: { index: number; distance: number }[] = [];
  if (count === 0) return found;
  for (let index = 0; index < among.rows; index++) {
    if (index === except) continue;
    let distance = 0;
    for (let j = 0; j < a; j++) distance += (points.data[i * a + j] - among.data[index * a + j]) ** 2;
    if (found.length === count && distance >= found[count - 1].distance) continue;
    let place = found.length;
    while (place > 0 && found[place - 1].distance > distance) place--;
    found.splice(place, 0, { index, distance });
    if (found.length > count) found.pop();
  }
  return found;
}

/**
 * What the labelled items say about the sampled ones, for several labelled sets at once:
 * `centred` are their centred embeddings `[n, d]`, `targets` `[n, w]` any number of columns
 * (a class of one set each). Returns `[m, w]`, never negative, 0 where nothing flowed to.
 */
export async function spreadLabels(graph: PoolGraph, centred: Matrix, targets: Matrix): Promise<Float64Array> {
  const { points, neighbourCount: k } = graph;
  const m = points.rows;
  const n = centred.rows;
  const w = targets.columns;
  const own = toUnitRows(await multiply('a·b', centred, graph.axes));
  // One list of ties for sampled items (0 … m − 1) and labelled ones (m … m + n − 1).
  const neighbours = new Int32Array((m + n) * k);
  const ties = new Float64Array((m + n) * k);
  neighbours.set(graph.neighbours);
  ties.set(graph.ties);
  for (let i = 0; i < n; i++) {
    nearest(own, points, i, k).forEach(({ index, distance }, at) => {
      neighbours[(m + i) * k + at] = index;
      ties[(m + i) * k + at] = Math.exp(-distance / graph.reach);
    });
  }
  const degree = new Float64Array(m + n);
  for (let i = 0; i < m + n; i++) {
    for (let at = i * k; at < (i + 1) * k; at++) {
      degree[i] += ties[at];
      degree[neighbours[at]] += ties[at];
    }
  }
  for (let i = 0; i < m + n; i++) {
    for (let at = i * k; at < (i + 1) * k; at++) {
      if (ties[at] > 0) ties[at] *= FLOW / Math.sqrt(degree[i] * degree[neighbours[at]]);
    }
  }
  let now = new Float64Array((m + n) * w);
  let next = new Float64Array((m + n) * w);
  for (let step = 0; step < STEPS; step++) {
    next.fill(0);
    for (let i = 0; i < n * w; i++) next[m * w + i] = (1 - FLOW) * targets.data[i];
    for (let i = 0; i < m + n; i++) {
      for (let at = i * k; at < (i + 1) * k; at++) {
        const [tie, from, to] = [ties[at], i * w, neighbours[at] * w];
        for (let j = 0; j < w; j++) {
          next[from + j] += tie * now[to + j];
          next[to + j] += tie * now[from + j];
        }
      }
    }
    [now, next] = [next, now];
  }
  return now.subarray(0, m * w).slice();
}
