/**
 * Whether what came new is like what was there before, and by how much it differs: a kernel
 * two-sample test on embeddings, and a test on the classes that a model predicts. Both
 * p-values come from permutations, so they are exact for exchangeable items whatever the
 * distributions are; items of one group are not exchangeable, so a caller hands in at most
 * one of each. A p-value says that there is a difference, the distance how large it is.
 */
import { assert } from '../domain/errors.ts';
import { row, type Matrix } from '../domain/matrix.ts';
import type { Rng } from '../domain/rng.ts';

export interface EmbeddingShift {
  /** Of “both come from one distribution”; in (0, 1]. */
  pValue: number;
  /** 1 − 2·k̄(before, after) / (k̄(before) + k̄(after)), means of the kernel: 0 = the same, 1 = nothing in common. */
  distance: number;
  /** Of each row of `after`: how much closer it is to the others that are new than to what was there; higher = more typical of the difference. */
  witness: Float64Array;
}

export interface ShiftOptions {
  rng: Rng;
  /** The smallest p-value is 1 / (permutations + 1). */
  permutations?: number;
  signal?: AbortSignal;
}

const PERMUTATIONS = 499;
/** Pairs that the bandwidth is taken from. */
const BANDWIDTH_PAIRS = 20_000;
/** Rows or permutations between two looks at the signal. */
const TURN = 64;

/** Maximum mean discrepancy (unbiased, Gaussian kernel, bandwidth by the median heuristic) with a permutation test (Gretton et al. 2012, A kernel two-sample test). Both sides need two rows. Memory and time grow with the square of the rows: meant for up to a thousand on each side, about a second. */
export async function embeddingShift(before: Matrix, after: Matrix, options: ShiftOptions): Promise<EmbeddingShift> {
  const { rng, permutations = PERMUTATIONS, signal } = options;
  assert(before.columns === after.columns, `${before.columns} columns`, after.columns);
  assert(before.rows >= 2 && after.rows >= 2, 'two rows on each side', [before.rows, after.rows]);
  const n = before.rows + after.rows;
  const rowOf = (i: number) => (i < before.rows ? row(before, i) : row(after, i - before.rows));
  const spread = medianDistance(rowOf, n, rng.derive('bandwidth'));
  const kernel = new Float32Array(n * n);
  for (let i = 0; i < n; i++) {
    if (i % TURN === 0) await turn(signal);
    const own = rowOf(i);
    for (let j = 0; j < i; j++) {
      const value = Math.exp(-squaredDistance(own, rowOf(j)) / (2 * spread));
      kernel[i * n + j] = value;
      kernel[j * n + i] = value;
    }
  }
  const rowSums = Float64Array.from({ length: n }, (_, i) => sum(kernel.subarray(i * n, (i + 1) * n)));
  const total = sum(rowSums);

  // The smaller side's own sum gives the two others, so a permutation costs its size squared.
  const isAfterSmaller = after.rows <= before.rows;
  const size = Math.min(before.rows, after.rows);
  const meansOf = (side: ArrayLike<number>) => {
    let within = 0;
    let touching = 0;
    for (let a = 0; a < size; a++) {
      const start = side[a] * n;
      touching += rowSums[side[a]];
      for (let b = 0; b < a; b++) within += kernel[start + side[b]];
    }
    within *= 2;
    const across = touching - within;
    return {
      within: within / (size * (size - 1)),
      across: across / (size * (n - size)),
      others: (total - within - 2 * across) / ((n - size) * (n - size - 1)),
    };
  };
  const discrepancy = ({ within, across, others }: ReturnType<typeof meansOf>) => within + others - 2 * across;

  const first = isAfterSmaller ? before.rows : 0;
  const observed = meansOf(Int32Array.from({ length: size }, (_, i) => first + i));
  const draws = rng.derive('permutations');
  const order = Int32Array.from({ length: n }, (_, i) => i);
  let asLarge = 0;
  for (let p = 0; p < permutations; p++) {
    if (p % TURN === 0) await turn(signal);
    for (let i = 0; i < size; i++) {
      const j = i + draws.int(n - i);
      const kept = order[i];
      order[i] = order[j];
      order[j] = kept;
    }
    if (discrepancy(meansOf(order)) >= discrepancy(observed) - 1e-12) asLarge++;
  }
  const { within, across, others } = observed;
  const mean = within + others;
  return {
    pValue: (1 + asLarge) / (1 + permutations),
    distance: mean <= 0 ? 0 : Math.min(1, Math.max(0, 1 - (2 * across) / mean)),
    witness: witnessOf(kernel, before.rows, after.rows),
  };
}

