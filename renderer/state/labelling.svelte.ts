/**
 * Labelling as the window sees it: the item in front, the ones to come, the ones just
 * done. A decision shows the next item at once; the decided one's tile says "saving…" until
 * the engine has it on disk, and comes back with the reason if that fails. Acts reach the
 * engine in the order in which they were made, also after a lost connection.
 */
import type { AnnotationData, AnnotationInputData, ItemViewData, QueueEntry } from '../../main/api.ts';
import { Trouble, type Api } from '../engine.ts';
import { m } from '../paraglide/messages.js';
import type { Desk } from './desk.svelte.ts';
import type { Preferences } from './preferences.svelte.ts';
import { Answered, mergeQueue, rootOf } from './queue-order.ts';
import { Stopwatch } from './stopwatch.ts';

export type Decision = 'label' | 'skip' | 'flag' | 'exclude';

/** One decided item in the filmstrip. */
export interface Tile {
  key: number;
  asked: QueueEntry;
  act: Decision;
  classes: string[] | null;
  saving: boolean;
}

export type Similar = Awaited<ReturnType<Api['items']['similar']>>;

const AHEAD = 12;
const KEPT_TILES = 30;
const ACT_OF = { labelled: 'label', skipped: 'skip', flagged: 'flag', excluded: 'exclude' } as const;

/** An item that is looked at again, as if it had been asked: without suggestion. */
function again(view: ItemViewData): QueueEntry {
  return {
    item: view.id,
    rank: 0,
    score: 0,
    strategy: 'again',
    modelVersion: null,
    seed: 0,
    why: { code: 'again' },
    probabilities: null,
    suggestion: null,
    blind: false,
    view,
  };
}

export class Labelling {
  coming = $state.raw<QueueEntry[]>([]);
  done = $state.raw<Tile[]>([]);
  /** Whether the engine's queue has been seen: an empty list before that means nothing. */
  loaded = $state(false);
  /** A decided item that is looked at again; null while the queue is followed. */
  lookingAt = $state.raw<Tile | null>(null);
  /** Whether probabilities of an item that measures the model were asked for. */
  revealed = $state(false);
  /** For many classes: what is ticked. */
  ticked = $state.raw<string[]>([]);
  similar = $state.raw<Similar | null>(null);
  similarAt = $state(0);
  current = $derived(this.lookingAt?.asked ?? this.coming[0] ?? null);
  visible = $derived(this.current?.probabilities != null && (!this.current.blind || this.revealed));
  #failed = $state<string | null>(null);
  /** An image of the item in front cannot be seen: its file is gone, or its pixels could not be had. */
  unseen = $derived(
    this.current !== null &&
      (this.current.item === this.#failed ||
        this.current.view.parts.some((part) => part.kind === 'image' && part.missing)),
  );
  saving = $derived(this.done.some((tile) => tile.saving));
  readonly #desk: Desk;
  readonly #preferences: Preferences;
  readonly #watch = new Stopwatch(() => performance.now());
  readonly #answered = new Answered();
  #chain: Promise<unknown> = Promise.resolve();
  #afterName: (() => void) | null = null;
  #shownItem: string | null = null;
  #sawSuggestion = false;
  #painted = false;
  #nextKey = 1;
  #dir: string | null = null;

