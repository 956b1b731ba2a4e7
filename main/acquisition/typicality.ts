/**
 * Typicality for the cold start (TypiClust, Hacohen et al. 2022): cluster everything into
 * as many clusters as there are labels after this batch, go to the largest clusters that
 * hold no label, and ask the item that lies densest among its neighbours there.
 * Needs no model and no labels. Items are compared as directions (`directions.ts`). To stay
 * in the seconds on 100,000 items clusters are shaped on a sample (`k-means.ts`), are at most
 * 500, and neighbours are sought among at most 800 members of a cluster; `why` says when
 * that was so.
 */
import { takeRows, type Matrix } from '../domain/matrix.ts';
import { createRng, type Rng } from '../domain/rng.ts';
import { createGuard, type Guard } from './batch-rules.ts';
import { directionsOf } from './directions.ts';
import { kMeans } from './k-means.ts';
import { createPace } from './pace.ts';
import { throwNotFinite } from './scores.ts';
import type { SelectionInput, Strategy } from './strategy.ts';
import { distancesInBlocks, plainProducts, type Multiplying } from './vectors.ts';

const MOST_CLUSTERS = 500;
const MOST_MEMBERS = 800;
/** Neighbours that make an item's typicality, as in the paper. */
const NEIGHBOURS = 20;
/** Clusters smaller than this hold outliers rather than types, as in the paper. */
const SMALLEST_CLUSTER = 5;

interface TypicalPick {
  index: number;
  /** Inverse of the mean distance to the nearest neighbours; higher = more typical. */
  typicality: number;
  clusterSize: number;
  /** Labels already in the cluster. */
  clusterLabels: number;
  /** The most similar item of the cluster, and its distance; −1 where the cluster has one member. */
  nearest: number;
  nearestDistance: number;
  /** Whether clusters or neighbours were found on a sample. */
  sampled: boolean;
}

export const typicality: Strategy = {
  needs: ['reduced'],
  cites: 'Hacohen, Dekel & Weinshall 2022, Active learning on a budget (TypiClust)',
  many: 'classes play no part',
  async select(input) {
    const guard = createGuard(input);
    const work = { products: input.products ?? plainProducts, pace: createPace(input.signal) };
    const picks = await pickTypical(input, input.batch, guard, work);
    if (picks.length < input.batch) {
      guard.forgetLabelled();
      picks.push(...(await pickTypical(input, input.batch - picks.length, guard, work)));
    }
    return picks.map(({ index, ...why }) => {
      if (!Number.isFinite(why.typicality)) throwNotFinite(index, 'typicality');
      return { index, score: why.typicality, strategy: 'typicality', why: { code: 'typical', ...why } };
    });
  },
};

