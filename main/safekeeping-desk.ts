/**
 * Backup and check as the engine offers them: each reads the whole project, so a compute
 * process does it beside the engine, which goes on answering. What is told of place and
 * clock costs nothing.
 */
import { resolve } from 'node:path';
import type { CheckData, SafekeepingData } from './api-safekeeping.ts';
import type { ComputeProcess } from './compute-process.ts';
import { systemClock } from './domain/clock.ts';
import { HEAD_DIFFERS, openReader, whereabouts, type ProjectStore } from './store/index.ts';

/** Acts that are looked through for a clock that was set back. */
const LOOKED_THROUGH = 10_000;
const BEHIND_MS = 60_000;
/** Entries of the audit trail that are looked through for one that found it cut off. */
const TRAIL_ENTRIES = 200;
const TOLD = 20;
/** Under which name the settings hold it. */
const LAST_BACKUP = 'lastBackup';

export class SafekeepingDesk {
  readonly #parts: { store: ProjectStore; reader: ComputeProcess };
  readonly #place: SafekeepingData['place'];

  constructor(parts: { store: ProjectStore; reader: ComputeProcess }) {
    this.#parts = parts;
    this.#place = whereabouts(parts.store.dir);
  }

  state(): SafekeepingData {
    const { annotations, audit, settings } = this.#parts.store;
    const { sequence } = annotations.head();
    const behindMs = (annotations.get(sequence)?.at ?? 0) - systemClock();
    return {
      place: this.#place,
      clock: {
        setBack: annotations.clockSetBack(sequence - LOOKED_THROUGH).length,
        behindMs: behindMs > BEHIND_MS ? behindMs : null,
      },
      shorterAt: audit.latest({ limit: TRAIL_ENTRIES }).find(({ call }) => call === HEAD_DIFFERS)?.at ?? null,
      backup: (settings.get(LAST_BACKUP) ?? null) as SafekeepingData['backup'],
    };
  }

  /** Errors: `disk-full`, `io-failed`, `input-invalid`, `project-damaged`. */
  async backup(to: string, who: string): Promise<SafekeepingData> {
    const { store, reader } = this.#parts;
    const { file, sizeBytes } = await reader.call((compute, call) => compute.backup({ file: resolve(to) }, call));
    const made = { file, sizeBytes, at: systemClock() };
    store.recorded(
      { who, call: 'safekeeping.backup' },
      () => store.settings.set(LAST_BACKUP, made),
      () => ({ file, sizeBytes }),
    );
    return this.state();
  }

  async check(): Promise<CheckData> {
    return this.#parts.reader.call((compute, call) => compute.check(undefined, call));
  }
}

/** In the compute process: everything of the project in `dir` that can be checked. */
export function checkProject(dir: string): CheckData {
  const reader = openReader(dir);
  try {
    const { ok, problems } = reader.verify();
    const told = problems.slice(0, TOLD).map(({ where, message }) => ({ where, message }));
    return { ok, count: problems.length, problems: told };
  } finally {
    reader.close();
  }
}
