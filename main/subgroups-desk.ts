/**
 * The engine's side of subgroups: the newest comparison, found again only when a version,
 * an audit label or an attribute is new, and on record with its seed.
 */
import type { SubgroupColumnData } from './api-evidence.ts';
import { choosingSettings } from './choosing-settings.ts';
import type { DeskParts } from './evidence-desk.ts';

const REPORT = 'subgroups';

interface SubgroupsBody {
  key: string;
  modelVersion: number | null;
  columns: SubgroupColumnData[];
}

export interface Subgroups {
  modelVersion: number | null;
  columns: SubgroupColumnData[];
  /** The attribute whose groups the queue evens out, if asked to. */
  balanced: string | null;
}

export async function subgroupsOf({ store, compute, ready, seed: seedOf }: DeskParts): Promise<Subgroups> {
  const { balance } = choosingSettings(store.settings);
  const balanced = balance?.by === 'attribute' ? balance.name : null;
  if (store.versions.live() === null) return { modelVersion: null, columns: [], balanced };
  await ready();
  const known = (store.reports.newest(REPORT)?.body ?? null) as SubgroupsBody | null;
  const seed = seedOf('subgroups');
  const sequence = store.annotations.head().sequence;
  const { key, found } = await compute.call((client, call) =>
    client.subgroups({ seed, known: known?.key ?? null }, call),
  );
  if (found) {
    store.reports.add({ kind: REPORT, version: found.modelVersion, sequence, seed, body: { key, ...found } });
    return { ...found, balanced };
  }
  return { modelVersion: known?.modelVersion ?? null, columns: known?.columns ?? [], balanced };
}
