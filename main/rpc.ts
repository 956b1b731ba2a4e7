/**
 * How contracts travel: oRPC over a child process's channel, and EngineErrors that cross
 * any transport whole. Two promises: a foreseeable trouble thrown on one side is the same
 * EngineError on the other, also from inside a stream; and when the other process dies,
 * every call that waits for it fails with `compute-died` at once.
 */
import type { ChildProcess } from 'node:child_process';
import { ORPCError } from '@orpc/client';
import type { SupportedMessagePort } from '@orpc/client/message-port';
import { RequestHeadersPlugin, type RequestHeadersPluginContext } from '@orpc/server/plugins';
import { ACCOUNT } from './account.ts';
import { decodeWho, WHO_HEADER } from './domain/caller.ts';
import { EngineError, loggable, type ErrorShape } from './domain/errors.ts';

const ENGINE_ERROR = 'ENGINE';

/** For a server: EngineErrors go out with their shape as data; a bug goes to this process's log as `loggable` has it, and out without its details. */
export function toWire(error: unknown): unknown {
  if (error instanceof EngineError) {
    return new ORPCError(ENGINE_ERROR, { status: 422, message: error.message, data: error.toJSON() });
  }
  if (error instanceof ORPCError && error.code === 'BAD_REQUEST') {
    const issues =
      (error.data as { issues?: { message: string; path?: { key: unknown }[] }[] } | undefined)?.issues ?? [];
    const where = issues.map((issue) => `${(issue.path ?? []).map((p) => String(p.key)).join('.')}: ${issue.message}`);
    const invalid = new EngineError(
      'input-invalid',
      `The request is not valid: ${where.join('; ')}`,
      'Check the values and try again.',
    );
    return new ORPCError(ENGINE_ERROR, { status: 422, message: invalid.message, data: invalid.toJSON() });
  }
  const refused = refusalOf(error);
  if (refused !== null) return toWire(refused);
  const isCancelled = error instanceof Error && error.name === 'AbortError';
  if (!isCancelled) process.stderr.write(`${loggable(error)}\n`);
  return error;
}

/** What the system would not do with a path that somebody gave, where no reader or writer has said it better. */
function refusalOf(error: unknown): EngineError | null {
  const { code, syscall, path } = error as NodeJS.ErrnoException;
  if (!(error instanceof Error) || code === undefined) return null;
  if (code === 'ERR_INVALID_ARG_VALUE' && error.message.includes('without null bytes')) {
    return new EngineError('input-invalid', 'A path holds a NUL.', 'Check the path and try again.', {}, error);
  }
  if (syscall === undefined) return null;
  const message = `The system refused it (${code}, ${syscall})${path === undefined ? '' : `: ${path}`}.`;
  return new EngineError(
    'io-failed',
    message,
    'Check the path and your rights to it, then try again.',
    { code },
    error,
  );
}

/** For a client: what `toWire` sent becomes an EngineError again; everything else passes. */
export function fromWire(error: unknown): unknown {
  if (error instanceof ORPCError && error.code === ENGINE_ERROR) return EngineError.from(error.data as ErrorShape);
  return error;
}

/** oRPC server middleware for `toWire`, streams included. */
export async function sendErrorsWhole<T>(options: { next: () => Promise<T> }): Promise<T> {
  try {
    const result = await options.next();
    const output = (result as { output?: unknown }).output;
    if (isAsyncIterator(output)) return { ...result, output: mapStreamErrors(output, toWire) };
    return result;
  } catch (error) {
    throw toWire(error);
  }
}

/** Wraps a client stream so that what it throws is an EngineError where it was one. */
export async function* receiveStream<T>(stream: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* stream;
  } catch (error) {
    throw fromWire(error);
  }
}

/** What a call carries besides its input: the transport's headers, or nothing within one process. */
export type CallContext = RequestHeadersPluginContext;

/** For every handler that serves the contract over a transport: headers reach the calls. */
export const servingOptions = () => ({ plugins: [new RequestHeadersPlugin<CallContext>()] });

/** The caller's name from the header, else the machine's account. */
export function callerOf(context: CallContext): string {
  return decodeWho(context.reqHeaders?.get(WHO_HEADER) ?? null) ?? ACCOUNT;
}

async function* mapStreamErrors<T>(stream: AsyncIterator<T>, map: (error: unknown) => unknown): AsyncGenerator<T> {
  try {
    for (;;) {
      const step = await stream.next();
      if (step.done) return;
      yield step.value;
    }
  } catch (error) {
    throw map(error);
  } finally {
    await stream.return?.();
  }
}

function isAsyncIterator(value: unknown): value is AsyncIterator<unknown> {
  return typeof value === 'object' && value !== null && 'next' in value && Symbol.asyncIterator in value;
}

/** A forked child's channel, as the port that oRPC expects. */
export function childPort(child: ChildProcess): SupportedMessagePort {
  return {
    on(event, callback) {
      if (event === 'close') child.on('exit', () => callback());
      else child.on(event, (data: unknown) => callback({ data }));
    },
    postMessage(data: unknown) {
      if (child.connected) child.send(data as object);
    },
  };
}

/** This process's channel to the one that forked it. */
export function parentPort(): SupportedMessagePort {
  return {
    on(event, callback) {
      if (event === 'close') process.on('disconnect', () => callback());
      else process.on(event as 'message', (data: unknown) => callback({ data }));
    },
    postMessage(data: unknown) {
      // That the other end died meanwhile is heard as `close`.
      if (process.connected) process.send?.(data, undefined, undefined, () => undefined);
    },
  };
}
