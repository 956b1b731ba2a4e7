/**
 * Which strings were seen, in about 16 bytes each, whatever their length: a table of a
 * gigabyte may have millions of ids. Holds 64-bit hashes, so that among five million ids
 * one is taken for a repetition wrongly with a probability below one in a million.
 */
import { hash } from 'node:crypto';

/** A set of strings that can only grow. */
export class HashSet {
  #slots = new Uint32Array(2 * 1024);
  #size = 0;

  /** Adds a string; false where it was there already. */
  add(text: string): boolean {
    if (this.#size * 2 > this.#slots.length / 2) this.#grow();
    const digest = hash('sha1', text, 'buffer');
    // A zero marks a free slot.
    const added = this.#insert(digest.readUInt32LE(0), digest.readUInt32LE(4) || 1);
    if (added) this.#size++;
    return added;
  }

  #insert(high: number, low: number): boolean {
    const slots = this.#slots;
    const mask = slots.length / 2 - 1;
    for (let at = high & mask; ; at = (at + 1) & mask) {
      if (slots[2 * at + 1] === 0) {
        slots[2 * at] = high;
        slots[2 * at + 1] = low;
        return true;
      }
      if (slots[2 * at] === high && slots[2 * at + 1] === low) return false;
    }
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(old.length * 2);
    for (let at = 0; at < old.length; at += 2) if (old[at + 1] !== 0) this.#insert(old[at], old[at + 1]);
  }
}
