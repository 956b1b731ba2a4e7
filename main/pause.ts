/**
 * Holds a run still between two steps while the expert needs the machine. A run asks at
 * every step; whoever hears of the expert sets it.
 */
export class Pause {
  #paused = false;
  #wake = () => {};

  set(paused: boolean): void {
    this.#paused = paused;
    if (!paused) this.#wake();
  }

  /** Resolves when the run may go on; `told` is called where it has to wait. Rejects with the signal's reason when aborted meanwhile. */
  async passed(signal: AbortSignal | undefined, told: () => void): Promise<void> {
    while (this.#paused) {
      told();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal?.addEventListener('abort', () => resolve(), { once: true });
      });
      signal?.throwIfAborted();
    }
  }
}
