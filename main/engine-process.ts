/**
 * Entry of the engine's process behind the desktop shell: serves the contract to every
 * window over the one channel to the shell, and pixels beside it. It opens no socket. It
 * closes the project and ends when the shell says so, and also when the shell dies.
 */
import { createRouterClient } from '@orpc/server';
import { RPCHandler } from '@orpc/server/message-port';
import type { SupportedMessagePort } from '@orpc/client/message-port';
import * as v from 'valibot';
import packageJson from '../package.json' with { type: 'json' };
import { ToEngine, type FromEngineMessage, type ToEngineMessage } from './api-shell.ts';
import { EngineError, loggable } from './domain/errors.ts';
import { Engine } from './engine.ts';
import { servingOptions } from './rpc.ts';

/** A window that is loaded anew is gone for less than this. */
const GONE_AFTER_MS = 5000;
/** The shell hears of progress this often at most. */
const TELL_EVERY_MS = 250;
/** Closing a project takes less than this, or is given up. */
const CLOSING_MS = 8000;
/** Of pixels in one message: a few milliseconds, so that acts need not wait behind an image. */
const PIECE_BYTES = 3 << 18;

interface Desk {
  port: SupportedMessagePort;
  receive(frame: string): void;
  close(): void;
}

const desks = new Map<number, Desk>();
const engine = new Engine({ host: 'desktop', safe: process.env.MARGINALIA_SAFE_MODE === '1' });
const rpc = new RPCHandler(engine.router, servingOptions());
const waiting: ToEngineMessage[] = [];
let isReady = false;
let gone: ReturnType<typeof setTimeout> | undefined;

function tell(message: FromEngineMessage): void {
  // A shell that died meanwhile is heard of by itself.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

/** One window's connection, as the port that oRPC expects. */
function deskPort(desk: number): Desk {
  const heard: ((event: { data: unknown }) => void)[] = [];
  const closed: (() => void)[] = [];
  return {
    port: {
      on(event: string, callback: (event?: { data: unknown }) => void) {
        if (event === 'close') closed.push(callback);
        else heard.push(callback);
      },
      postMessage(data: unknown) {
        if (desks.has(desk)) tell({ kind: 'frame', desk, frame: data as string });
      },
    },
    receive: (frame) => heard.forEach((callback) => callback({ data: frame })),
    close: () => closed.forEach((callback) => callback()),
  };
}

function connect(desk: number): void {
  clearTimeout(gone);
  const connection = deskPort(desk);
  desks.set(desk, connection);
  rpc.upgrade(connection.port, { context: {} });
}

function disconnect(desk: number): void {
  const connection = desks.get(desk);
  desks.delete(desk);
  connection?.close();
  if (desks.size === 0) gone = setTimeout(() => engine.left(), GONE_AFTER_MS).unref();
}

async function answerPixels({ ask, item, part, side }: Extract<ToEngineMessage, { kind: 'pixels' }>): Promise<void> {
  try {
    const { type, body } = await engine.pixels(item, part, side);
    if (typeof body !== 'string') {
      for (let at = 0; at < body.length; at += PIECE_BYTES) {
        const piece = Buffer.from(body.buffer, body.byteOffset + at, Math.min(PIECE_BYTES, body.length - at));
        tell({ kind: 'bytes', ask, bytes: piece.toString('base64') });
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    tell({ kind: 'pixels', ask, found: { type, file: typeof body === 'string' ? body : null }, trouble: null });
  } catch (error) {
    const isKnown = error instanceof EngineError;
    if (!isKnown) console.error(loggable(error));
    tell({ kind: 'pixels', ask, found: null, trouble: isKnown ? error.toJSON() : null });
  }
}

/** Tells the shell what is open and what is at work, as often as that changes. */
async function keepTelling(): Promise<void> {
  const client = createRouterClient(engine.router, { context: {} });
  let due: ReturnType<typeof setTimeout> | undefined;
  const tellWork = async () => {
    due = undefined;
    const { project } = await client.desk.state();
    const jobs = project === null ? [] : (await client.jobs.list()).filter(({ endedAt }) => endedAt === null);
    tell({ kind: 'work', jobs: jobs.map((job) => ({ ...job, paused: job.stage === 'paused' })) });
  };
  for await (const { kind } of await client.changes()) {
    if (kind === 'hello' || kind === 'project') {
      const { project } = await client.desk.state();
      const name = project === null ? '' : (await client.status()).name;
      tell({ kind: 'project', dir: project, name });
    }
    if (kind === 'hello' || kind === 'jobs' || kind === 'project')
      due ??= setTimeout(() => void tellWork(), TELL_EVERY_MS);
  }
}

async function start({ project }: Extract<ToEngineMessage, { kind: 'start' }>): Promise<void> {
  let trouble: EngineError | null = null;
  if (project !== null) {
    try {
      await engine.open(project);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      trouble = error;
    }
  }
  const { version } = packageJson;
  tell({ kind: 'ready', pid: process.pid, version, node: process.version, trouble: trouble?.toJSON() ?? null });
  isReady = true;
  for (const message of waiting.splice(0)) obey(message);
  void keepTelling();
}

async function close(): Promise<void> {
  setTimeout(() => process.exit(1), CLOSING_MS).unref();
  await engine.close();
  process.exit(0);
}

function obey(message: ToEngineMessage): void {
  switch (message.kind) {
    case 'start':
      return void start(message);
    case 'connect':
      return connect(message.desk);
    case 'frame':
      return desks.get(message.desk)?.receive(message.frame);
    case 'disconnect':
      return disconnect(message.desk);
    case 'pixels':
      return void answerPixels(message);
    case 'left':
      return engine.left();
    case 'close':
      return void close();
  }
}

process.on('message', (data) => {
  const { success, output } = v.safeParse(ToEngine, data);
  if (!success) return;
  if (isReady || output.kind === 'start' || output.kind === 'close') obey(output);
  else waiting.push(output);
});
process.on('disconnect', () => void close());
