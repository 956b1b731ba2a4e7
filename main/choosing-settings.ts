/**
 * How the next items are chosen: settings of the project, and why one item was chosen.
 */
import type { ChoosingSettingsData, WhyDetailsData } from './api-choosing.ts';
import { STRATEGIES, strategyNamed } from './acquisition/index.ts';
import { EngineError } from './domain/errors.ts';
import type { ItemId } from './domain/item.ts';
import type { DeskParts } from './evidence-desk.ts';
import type { SettingsReader } from './store/index.ts';

const DEFAULTS: ChoosingSettingsData = {
  strategy: 'default',
  randomShare: 0.05,
  perGroup: null,
  balance: null,
  perMinute: false,
};

export function choosingSettings(settings: SettingsReader): ChoosingSettingsData {
  return { ...DEFAULTS, ...(settings.get('choosing') as Partial<ChoosingSettingsData> | undefined) };
}

export class ChoosingDesk {
  readonly #parts: DeskParts;

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  settings(): ChoosingSettingsData {
    return choosingSettings(this.#parts.store.settings);
  }

  /** Errors: `usage` for a strategy that there is not. */
  set(changes: Partial<ChoosingSettingsData>): ChoosingSettingsData {
    if (changes.strategy !== undefined) strategyNamed(changes.strategy);
    this.#parts.store.settings.set('choosing', { ...this.settings(), ...changes });
    this.#parts.changed('project');
    return this.settings();
  }

  strategies(): { name: string; cites: string }[] {
    return Object.entries(STRATEGIES).map(([name, { cites }]) => ({ name, cites }));
  }

  async why(item: ItemId): Promise<WhyDetailsData> {
    const entry = this.#parts.store.queue.entryOf(item);
    if (!entry)
      throw new EngineError('item-unknown', 'This item is not in the queue.', 'Ask about an item of the queue.', {
        item,
      });
    const { strategy, modelVersion, seed, score } = entry;
    return {
      item,
      strategy,
      modelVersion,
      seed,
      score,
      distribution: { edges: [], counts: [] },
      shareAbove: null,
      contenders: [],
      nearest: [],
      expectedSeconds: null,
      fused: null,
    };
  }
}
