/**
 * The audit trail as the engine shows it: who did what and when, and all of it as a file
 * that a script of its own can check (`resources/verify-audit.mjs`).
 */
import { writeWhole } from './labels-out.ts';
import type { AuditEntry, AuditHead, ProjectStore } from './store/index.ts';

export class TrailDesk {
  readonly #store: ProjectStore;

  constructor(store: ProjectStore) {
    this.#store = store;
  }

  /** The newest entries, newest first, and where the trail ends. */
  latest(limit: number): { head: AuditHead; entries: AuditEntry[] } {
    const { audit } = this.#store;
    return { head: audit.head(), entries: audit.latest({ limit }) };
  }

  /** Writes one line of JSON per entry; the file appears whole or not at all. Errors: `disk-full`, `io-failed`. */
  export(file: string): { entries: number; head: AuditHead } {
    const { audit } = this.#store;
    const head = audit.head();
    writeWhole(file, withLineFeeds(audit.lines()));
    return { entries: head.entry, head };
  }
}

function* withLineFeeds(lines: Iterable<string>): Generator<string> {
  for (const line of lines) yield `${line}\n`;
}
