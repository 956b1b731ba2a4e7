/** How the next items are chosen: the project's settings, and the strategies there are with what they cite. */
import type { ChoosingSettingsData } from '../../main/api-choosing.ts';
import type { Api } from '../engine.ts';
import type { Desk } from './desk.svelte.ts';

export class Choosing {
  settings = $state.raw<ChoosingSettingsData | null>(null);
  strategies = $state.raw<Awaited<ReturnType<Api['choosing']['strategies']>>>([]);
  readonly #desk: Desk;

  constructor(desk: Desk) {
    this.#desk = desk;
    desk.watch(['project'], () => {
      if (desk.view === 'training') void this.refetch();
    });
  }

  /** The paper of a strategy, once the list was fetched. */
  cites(strategy: string): string | undefined {
    return this.strategies.find(({ name }) => name === strategy)?.cites;
  }

  async refetch(): Promise<void> {
    if (this.#desk.status === null) return;
    const settings = await this.#desk.try((api) => api.choosing.settings());
    if (settings) this.settings = settings;
    await this.learn();
  }

  /** The strategies of the program never change while it runs. */
  async learn(): Promise<void> {
    if (this.strategies.length > 0) return;
    this.strategies = (await this.#desk.try((api) => api.choosing.strategies())) ?? [];
  }

  async set(changes: Partial<ChoosingSettingsData>): Promise<void> {
    const settings = await this.#desk.try((api) => api.choosing.set(changes));
    // Where it was refused, what is set is shown again.
    this.settings = settings ?? (this.settings && { ...this.settings });
  }
}
