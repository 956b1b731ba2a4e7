/**
 * The audit trail as the engine shows it: who did what and when, and all of it as a file
 * that a script of its own can check (`resources/verify-audit.mjs`). The file is written by
 * a compute process: a long trail takes seconds.
 */
import { resolve } from 'node:path';
import type { TrailEntryData, TrailHeadData } from './api-trail.ts';
import type { ComputeProcess } from './compute-process.ts';
import { writeWhole } from './labels-out.ts';
import { openReader, type ProjectStore } from './store/index.ts';

export class TrailDesk {
  readonly #parts: { store: ProjectStore; reader: ComputeProcess };

  constructor(parts: { store: ProjectStore; reader: ComputeProcess }) {
    this.#parts = parts;
  }

  /** Newest first, and where the trail ends. */
  list(options: { before?: number; limit?: number }): { head: TrailHeadData; entries: TrailEntryData[] } {
    const { audit } = this.#parts.store;
    return { head: audit.head(), entries: audit.latest(options) };
  }

  /** Writes one line of JSON per entry; the file appears whole or not at all. Errors: `disk-full`, `io-failed`. */
  async export(to: string): Promise<{ file: string; head: TrailHeadData }> {
    const file = resolve(to);
    const head = await this.#parts.reader.call((compute, call) => compute.exportTrail({ file }, call));
    return { file, head };
  }
}

/** In the compute process: the trail of the project in `dir`, as it is now. */
export function exportTrail(dir: string, file: string): TrailHeadData {
  const reader = openReader(dir);
  try {
    const head = reader.audit.head();
    writeWhole(file, linesOf(reader.audit.lines(), head.entry));
    return head;
  } finally {
    reader.close();
  }
}

function* linesOf(lines: Iterable<string>, count: number): Generator<string> {
  let left = count;
  for (const line of lines) {
    if (left-- <= 0) return;
    yield `${line}\n`;
  }
}
