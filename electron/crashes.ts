/**
 * Reports of how the engine's process died: kept in the app's data folder, at most twenty,
 * shown when somebody asks, never sent. A report holds what a developer needs and nothing of
 * a project: of stderr only the shapes of errors are kept (their class, their code, where in
 * our own sources), because a message may quote a patient's text or the path of a file.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loggable } from '../main/domain/errors.ts';

export interface Crash {
  at: number;
  startedAt: number;
  code: number | null;
  signal: string | null;
  /** As it was written; only `redacted` lines of it are kept. */
  stderr: string;
}

export interface CrashReport {
  at: string;
  ranForMs: number;
  code: number | null;
  signal: string | null;
  versions: Record<string, string>;
  lines: string[];
}

const MOST_REPORTS = 20;
const MOST_LINES = 40;

/** What V8 says before it gives up. */
const FATAL = 'FATAL ERROR: ';
const NO_MEMORY = 'JavaScript heap out of memory';
const FRAME = /^\s+at (?:(?:async |new )*([\w$.<>#]{1,80}) \()?([^()]+?):(\d+):(\d+)\)?$/;
const ERROR_CLASS = /^(?:Uncaught )?((?:[A-Z][A-Za-z]{0,40})?(?:Error|Exception))\b/;
/** SQLITE_IOERR, ERR_IPC_CHANNEL_CLOSED, ENOSPC: capitals that a program wrote. */
const CODE = /\b(?:SQLITE_[A-Z_]{2,40}|ERR_[A-Z0-9_]{2,60}|E(?:IO|NOSPC|ACCES|PERM|NOENT|MFILE|PIPE|NOMEM|ROFS))\b/g;
/** A file of ours, of Node or of a package, by its name alone. */
const SOURCE = /(?:^|[/\\])((?:node:[\w/]+)|[\w.-]{1,60}\.(?:js|cjs|mjs|ts))$/;

/** Of a process's last words: error classes, codes and places in programs; every other word is left out. */
export function redacted(stderr: string): string[] {
  return stderr
    .split('\n')
    .slice(-400)
    .flatMap((line) => {
      if (line.startsWith(FATAL)) return [FATAL + (line.endsWith(NO_MEMORY) ? NO_MEMORY : '…')];
      const [, name = '', file, row, column] = FRAME.exec(line) ?? [];
      if (file !== undefined) {
        const source = SOURCE.exec(file)?.[1] ?? (file.startsWith('node:') ? file : '…');
        return [`  at ${name === '' ? '' : `${name} `}${source}:${row}:${column}`];
      }
      const error = ERROR_CLASS.exec(line)?.[1];
      const codes = line.match(CODE) ?? [];
      return error === undefined && codes.length === 0 ? [] : [[error ?? '', ...codes].join(' ').trim()];
    })
    .slice(-MOST_LINES);
}

/** The reports in one folder. */
export class Crashes {
  readonly #dir: string;
  readonly #versions: Record<string, string>;

  constructor(dir: string, versions: Record<string, string>) {
    this.#dir = dir;
    this.#versions = versions;
  }

  /** Writes a report and drops the oldest beyond twenty. A full disk costs the report, not the program. */
  keep({ at, startedAt, code, signal, stderr }: Crash): CrashReport {
    const report: CrashReport = {
      at: new Date(at).toISOString(),
      ranForMs: at - startedAt,
      code,
      signal,
      versions: this.#versions,
      lines: redacted(stderr),
    };
    try {
      mkdirSync(this.#dir, { recursive: true });
      writeFileSync(this.#file(at), `${JSON.stringify(report, null, 2)}\n`, { mode: 0o600 });
      for (const old of this.#names().slice(MOST_REPORTS)) rmSync(join(this.#dir, old), { force: true });
    } catch (error) {
      console.error(loggable(error));
    }
    return report;
  }

  /** Newest first; one that cannot be read is left out. */
  list(): CrashReport[] {
    return this.#names().flatMap((name) => {
      try {
        return [JSON.parse(readFileSync(join(this.#dir, name), 'utf8')) as CrashReport];
      } catch {
        return [];
      }
    });
  }

  #file(at: number): string {
    return join(this.#dir, `${new Date(at).toISOString().replaceAll(':', '-')}.json`);
  }

  #names(): string[] {
    try {
      return readdirSync(this.#dir)
        .filter((name) => name.endsWith('.json'))
        .sort()
        .toReversed();
    } catch {
      return []; // no crash yet
    }
  }
}
