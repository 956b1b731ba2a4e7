/**
 * Lets single system calls of an operation fail and looks at what is left. A first run
 * under strace counts the calls of each kind; then each of them fails in a run of its own,
 * once or from there on, with EIO or ENOSPC.
 */
import { spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { EngineError } from '../../main/domain/errors.ts';
import { openProject } from '../../main/store/index.ts';
import {
  OPERATIONS,
  pathsOf,
  prepare,
  type Extent,
  type FailingCase,
  type FailingOutcome,
  type OperationName,
} from './failing-operations.ts';
import { FAST, findStrace, startFailing } from './strace.ts';

/** System calls that touch the disk and can fail for its sake. */
export const CALLS = [
  ...['openat', 'close', 'pwrite64', 'write', 'pread64', 'read', 'fsync', 'fdatasync', 'ftruncate'],
  ...['rename', 'unlink', 'mkdir', 'link'],
];
const CHILD = path.join(import.meta.dirname, 'failing.child.ts');
const OLD_PROJECT = path.join(import.meta.dirname, '../migrations/format-1.sqlite');

export interface Failure {
  operation: OperationName;
  call: string;
  /** Which of the operation's calls of this kind fails. */
  nth: number;
  error: 'EIO' | 'ENOSPC';
  /** Whether all later ones fail as well. */
  isForEver: boolean;
}

interface Survey {
  before: number;
  during: number;
}

/** Per operation and kind of call. */
export type Surveys = Map<OperationName, Map<string, Survey>>;

export class Bench {
  readonly #work = mkdtempSync(path.join(FAST, 'marginalia-failing-'));
  /** Where every case happens: strace is told the files' names once. */
  readonly #dir = path.join(this.#work, 'case');

  #template(operation: OperationName): string {
    const template = path.join(this.#work, `template ${operation}`);
    try {
      readdirSync(template);
    } catch {
      prepare(operation, template, OLD_PROJECT);
    }
    return template;
  }

  #reset(operation: OperationName): void {
    rmSync(this.#dir, { recursive: true, force: true });
    cpSync(this.#template(operation), this.#dir, { recursive: true });
  }

  /** Counts the calls of each operation. Fails where one touches a file that strace is not told of. */
  survey(operations: readonly OperationName[]): Surveys {
    const surveys: Surveys = new Map();
    for (const operation of operations) {
      this.#reset(operation);
      const log = path.join(this.#work, 'log');
      const strace = findStrace();
      if ('reason' in strace) throw new Error(strace.reason);
      const one: FailingCase = { operation, dir: this.#dir, call: 'none', idle: 0 };
      const kinds = CALLS.map((name) => `?${name}`).join(',');
      const traced = ['-ff', '-qq', '-y', '-o', log, '-e', `trace=${kinds}`, process.execPath, CHILD];
      const { status, stdout, stderr } = spawnSync(strace.path, traced, {
        input: `${JSON.stringify(one)}\n`,
        encoding: 'utf8',
      });
      if (status !== 0 || !stdout.startsWith('{"outcome":"ok"')) throw new Error(`${operation}: ${stdout}${stderr}`);
      const threads = readdirSync(this.#work).filter((name) => name.startsWith('log.'));
      const texts = threads.map((name) => readFileSync(path.join(this.#work, name), 'latin1'));
      for (const name of threads) rmSync(path.join(this.#work, name));
      surveys.set(operation, this.#count(texts.find((text) => text.includes(`${this.#dir}/begin"`)) ?? ''));
    }
    return surveys;
  }

  #count(text: string): Map<string, Survey> {
    const known = new Set(pathsOf(this.#dir));
    const counts = new Map<string, Survey>();
    let section: keyof Survey | null = 'before';
    for (const line of text.split('\n')) {
      const paths = [...line.matchAll(/["<]([^">]*)[">]/g)].map(([, found]) => path.join(found));
      const own = paths.filter((found) => found === this.#dir || found.startsWith(`${this.#dir}/`));
      if (own.length === 0) continue;
      const unknown = own.find((found) => !known.has(found.replace(/ \(deleted\)$/, '')));
      if (unknown !== undefined && section === 'during') throw new Error(`pathsOf does not name ${unknown}.`);
      if (unknown !== undefined) continue;
      const call = line.slice(0, line.indexOf('('));
      const count = counts.get(call) ?? { before: 0, during: 0 };
      if (section) count[section]++;
      counts.set(call, count);
      // The marks themselves are calls: the first counts as before, the second as neither.
      if (line.includes(`${this.#dir}/begin"`)) section = 'during';
      else if (line.includes(`${this.#dir}/end"`)) {
        count.during--;
        section = null;
      }
    }
    return counts;
  }

  /** Runs each failure on a fresh project. Gives its outcome, and what is wrong with it. */
  async run(
    failures: readonly Failure[],
    surveys: Surveys,
    see: (failure: Failure, outcome: FailingOutcome, wrong: string[]) => void,
  ): Promise<void> {
    const before = ({ operation, call }: Failure) => surveys.get(operation)?.get(call)?.before ?? 0;
    await this.#inSessions(
      failures.map((failure) => ({
        failure,
        at: before(failure) + failure.nth,
        begin: () => this.#reset(failure.operation),
        end: (outcome) => see(failure, outcome, this.#wrong(failure, outcome)),
      })),
    );
  }

  /** Opens each of these projects while a system call fails, labels and closes; `see` gets the folder as it is then. */
  async reopen(
    opened: readonly {
      project: string;
      failure: Omit<Failure, 'operation'>;
      see(outcome: FailingOutcome, left: string): void;
    }[],
  ): Promise<void> {
    await this.#inSessions(
      opened.map(({ project, failure, see }) => ({
        failure: { ...failure, operation: 'reopen' },
        at: failure.nth,
        begin: () => {
          rmSync(this.#dir, { recursive: true, force: true });
          cpSync(project, this.#dir, { recursive: true });
          writeFileSync(path.join(this.#dir, 'dummy'), 'x');
        },
        end: (outcome) => see(outcome, this.#copy()),
      })),
    );
  }

  /** Cases that share call, error and duration share a process; `at` is the call that fails, counted from the thread's first. */
  async #inSessions(
    cases: readonly { failure: Failure; at: number; begin(): void; end(outcome: FailingOutcome): void }[],
  ): Promise<void> {
    const alike = ({ failure: { call, error, isForEver } }: (typeof cases)[number]) => `${call} ${error} ${isForEver}`;
    for (const group of Map.groupBy(cases, alike).values()) {
      const { call, error, isForEver } = group[0].failure;
      const when = Math.max(...group.map(({ at }) => at));
      const inject = `${call}:error=${error}:when=${when}${isForEver ? '+' : ''}`;
      const start = () => asking(startFailing(inject, pathsOf(this.#dir), CHILD, []));
      let session = start();
      for (const { failure, at, begin, end } of group) {
        begin();
        const outcome = await session.ask({ operation: failure.operation, dir: this.#dir, call, idle: when - at });
        end(outcome);
        if (outcome.outcome !== DIED) continue;
        await session.end();
        session = start();
      }
      await session.end();
    }
  }

  /** A file whose close failed may still be locked, so that a copy is looked at. */
  #copy(): string {
    const dir = path.join(this.#work, 'left');
    rmSync(dir, { recursive: true, force: true });
    cpSync(this.#dir, dir, { recursive: true });
    return dir;
  }

  #wrong({ operation, call, error }: Failure, { outcome, second }: FailingOutcome): string[] {
    const dir = this.#copy();
    const wrong: string[] = [];
    const allowed = error === 'EIO' ? ['io-failed'] : ['disk-full', 'io-failed'];
    // SQLite itself takes EIO from a read for a damaged file, and its check of a file any error.
    if (call === 'pread64') allowed.push('project-damaged');
    // Shared memory that cannot grow has one code, whatever the reason.
    if ((operation === 'migrate' || operation === 'reopen') && call === 'pwrite64') allowed.push('disk-full');
    const isFull = error === 'ENOSPC' && (call === 'pwrite64' || call === 'write');
    for (const code of [outcome, ...(second === null || second.startsWith('ok') ? [] : [second])]) {
      if (code !== 'ok' && !allowed.includes(code)) wrong.push(`${code} for ${error}`);
      if (isFull && code === 'io-failed') wrong.push('a full disk is called a failing one');
    }
    // What fails elsewhere (a blob, an export, a backup) is no reason to distrust the project's own connection.
    const isOwn = operation === 'label' || operation === 'undo' || operation === 'import 50';
    if (isOwn && outcome !== 'disk-full' && second?.startsWith('ok')) wrong.push('it went on saving after a failure');
    try {
      const store = openProject(dir, { clock: () => 9_000_000 });
      try {
        wrong.push(...left(operation, outcome, second, store, dir));
      } finally {
        store.close();
      }
    } catch (trouble) {
      if (!(trouble instanceof EngineError)) throw trouble;
      wrong.push(`cannot be opened: ${trouble.code} ${trouble.message}`);
    }
    return wrong;
  }

  close(): void {
    rmSync(this.#work, { recursive: true, force: true });
  }
}

function left(
  operation: OperationName,
  outcome: string,
  second: string | null,
  store: ReturnType<typeof openProject>,
  dir: string,
): string[] {
  const { problems } = store.verify();
  const wrong = problems.map(({ code, where, message }) => `${code}, ${where}: ${message}`);
  const after = second?.startsWith('ok') ? 1 : 0;
  if (after && store.annotations.head().hash !== second?.slice(3)) wrong.push('the label after it is lost');
  if (after) return wrong;
  const extent: Extent = OPERATIONS[operation].extent(store, dir);
  if (extent === 'half') wrong.push('half of it is there');
  if (extent === 'none' && outcome === 'ok') wrong.push('silent: it said it went well, and nothing is there');
  return wrong;
}

const DIED = 'bug: the process died';

interface Session {
  ask(one: FailingCase): Promise<FailingOutcome>;
  end(): Promise<unknown>;
}

/** Asks one case after another of a child. */
function asking(child: ChildProcess): Session {
  if (!child.stdout || !child.stdin) throw new Error('The child has no pipes.');
  const { stdin } = child;
  // A process that died is heard of by the line that does not come.
  stdin.on('error', () => undefined);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const closed = once(child, 'close');
  return {
    async ask(one) {
      stdin.write(`${JSON.stringify(one)}\n`);
      const line = await lines.next();
      return line.done ? { outcome: DIED, message: '', second: null } : (JSON.parse(line.value) as FailingOutcome);
    },
    // It ends by itself: killed, strace would leave the process it holds.
    end() {
      stdin.end();
      return closed;
    },
  };
}

/** Every failure there is of these operations, in the order of the calls. */
export function allFailures(surveys: Surveys): Failure[] {
  const failures: Failure[] = [];
  for (const [operation, calls] of surveys)
    for (const [call, { during }] of calls)
      for (let nth = 1; nth <= during; nth++)
        for (const error of ['EIO', 'ENOSPC'] as const)
          for (const isForEver of [false, true]) failures.push({ operation, call, nth, error, isForEver });
  return failures;
}

const WRITING = new Set(['pwrite64', 'write', 'fsync', 'fdatasync', 'ftruncate', 'rename', 'unlink']);

/** Those that `npm test` has time for: EIO once and ENOSPC for ever; of every call that writes in `label` and `save a version`, and of one in `step` of all others. */
export function someFailures(surveys: Surveys, step: number): Failure[] {
  const all = allFailures(surveys).filter(({ error, isForEver }) => (error === 'ENOSPC') === isForEver);
  const isChosen = ({ operation, call }: Failure) =>
    (operation === 'label' || operation === 'save a version') && WRITING.has(call);
  return [...all.filter(isChosen), ...all.filter((one) => !isChosen(one)).filter((_, i) => i % step === 0)];
}

/** In words. */
export function named({ operation, call, nth, error, isForEver }: Failure): string {
  return `${operation}: ${error} from ${call} ${nth}${isForEver ? ' on' : ''}`;
}
