/**
 * The engine's side of labels worth a second look and of annotators' consistency. What
 * people said differently is read off the record at any moment; what a model finds unlikely
 * is found by compute after each training and kept as a report. An item leaves the list with
 * the next label that somebody gives it on purpose, be it the same.
 */
import { ACCOUNT } from './account.ts';
import type { ConsistencyData, SecondLookData } from './api-looks.ts';
import type { LooksFound } from './compute-api.ts';
import { consistencyOf } from './consistency.ts';
import type { Annotation } from './domain/annotation.ts';
import { systemClock } from './domain/clock.ts';
import type { ItemId } from './domain/item.ts';
import type { DeskParts } from './evidence-desk.ts';
import { readingSettings, type ReadingSettings } from './rereads.ts';
import type { ReadingPair } from './store/index.ts';
import { itemView, type VersionMetrics } from './views.ts';

/** A look as it is ordered, before the item is read. */
type Listed = Omit<SecondLookData, 'view'> & { item: ItemId };

const REPORT = 'looks';
/** Of two different answers by people one is wrong: until a model says more, either. */
const UNDECIDED = 0.5;

export class LooksDesk {
  readonly #parts: DeskParts;
  #listed: { key: string; looks: Listed[] } | null = null;
  #finding: Promise<void> | null = null;
  /** What was last judged by itself: what failed is not tried again. */
  #tried = '';

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  list(limit: number): { total: number; modelVersion: number | null; looks: SecondLookData[] } {
    const { store } = this.#parts;
    const listed = this.#current();
    const looks = listed.slice(0, limit).map(({ item, ...look }) => ({
      view: itemView(store.items.get(item)!, store.annotations.ofItem(item)),
      ...look,
    }));
    return { total: listed.length, modelVersion: this.#report()?.modelVersion ?? null, looks };
  }

  /** The list as it is after the latest act; asked for after every one. */
  #current(): Listed[] {
    const { store } = this.#parts;
    const key = `${store.annotations.head().sequence} ${store.reports.newest(REPORT)?.report ?? 0}`;
    if (this.#listed?.key !== key) this.#listed = { key, looks: this.#ordered() };
    return this.#listed.looks;
  }

  #ordered(): Listed[] {
    const { store, seed } = this.#parts;
    const report = this.#report();
    const looks = new Map<ItemId, Listed>();
    for (const found of report?.looks ?? []) {
      const label = store.annotations.get(found.sequence);
      if (!label || store.readings.labelOf(found.item) !== found.sequence) continue;
      const { item, reason, suggested, fused, score } = found;
      const made = { modelVersion: report!.modelVersion, seed: report!.seed };
      looks.set(item, { item, reason, readings: [said(label)], suggested, fused, score, ...made });
    }
    const disputed = Map.groupBy(store.readings.pairs().filter(differs), ({ first }) => first.item);
    for (const [item, pairs] of disputed) {
      const known = looks.get(item);
      const [{ first }] = pairs;
      looks.set(item, {
        item,
        reason: pairs.some(({ second }) => second.annotator === first.annotator)
          ? 'repeat-differs'
          : 'annotators-differ',
        readings: [said(first), ...pairs.map(({ second }) => said(second))],
        suggested: known?.suggested ?? null,
        fused: known?.fused ?? null,
        score: Math.max(UNDECIDED, known?.score ?? 0),
        modelVersion: known?.modelVersion ?? null,
        seed: known?.seed ?? seed('looks'),
      });
    }
    return [...looks.values()].sort((a, b) => b.score - a.score || (a.item < b.item ? -1 : 1));
  }

  #report(): LooksFound | null {
    return (this.#parts.store.reports.newest(REPORT)?.body ?? null) as LooksFound | null;
  }

  /** Whether labels were made, or a version went live, since the newest report. */
  isOutdated(): boolean {
    const { versions, annotations } = this.#parts.store;
    const live = versions.live();
    const report = this.#report();
    return live !== null && (report?.modelVersion !== live.version || report.sequence < annotations.head().sequence);
  }

  /** Begins to judge where a training or a promotion came after the report. Cheap where there is nothing to do. */
  catchUp(): void {
    const { versions } = this.#parts.store;
    const [live, newest, report] = [versions.live(), versions.newest(), this.#report()];
    if (!live || !newest) return;
    const { sequence } = newest.metrics as VersionMetrics;
    const key = `${live.version} ${newest.version}`;
    if (key === this.#tried || (report?.modelVersion === live.version && report.sequence >= sequence)) return;
    this.#tried = key;
    // Whoever asks for the list finds out what went wrong.
    void this.refresh().catch(() => undefined);
  }

  /** Has compute judge every label, and keeps what it found; calls while that goes on are joined. */
  refresh(): Promise<void> {
    this.#finding ??= this.#find().finally(() => (this.#finding = null));
    return this.#finding;
  }

  async #find(): Promise<void> {
    const { store, compute, changed, seed, ready } = this.#parts;
    if (!this.isOutdated()) return;
    await ready();
    const drawn = seed(`looks ${store.annotations.head().sequence}`);
    const found = await compute.call((client, call) => client.looks({ seed: drawn }, call));
    if (!found) return;
    store.reports.add({
      kind: REPORT,
      version: found.modelVersion,
      sequence: found.sequence,
      seed: drawn,
      body: found,
    });
    changed('versions');
  }

  consistency(): ConsistencyData {
    const { store } = this.#parts;
    return {
      ...consistencyOf(store.readings, store.schema.current(), systemClock()),
      readings: { ...readingSettings(store.settings), made: store.readings.pairs().length },
    };
  }

  setReadings(changes: Partial<ReadingSettings>, who = ACCOUNT): ConsistencyData {
    const { store, changed } = this.#parts;
    const readings = { ...readingSettings(store.settings), ...changes };
    store.recorded(
      { who, call: 'looks.setReadings' },
      () => store.settings.set('readings', readings),
      () => changes,
    );
    changed('project');
    return this.consistency();
  }
}

const said = ({ annotator, classes, at }: Annotation) => ({ annotator, classes: classes ?? [], at });

/** Whether the label in force was answered differently; to flag or exclude an item is another answer, to skip it is none. */
function differs({ first, second, inForce }: ReadingPair): boolean {
  if (!inForce || second.act === 'skip') return false;
  return JSON.stringify(first.classes) !== JSON.stringify(second.classes);
}
