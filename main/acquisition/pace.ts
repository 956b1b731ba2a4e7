/**
 * Lets a long computation share its thread: after at most a few hundredths of a second of
 * work the event loop gets its turn, and a cancelled signal ends the work there. Whoever
 * computes asks `isDue()` every few milliseconds of work and awaits `rest()` when it is.
 */
const LONGEST_MS = 15;

export interface Pace {
  /** Whether it is time to rest. */
  isDue(): boolean;
  /** Gives the event loop its turn; rejects with the signal's reason when cancelled. */
  rest(): Promise<void>;
}

/** A pace that begins now. */
export function createPace(signal?: AbortSignal): Pace {
  let began = performance.now();
  return {
    isDue: () => performance.now() - began > LONGEST_MS,
    async rest() {
      await new Promise((resolve) => setImmediate(resolve));
      signal?.throwIfAborted();
      began = performance.now();
    },
  };
}
