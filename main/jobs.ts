/**
 * Long work: every job has an id, progress and a cancel, and a durable row, so that what a
 * crash interrupted is known at the next start. Progress lives in memory; state, cursor
 * and outcome are on disk. Cancelling is an outcome, not an error.
 */
import { ACCOUNT } from './account.ts';
import type { JobData } from './api.ts';
import { EngineError, loggable, type ErrorShape } from './domain/errors.ts';
import { requireRoom, RESERVE_BYTES, type By, type JobRecord, type ProjectStore } from './store/index.ts';

export type JobKind = JobData['kind'];

export interface Progress {
  stage: string;
  done?: number | null;
  total?: number | null;
}

export interface JobControl {
  readonly id: string;
  readonly signal: AbortSignal;
  report(progress: Progress): void;
}

export type JobResult = Record<string, unknown>;

/** Work that writes much: it is not begun where it would leave no room for labels. */
const FILLING: Partial<Record<JobKind, string>> = {
  import: 'The import',
  encode: 'Looking at the items',
  train: 'The training',
  tune: 'The fine-tuning',
};

interface Running {
  controller: AbortController;
  progress: Progress | null;
  finished: Promise<JobData>;
}

/** Runs jobs one after another per lane, mirrors them to the store and tells `onChange` (at most every 100 ms for progress). */
export class Jobs {
  readonly #store: ProjectStore;
  readonly #onChange: () => void;
  readonly #running = new Map<string, Running>();
  readonly #lanes = new Map<string, Promise<unknown>>();
  #lastTold = 0;
  #closed = false;

  constructor(store: ProjectStore, onChange: () => void) {
    this.#store = store;
    this.#onChange = onChange;
  }

  /** Starts `work` after everything earlier in its lane. `resume` continues an interrupted job under its old id; `by` leaves an entry in the audit trail with the job's row. */
  start(
    kind: JobKind,
    params: Record<string, unknown>,
    work: (control: JobControl) => Promise<JobResult | undefined>,
    options: { lane?: string; resume?: string; by?: By } = {},
  ): { id: string; finished: Promise<JobData> } {
    const enqueue = () => this.#store.jobs.enqueue(kind, params);
    const { by } = options;
    const id = options.resume ?? (by ? this.#store.recorded(by, enqueue, (job) => ({ job: job.id })) : enqueue()).id;
    const controller = new AbortController();
    const running: Running = { controller, progress: null, finished: new Promise<never>(() => undefined) };
    const control: JobControl = {
      id,
      signal: controller.signal,
      report: (progress) => {
        running.progress = progress;
        const now = performance.now();
        if (now - this.#lastTold < 100) return;
        this.#lastTold = now;
        this.#onChange();
      },
    };
    const lane = options.lane ?? 'learning';
    const before = this.#lanes.get(lane) ?? Promise.resolve();
    running.finished = before.then(() => this.#run(id, control, work));
    this.#lanes.set(
      lane,
      running.finished.catch(() => undefined),
    );
    this.#running.set(id, running);
    this.#onChange();
    return { id, finished: running.finished };
  }

  async #run(
    id: string,
    control: JobControl,
    work: (control: JobControl) => Promise<JobResult | undefined>,
  ): Promise<JobData> {
    const { jobs } = this.#store;
    try {
      control.signal.throwIfAborted();
      const { kind } = jobs.start(id);
      this.#onChange();
      const what = FILLING[kind as JobKind];
      if (what) requireRoom(this.#store.dir, RESERVE_BYTES, what);
      const result = await work(control);
      this.#refuseIfClosed();
      if (control.signal.aborted) jobs.cancel(id);
      else jobs.finish(id, result);
    } catch (error) {
      this.#refuseIfClosed();
      if (control.signal.aborted || (error instanceof EngineError && error.code === 'cancelled')) jobs.cancel(id);
      else jobs.fail(id, errorShapeOf(error));
    } finally {
      this.#running.delete(id);
    }
    const view = this.#view(this.#known(id));
    this.#onChange();
    return view;
  }

  /** A closed project's job stays `running` on disk, which is how the next start finds it. */
  #refuseIfClosed(): void {
    if (this.#closed)
      throw new EngineError('cancelled', 'The project was closed.', 'Open the project again: the work goes on.');
  }

  #known(id: string): JobRecord {
    const row = this.#store.jobs.get(id);
    if (!row)
      throw new EngineError('job-unknown', `There is no job ${id}.`, 'List the jobs and choose one of them.', {
        job: id,
      });
    return row;
  }

  /** The latest, newest first. */
  list(limit = 20): JobData[] {
    return this.#store.jobs.list({ limit }).map((row) => this.#view(row));
  }

  /** The one of a kind that ended last, or null. */
  latest(kind: JobKind): JobData | null {
    const [row] = this.#store.jobs.list({ limit: 1, kind, states: ['done', 'failed', 'cancelled'] });
    return row ? this.#view(row) : null;
  }

  /** Those that run or wait. */
  active(): JobData[] {
    return [...this.#running.keys()].map((id) => this.#view(this.#known(id)));
  }

  isActive(kind: JobKind): boolean {
    return this.active().some((job) => job.kind === kind);
  }

  /** Errors: `job-unknown`. A job that has ended stays as it is. */
  cancel(id: string, who = ACCOUNT): JobData {
    const row = this.#known(id);
    this.#store.recorded({ who, call: 'jobs.cancel' }, () => ({ job: id }));
    this.#running.get(id)?.controller.abort();
    return this.#view(row);
  }

  /** Waits for a job to end, however it ends. */
  async finished(id: string): Promise<JobData> {
    const running = this.#running.get(id);
    return running ? running.finished : this.#view(this.#known(id));
  }

  /** Stops everything that runs and leaves it marked as running, so that the next start resumes it. */
  async close(): Promise<void> {
    this.#closed = true;
    const waiting = [...this.#running.values()].map((running) => running.finished.catch(() => undefined));
    for (const running of this.#running.values()) running.controller.abort();
    await Promise.all(waiting);
  }

  #view(row: JobRecord): JobData {
    const progress = this.#running.get(row.id)?.progress ?? null;
    const done = progress?.done ?? null;
    const total = progress?.total ?? null;
    return {
      id: row.id,
      kind: row.kind as JobKind,
      state: row.state,
      progress: row.state === 'done' ? 1 : done !== null && total ? Math.min(1, done / total) : null,
      stage: progress?.stage ?? null,
      done,
      total,
      createdAt: row.createdAt,
      endedAt: row.endedAt,
      error: row.error,
      result: row.result as JobData['result'],
    };
  }
}

function errorShapeOf(error: unknown): ErrorShape {
  if (error instanceof EngineError) return error.toJSON();
  console.error(loggable(error));
  return {
    code: 'io-failed',
    message: error instanceof Error ? error.message : String(error),
    hint: 'Try again; if it comes back, report it with the log.',
    context: {},
  };
}
