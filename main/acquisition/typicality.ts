/**
 * Typicality for the cold start (TypiClust, Hacohen et al. 2022): cluster everything into
 * as many clusters as there are labels after this batch, go to the largest clusters that
 * hold no label, and ask the item that lies densest among its neighbours there.
 * Needs no model and no labels. To stay in the seconds on 100,000 items clusters are
 * shaped on a sample (`k-means.ts`), are at most 500, and neighbours are sought among at
 * most 800 members of a cluster; `why` says when that was so.
 */
import type { Matrix } from '../domain/matrix.ts';
import type { Rng } from '../domain/rng.ts';
import { kMeans, squaredDistance } from './k-means.ts';

const MOST_CLUSTERS = 500;
const MOST_MEMBERS = 800;
/** Neighbours that make an item's typicality, as in the paper. */
const NEIGHBOURS = 20;
/** Clusters smaller than this hold outliers rather than types, as in the paper. */
const SMALLEST_CLUSTER = 5;

export interface TypicalPick {
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

/** Picks up to `batch` candidates by typicality, skipping what `allowed` refuses (it is told of each pick by `taken`). Labelled items take part in the clustering so that covered clusters are known. */
export function pickTypical(
  reduced: Matrix,
  candidates: ArrayLike<number>,
  labelled: ArrayLike<number>,
  batch: number,
  rng: Rng,
  allowed: (item: number) => boolean,
  taken: (item: number) => void,
): TypicalPick[] {
  const everything = Int32Array.from([...Array.from(candidates), ...Array.from(labelled)]);
  if (candidates.length === 0 || batch <= 0) return [];
  const k = Math.min(MOST_CLUSTERS, labelled.length + batch);
  const clusters = kMeans(reduced, everything, k, { rng: rng.derive('typicality') });

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
        const list = rankTypical(reduced, members[cluster], rng.derive(`cluster ${cluster}`));
        for (const pick of list) {
          pick.clusterSize = size;
          pick.clusterLabels = labels[cluster];
          pick.sampled ||= clusters.sampled;
        }
        ranked.set(cluster, (entry = { list, at: 0 }));
      }
      while (entry.at < entry.list.length) {
        const pick = entry.list[entry.at++];
        if (!allowed(pick.index)) continue;
        taken(pick.index);
        picks.push(pick);
        progressed = true;
        break;
      }
    }
  }
  return picks;
}

/** The members of one cluster, most typical first; ties in the order given. */
function rankTypical(reduced: Matrix, members: readonly number[], rng: Rng): TypicalPick[] {
  const sampled = members.length > MOST_MEMBERS;
  const some = sampled ? rng.sample(members.length, MOST_MEMBERS).map((i) => members[i]) : [...members];
  if (sampled) some.sort((a, b) => a - b);
  const d = reduced.columns;
  const n = some.length;
  const neighbours = Math.min(NEIGHBOURS, n - 1);
  const distances = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = i + 1; j < n; j++) {
      distances[i * n + j] = distances[j * n + i] = Math.sqrt(
        squaredDistance(reduced.data, some[i], reduced.data, some[j], d),
      );
    }
  }
  const list = some.map((index, i) => {
    const own = distances.subarray(i * n, (i + 1) * n);
    let nearest = -1;
    for (let j = 0; j < n; j++) if (j !== i && (nearest < 0 || own[j] < own[nearest])) nearest = j;
    const nearestDistance = nearest < 0 ? 0 : own[nearest];
    const sorted = own.slice().sort();
    let sum = 0;
    // The first of the sorted distances is the item's own zero.
    for (let j = 1; j <= neighbours; j++) sum += sorted[j];
    const mean = neighbours === 0 ? 0 : sum / neighbours;
    return {
      index,
      typicality: 1 / (mean + 1e-9),
      clusterSize: members.length,
      clusterLabels: 0,
      nearest: nearest < 0 ? -1 : some[nearest],
      nearestDistance,
      sampled,
    };
  });
  // A lone member has no neighbours: it is the least typical of all.
  if (neighbours === 0) for (const pick of list) pick.typicality = 0;
  return list.sort((a, b) => b.typicality - a.typicality || a.index - b.index);
}
