/**
 * The compute process as the engine sees it: started when first needed, restarted after it
 * dies, killed when the project closes. What was running when it died fails with
 * `compute-died`; the caller decides whether to try again.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { setPriority } from 'node:os';
import { createORPCClient } from '@orpc/client';
import { RPCLink } from '@orpc/client/message-port';
import type { ContractRouterClient } from '@orpc/contract';
import type { computeContract } from './compute-api.ts';
import { EngineError } from './domain/errors.ts';
import { childFlags, entryOf } from './places.ts';
import { childPort, fromWire, receiveStream } from './rpc.ts';

export type ComputeClient = ContractRouterClient<typeof computeContract>;

interface CallOptions {
  signal: AbortSignal | undefined;
}

/** Below everything a person waits for, above nothing. */
const BACKGROUND_PRIORITY = 10;

/** Below the window and the engine: where cores are few, the next item is painted before the queue behind it is ranked. */
const INTERACTIVE_PRIORITY = 4;

export class ComputeProcess {
  readonly #dir: string;
  readonly #background: boolean;
  #child: ChildProcess | null = null;
  #client: ComputeClient | null = null;
  #closed = false;

  /** For the project in `dir`; '' for work that needs no project (a preview before one exists). */
  constructor(dir: string, options: { background?: boolean } = {}) {
    this.#dir = dir;
    this.#background = options.background ?? false;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** One call that answers once. */
  async call<T>(use: (client: ComputeClient, options: CallOptions) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const client = this.#start();
    const child = this.#child;
    try {
      return await use(client, { signal });
    } catch (error) {
      throw this.#explain(error, child, signal);
    }
  }

  /** One call that streams progress and ends with a result, which is returned. */
  async run<E extends { kind: string }>(
    use: (client: ComputeClient, options: CallOptions) => Promise<AsyncIterable<E>>,
    onEvent: (event: E) => void | Promise<void>,
    signal?: AbortSignal,
  ): Promise<void> {
    const client = this.#start();
    const child = this.#child;
    try {
      for await (const event of receiveStream(await use(client, { signal }))) await onEvent(event);
    } catch (error) {
      throw this.#explain(error, child, signal);
    }
    if (signal?.aborted) throw cancelled();
  }

  close(): void {
    this.#closed = true;
    this.#child?.kill('SIGKILL');
  }

  #start(): ComputeClient {
    if (this.#client) return this.#client;
    if (this.#closed) throw cancelled();
    const child = fork(entryOf('compute'), [this.#dir], {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: childFlags(),
    });
    child.once('exit', () => {
      if (this.#child === child) {
        this.#child = null;
        this.#client = null;
      }
    });
    child.on('error', () => child.kill('SIGKILL'));
    if (child.pid !== undefined)
      lowerPriority(child.pid, this.#background ? BACKGROUND_PRIORITY : INTERACTIVE_PRIORITY);
    this.#child = child;
    this.#client = createORPCClient<ComputeClient>(new RPCLink({ port: childPort(child) }));
    return this.#client;
  }

  #explain(error: unknown, child: ChildProcess | null, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted || this.#closed) return cancelled();
    if (child && (child.exitCode !== null || child.signalCode !== null || !child.connected)) {
      return new EngineError(
        'compute-died',
        'The process that runs the model stopped unexpectedly.',
        'Try again: it has been started anew. If it comes back, free some memory or remove the item it stops at.',
        { exitCode: child.exitCode, signal: child.signalCode },
        error,
      );
    }
    return fromWire(error);
  }
}

function cancelled(): EngineError {
  return new EngineError('cancelled', 'The work was cancelled.', 'Start it again when you like: nothing is lost.');
}

/** Lets others go first, where the system allows it. */
export function lowerPriority(pid: number, priority = BACKGROUND_PRIORITY): void {
  try {
    setPriority(pid, priority);
  } catch (error) {
    // The system may refuse; the work is then done at normal priority.
    if (
      (error as NodeJS.ErrnoException).code !== 'EACCES' &&
      (error as NodeJS.ErrnoException).code !== 'EPERM' &&
      (error as NodeJS.ErrnoException).code !== 'ESRCH'
    )
      throw error;
  }
}

/** Does work again whose process died, at most `tries` times in all: it is written so that what was kept is not redone. Nothing is tried again once `isClosed`. */
export async function withRetries<T>(tries: number, isClosed: () => boolean, work: () => Promise<T>): Promise<T> {
  for (let left = tries; ; left--) {
    try {
      return await work();
    } catch (error) {
      const died = error instanceof EngineError && error.code === 'compute-died';
      if (!died || left <= 1 || isClosed()) throw error;
    }
  }
}
