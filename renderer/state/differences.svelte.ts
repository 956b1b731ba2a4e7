/**
 * Differences: how the model does in the groups of each attribute, whether the queue is asked
 * to even them out, and whether what was imported later is like what the model was trained on.
 */
import type { DriftData } from '../../main/api-evidence.ts';
import type { Api } from '../engine.ts';
import type { Desk } from './desk.svelte.ts';

type Subgroups = Awaited<ReturnType<Api['evidence']['subgroups']>>;

/** What is compared between groups. */
export const MEASURES = ['accuracy', 'balancedAccuracy', 'sensitivity', 'specificity'] as const;
export type Measure = (typeof MEASURES)[number];

export class Differences {
  measure = $state<Measure>('accuracy');
  subgroups = $state.raw<Subgroups | null>(null);
  drift = $state.raw<DriftData[] | null>(null);
  readonly #desk: Desk;

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  async refetchSubgroups(): Promise<void> {
    const subgroups = await this.#desk.try((api) => api.evidence.subgroups());
    if (subgroups) this.subgroups = subgroups;
  }

  async refetchDrift(): Promise<void> {
    const drift = await this.#desk.try((api) => api.evidence.drift());
    if (drift) this.drift = drift;
  }

  /** Asks more in the worst group of this attribute, or of none. */
  async balance(name: string | null): Promise<void> {
    const balance = name === null ? null : ({ by: 'attribute', name } as const);
    await this.#desk.try((api) => api.choosing.set({ balance }));
    await this.refetchSubgroups();
  }
}
