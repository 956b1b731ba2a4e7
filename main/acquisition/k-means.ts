/**
 * k-means on typed arrays: k-means++ seeding (Arthur & Vassilvitskii 2007), then Lloyd's
 * iterations. Large pools are clustered on a random sample of at most `sampleSize` rows
 * and every row is then assigned once, so 100,000 × 64 into 200 clusters stays in the
 * seconds; the result says whether that was done. Same rows and seed, same clusters.
 * Rows may carry weights (Zhdanov 2019 clusters by uncertainty).
 */
import { assert } from '../domain/errors.ts';
import type { Matrix } from '../domain/matrix.ts';
import type { Rng } from '../domain/rng.ts';

export interface Clusters {
  /** Cluster of each given row, by position. */
  assignment: Int32Array;
  /** Squared distance of each given row to its centre. */
  distance: Float64Array;
  /** `[k, d]`. */
  centres: Float32Array;
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
}

/** Clusters the rows of `m` named by `indices` into at most `k` clusters (fewer when there are fewer rows). Empty input gives no clusters. */
export function kMeans(m: Matrix, indices: ArrayLike<number>, k: number, options: KMeansOptions): Clusters {
  const { rng, iterations = 15, sampleSize = 20_000, weights } = options;
  const n = indices.length;
  const d = m.columns;
  const count = Math.min(k, n);
  assert(k > 0, 'at least one cluster', k);
  const sampled = n > sampleSize;
  const chosen = sampled ? rng.sample(n, sampleSize).sort((a, b) => a - b) : Array.from({ length: n }, (_, i) => i);
  const rows = new Float32Array(chosen.length * d);
  chosen.forEach((position, i) => rows.set(m.data.subarray(indices[position] * d, (indices[position] + 1) * d), i * d));
  const weight = weights ? Float64Array.from(chosen, (position) => weights[position]) : null;

  const centres = seedCentres(rows, d, count, weight, rng);
  const assignment = new Int32Array(chosen.length).fill(-1);
  const distance = new Float64Array(chosen.length);
  for (let i = 0; i < iterations; i++) {
    if (assign(rows, d, centres, assignment, distance) === 0) break;
    moveCentres(rows, d, centres, assignment, distance, weight);
  }
  if (!sampled) {
    assign(rows, d, centres, assignment, distance);
    return { assignment, distance, centres, k: count, sampled };
  }
  const all = new Int32Array(n).fill(-1);
  const far = new Float64Array(n);
  const block = new Float32Array(1024 * d);
  for (let start = 0; start < n; start += 1024) {
    const end = Math.min(n, start + 1024);
    for (let i = start; i < end; i++) {
      block.set(m.data.subarray(indices[i] * d, (indices[i] + 1) * d), (i - start) * d);
    }
    const size = end - start;
    assign(block.subarray(0, size * d), d, centres, all.subarray(start, end), far.subarray(start, end));
  }
  return { assignment: all, distance: far, centres, k: count, sampled };
}

function squaredNorms(rows: Float32Array, d: number): Float64Array {
  const norms = new Float64Array(rows.length / d);
  for (let i = 0; i < norms.length; i++) {
    let sum = 0;
    for (let j = i * d; j < (i + 1) * d; j++) sum += rows[j] * rows[j];
    norms[i] = sum;
  }
  return norms;
}

/** The dot product of two rows, four sums at a time so that the engine can overlap them. */
function dot(a: Float32Array, i: number, b: Float32Array, j: number, d: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let p = 0;
  for (; p + 3 < d; p += 4) {
    s0 += a[i + p] * b[j + p];
    s1 += a[i + p + 1] * b[j + p + 1];
    s2 += a[i + p + 2] * b[j + p + 2];
    s3 += a[i + p + 3] * b[j + p + 3];
  }
  for (; p < d; p++) s0 += a[i + p] * b[j + p];
  return s0 + s1 + (s2 + s3);
}

