/**
 * The audit trail as the Data view shows it: the newest entries, older ones on demand, where
 * it ends, and all of it into a file.
 */
import type { TrailEntryData, TrailHeadData } from '../../main/api-trail.ts';
import { Attempt } from './attempt.svelte.ts';
import type { Desk } from './desk.svelte.ts';

const PAGE = 100;

export class Trail extends Attempt {
  entries = $state.raw<TrailEntryData[]>([]);
  head = $state.raw<TrailHeadData | null>(null);
  file = $state('');
  /** What was written last. */
  saved = $state.raw<{ file: string; head: TrailHeadData } | null>(null);
  hasMore = $derived((this.entries.at(-1)?.entry ?? 1) > 1);
  readonly #desk: Desk;

  constructor(desk: Desk) {
    super();
    this.#desk = desk;
    desk.onAnother(() => {
      this.file = desk.fileFor('-audit.jsonl');
      this.saved = null;
    });
  }

  /** The newest, as many as are shown now. */
  async refetch(): Promise<void> {
    if (this.#desk.status === null) return;
    const limit = Math.min(500, Math.max(PAGE, this.entries.length));
    const found = await this.#desk.try((api) => api.trail.list({ limit }));
    if (!found) return;
    this.entries = found.entries;
    this.head = found.head;
  }

  async more(): Promise<void> {
    const before = this.entries.at(-1)?.entry;
    if (before === undefined || before === 1) return;
    const found = await this.#desk.try((api) => api.trail.list({ before, limit: PAGE }));
    // Asked twice, or read anew meanwhile: it would be there twice, or not follow.
    if (found && this.entries.at(-1)?.entry === before) this.entries = [...this.entries, ...found.entries];
  }

  async save(): Promise<void> {
    const file = this.file.trim();
    this.saved = null;
    await this.attempt(async () => {
      this.saved = await this.#desk.engine.call((api) => api.trail.export({ file }));
    });
  }
}
