/**
 * Why the item in front is asked, in full: opened and closed by a key, and then fetched for
 * each item that comes to the front. Nothing is asked about an item that measures the model
 * before it has its label.
 */
import type { WhyDetailsData } from '../../main/api-choosing.ts';
import { Trouble } from '../engine.ts';
import type { Desk } from './desk.svelte.ts';
import type { Explaining } from './explaining.svelte.ts';
import type { Labelling } from './labelling.svelte.ts';

export class Why {
  open = $state(false);
  data = $state.raw<WhyDetailsData | null>(null);
  trouble = $state.raw<Trouble | null>(null);
  readonly #desk: Desk;
  readonly #labelling: Labelling;
  readonly #explaining: Explaining;
  #asking: AbortController | null = null;

  constructor(desk: Desk, labelling: Labelling, explaining: Explaining) {
    this.#desk = desk;
    this.#labelling = labelling;
    this.#explaining = explaining;
  }

  get blind(): boolean {
    return this.#explaining.blind;
  }

  /** The item that is asked about now; null: none. An item that has its label by now is asked about again. */
  get question(): { item: string; labelled: boolean } | null {
    const { current, lookingAt } = this.#labelling;
    if (!this.open || current === null || this.blind) return null;
    return { item: current.item, labelled: lookingAt?.act === 'label' };
  }

  /** The answer for the item in front, once it is there. */
  get shown(): WhyDetailsData | null {
    return this.data !== null && this.data.item === this.question?.item ? this.data : null;
  }

  toggle(): void {
    this.open = !this.open;
  }

  close(): void {
    this.open = false;
  }

  async fetch(item: string): Promise<void> {
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    this.trouble = null;
    try {
      const data = await this.#desk.engine.call((api) =>
        api.choosing.why({ item: item as WhyDetailsData['item'] }, { signal: asking.signal }),
      );
      if (!asking.signal.aborted) this.data = data;
    } catch (error) {
      if (!asking.signal.aborted) this.trouble = Trouble.of(error);
    }
  }

  /** What is being fetched is not wanted any more. */
  stop(): void {
    this.#asking?.abort();
    this.#asking = null;
  }
}
