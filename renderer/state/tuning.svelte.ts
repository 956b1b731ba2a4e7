/**
 * Fine-tuning: whether a run is worth it, the one that is on with its pace, how the last one
 * ended, and what the expert can do about them. The engine knows it all but the pace, which
 * is watched here.
 */
import type { JobData, Status } from '../../main/api.ts';
import type { Desk } from './desk.svelte.ts';
import { Pace } from './pace.ts';

/** Often enough that a run stands still before anybody notices it. */
const PRESENT_EVERY_MS = 3000;

export class Tuning {
  leftMs = $state<number | null>(null);
  readonly #desk: Desk;
  readonly #pace = new Pace();
  #lastPresent = -Infinity;

  constructor(desk: Desk) {
    this.#desk = desk;
    $effect.root(() => {
      $effect(() => this.#watch(this.run, this.now?.paused ?? false));
    });
  }

  get now(): Status['tuning'] | null {
    return this.#desk.status?.tuning ?? null;
  }

  /** The run that is on, or waits. */
  get run(): JobData | null {
    return this.#desk.status?.jobs.find((job) => job.kind === 'tune') ?? null;
  }

  /** With too few labels a run would be refused. */
  get canStart(): boolean {
    return this.run === null && this.now?.possible === true;
  }

  /** Somebody moved or typed: said at most every few seconds, and only where a run would have to make room or wait. */
  present(): void {
    const now = performance.now();
    if (this.now?.automatic !== true || now - this.#lastPresent < PRESENT_EVERY_MS) return;
    this.#lastPresent = now;
    void this.#desk.try((api) => api.training.present());
  }

  async start(): Promise<void> {
    if (this.canStart) await this.#desk.try((api) => api.training.tune());
    else this.#desk.go('training');
  }

  async togglePause(): Promise<void> {
    if (this.run === null) return;
    const paused = this.now?.paused !== true;
    await this.#take((api) => api.training.pause({ paused }));
  }

  askToCancel(): void {
    if (this.run !== null) this.#desk.dialog = 'cancel-tuning';
  }

  async cancel(): Promise<void> {
    const job = this.run?.id;
    if (job !== undefined) await this.#desk.try((api) => api.jobs.cancel({ job }));
  }

  async set(
    settings: Partial<Pick<Status['tuning'], 'automatic' | 'idleMinutes' | 'onClose' | 'flip'>>,
  ): Promise<void> {
    await this.#take((api) => api.training.settings(settings));
  }

  async #take(run: Parameters<Desk['try']>[0]): Promise<void> {
    const status = (await this.#desk.try(run)) as Status | undefined;
    if (status) this.#desk.status = status;
  }

  #watch(run: JobData | null, paused: boolean): void {
    if (run?.stage !== 'tuning' || run.done === null || run.total === null || paused) {
      this.#pace.interrupt();
      this.leftMs = null;
    } else {
      this.#pace.observe(performance.now(), run.done);
      this.leftMs = this.#pace.left(run.total);
    }
  }
}
