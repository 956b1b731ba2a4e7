/** A trained version on record: its training set, its run, itself, and the promotion that it has earned. */
import type { Trained } from './compute-api.ts';
import type { ProjectStore } from './store/index.ts';

/** Keeps a version and returns its number. `sequence` is the last annotation that its training set saw; `tuning` says what networks it stands on. */
export function recordVersion(
  { versions }: ProjectStore,
  trained: Omit<Trained, 'kind'>,
  on: { encoder: number; sequence: number; tuning?: unknown; notices?: unknown },
): number {
  const { card, snapshot, audit, decision, sizeBytes } = trained;
  const { encoder, sequence, tuning, notices } = on;
  versions.addSnapshot(snapshot);
  const { run } = versions.addRun({
    snapshot: card.snapshot,
    seed: card.seed,
    config: { ...card.config, ...(tuning !== undefined && { tuning }) },
    outcome: { sequence, ...(notices !== undefined && { notices }) },
  });
  const metrics = { sequence, audit, decision, sizeBytes };
  const version = versions.add({ blob: trained.sha256, encoder, run, card, metrics });
  if (decision.promote) versions.promote(version, { who: 'marginalia', reason: decision });
  return version;
}
