/**
 * Time spent on an item: runs from the moment it is shown to the decision, and stands
 * still while the window cannot be seen. The clock is handed in, in milliseconds.
 */
export class Stopwatch {
  #spentMs = 0;
  #since: number | null = null;
  #visible = true;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  restart(): void {
    this.#spentMs = 0;
    this.#since = this.#visible ? this.#now() : null;
  }

  /** Tells whether the window can be seen. */
  seen(visible: boolean): void {
    if (visible === this.#visible) return;
    this.#visible = visible;
    if (visible) this.#since = this.#now();
    else {
      this.#spentMs = this.elapsedMs;
      this.#since = null;
    }
  }

  get elapsedMs(): number {
    return this.#spentMs + (this.#since === null ? 0 : Math.max(0, this.#now() - this.#since));
  }
}
