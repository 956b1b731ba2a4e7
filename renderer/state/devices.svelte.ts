/**
 * What this machine can compute on, looked up when somebody wants to see it: looking makes
 * the engine try what it never tried, which may take a while and goes on in the background.
 */
import type { DeviceData } from '../../main/api.ts';
import { Attempt } from './attempt.svelte.ts';
import type { Desk } from './desk.svelte.ts';

export class DeviceChoice extends Attempt {
  /** Null until somebody looks. */
  list = $state.raw<DeviceData[] | null>(null);
  readonly #desk: Desk;

  constructor(desk: Desk) {
    super();
    this.#desk = desk;
    desk.watch(['project'], () => {
      if (this.list !== null) void this.look();
    });
  }

  async look(): Promise<void> {
    if (this.#desk.status === null) return;
    const list = await this.#desk.try((api) => api.devices.list());
    if (list) this.list = list;
  }

  /** A device that is not ready is tried once more; where it fails again, the choice stays as it was. */
  async choose(device: DeviceData['device']): Promise<void> {
    await this.attempt(async () => {
      this.list = await this.#desk.engine.call((api) => api.devices.choose({ device }));
    });
    await this.#desk.refetch();
  }
}