/** The witness function of Gretton et al. 2012, without an item's likeness to itself. */
function witnessOf(kernel: Float32Array, before: number, after: number): Float64Array {
  const n = before + after;
  return Float64Array.from({ length: after }, (_, i) => {
    const own = kernel.subarray((before + i) * n, (before + i + 1) * n);
    return sum(own.subarray(before)) / (after - 1) - sum(own.subarray(0, before)) / before;
  });
}

function medianDistance(rowOf: (i: number) => Float32Array, n: number, rng: Rng): number {
  const distances: number[] = [];
  const pairs = Math.min(BANDWIDTH_PAIRS, (n * (n - 1)) / 2);
  for (let p = 0; p < pairs; p++) {
    const i = rng.int(n);
    const j = rng.int(n - 1);
    distances.push(squaredDistance(rowOf(i), rowOf(j < i ? j : j + 1)));
  }
  distances.sort((a, b) => a - b);
  return distances[distances.length >> 1] || 1;
}

function squaredDistance(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let j = 0; j < a.length; j++) sum += (a[j] - b[j]) * (a[j] - b[j]);
  return sum;
}

function sum(values: Float32Array | Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

async function turn(signal?: AbortSignal): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  signal?.throwIfAborted();
}

export interface PredictionShift {
  pValue: number;
  /** Total variation between the shares of the classes, in [0, 1]. */
  distance: number;
}

/** Whether a model predicts the classes (numbers from 0) in other shares than before: black-box shift detection (Lipton, Wang & Smola 2018) with the chi-square statistic and its permutation p-value. Neither side may be empty. */
export function predictionShift(
  before: ArrayLike<number>,
  after: ArrayLike<number>,
  { rng, permutations = PERMUTATIONS }: ShiftOptions,
): PredictionShift {
  assert(before.length > 0 && after.length > 0, 'predictions on both sides', [before.length, after.length]);
  const n = before.length + after.length;
  const all = Int32Array.from({ length: n }, (_, i) => (i < before.length ? before[i] : after[i - before.length]));
  const classes = all.reduce((most, value) => Math.max(most, value), 0) + 1;
  const totals = new Int32Array(classes);
  for (const value of all) totals[value]++;
  const counts = new Int32Array(classes);
  const share = after.length / n;
  // With both margins fixed, chi-square grows with the squared surplus over what is expected.
  const statistic = () => totals.reduce((sum, of, j) => sum + (of && (counts[j] - of * share) ** 2 / of), 0);
  for (let i = before.length; i < n; i++) counts[all[i]]++;
  const observed = statistic();
  const distance =
    counts.reduce((sum, own, j) => sum + Math.abs(own / after.length - (totals[j] - own) / before.length), 0) / 2;
  let asLarge = 0;
  for (let p = 0; p < permutations; p++) {
    counts.fill(0);
    for (let i = n - 1; i >= before.length; i--) {
      const j = rng.int(i + 1);
      const kept = all[i];
      all[i] = all[j];
      all[j] = kept;
      counts[all[i]]++;
    }
    if (statistic() >= observed - 1e-12) asLarge++;
  }
  return { pValue: (1 + asLarge) / (1 + permutations), distance };
}
