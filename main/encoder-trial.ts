/**
 * Tries what others made in a process that may hang, crash or take memory without harm: it
 * is given limits that grow with the honest work, and killed beyond them. Promises an answer
 * in any case, and that the process has ended by then.
 */
import { spawn } from 'node:child_process';
import { totalmem } from 'node:os';
import type { Request } from './encoder-trial-child.ts';
import { EngineError, type ErrorShape } from './domain/errors.ts';
import type { TrialFeed, TrialOutput, Trials } from './inference/index.ts';
import { childFlags, entryOf } from './places.ts';
import { type Ending, keepWatch, type Limits } from './watchdog.ts';

const ENTRY = entryOf('encoder-trial-child');
const MB = 2 ** 20;
/** What the process itself takes, and the least that a trial has. */
const LEAST_BYTES = 1024 * MB;
const LEAST_MS = 5000;
/** Starting the process and handing over the bytes is not the model's fault. */
const START_MS = 20_000;
/** Answers are short. */
const MOST_SAID = 8 * MB;

/** What a trial may take: time and memory that honest models of this size and input need, several times over. */
export function limitsFor(sizeBytes: number, inputValues: number): Limits & { lifeMs: number } {
  const lifeMs = LEAST_MS + (100 * sizeBytes) / MB + inputValues / 1000;
  const wanted = LEAST_BYTES + 6 * sizeBytes + 4 * 100 * inputValues;
  return { lifeMs, stuckMs: lifeMs, memoryBytes: Math.min(wanted, 0.8 * totalmem()) };
}

/** Longer than anything honest blocks the thread; a hidden endless run is ended all the same. */
const STUCK_MS = 600_000;

/**
 * Watches over this process from now on, because it runs the models of a project on real items, where
 * one may do what it did not do in its trial, or that came with the project and had none: the process
 * ends rather than that the system looks for one to end. `MARGINALIA_MODEL_MEMORY_MB` says how much it
 * may take; default: 80 % of this machine's.
 */
export function watchModels(): Promise<void> {
  const asked = Number(process.env.MARGINALIA_MODEL_MEMORY_MB);
  const memoryBytes = asked > 0 ? asked * MB : 0.8 * totalmem();
  return keepWatch({ stuckMs: STUCK_MS, memoryBytes, lookMs: 200 });
}

/** Trials in a process of their own each. `limits` and `entry` are for tests. Errors: `encoder-invalid`, `out-of-memory`. */
export function trialsApart(limits = limitsFor, entry = ENTRY): Trials {
  return {
    async model(bytes: Uint8Array, feeds: readonly TrialFeed[]) {
      const values = feeds.reduce((sum, { dims }) => sum + dims.reduce((a, b) => a * b, 1), 0);
      const told = limits(bytes.length, values);
      const request: Request = { kind: 'model', sizeBytes: bytes.length, limits: told, feeds: [...feeds] };
      return (await attempt(entry, request, bytes)) as TrialOutput[];
    },
    async tokenizer(json: string) {
      const bytes = Buffer.from(json);
      const request: Request = { kind: 'tokenizer', sizeBytes: bytes.length, limits: limits(bytes.length, 0) };
      return (await attempt(entry, request, bytes)) as { padId: number };
    },
  };
}

type Answer = { result: unknown } | { error: ErrorShape | { said: string } } | { ended: Ending; value: number };

async function attempt(entry: string, request: Request, bytes: Uint8Array): Promise<unknown> {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child = spawn(process.execPath, [...childFlags(), entry], { stdio: ['pipe', 'pipe', 'ignore'], env });
  const lifeMs = request.limits.lifeMs ?? LEAST_MS;
  const timer = setTimeout(() => child.kill('SIGKILL'), START_MS + lifeMs + bytes.length / 10_000);
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (said.length > MOST_SAID) child.kill('SIGKILL');
  });
  child.stdin.on('error', () => undefined); // it died before it had read all: its end says so
  child.stdin.write(`${JSON.stringify(request)}\n`);
  child.stdin.end(bytes);
  const end = await new Promise<{ code: number | null; signal: string | null; cause?: unknown }>((resolve) => {
    child.once('error', (cause) => resolve({ code: null, signal: null, cause }));
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  clearTimeout(timer);
  const answer = answerIn(said);
  if (answer && 'result' in answer) return answer.result;
  const what = request.kind === 'model' ? 'model' : 'tokenizer';
  const context = { exitCode: end.code, signal: end.signal };
  if (answer && 'error' in answer) {
    if ('code' in answer.error) throw EngineError.from(answer.error);
    throw invalid(`The ${what} cannot be run: ${answer.error.said}.`, `Choose another ${what}.`, context);
  }
  if (answer?.ended === 'memory') {
    const most = Math.round(request.limits.memoryBytes / MB);
    throw invalid(
      `The ${what} took more than ${most} MB of memory in its trial on two blank items, and was stopped.`,
      `Choose another ${what}, or one that takes smaller inputs.`,
      { ...context, memoryBytes: answer.value },
    );
  }
  if (answer || end.signal === 'SIGKILL') {
    throw invalid(
      `The ${what} did not come to an end within ${Math.round(lifeMs / 1000)} s in its trial on two blank items, and was stopped.`,
      `Choose another ${what}, or a smaller one; if this machine is busy, try again.`,
      context,
    );
  }
  throw invalid(
    `The process that tried the ${what} broke off (${end.signal ?? end.code ?? 'it could not be started'}).`,
    `Choose another ${what}, or export this one again.`,
    context,
    end.cause,
  );
}

/** The last line that is an answer; a model may print as well. */
function answerIn(said: string): Answer | null {
  for (const line of said.trim().split('\n').reverse()) {
    try {
      const value: unknown = JSON.parse(line);
      if (typeof value === 'object' && value !== null) return value as Answer;
    } catch {
      // not ours
    }
  }
  return null;
}

function invalid(message: string, hint: string, context: EngineError['context'], cause?: unknown): EngineError {
  return new EngineError('encoder-invalid', message, hint, context, cause);
}
