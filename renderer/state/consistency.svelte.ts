/**
 * How well annotators agree with themselves and with each other. Fetched while it is looked
 * at; and while somebody labels, now and then, to know whether a break would do good.
 */
import type { ConsistencyData } from '../../main/api-looks.ts';
import { BreakReminder } from './break-reminder.ts';
import type { Desk } from './desk.svelte.ts';
import type { Preferences } from './preferences.svelte.ts';

const SAID_KEY = 'marginalia-break';
/** How often the pace is looked at while labelling. */
const LOOK_EVERY_MS = 2 * 60_000;

/** The time of day, from the page's own clock. */
const now = () => performance.timeOrigin + performance.now();

export class Consistency {
  data = $state.raw<ConsistencyData | null>(null);
  /** A break is suggested to whoever labels here. */
  breakSuggested = $state(false);
  readonly #desk: Desk;
  readonly #preferences: Preferences;
  readonly #reminder: BreakReminder;
  #looked = 0;

  constructor(desk: Desk, preferences: Preferences) {
    this.#desk = desk;
    this.#preferences = preferences;
    this.#reminder = new BreakReminder(Number(localStorage.getItem(SAID_KEY)) || null);
    desk.watch(['annotations', 'project'], () => {
      const isDue = desk.view === 'label' && now() - this.#looked >= LOOK_EVERY_MS;
      if (isDue || desk.view === 'looks') void this.refetch();
    });
  }

  async refetch(): Promise<void> {
    if (this.#desk.status === null) return;
    this.#looked = now();
    this.#take(await this.#desk.try((api) => api.looks.consistency()));
  }

  async set(readings: { share?: number; after?: number; otherShare?: number }): Promise<void> {
    this.#take(await this.#desk.try((api) => api.looks.setReadings(readings)));
  }

  dismissBreak(): void {
    this.#reminder.dismiss();
    this.breakSuggested = false;
  }

  #take(data: ConsistencyData | undefined): void {
    // Where a setting was refused, what is set is shown again.
    this.data = data ?? (this.data && { ...this.data });
    const own = data?.annotators.find(({ annotator }) => annotator === this.#preferences.annotator);
    this.breakSuggested = this.#reminder.measured(own?.pace.suggestBreak ?? false, now());
    if (this.#reminder.saidAt !== null) localStorage.setItem(SAID_KEY, String(this.#reminder.saidAt));
  }
}
