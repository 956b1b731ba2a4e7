/**
 * The project's items as a long list that is fetched page by page while it is scrolled,
 * with a filter by state and a search; the chosen item's history; import problems; encoders.
 */
import type { AnnotationData, ItemViewData } from '../../main/api.ts';
import type { Api } from '../engine.ts';
import type { Desk } from './desk.svelte.ts';

export type Problems = Awaited<ReturnType<Api['imports']['problems']>>;
export type Encoders = Awaited<ReturnType<Api['encoders']['list']>>;
export type StateFilter = ItemViewData['state'] | 'all';
export const TABS = ['items', 'import', 'problems', 'encoders', 'record', 'safekeeping'] as const;
export type Tab = (typeof TABS)[number];

const PAGE = 100;

export class Items {
  tab = $state<Tab>('items');
  list = $state.raw<ItemViewData[]>([]);
  loading = $state(false);
  filter = $state<StateFilter>('all');
  search = $state('');
  /** The row that was gone to; what it is follows. */
  chosen = $state<ItemViewData['id'] | null>(null);
  /** The chosen item as it was read last, with its history. */
  selected = $state.raw<ItemViewData | null>(null);
  history = $state.raw<AnnotationData[]>([]);
  problems = $state.raw<Problems>([]);
  encoders = $state.raw<Encoders>([]);
  #next: number | null = 0;
  #asked = 0;
  #typing: ReturnType<typeof setTimeout> | undefined;
  readonly #desk: Desk;

  constructor(desk: Desk) {
    this.#desk = desk;
    desk.onAnother(() => {
      this.chosen = null;
      this.selected = null;
    });
    desk.watch(['items', 'annotations', 'project'], () => {
      if (desk.view === 'data') void this.refetch();
    });
  }

  /** As many rows as are held now, in one or more pages; the scroll position stays. */
  async refetch(): Promise<void> {
    if (this.#desk.status === null) return;
    await this.#read(0, Math.min(500, Math.max(PAGE, this.list.length)));
    const [problems, encoders] = await Promise.all([
      this.#desk.try((api) => api.imports.problems()),
      this.#desk.try((api) => api.encoders.list()),
    ]);
    if (problems) this.problems = problems;
    if (encoders) this.encoders = encoders;
    if (this.chosen) await this.select(this.chosen);
  }

  /** The end of the list came into sight. */
  async more(): Promise<void> {
    if (this.loading || this.#next === null || this.#next === 0) return;
    await this.#read(this.#next, PAGE);
  }

  async show(filter: StateFilter): Promise<void> {
    this.filter = filter;
    await this.#read(0, PAGE);
  }

  find(search: string): void {
    this.search = search;
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => void this.#read(0, PAGE), 150);
  }

  /** Goes to a row at once; what was read of it is dropped when another has been chosen meanwhile. */
  async select(item: ItemViewData['id']): Promise<void> {
    this.chosen = item;
    const [view, history] = await Promise.all([
      this.#desk.try((api) => api.items.get({ item })),
      this.#desk.try((api) => api.annotations.history({ item, limit: 100 })),
    ]);
    if (this.chosen !== item) return;
    if (view) this.selected = view;
    if (history) this.history = history;
  }

  async #read(after: number, limit: number): Promise<void> {
    const asked = ++this.#asked;
    this.loading = true;
    const state = this.filter === 'all' ? undefined : this.filter;
    const search = this.search.trim() === '' ? undefined : this.search.trim();
    const found: ItemViewData[] = [];
    // A search goes through a large project piece by piece; what it found last is shown meanwhile.
    for (let from: number | null = after; from !== null && found.length < limit;) {
      const page = await this.#desk.try((api) =>
        api.items.list({ state, search, after: from ?? 0, limit: limit - found.length }),
      );
      if (asked !== this.#asked) return;
      if (!page) {
        this.loading = false;
        return;
      }
      found.push(...page.items);
      from = this.#next = page.next;
    }
    this.loading = false;
    this.list = after === 0 ? found : [...this.list, ...found];
  }
}