/** Squared Euclidean distance between row `i` of `a` and row `j` of `b`, each `d` wide. */
export function squaredDistance(a: Float32Array, i: number, b: Float32Array, j: number, d: number): number {
  let sum = 0;
  let sum2 = 0;
  const x = i * d;
  const y = j * d;
  let p = 0;
  for (; p + 1 < d; p += 2) {
    const first = a[x + p] - b[y + p];
    const second = a[x + p + 1] - b[y + p + 1];
    sum += first * first;
    sum2 += second * second;
  }
  if (p < d) {
    const rest = a[x + p] - b[y + p];
    sum += rest * rest;
  }
  return sum + sum2;
}

/** k-means++, greedy: of a few drawn rows each step keeps the one that lowers the total distance most; a single draw on large inputs. */
function seedCentres(rows: Float32Array, d: number, k: number, weight: Float64Array | null, rng: Rng): Float32Array {
  const n = rows.length / d;
  const trials = n * k > 2_000_000 ? 1 : 2 + Math.floor(Math.log(k));
  const centres = new Float32Array(k * d);
  let nearest = new Float64Array(n).fill(1);
  for (let c = 0; c < k; c++) {
    let total = 0;
    for (let i = 0; i < n; i++) total += nearest[i] * (weight ? weight[i] : 1);
    let best: { row: number; nearest: Float64Array<ArrayBuffer>; total: number } | null = null;
    for (let trial = 0; trial < (c === 0 ? 1 : trials); trial++) {
      let picked = rng.int(n);
      if (total > 0) {
        let left = rng.next() * total;
        for (picked = 0; picked < n - 1; picked++) {
          left -= nearest[picked] * (weight ? weight[picked] : 1);
          if (left < 0) break;
        }
      }
      const after = new Float64Array(n);
      let sum = 0;
      for (let i = 0; i < n; i++) {
        const distance = squaredDistance(rows, i, rows, picked, d);
        after[i] = c === 0 ? distance : Math.min(nearest[i], distance);
        sum += after[i] * (weight ? weight[i] : 1);
      }
      if (best === null || sum < best.total) best = { row: picked, nearest: after, total: sum };
    }
    centres.set(rows.subarray(best!.row * d, (best!.row + 1) * d), c * d);
    nearest = best!.nearest;
  }
  return centres;
}

/** Writes the nearest centre of every row; returns how many changed. */
function assign(
  rows: Float32Array,
  d: number,
  centres: Float32Array,
  assignment: Int32Array,
  distance: Float64Array,
): number {
  const rowNorms = squaredNorms(rows, d);
  const norms = squaredNorms(centres, d);
  let changed = 0;
  for (let i = 0; i < rowNorms.length; i++) {
    let best = 0;
    let least = Infinity;
    for (let c = 0; c < norms.length; c++) {
      const value = norms[c] - 2 * dot(rows, i * d, centres, c * d, d);
      if (value < least) {
        least = value;
        best = c;
      }
    }
    if (assignment[i] !== best) changed++;
    assignment[i] = best;
    distance[i] = Math.max(0, least + rowNorms[i]);
  }
  return changed;
}

/** Centres to the weighted mean of their rows; a centre that lost all rows takes the worst-covered row. */
function moveCentres(
  rows: Float32Array,
  d: number,
  centres: Float32Array,
  assignment: Int32Array,
  distance: Float64Array,
  weight: Float64Array | null,
): void {
  const k = centres.length / d;
  const sums = new Float64Array(k * d);
  const mass = new Float64Array(k);
  for (let i = 0; i < assignment.length; i++) {
    const w = weight ? weight[i] : 1;
    const c = assignment[i];
    mass[c] += w;
    for (let p = 0; p < d; p++) sums[c * d + p] += w * rows[i * d + p];
  }
  for (let c = 0; c < k; c++) {
    if (mass[c] > 0) {
      for (let p = 0; p < d; p++) centres[c * d + p] = sums[c * d + p] / mass[c];
      continue;
    }
    let worst = 0;
    for (let i = 1; i < distance.length; i++) if (distance[i] > distance[worst]) worst = i;
    centres.set(rows.subarray(worst * d, (worst + 1) * d), c * d);
    distance[worst] = 0;
  }
}
