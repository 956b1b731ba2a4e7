/**
 * A list of items that is worked from the keyboard, one in front: a decided item leaves at
 * once and comes back with the reason where it could not be saved. Acts go the same way as
 * those of labelling, in the order in which they were made.
 */
import type { AnnotationInputData, ItemViewData } from '../../main/api.ts';
import { Trouble } from '../engine.ts';
import { m } from '../paraglide/messages.js';
import type { Desk } from './desk.svelte.ts';
import type { Labelling } from './labelling.svelte.ts';
import { Answered } from './queue-order.ts';
import { Stopwatch } from './stopwatch.ts';

type Decided = Pick<AnnotationInputData, 'act' | 'classes' | 'suggestion' | 'suggestionVisible'>;

export class Worklist<T extends { view: ItemViewData }> {
  /** Null until it was fetched. */
  list = $state.raw<T[] | null>(null);
  /** How many there are, also beyond the list. */
  total = $state(0);
  #at = $state<string | null>(null);
  current = $derived(this.list?.find((entry) => entry.view.id === this.#at) ?? this.list?.[0] ?? null);
  index = $derived(this.current === null ? -1 : (this.list?.indexOf(this.current) ?? -1));
  readonly #desk: Desk;
  readonly #labelling: Labelling;
  readonly #fetch: () => Promise<{ total: number; list: T[] } | undefined>;
  readonly #answered = new Answered();
  readonly #watch = new Stopwatch(() => performance.now());
  #timed: string | null = null;

  constructor(desk: Desk, labelling: Labelling, fetch: () => Promise<{ total: number; list: T[] } | undefined>) {
    this.#desk = desk;
    this.#labelling = labelling;
    this.#fetch = fetch;
    this.#watch.seen(document.visibilityState === 'visible');
    document.addEventListener('visibilitychange', () => this.#watch.seen(document.visibilityState === 'visible'));
  }

  async refetch(): Promise<void> {
    const { status } = this.#desk;
    if (status === null) return;
    const asked = this.#answered.ask();
    const fresh = await this.#fetch();
    if (!fresh || status.dir !== this.#desk.status?.dir) return;
    const left = fresh.list.filter(({ view }) => !this.#answered.since(view.id, asked));
    const at = this.index;
    this.list = left;
    this.total = fresh.total - (fresh.list.length - left.length);
    // Where the one in front is gone, the one after it takes its place.
    if (!left.some(({ view }) => view.id === this.#at)) this.choose(left[Math.min(Math.max(at, 0), left.length - 1)]);
  }

  choose(entry: T | undefined): void {
    this.#at = entry?.view.id ?? null;
  }

  step(by: number): void {
    const list = this.list ?? [];
    const to = Math.min(list.length - 1, Math.max(0, this.index + by));
    this.choose(list[to]);
  }

  /** The stage has painted `item`: its time starts now, the first time. */
  painted(item: string): void {
    if (item === this.#timed) return;
    this.#timed = item;
    this.#watch.restart();
  }

  /** Takes an item off the list and records the act. */
  decide(entry: T, decided: Decided): void {
    const { view } = entry;
    if (decided.act === 'label' && view.parts.some((part) => part.kind === 'image' && part.missing))
      return this.#desk.report(new Trouble('item-unseen', m.unseen_hint(), ''));
    const durationMs = this.#timed === view.id ? this.#watch.elapsedMs : 0;
    this.#labelling.withName(() => {
      const before = this.list ?? [];
      const at = before.indexOf(entry);
      this.#leave([entry]);
      this.#desk.trouble = null;
      this.#answered.begin(view.id);
      this.#labelling.record({ ...decided, item: view.id, durationMs }).then(
        () => this.#answered.acknowledge(view.id),
        (error: unknown) => {
          this.#answered.forget(view.id);
          this.list = (this.list ?? []).toSpliced(at, 0, entry);
          this.total++;
          this.choose(entry);
          this.#desk.report(error);
        },
      );
    });
  }

  /** Takes items off the list that somebody else decides about; what is not gone comes back when it is fetched again. */
  without(entries: readonly T[]): void {
    this.#leave(entries);
  }

  /** Takes back the annotator's last act, wherever it was made. */
  takeBack(): void {
    this.#labelling.withName(() => {
      void this.#labelling.takeBack().then((item) => {
        if (item === null) return;
        this.#answered.forget(item);
        this.#at = item;
        void this.refetch();
      });
    });
  }

  #leave(entries: readonly T[]): void {
    const before = this.list ?? [];
    const left = before.filter((entry) => !entries.includes(entry));
    const wasInFront = this.current !== null && entries.includes(this.current);
    const at = before.slice(0, this.index).filter((entry) => !entries.includes(entry)).length;
    if (wasInFront) this.choose(left[Math.min(at, left.length - 1)]);
    this.list = left;
    this.total -= before.length - left.length;
  }
}
