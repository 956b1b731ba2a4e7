/**
 * Evidence: which of its tabs is open, the learning curve, the newest report with forecast,
 * saving and advice, and the target they go by. What a tab shows is fetched while it is
 * looked at; the engine keeps it all.
 */
import type { EvidenceReportData } from '../../main/api-evidence.ts';
import type { Api } from '../engine.ts';
import type { Desk } from './desk.svelte.ts';
import { Differences } from './differences.svelte.ts';
import { Guarantees } from './guarantees.svelte.ts';

export type Curve = Awaited<ReturnType<Api['evidence']['curve']>>;
export const TABS = ['progress', 'guarantee', 'subgroups', 'drift'] as const;
export type Tab = (typeof TABS)[number];

export class Evidence {
  tab = $state<Tab>('progress');
  curve = $state.raw<Curve | null>(null);
  /** Undefined until asked; null before the first version was measured. */
  report = $state.raw<EvidenceReportData | null | undefined>(undefined);
  /** A forecast for another target is on its way. */
  aiming = $state(false);
  /** Whether the charts are shown as tables. */
  tabular = $state(false);
  readonly guarantees: Guarantees;
  readonly differences: Differences;
  readonly #desk: Desk;

  constructor(desk: Desk) {
    this.#desk = desk;
    this.guarantees = new Guarantees(desk);
    this.differences = new Differences(desk);
    desk.watch(['versions', 'annotations', 'project', 'items'], () => {
      if (desk.view === 'evidence') void this.refetch();
    });
  }

  show(tab: Tab): void {
    this.#desk.go('evidence');
    this.tab = tab;
  }

  async refetch(): Promise<void> {
    if (this.#desk.status === null) return;
    if (this.tab === 'guarantee') return this.guarantees.refetch();
    if (this.tab === 'subgroups') return this.differences.refetchSubgroups();
    if (this.tab === 'drift') return this.differences.refetchDrift();
    const curve = await this.#desk.try((api) => api.evidence.curve());
    if (curve) this.curve = curve;
    const report = await this.#desk.try((api) => api.evidence.report());
    if (report !== undefined) this.report = report;
  }

  async aim(target: number): Promise<void> {
    this.aiming = true;
    const report = await this.#desk.try((api) => api.evidence.setTarget({ target }));
    this.aiming = false;
    if (report !== undefined) this.report = report;
  }

  async train(): Promise<void> {
    await this.#desk.try((api) => api.training.start());
  }
}
