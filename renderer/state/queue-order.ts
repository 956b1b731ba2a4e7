/**
 * What the window keeps of the engine's queue while answers are on their way: pure
 * functions over lists of items. The item in front of the expert never changes under
 * them, and an item that was answered never comes back from an answer that is older.
 */
import type { AnnotationData } from '../../main/api.ts';

interface Entry {
  item: string;
}

/**
 * Joins a fresh queue to the one shown: the first shown entry stays as it is (it is being
 * looked at), then the fresh ones in the engine's order without those in `answered`.
 */
export function mergeQueue<E extends Entry>(
  shown: readonly E[],
  fresh: readonly E[],
  answered: (item: string) => boolean,
): E[] {
  const head = shown.slice(0, 1).filter((entry) => !answered(entry.item));
  const rest = fresh.filter((entry) => !answered(entry.item) && entry.item !== head[0]?.item);
  return [...head, ...rest];
}

/** Remembers which items were answered, until a queue that was asked for later than the engine's acknowledgement has come. */
export class Answered {
  readonly #pending = new Map<string, number>();
  readonly #acknowledged = new Map<string, number>();
  #clock = 0;

  begin(item: string): void {
    this.#acknowledged.delete(item);
    this.#pending.set(item, (this.#pending.get(item) ?? 0) + 1);
  }

  acknowledge(item: string): void {
    if (this.#leave(item)) this.#acknowledged.set(item, ++this.#clock);
  }

  /** The answer failed, or was taken back: the item may be asked. */
  forget(item: string): void {
    this.#leave(item);
    this.#acknowledged.delete(item);
  }

  /** Call when a queue is asked for; hand the result to `since`. */
  ask(): number {
    return ++this.#clock;
  }

  /** Whether `item`, found in a queue asked for at `asked`, has been answered meanwhile. */
  since(item: string, asked: number): boolean {
    return this.#pending.has(item) || (this.#acknowledged.get(item) ?? 0) > asked;
  }

  #leave(item: string): boolean {
    const left = (this.#pending.get(item) ?? 1) - 1;
    if (left > 0) this.#pending.set(item, left);
    else this.#pending.delete(item);
    return left <= 0;
  }
}

/** The act that a chain of retractions comes down to: an undo retracts it, a redo retracts that retraction. Null when it is not in `history`. */
export function rootOf<T extends Pick<AnnotationData, 'act' | 'retracts' | 'sequence'>>(
  annotation: T,
  history: readonly T[],
): T | null {
  let at: T | undefined = annotation;
  while (at?.act === 'retract') {
    const before: number | null = at.retracts;
    at = history.find((other) => other.sequence === before);
  }
  return at ?? null;
}
