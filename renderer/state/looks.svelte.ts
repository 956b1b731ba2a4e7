/**
 * Second looks: labels that something speaks against, best first. Confirming is a new label
 * with the same classes, changing one with others; either takes the item off the list. For
 * many classes what is ticked is the answer, and the label in force is ticked to begin with.
 */
import type { SecondLookData } from '../../main/api-looks.ts';
import type { Desk } from './desk.svelte.ts';
import type { Labelling } from './labelling.svelte.ts';
import { Worklist } from './worklist.svelte.ts';

export const LOOK_TABS = ['looks', 'consistency', 'tray'] as const;
export type LookTab = (typeof LOOK_TABS)[number];

const MOST = 100;

export class Looks {
  /** Which tab of the view is open. */
  tab = $state<LookTab>('looks');
  readonly work: Worklist<SecondLookData>;
  /** What was ticked by hand, and for which item. */
  #ticked = $state.raw<{ item: string; classes: string[] } | null>(null);
  readonly #desk: Desk;

  constructor(desk: Desk, labelling: Labelling) {
    this.#desk = desk;
    this.work = new Worklist(desk, labelling, async () => {
      const found = await desk.try((api) => api.looks.list({ limit: MOST }));
      return found && { total: found.total, list: found.looks };
    });
    desk.watch(['versions', 'annotations', 'project'], () => {
      if (desk.view === 'looks' && this.tab === 'looks') void this.work.refetch();
    });
  }

  /** The label in force. */
  get given(): string[] {
    return this.work.current?.readings[0]?.classes ?? this.work.current?.view.classes ?? [];
  }

  get ticked(): string[] {
    const item = this.work.current?.view.id;
    return this.#ticked !== null && this.#ticked.item === item ? this.#ticked.classes : this.given;
  }

  /** The key of a class: decides, or ticks where an item may have many. */
  chooseClass(name: string): void {
    const { current } = this.work;
    if (current === null) return;
    if (this.#desk.status?.task === 'classify') return this.#answer([name]);
    const has = this.ticked.includes(name);
    const classes = has ? this.ticked.filter((other) => other !== name) : [...this.ticked, name];
    this.#ticked = { item: current.view.id, classes };
  }

  /** The label in force stands; for many classes, what is ticked. */
  confirm(): void {
    const order = this.#desk.status?.classes ?? [];
    this.#answer(order.filter((name) => this.ticked.includes(name)));
  }

  #answer(classes: string[]): void {
    const look = this.work.current;
    if (look === null) return;
    const { suggested, modelVersion } = look;
    const suggestion =
      suggested?.probability == null || modelVersion === null
        ? null
        : { modelVersion, classes: suggested.classes, probability: suggested.probability };
    this.work.decide(look, { act: 'label', classes, suggestion, suggestionVisible: suggestion !== null });
  }
}
