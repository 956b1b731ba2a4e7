/**
 * The guarantee: the claim in force and the spot checks of it, and beside them what could be
 * promised at other levels. The latter is a preview: it claims nothing. For every α at once
 * it comes with one question, so that moving the slider waits for nobody; the classes of the
 * chosen α are asked for one level at a time.
 */
import type { ClaimData, ClassGuaranteeData, GuaranteeData, SpotChecksData } from '../../main/api-evidence.ts';
import { nearest } from '../views/evidence/plot.ts';
import type { Desk } from './desk.svelte.ts';

/** Wrong conclusions in so many of a hundred projects that may be put up with. */
export const DELTAS = [0.01, 0.05, 0.1, 0.2];
const SPOT_CHECKS = 20;

export class Guarantees {
  /** By α, ascending; null until asked. */
  levels = $state.raw<GuaranteeData[] | null>(null);
  /** At what claims are made, and when. */
  claimed = $state.raw<{ alpha: number; delta: number; nextLookAt: number } | null>(null);
  /** Undefined until asked; null before the first look. */
  claim = $state.raw<ClaimData | null | undefined>(undefined);
  spotChecks = $state.raw<SpotChecksData | null>(null);
  perClass = $state.raw<ClassGuaranteeData[]>([]);
  /** Chosen here; null: as claims are made. */
  #alpha = $state<number | null>(null);
  #delta = $state<number | null>(null);
  #asking = false;
  #again = false;
  readonly #desk: Desk;

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  get delta(): number {
    return this.#delta ?? this.claimed?.delta ?? 0.1;
  }

  /** Which of `levels` is looked at; -1 while there are none. */
  get chosen(): number {
    return nearest(
      (this.levels ?? []).map(({ alpha }) => alpha),
      this.#alpha ?? this.claimed?.alpha ?? 0.05,
    );
  }

  get level(): GuaranteeData | null {
    return this.levels?.[this.chosen] ?? null;
  }

  /** What is looked at is what claims are made at. */
  get isClaimed(): boolean {
    return this.claimed !== null && this.delta === this.claimed.delta && this.level?.alpha === this.claimed.alpha;
  }

  async refetch(): Promise<void> {
    const known = await this.#desk.try((api) =>
      Promise.all([api.evidence.levels(), api.evidence.claim(), api.evidence.spotChecks()]),
    );
    if (known) [this.claimed, this.claim, this.spotChecks] = known;
    await this.#preview();
  }

  choose(index: number): void {
    this.#alpha = this.levels?.[index]?.alpha ?? this.#alpha;
    void this.#askClasses();
  }

  async sure(delta: number): Promise<void> {
    this.#delta = delta;
    await this.#preview();
  }

  /** From the next look on. */
  async adopt(): Promise<void> {
    if (this.level === null) return;
    const chosen = { alpha: this.level.alpha, delta: this.delta };
    const known = await this.#desk.try(
      async (api) => [await api.evidence.setLevels(chosen), await api.evidence.levels()] as const,
    );
    if (known) [this.claim, this.claimed] = known;
  }

  /** Puts settled items at the head of the queue and goes there. */
  async check(): Promise<void> {
    const checked = await this.#desk.try((api) => api.evidence.spotCheck({ count: SPOT_CHECKS }));
    if (checked && checked.drawn > 0) this.#desk.go('label');
    else await this.refetch();
  }

  async #preview(): Promise<void> {
    // Without a version there is nothing to ask about; the view says so.
    if (this.#desk.status?.modelVersion == null) return;
    const { delta } = this;
    const levels = await this.#desk.try((api) => api.evidence.settledAt({ delta }));
    if (levels && delta === this.delta) this.levels = levels;
    await this.#askClasses();
  }

  /** For the levels looked at; while an answer is on its way, only the last question waits. */
  async #askClasses(): Promise<void> {
    if (this.level === null) return;
    if (this.#asking) {
      this.#again = true;
      return;
    }
    this.#asking = true;
    const levels = { alpha: this.level.alpha, delta: this.delta };
    const found = await this.#desk.try((api) => api.evidence.guarantee(levels));
    this.#asking = false;
    if (found) this.perClass = found.perClass;
    if (!this.#again) return;
    this.#again = false;
    await this.#askClasses();
  }
}
