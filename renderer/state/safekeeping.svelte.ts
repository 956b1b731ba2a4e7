/**
 * A project's backup and check as the Data view shows them, and what speaks against the
 * place it lies in or the clock that its labels are timed by.
 */
import type { CheckData, SafekeepingData } from '../../main/api-safekeeping.ts';
import { Attempt } from './attempt.svelte.ts';
import type { Desk } from './desk.svelte.ts';

export class Safekeeping extends Attempt {
  state = $state.raw<SafekeepingData | null>(null);
  file = $state('');
  /** What the last check found, since the project was opened. */
  found = $state.raw<CheckData | null>(null);
  checking = $state(false);
  /** How many things there are to be warned of. */
  warnings = $derived.by(() => {
    if (this.state === null) return 0;
    const { place, clock, shorterAt } = this.state;
    return [place.kind !== 'local', clock.behindMs !== null, shorterAt !== null].filter(Boolean).length;
  });
  readonly #desk: Desk;

  constructor(desk: Desk) {
    super();
    this.#desk = desk;
    desk.onAnother(() => {
      this.file = desk.fileFor('.backup');
      this.found = null;
    });
  }

  async refetch(): Promise<void> {
    if (this.#desk.status === null) return;
    this.state = (await this.#desk.try((api) => api.safekeeping.state())) ?? null;
  }

  async backup(): Promise<void> {
    const file = this.file.trim();
    await this.attempt(async () => {
      this.state = await this.#desk.engine.call((api) => api.safekeeping.backup({ file }));
    });
  }

  async check(): Promise<void> {
    this.found = null;
    this.checking = true;
    await this.attempt(async () => {
      this.found = await this.#desk.engine.call((api) => api.safekeeping.check());
    });
    this.checking = false;
  }
}
