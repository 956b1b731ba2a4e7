/**
 * The engine's side of labels worth a second look and of annotators' consistency.
 */
import type { ConsistencyData, SecondLookData } from './api-looks.ts';
import type { DeskParts } from './evidence-desk.ts';

/** Second readings: what may be set, and where it begins. */
const READINGS = { share: 0.02, after: 50, otherShare: 0 };

export class LooksDesk {
  readonly #parts: DeskParts;

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  list(_limit: number): { total: number; modelVersion: number | null; looks: SecondLookData[] } {
    return { total: 0, modelVersion: this.#parts.store.versions.live()?.version ?? null, looks: [] };
  }

  consistency(): ConsistencyData {
    return { annotators: [], between: null, readings: { ...this.#readings(), made: 0 } };
  }

  setReadings(readings: Partial<typeof READINGS>): ConsistencyData {
    this.#parts.store.settings.set('readings', { ...this.#readings(), ...readings });
    return this.consistency();
  }

  #readings(): typeof READINGS {
    return { ...READINGS, ...(this.#parts.store.settings.get('readings') as Partial<typeof READINGS> | undefined) };
  }
}
