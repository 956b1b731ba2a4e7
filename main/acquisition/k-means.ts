/**
 * k-means on typed arrays: k-means++ seeding (Arthur & Vassilvitskii 2007), then Lloyd's
 * iterations. Large pools are clustered on a random sample of at most `sampleSize` rows
 * and every row is then assigned once; the result says whether that was done. Distances are
 * matrix products in blocks, with rests between them. Same rows and seed, same clusters.
 * Rows may carry weights (Zhdanov 2019 clusters by uncertainty).
 */
import { assert } from '../domain/errors.ts';
import { matrix, takeRows, type Matrix } from '../domain/matrix.ts';
import type { Rng } from '../domain/rng.ts';
import { createPace, type Pace } from './pace.ts';
import { distancesInBlocks, gatherRows, plainProducts, type Multiplying, type Products } from './vectors.ts';

export interface Clusters {
  /** Cluster of each given row, by position. */
  assignment: Int32Array;
  /** Squared distance of each given row to its centre. */
  distance: Float64Array;
  /** `[k, d]`. */
  centres: Matrix;
  k: number;
  /** True when only a sample shaped the centres. */
  sampled: boolean;
}

export interface KMeansOptions {
  rng: Rng;
  iterations?: number;
  sampleSize?: number;
  /** One non-negative weight per given row. */
  weights?: Float64Array;
  products?: Products;
  pace?: Pace;
}

/** Clusters the rows of `m` named by `indices` into at most `k` clusters (fewer when there are fewer rows). Empty input gives no clusters. Errors: `score-not-finite`. */
export async function kMeans(
  m: Matrix,
  indices: ArrayLike<number>,
  k: number,
  options: KMeansOptions,
): Promise<Clusters> {
  const { rng, iterations = 15, sampleSize = 20_000, weights, products = plainProducts, pace = createPace() } = options;
  const n = indices.length;
  const count = Math.min(k, n);
  assert(k > 0, 'at least one cluster', k);
  const sampled = n > sampleSize;
  const chosen = sampled ? rng.sample(n, sampleSize).sort((a, b) => a - b) : Array.from({ length: n }, (_, i) => i);
  if (pace.isDue()) await pace.rest();
  const picked = chosen.map((position) => indices[position]);
  const { rows, norms } = await gatherRows(m, picked, pace);
  const weight = weights ? Float64Array.from(chosen, (position) => weights[position]) : null;
  const work: Work = { rows, norms, weight, products, pace };

  const centres = await seedCentres(work, count, rng);
  const near = nothingNear(rows.rows);
  for (let i = 0; i < iterations; i++) {
    if ((await assign(work, centres, near)) === 0) break;
    await moveCentres(work, centres, near);
  }
  if (!sampled) {
    await assign(work, centres, near);
    return { ...near, centres, k: count, sampled };
  }
  const all = nothingNear(n);
  await distancesInBlocks(m, indices, centres, work, (from, distances) => nearestOf(distances, from, all));
  return { ...all, centres, k: count, sampled };
}

interface Work extends Multiplying {
  rows: Matrix;
  norms: Float64Array;
  weight: Float64Array | null;
}

/** The nearest centre of each row, and its squared distance. */
interface Near {
  assignment: Int32Array;
  distance: Float64Array;
}

function nothingNear(n: number): Near {
  return { assignment: new Int32Array(n).fill(-1), distance: new Float64Array(n) };
}

/** k-means++, greedy: of a few drawn rows each step keeps the one that lowers the total distance most; a single draw on large inputs. */
async function seedCentres(work: Work, k: number, rng: Rng): Promise<Matrix> {
  const { rows, weight } = work;
  const n = rows.rows;
  const trials = n * k > 2_000_000 ? 1 : 2 + Math.floor(Math.log(k));
  const centres = matrix(k, rows.columns);
  let nearest = new Float64Array(n).fill(1);
  for (let c = 0; c < k; c++) {
    const drawn = Array.from({ length: c === 0 ? 1 : trials }, () => drawRow(nearest, weight, rng));
    const after = drawn.map(() => new Float64Array(n));
    const totals = new Float64Array(drawn.length);
    const use = (from: number, { data, rows: size }: Matrix) => {
      for (let i = 0, at = 0; i < size; i++) {
        for (let trial = 0; trial < drawn.length; trial++, at++) {
          const value = c === 0 ? data[at] : Math.min(nearest[from + i], data[at]);
          after[trial][from + i] = value;
          totals[trial] += value * (weight ? weight[from + i] : 1);
        }
      }
    };
    await distancesInBlocks(rows, null, takeRows(rows, drawn), work, use, work.norms);
    let best = 0;
    for (let trial = 1; trial < drawn.length; trial++) if (totals[trial] < totals[best]) best = trial;
    centres.data.set(
      rows.data.subarray(drawn[best] * rows.columns, (drawn[best] + 1) * rows.columns),
      c * rows.columns,
    );
    nearest = after[best];
  }
  return centres;
}

/** A row with a probability in proportion to its distance (and weight); any row where all are 0. */
function drawRow(distance: Float64Array, weight: Float64Array | null, rng: Rng): number {
  let total = 0;
  for (let i = 0; i < distance.length; i++) total += distance[i] * (weight ? weight[i] : 1);
  if (!(total > 0)) return rng.int(distance.length);
  let left = rng.next() * total;
  let picked = 0;
  for (; picked < distance.length - 1; picked++) {
    left -= distance[picked] * (weight ? weight[picked] : 1);
    if (left < 0) break;
  }
  return picked;
}

/** Writes the nearest centre of every row; returns how many changed. */
async function assign(work: Work, centres: Matrix, near: Near): Promise<number> {
  let changed = 0;
  const use = (from: number, distances: Matrix) => {
    changed += nearestOf(distances, from, near);
  };
  await distancesInBlocks(work.rows, null, centres, work, use, work.norms);
  return changed;
}

function nearestOf({ data, rows, columns }: Matrix, from: number, near: Near): number {
  let changed = 0;
  for (let i = 0; i < rows; i++) {
    let best = 0;
    for (let c = 1; c < columns; c++) if (data[i * columns + c] < data[i * columns + best]) best = c;
    if (near.assignment[from + i] !== best) changed++;
    near.assignment[from + i] = best;
    near.distance[from + i] = data[i * columns + best];
  }
  return changed;
}

/** Centres to the weighted mean of their rows; a centre that lost all rows takes the worst-covered row. */
async function moveCentres({ rows, weight, pace }: Work, centres: Matrix, near: Near): Promise<void> {
  const { data, columns: d } = rows;
  const { assignment, distance } = near;
  const sums = new Float64Array(centres.rows * d);
  const mass = new Float64Array(centres.rows);
  for (let i = 0; i < assignment.length; i++) {
    const w = weight ? weight[i] : 1;
    const to = assignment[i] * d;
    mass[assignment[i]] += w;
    for (let p = 0; p < d; p++) sums[to + p] += w * data[i * d + p];
    if ((i & 1023) === 1023 && pace.isDue()) await pace.rest();
  }
  for (let c = 0; c < centres.rows; c++) {
    if (mass[c] > 0) {
      for (let p = 0; p < d; p++) centres.data[c * d + p] = sums[c * d + p] / mass[c];
      continue;
    }
    let worst = 0;
    for (let i = 1; i < distance.length; i++) if (distance[i] > distance[worst]) worst = i;
    centres.data.set(data.subarray(worst * d, (worst + 1) * d), c * d);
    distance[worst] = 0;
  }
}
