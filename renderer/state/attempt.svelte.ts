/**
 * A dialog's dealings with the engine: one at a time, with what went wrong kept to be shown
 * beside the controls that caused it.
 */
import { Trouble } from '../engine.ts';

export class Attempt {
  busy = $state(false);
  trouble = $state.raw<Trouble | null>(null);

  protected async attempt(run: () => Promise<void>): Promise<void> {
    this.busy = true;
    this.trouble = null;
    try {
      await run();
    } catch (error) {
      this.trouble = Trouble.of(error);
    } finally {
      this.busy = false;
    }
  }
}