  constructor(desk: Desk, preferences: Preferences) {
    this.#desk = desk;
    this.#preferences = preferences;
    desk.watch(['queue', 'annotations', 'items', 'versions', 'project'], () => void this.refetch());
    this.#watch.seen(document.visibilityState === 'visible');
    document.addEventListener('visibilitychange', () => this.#watch.seen(document.visibilityState === 'visible'));
  }

  async refetch(): Promise<void> {
    const status = this.#desk.status;
    if (status === null) return;
    if (this.#dir !== status.dir) this.#forget(status.dir);
    const asked = this.#answered.ask();
    const fresh = await this.#desk.try((api) => api.queue.next({ count: AHEAD }));
    if (!fresh || this.#dir !== status.dir) return;
    this.coming = mergeQueue(this.coming, fresh, (item) => this.#answered.since(item, asked));
    this.loaded = true;
    this.#shown();
    // Perhaps nothing was comparable because nothing was embedded yet.
    if (this.#shownItem !== null && this.similar?.length === 0) void this.#neighbours(this.#shownItem);
  }

  /** The stage has painted `item`: its time starts now, the first time. */
  painted(item: string): void {
    if (item !== this.#shownItem || this.#painted) return;
    this.#painted = true;
    this.#watch.restart();
  }

  /** The pixels of an image of `item` could not be had. */
  unpainted(item: string): void {
    this.#failed = item;
  }

  reveal(): void {
    if (!this.current?.blind || this.current.probabilities === null) return;
    this.revealed = !this.revealed;
    if (this.revealed) this.#sawSuggestion = true;
  }

  /** The number key of a class: decides, or ticks where an item may have many. */
  choose(name: string): void {
    if (this.current === null) return;
    if (this.#desk.status?.task === 'classify') return this.decide('label', [name]);
    this.ticked = this.ticked.includes(name) ? this.ticked.filter((other) => other !== name) : [...this.ticked, name];
  }

  /** For many classes: the ticked ones (also none) are the answer. */
  submit(): void {
    const order = this.#desk.status?.classes ?? [];
    this.decide(
      'label',
      order.filter((name) => this.ticked.includes(name)),
    );
  }

  decide(act: Decision, classes: string[] | null = null): void {
    const asked = this.current;
    if (asked === null) return;
    // What nobody could look at is not labelled; it may be skipped, flagged or excluded.
    if (act === 'label' && this.unseen) return this.#desk.report(new Trouble('item-unseen', m.unseen_hint(), ''));
    const input = this.#input(asked, act);
    if (classes !== null) input.classes = classes;
    this.withName(() => {
      const tile: Tile = { key: this.#nextKey++, asked, act, classes, saving: true };
      const again = this.lookingAt;
      this.done = [...this.done.filter((other) => other !== again), tile].slice(-KEPT_TILES);
      this.coming = this.coming.filter((entry) => entry.item !== asked.item);
      this.lookingAt = null;
      this.#answered.begin(asked.item);
      this.#desk.trouble = null;
      this.#shown();
      this.#inOrder(async () => {
        try {
          await this.#save(input);
          this.#answered.acknowledge(asked.item);
          this.#replace(tile, { ...tile, saving: false });
        } catch (error) {
          this.#answered.forget(asked.item);
          this.done = this.done.filter((other) => other.key !== tile.key);
          this.coming = [asked, ...this.coming.filter((entry) => entry.item !== asked.item)];
          this.#shown();
          this.#desk.report(error);
        }
      });
    });
  }

  /** A comment decides nothing: the item stays. */
  comment(text: string): void {
    const asked = this.current;
    if (asked === null || text.trim() === '') return;
    const input = { ...this.#input(asked, 'comment'), text: text.trim() };
    this.withName(() =>
      this.#inOrder(async () => {
        try {
          await this.#save(input);
          await this.#refresh(asked.item);
        } catch (error) {
          this.#desk.report(error);
        }
      }),
    );
  }

  undo(): void {
    this.withName(() => this.#inOrder(() => this.#travel('undo')));
  }

  redo(): void {
    this.withName(() => this.#inOrder(() => this.#travel('redo')));
  }

  /** Along the filmstrip: back into what was done, forward to the queue. */
  step(direction: 1 | -1): void {
    const at = this.lookingAt === null ? this.done.length : this.done.indexOf(this.lookingAt);
    const to = at + direction;
    if (to < 0 || to > this.done.length) return;
    this.look(this.done[to] ?? null);
  }

  look(tile: Tile | null): void {
    this.lookingAt = tile;
    this.#shown();
  }

  /** Opens any item in front of the queue, to be labelled or labelled again. */
  async open(item: string): Promise<void> {
    const view = await this.#desk.try((api) => api.items.get({ item: item as ItemViewData['id'] }));
    if (!view) return;
    const known = this.coming.find((entry) => entry.item === item);
    const isUndecided = view.state !== 'labelled';
    this.coming = [(isUndecided && known) || again(view), ...this.coming.filter((entry) => entry.item !== item)];
    this.lookingAt = null;
    this.#shown();
    this.#desk.go('label');
  }

  /** The annotator gave a name: what waited for it happens. */
  named(name: string): void {
    this.#preferences.call(name);
    const go = this.#afterName;
    this.#afterName = null;
    go?.();
  }

  unnamed(): void {
    this.#afterName = null;
  }

  /** Goes on once the annotator has a name. */
  withName(go: () => void): void {
    if (this.#preferences.annotator !== '') return go();
    this.#afterName = go;
    this.#desk.dialog = 'name';
  }

  /** Records an act on an item that is not in front, after the acts before it; rejects where it could not be saved. */
  record(input: Omit<AnnotationInputData, 'annotator'>): Promise<void> {
    const { annotator } = this.#preferences;
    return new Promise((resolve, reject) => {
      this.#inOrder(() => this.#save({ ...input, annotator }).then(resolve, reject));
    });
  }

  /** Takes back the annotator's last act, whatever it was on; the queue follows by itself. Null where that went wrong. */
  takeBack(): Promise<string | null> {
    const { annotator } = this.#preferences;
    return new Promise((resolve) => {
      this.#inOrder(async () => {
        const undone = await this.#desk.try((api) => api.annotations.undo({ annotator }));
        resolve(undone?.item ?? null);
      });
    });
  }

  #input(asked: QueueEntry, act: AnnotationInputData['act']): AnnotationInputData & { annotator: string } {
    return {
      item: asked.item,
      act,
      annotator: this.#preferences.annotator,
      durationMs: this.#watch.elapsedMs,
      suggestion: asked.suggestion,
      suggestionVisible: asked.suggestion !== null && this.#sawSuggestion,
      // What is looked at again on purpose is decided anew.
      asked: this.lookingAt === null && asked.strategy !== 'again',
    };
  }

  /** Saves, and after a lost connection first asks whether the engine had heard it. */
  async #save(input: AnnotationInputData): Promise<void> {
    const engine = this.#desk.engine;
    const whole = { ...input, annotator: this.#preferences.annotator };
    let unsure = false;
    for (;;) {
      await engine.opened();
      try {
        if (
          unsure &&
          (await engine.call((api) => api.annotations.history({ item: input.item, limit: 5 }))).some(
            (a) => a.act === input.act && a.durationMs === input.durationMs && a.annotator === whole.annotator,
          )
        )
          return;
        await engine.call((api) => api.annotations.add(whole));
        return;
      } catch (error) {
        if (Trouble.of(error).code !== 'connection-lost') throw error;
        unsure = true;
      }
    }
  }

  async #travel(direction: 'undo' | 'redo'): Promise<void> {
    const annotator = this.#preferences.annotator;
    const result = await this.#desk.try(async (api) => {
      const annotation = await api.annotations[direction]({ annotator });
      const history: AnnotationData[] = await api.annotations.history({ item: annotation.item, limit: 200 });
      return { root: rootOf(annotation, history), view: await api.items.get({ item: annotation.item }) };
    });
    if (!result) return;
    const { root, view: now } = result;
    if (root?.act === 'comment') return this.#refresh(now.id, now);
    const tile = this.done.find((other) => other.asked.item === now.id);
    // A second reading is shown as it was, without the label it repeats; where that is not known, the queue brings it.
    const isReading = root !== null && root.repeats !== null;
    if (isReading && direction === 'undo' && !tile) return;
    const view = isReading && tile ? tile.asked.view : now;
    const asked = { ...(tile?.asked ?? this.coming.find((entry) => entry.item === view.id) ?? again(view)), view };
    this.done = this.done.filter((other) => other !== tile);
    this.coming = this.coming.filter((entry) => entry.item !== view.id);
    this.lookingAt = null;
    this.#answered.forget(view.id);
    if (direction === 'undo' || now.state === 'open') this.coming = [asked, ...this.coming];
    else {
      this.done = [
        ...this.done,
        { key: this.#nextKey++, asked, act: ACT_OF[now.state], classes: root?.classes ?? now.classes, saving: false },
      ];
      this.#answered.begin(view.id);
      this.#answered.acknowledge(view.id);
    }
    this.#shown();
  }

  async #refresh(item: string, known?: ItemViewData): Promise<void> {
    const view = known ?? (await this.#desk.try((api) => api.items.get({ item: item as ItemViewData['id'] })));
    if (!view) return;
    // A comment changes nothing else: of a second reading no more is to be seen than before.
    const commented = (entry: QueueEntry) => ({ ...entry, view: { ...entry.view, comments: view.comments } });
    this.coming = this.coming.map((entry) => (entry.item === item ? commented(entry) : entry));
    for (const tile of this.done) {
      if (tile.asked.item === item) this.#replace(tile, { ...tile, asked: commented(tile.asked) });
    }
  }

  #replace(tile: Tile, by: Tile): void {
    this.done = this.done.map((other) => (other.key === tile.key ? by : other));
    if (this.lookingAt?.key === tile.key) this.lookingAt = by;
  }

  #inOrder(run: () => Promise<void>): void {
    this.#chain = this.#chain.then(run, run);
  }

  /** Another item may be in front now: its own time, its own ticks, its own neighbours. */
  #shown(): void {
    const item = this.current?.item ?? null;
    if (item === this.#shownItem) return;
    this.#shownItem = item;
    this.#painted = false;
    this.#watch.restart();
    this.revealed = false;
    this.#sawSuggestion = this.visible;
    this.ticked = this.lookingAt?.classes ?? this.current?.view.classes ?? [];
    this.similarAt = 0;
    this.similar = null;
    if (item !== null) void this.#neighbours(item);
  }

  async #neighbours(item: string): Promise<void> {
    const similar = await this.#desk.engine
      .call((api) => api.items.similar({ item: item as ItemViewData['id'], count: 3 }))
      .catch(() => []);
    if (this.#shownItem === item) this.similar = similar;
  }

  #forget(dir: string): void {
    this.#dir = dir;
    this.coming = [];
    this.done = [];
    this.lookingAt = null;
    this.loaded = false;
    this.#shown();
  }
}
