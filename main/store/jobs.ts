/**
 * Long work, remembered: what was asked, how far it is, where it goes on after a kill, and
 * how it ended. The store only records; whoever runs jobs decides. A job that was running
 * when its process died is still `running` here when the project is opened again, and is
 * listed by `interrupted`.
 */
import { EngineError, type ErrorShape } from '../domain/errors.ts';
import type { ImportProblem } from '../domain/item.ts';
import type { Db } from './connection.ts';
import { fromJson } from './connection.ts';

export const JOB_STATES = ['queued', 'running', 'done', 'failed', 'cancelled'] as const;
export type JobState = (typeof JOB_STATES)[number];

export interface JobRecord {
  id: string;
  kind: string;
  params: unknown;
  state: JobState;
  /** What it is at, as a code; null before it says. */
  stage: string | null;
  done: number | null;
  total: number | null;
  /** Where it goes on; null before the first checkpoint. */
  cursor: unknown;
  result: unknown;
  error: ErrorShape | null;
  createdAt: number;
  startedAt: number | null;
  endedAt: number | null;
}

export interface JobProgress {
  stage?: string | null;
  done?: number | null;
  total?: number | null;
}

export interface JobReader {
  get(id: string): JobRecord | null;
  /** The latest jobs, newest first. */
  list(options?: { limit?: number; states?: readonly JobState[]; kind?: string }): JobRecord[];
  /** What imports could not take in, latest first, of one job or of all. */
  problems(options?: { job?: string; limit?: number }): (ImportProblem & { job: string })[];
}

export interface JobWriter extends JobReader {
  /** Records new work as queued. */
  enqueue(kind: string, params: unknown): JobRecord;
  /** Marks it running; its cursor stays, so that work which was interrupted goes on. */
  start(id: string): JobRecord;
  progress(id: string, progress: JobProgress): void;
  /** Keeps where the work goes on. */
  checkpoint(id: string, cursor: unknown, progress?: JobProgress): void;
  /** Ends it well; without `result` the one kept so far stays. */
  finish(id: string, result?: unknown): JobRecord;
  fail(id: string, error: ErrorShape): JobRecord;
  cancel(id: string): JobRecord;
  /** Jobs that ran or waited when the last process on this project ended, oldest first. */
  interrupted(): JobRecord[];
}

interface JobRow {
  job: number;
  kind: string;
  params: string;
  state: JobState;
  stage: string | null;
  done: number | null;
  total: number | null;
  cursor: string | null;
  result: string | null;
  error: string | null;
  created_at: number;
  started_at: number | null;
  ended_at: number | null;
}

const parsed = (text: string | null): unknown => (text === null ? null : fromJson<unknown>(text));

const jobOf = (row: JobRow): JobRecord => ({
  id: String(row.job),
  kind: row.kind,
  params: parsed(row.params),
  state: row.state,
  stage: row.stage,
  done: row.done,
  total: row.total,
  cursor: parsed(row.cursor),
  result: parsed(row.result),
  error: parsed(row.error) as ErrorShape | null,
  createdAt: row.created_at,
  startedAt: row.started_at,
  endedAt: row.ended_at,
});

/** Reads jobs on any connection. */
export function createJobReader(db: Db): JobReader {
  const one = db.prepare<[number], JobRow>('SELECT * FROM jobs WHERE job = ?');
  const list = db.prepare<[{ states: string; kind: string | null; limit: number }], JobRow>(
    'SELECT * FROM jobs WHERE state IN (SELECT value FROM json_each(@states)) AND (@kind IS NULL OR kind = @kind) ORDER BY job DESC LIMIT @limit',
  );
  const problems = db.prepare<[{ job: number | null; limit: number }], ImportProblem & { job: string }>(
    'SELECT CAST(job AS TEXT) AS job, source, code, message, hint FROM import_problems WHERE @job IS NULL OR job = @job ORDER BY problem DESC LIMIT @limit',
  );
  return {
    get(id) {
      const row = one.get(Number(id));
      return row ? jobOf(row) : null;
    },
    list: ({ limit = 100, states = JOB_STATES, kind } = {}) =>
      list.all({ states: JSON.stringify(states), kind: kind ?? null, limit }).map(jobOf),
    problems: ({ job, limit = 1000 } = {}) => problems.all({ job: job === undefined ? null : Number(job), limit }),
  };
}

/** Writes jobs. What was running or waiting when this is called is what was interrupted. */
export function createJobWriter(db: Db, clock: () => number): JobWriter {
  const reader = createJobReader(db);
  const now = () => Math.floor(clock());
  const insert = db.prepare<[string, string, number]>(
    `INSERT INTO jobs (kind, params, state, created_at) VALUES (?, ?, 'queued', ?)`,
  );
  const start = db.prepare<[number, number]>(
    `UPDATE jobs SET state = 'running', started_at = ?, ended_at = NULL, error = NULL WHERE job = ?`,
  );
  const progress = db.prepare<[string | null, number | null, number | null, number]>(
    'UPDATE jobs SET stage = coalesce(?, stage), done = coalesce(?, done), total = coalesce(?, total) WHERE job = ?',
  );
  const cursor = db.prepare<[string, number]>('UPDATE jobs SET cursor = ? WHERE job = ?');
  const end = db.prepare<[JobState, string | null, string | null, number, number]>(
    'UPDATE jobs SET state = ?, result = coalesce(?, result), error = ?, ended_at = ? WHERE job = ?',
  );
  const atOpen = reader.list({ states: ['running', 'queued'], limit: 1_000_000 }).map((job) => job.id);
  atOpen.reverse();

  function known(id: string): JobRecord {
    const job = reader.get(id);
    if (!job)
      throw new EngineError('job-unknown', `There is no job ${id}.`, 'Choose one that the status lists.', { job: id });
    return job;
  }
  function ended(id: string, state: JobState, result: unknown, error: ErrorShape | null): JobRecord {
    known(id);
    end.run(
      state,
      result === undefined ? null : JSON.stringify(result),
      error && JSON.stringify(error),
      now(),
      Number(id),
    );
    return known(id);
  }
  const report = (id: string, { stage = null, done = null, total = null }: JobProgress) =>
    void progress.run(stage, done, total, Number(id));
  const checkpoint = db.transaction((id: string, at: unknown, how?: JobProgress) => {
    known(id);
    cursor.run(JSON.stringify(at ?? null), Number(id));
    if (how) report(id, how);
  });

  return {
    ...reader,
    enqueue: (kind, params) => known(String(insert.run(kind, JSON.stringify(params ?? null), now()).lastInsertRowid)),
    start(id) {
      known(id);
      start.run(now(), Number(id));
      return known(id);
    },
    progress: report,
    checkpoint: (id, at, how) => checkpoint.immediate(id, at, how),
    finish: (id, result) => ended(id, 'done', result, null),
    fail: (id, error) => ended(id, 'failed', undefined, error),
    cancel: (id) => ended(id, 'cancelled', undefined, null),
    interrupted: () => atOpen.map(known).filter(({ state }) => state === 'running' || state === 'queued'),
  };
}
