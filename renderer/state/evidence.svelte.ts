/**
 * Evidence: what the audit set has measured so far, one point for each model version, and
 * the guarantee for a chosen α and δ. Fetched only while it is looked at.
 */
import type { GuaranteeData } from '../../main/api.ts';
import type { Api } from '../engine.ts';
import type { Desk } from './desk.svelte.ts';

export type Curve = Awaited<ReturnType<Api['evidence']['curve']>>;

export const ALPHAS = [0.01, 0.02, 0.05, 0.1, 0.2];
export const DELTAS = [0.01, 0.05, 0.1, 0.2];

export class Evidence {
  curve = $state.raw<Curve | null>(null);
  guarantee = $state.raw<GuaranteeData | null>(null);
  alpha = $state(0.05);
  delta = $state(0.1);
  /** Whether the chart is shown as a table. */
  tabular = $state(false);
  readonly #desk: Desk;
  #asked = 0;

  constructor(desk: Desk) {
    this.#desk = desk;
    desk.watch(['versions', 'annotations', 'project'], () => {
      if (desk.view === 'evidence') void this.refetch();
    });
  }

  async refetch(): Promise<void> {
    if (this.#desk.status === null) return;
    const curve = await this.#desk.try((api) => api.evidence.curve());
    if (curve) this.curve = curve;
    await this.ask(this.alpha, this.delta);
  }

  async ask(alpha: number, delta: number): Promise<void> {
    this.alpha = alpha;
    this.delta = delta;
    const asked = ++this.#asked;
    // Without a version there is nothing to ask about; the card says so.
    if (this.#desk.status?.modelVersion == null) return;
    const guarantee = await this.#desk.try((api) => api.evidence.guarantee({ alpha, delta }));
    if (guarantee && asked === this.#asked) this.guarantee = guarantee;
  }

  async train(): Promise<void> {
    await this.#desk.try((api) => api.training.start());
  }
}
