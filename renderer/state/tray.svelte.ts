/**
 * The tray: items that are not asked for now because something about them is unusual. They
 * are let back in, excluded, or labelled; several at once where they are selected.
 */
import type { TrayEntryData } from '../../main/api-tray.ts';
import type { Desk } from './desk.svelte.ts';
import type { Labelling } from './labelling.svelte.ts';
import type { Preferences } from './preferences.svelte.ts';
import { Worklist } from './worklist.svelte.ts';

const MOST = 200;

export class Tray {
  readonly work: Worklist<TrayEntryData>;
  /** Selected items. */
  selected = $state.raw<ReadonlySet<string>>(new Set());
  /** Tiles in a row, as the grid was drawn: what the arrows up and down step by. */
  columns = $state(1);
  /** What `release` and `exclude` act on: what is selected, else the one in front. */
  chosen = $derived.by(() => {
    const selected = (this.work.list ?? []).filter(({ view }) => this.selected.has(view.id));
    if (selected.length > 0) return selected;
    return this.work.current === null ? [] : [this.work.current];
  });
  readonly #desk: Desk;
  readonly #labelling: Labelling;
  readonly #preferences: Preferences;

  constructor(desk: Desk, labelling: Labelling, preferences: Preferences) {
    this.#desk = desk;
    this.#labelling = labelling;
    this.#preferences = preferences;
    this.work = new Worklist(desk, labelling, async () => {
      const found = await desk.try((api) => api.tray.list({ limit: MOST }));
      return found && { total: found.total, list: found.entries };
    });
    desk.watch(['items', 'annotations', 'queue', 'project'], () => {
      if (desk.view === 'looks') void this.work.refetch();
    });
  }

  select(item = this.work.current?.view.id): void {
    if (item === undefined) return;
    const selected = new Set(this.selected);
    if (!selected.delete(item)) selected.add(item);
    this.selected = selected;
  }

  /** Back among the items that are asked for, for good. */
  release(): void {
    const entries = this.chosen;
    if (entries.length === 0) return;
    this.#labelling.withName(() => {
      this.work.without(entries);
      this.selected = new Set();
      const items = entries.map(({ view }) => view.id);
      const { annotator } = this.#preferences;
      void this.#desk.try((api) => api.tray.release({ items, annotator })).then(() => this.work.refetch());
    });
  }

  exclude(): void {
    for (const entry of this.chosen) this.work.decide(entry, { act: 'exclude' });
    this.selected = new Set();
  }

  /** The one in front gets this class. */
  chooseClass(name: string): void {
    const { current } = this.work;
    if (current === null) return;
    // Where an item may have many classes, one key is no answer.
    if (this.#desk.status?.task !== 'classify') return this.label();
    this.work.decide(current, { act: 'label', classes: [name] });
  }

  /** To the Label view with it. */
  label(): void {
    const { current } = this.work;
    if (current !== null) void this.#labelling.open(current.view.id);
  }
}
