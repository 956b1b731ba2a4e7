/**
 * What a choice becomes in the queue: audit items take their share of the places, and every
 * entry carries what it was chosen by. Before anything could be chosen, a random draw.
 */
import type { Chosen, Pick } from './compute-api.ts';
import { createRng } from './domain/rng.ts';
import type { ItemReader, QueueDraft } from './store/index.ts';

/** A choice as entries, in the order of asking. */
export function queueDrafts(chosen: Chosen, auditShare: number): QueueDraft[] {
  return mixAudit(chosen, auditShare, chosen.seed).map((pick) => ({
    item: pick.item,
    score: pick.score,
    strategy: pick.strategy,
    modelVersion: chosen.modelVersion,
    seed: chosen.seed,
    why: { ...pick.why, distribution: pick.probabilities },
  }));
}

/** Up to `count` open items drawn from the first `among` of the project, no two near duplicates of each other. Roles are drawn at random already, so the audit set keeps its share. */
export function drawnAtRandom(items: ItemReader, among: number, count: number, seed: number): QueueDraft[] {
  const clusters = new Set<number>();
  return createRng(seed)
    .sample(among, Math.min(among, count))
    .flatMap((before): QueueDraft[] => {
      const [record] = items.list({ after: before, limit: 1 });
      if (record?.state !== 'open' || clusters.has(record.cluster)) return [];
      clusters.add(record.cluster);
      const code = record.role === 'audit' ? 'audit' : 'random';
      return [
        { item: record.id, score: 0, strategy: code, modelVersion: null, seed, why: { code, distribution: null } },
      ];
    });
}

/** Every place in the queue is an audit item with probability `share`, as long as there are some; when the pool is used up, the audit items that are left follow. */
function mixAudit(chosen: { picks: readonly Pick[]; audit: readonly Pick[] }, share: number, seed: number): Pick[] {
  const { picks, audit } = chosen;
  if (picks.length === 0) return [...audit];
  const rng = createRng(seed).derive('audit places');
  const mixed: Pick[] = [];
  let next = 0;
  for (const pick of picks) {
    while (next < audit.length && rng.next() < share) mixed.push(audit[next++]);
    mixed.push(pick);
  }
  return mixed;
}
