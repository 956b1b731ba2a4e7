/**
 * How the next items are chosen: settings of the project, and why one item was chosen.
 */
import { ACCOUNT } from './account.ts';
import type { ChoosingSettingsData, WhyDetailsData } from './api-choosing.ts';
import { STRATEGIES, strategyNamed } from './acquisition/index.ts';
import { EngineError } from './domain/errors.ts';
import type { ItemId } from './domain/item.ts';
import type { DeskParts } from './evidence-desk.ts';
import { fusedLabel } from './fused-label.ts';
import { isBlind } from './rereads.ts';
import type { SettingsReader } from './store/index.ts';
import { itemView } from './views.ts';

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
  set(changes: Partial<ChoosingSettingsData>, who = ACCOUNT): ChoosingSettingsData {
    if (changes.strategy !== undefined) strategyNamed(changes.strategy);
    const { store } = this.#parts;
    const choosing = { ...this.settings(), ...changes };
    store.recorded(
      { who, call: 'choosing.set' },
      () => store.settings.set('choosing', choosing),
      () => changes,
    );
    this.#parts.changed('project');
    return this.settings();
  }

  strategies(): { name: string; cites: string }[] {
    return Object.entries(STRATEGIES).map(([name, { cites }]) => ({ name, cites }));
  }

  /** Why an item of the queue is asked. Errors: `item-unknown` where it is not in the queue, `item-blind`. */
  async why(item: ItemId): Promise<WhyDetailsData> {
    const { store, compute } = this.#parts;
    const entry = store.queue.entryOf(item);
    const record = store.items.get(item);
    if (!entry || !record)
      throw new EngineError('item-unknown', 'This item is not in the queue.', 'Ask about an item of the queue.', {
        item,
      });
    if (isBlind(store, record))
      throw new EngineError(
        'item-blind',
        'This item measures the model: why it is asked, and what is like it, is told after it is labelled.',
        'Label it first.',
        { item },
      );
    const { strategy, modelVersion, seed, score } = entry;
    const question = { item, strategy, modelVersion, score };
    const { distribution: probabilities, expectedSeconds } = entry.why as {
      distribution: number[] | null;
      expectedSeconds?: number;
    };
    const found = await compute.call((client, call) => client.why(question, call));
    return {
      item,
      strategy,
      modelVersion,
      seed,
      score,
      distribution: found.distribution,
      shareAbove: found.shareAbove,
      contenders: contenders(probabilities, store),
      nearest: found.nearest.map((near) => ({
        similarity: near.similarity,
        view: itemView(store.items.get(near.item)!, store.annotations.ofItem(near.item)),
      })),
      expectedSeconds: expectedSeconds ?? null,
      fused: fusedLabel(store, item, probabilities),
    };
  }
}

/** Every class with its probability, the likeliest first. */
function contenders(probabilities: readonly number[] | null, { schema }: DeskParts['store']) {
  const { classes } = schema.current();
  return (probabilities ?? [])
    .map((probability, j) => ({ class: classes[j], probability }))
    .sort((a, b) => b.probability - a.probability);
}
