/**
 * What speaks for a class in the item in front. Switched on by a key; then fetched for each
 * item that comes to the front, and given up when the next one does. An item that measures
 * the model is not explained before it has its label.
 */
import type { ExplanationData } from '../../main/api.ts';
import { Trouble } from '../engine.ts';
import type { Desk } from './desk.svelte.ts';
import type { Labelling } from './labelling.svelte.ts';

const STRENGTH_STEP = 0.1;

export class Explaining {
  on = $state(false);
  /** How strongly evidence is drawn, in [0, 1]. */
  strength = $state(0.6);
  data = $state.raw<ExplanationData | null>(null);
  trouble = $state.raw<Trouble | null>(null);
  /** The class that was asked about by hand, for this item only. */
  #chosen = $state<string | null>(null);
  readonly #desk: Desk;
  readonly #labelling: Labelling;
  #asking: AbortController | null = null;

  constructor(desk: Desk, labelling: Labelling) {
    this.#desk = desk;
    this.#labelling = labelling;
  }

  /** The item measures the model and has no label yet. */
  get blind(): boolean {
    const { current, lookingAt } = this.#labelling;
    return current !== null && current.blind && current.view.state !== 'labelled' && lookingAt?.act !== 'label';
  }

  /** What is to be explained now; null: nothing. */
  get question(): { item: string; class: string | undefined } | null {
    const { current } = this.#labelling;
    if (!this.on || current === null || this.blind || this.#desk.status?.modelVersion == null) return null;
    return { item: current.item, class: this.#chosen ?? current.suggestion?.classes[0] };
  }

  /** The explanation of the item in front, once it is there. */
  get shown(): ExplanationData | null {
    const { question } = this;
    return this.data?.item === question?.item ? this.data : null;
  }

  toggle(): void {
    this.on = !this.on;
  }

  stronger(direction: 1 | -1): void {
    this.strength = Math.round(10 * Math.min(1, Math.max(0, this.strength + direction * STRENGTH_STEP))) / 10;
  }

  /** The next class in the order of their keys. */
  nextClass(): void {
    const classes = this.#desk.status?.classes ?? [];
    const now = classes.indexOf(this.#chosen ?? this.shown?.class ?? '');
    if (this.question !== null && classes.length > 0) this.#chosen = classes[(now + 1) % classes.length];
  }

  /** Another item came to the front. */
  forget(): void {
    this.#chosen = null;
  }

  async fetch(question: { item: string; class: string | undefined }): Promise<void> {
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    this.trouble = null;
    try {
      const item = question.item as ExplanationData['item'];
      const { signal } = asking;
      const data = await this.#desk.engine.call((api) =>
        api.items.explain({ item, class: question.class }, { signal }),
      );
      if (!signal.aborted) this.data = data;
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
