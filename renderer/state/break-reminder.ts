/**
 * When a break is suggested: once where the pace or the agreement with oneself has clearly
 * changed, and then not again for a while, whatever is measured meanwhile. Pure: the time
 * is told by the caller, in milliseconds.
 */
const AGAIN_AFTER_MS = 45 * 60_000;

export class BreakReminder {
  /** When it was said last; null: never. */
  saidAt: number | null;
  showing = false;

  constructor(saidAt: number | null = null) {
    this.saidAt = saidAt;
  }

  /** Takes in what was measured; whether it is to be said now. */
  measured(suggested: boolean, now: number): boolean {
    if (!suggested) this.showing = false;
    else if (!this.showing && (this.saidAt === null || now - this.saidAt >= AGAIN_AFTER_MS)) {
      this.showing = true;
      this.saidAt = now;
    }
    return this.showing;
  }

  dismiss(): void {
    this.showing = false;
  }
}