/** Picks up to `batch` candidates by typicality. Labelled items take part in the clustering so that covered clusters are known. */
async function pickTypical(
  { candidates, labelled, seed, ...input }: SelectionInput,
  batch: number,
  guard: Guard,
  work: Multiplying,
): Promise<TypicalPick[]> {
  const reduced = await directionsOf(input.reduced!, work.pace);
  const rng = createRng(seed);
  const everything = new Int32Array(candidates.length + labelled.length);
  everything.set(candidates);
  everything.set(labelled, candidates.length);
  const k = Math.min(MOST_CLUSTERS, labelled.length + batch);
  const clusters = await kMeans(reduced, everything, k, { rng: rng.derive('typicality'), ...work });

  const members: number[][] = Array.from({ length: clusters.k }, () => []);
  const labels = new Int32Array(clusters.k);
  for (let i = 0; i < everything.length; i++) {
    if (i < candidates.length) members[clusters.assignment[i]].push(everything[i]);
    else labels[clusters.assignment[i]]++;
  }
  const order = members
    .map((list, cluster) => ({ cluster, size: list.length + labels[cluster] }))
    .filter(({ cluster }) => members[cluster].length > 0)
    .sort(
      (a, b) =>
        Number(a.size < SMALLEST_CLUSTER) - Number(b.size < SMALLEST_CLUSTER) ||
        labels[a.cluster] - labels[b.cluster] ||
        b.size - a.size ||
        a.cluster - b.cluster,
    );

  const ranked = new Map<number, { list: TypicalPick[]; at: number }>();
  const picks: TypicalPick[] = [];
  // Round after round over the clusters, so that a batch larger than the clusters still fills.
  for (let progressed = true; progressed && picks.length < batch;) {
    progressed = false;
    for (const { cluster, size } of order) {
      if (picks.length >= batch) break;
      let entry = ranked.get(cluster);
      if (!entry) {
        const list = await rankTypical(reduced, members[cluster], rng.derive(`cluster ${cluster}`), work);
        for (const pick of list) {
          pick.clusterSize = size;
          pick.clusterLabels = labels[cluster];
          pick.sampled ||= clusters.sampled;
        }
        ranked.set(cluster, (entry = { list, at: 0 }));
      }
      while (entry.at < entry.list.length) {
        const pick = entry.list[entry.at++];
        if (!guard.allowed(pick.index)) continue;
        guard.taken(pick.index);
        picks.push(pick);
        progressed = true;
        break;
      }
    }
  }
  return picks;
}

/** The members of one cluster, most typical first; ties in the order given. */
async function rankTypical(
  reduced: Matrix,
  members: readonly number[],
  rng: Rng,
  work: Multiplying,
): Promise<TypicalPick[]> {
  const sampled = members.length > MOST_MEMBERS;
  const some = sampled ? rng.sample(members.length, MOST_MEMBERS).map((i) => members[i]) : [...members];
  if (sampled) some.sort((a, b) => a - b);
  const rows = takeRows(reduced, some);
  centre(rows);
  const list: TypicalPick[] = [];
  await distancesInBlocks(rows, null, rows, work, (from, { data, rows: size, columns }) => {
    for (let i = 0; i < size; i++) {
      const own = data.subarray(i * columns, (i + 1) * columns);
      list.push(typicalityOf(some, from + i, own, members.length, sampled));
    }
  });
  return list.sort((a, b) => b.typicality - a.typicality || a.index - b.index);
}

/** How typical one of `some` is, from its squared distances to all of them. A lone member has no neighbours: it is the least typical of all. */
function typicalityOf(
  some: readonly number[],
  own: number,
  squared: Float32Array,
  clusterSize: number,
  sampled: boolean,
): TypicalPick {
  const neighbours = Math.min(NEIGHBOURS, some.length - 1);
  // The nearest so far, nearest first.
  const least = new Float64Array(neighbours).fill(Infinity);
  let nearest = -1;
  for (let j = 0; j < squared.length; j++) {
    const value = squared[j];
    if (j === own || !(value < least[neighbours - 1])) continue;
    if (value < least[0]) nearest = j;
    let at = neighbours - 1;
    for (; at > 0 && least[at - 1] > value; at--) least[at] = least[at - 1];
    least[at] = value;
  }
  let sum = 0;
  for (const value of least) sum += Math.sqrt(value);
  return {
    index: some[own],
    typicality: neighbours === 0 ? 0 : 1 / (sum / neighbours + 1e-9),
    clusterSize,
    clusterLabels: 0,
    nearest: nearest < 0 ? -1 : some[nearest],
    nearestDistance: nearest < 0 ? 0 : Math.sqrt(least[0]),
    sampled,
  };
}

/** Moves rows about their mean: distances lose less to rounding there. */
function centre({ data, rows, columns: d }: Matrix): void {
  for (let j = 0; j < d; j++) {
    let mean = 0;
    for (let i = 0; i < rows; i++) mean += data[i * d + j];
    mean /= rows;
    for (let i = 0; i < rows; i++) data[i * d + j] -= mean;
  }
}
