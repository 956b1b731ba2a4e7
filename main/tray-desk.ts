/**
 * The engine's side of the tray: what compute finds unusual is put on record after every
 * embedding and leaves the queue, but for what is about to be seen. Audit items are asked
 * all the same. A person may let items back in for good, label or exclude them as any other.
 */
import type { TrayEntryData } from './api-tray.ts';
import type { Examined, NoticeEvent, ProgressEvent } from './compute-api.ts';
import { withRetries } from './compute-process.ts';
import { assert } from './domain/errors.ts';
import type { ItemId } from './domain/item.ts';
import type { DeskParts } from './evidence-desk.ts';
import type { JobControl } from './jobs.ts';
import type { TrayRecord } from './store/index.ts';
import { itemView } from './views.ts';

/** What each measurement speaks for. */
const REASONS: Record<TrayEntryData['measure'], TrayEntryData['reason']> = {
  content: 'blank',
  colour: 'modality',
  aspect: 'modality',
  surprise: 'modality',
  sharpness: 'blurred',
  distance: 'far',
};
/** Entries at the head of the queue that stay, because somebody may be looking at them. */
const ABOUT_TO_BE_SEEN = 6;
const TRIES = 2;

export class TrayDesk {
  readonly #parts: DeskParts;
  /** What the record follows from; not known after a start. */
  #examined: string | null = null;

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  /** The most unusual first. */
  list(limit: number): { total: number; entries: TrayEntryData[] } {
    const { tray } = this.#parts.store;
    return { total: tray.total(), entries: limit === 0 ? [] : tray.list(limit).map((record) => this.#entry(record)) };
  }

  #entry({ item, reason, score, usualLow, usualHigh }: TrayRecord): TrayEntryData {
    const { items, annotations } = this.#parts.store;
    const record = items.get(item);
    assert(record !== null, 'an item in the tray', item);
    const measure = reason as TrayEntryData['measure'];
    const view = itemView(record, annotations.ofItem(item));
    return { view, reason: REASONS[measure], measure, score, usual: { low: usualLow, high: usualHigh } };
  }

  /** Waits until everything that there is has been looked at. */
  refresh(): Promise<void> {
    return this.#parts.ready();
  }

  /** Lets items back in for good; what is not in the tray is left as it is. */
  release(items: readonly ItemId[], annotator: string): { total: number } {
    const { store, changed } = this.#parts;
    const release = () => store.tray.release(items, annotator);
    store.recorded({ who: annotator, call: 'tray.release' }, release, () => ({ items }));
    changed('queue');
    return { total: store.tray.total() };
  }

  /** Looks at what was embedded since the last time, and puts on record what is unusual now. */
  async examine(control: JobControl): Promise<void> {
    const { store, compute, changed } = this.#parts;
    const result = await withRetries(
      TRIES,
      () => control.signal.aborted,
      async () => {
        let last = null as Examined | null;
        await compute.run<ProgressEvent | NoticeEvent | Examined>(
          (client, call) => client.examine({ known: this.#examined }, call),
          (event) => {
            if (event.kind === 'examined') last = event;
            else if (event.kind === 'progress') control.report(event);
          },
          control.signal,
        );
        return last;
      },
    );
    assert(result !== null, 'what was examined');
    if (!result.found) return;
    store.tray.replace(result.found.findings, result.found.encoder);
    this.#examined = result.key;
    this.#leaveQueue();
    changed('queue');
  }

  #leaveQueue(): void {
    const { queue, tray } = this.#parts.store;
    const held = tray.held();
    const open = queue.next(queue.remaining());
    const rest = open.slice(ABOUT_TO_BE_SEEN).filter(({ seq }) => !held.has(seq));
    if (rest.length < open.length - ABOUT_TO_BE_SEEN) queue.replace(rest, { keepFirst: ABOUT_TO_BE_SEEN });
  }
}
