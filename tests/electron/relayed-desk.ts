/**
 * A window's end of the desktop's transport, without a window: the real engine process
 * started by electron/processes.ts, and the contract over a real MessageChannel through its
 * relay. `connect` is what a window does when its port was closed.
 */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { createORPCClient } from '@orpc/client';
import { RPCLink } from '@orpc/client/message-port';
import { EngineProcess, type EngineProcessOptions, type WindowPort } from '../../electron/processes.ts';
import type { DeskClient } from '../served-desk.ts';

export const ENTRY = fileURLToPath(new URL('../../main/engine-process.ts', import.meta.url));

/** A worker_threads port as Electron's MessagePortMain: data comes in an event. */
export function windowPort(port: MessagePort): WindowPort {
  return {
    on(event: 'message' | 'close', listener: (event: { data: unknown }) => void) {
      if (event === 'close') port.on('close', listener as () => void);
      else port.on('message', (data: unknown) => listener({ data }));
    },
    postMessage: (data: unknown) => port.postMessage(data),
    start: () => port.start(),
    close: () => port.close(),
  };
}

export interface Window {
  client: DeskClient;
  /** What is no frame, as well. */
  send(data: unknown): void;
  /** When the relay, or the window, closed the port. */
  closed: Promise<unknown>;
  close(): void;
}

/** Connects a window to the engine's process. */
export function openWindow(engine: EngineProcess): Window {
  const { port1, port2 } = new MessageChannel();
  const closed = once(port1, 'close');
  engine.connect(windowPort(port2));
  const link = new RPCLink({
    port: {
      on(event: string, listener: (event?: { data: unknown }) => void) {
        if (event === 'close') port1.on('close', () => listener());
        else port1.on('message', (data: unknown) => listener({ data }));
      },
      postMessage: (data: unknown) => port1.postMessage(data),
    },
  });
  return {
    client: createORPCClient<DeskClient>(link),
    send: (data) => port1.postMessage(data),
    closed,
    close: () => port1.close(),
  };
}

/** A started engine process with the Node that runs this. */
export function startEngine(
  project: string | null,
  options: Partial<EngineProcessOptions> = {},
): EngineProcess & { ready: Promise<void> } {
  let isReady: () => void;
  const ready = new Promise<void>((resolve) => (isReady = resolve));
  const engine = new EngineProcess({
    node: process.execPath,
    entry: ENTRY,
    project,
    ...options,
    on: {
      ...options.on,
      ready(message) {
        options.on?.ready?.(message);
        isReady();
      },
    },
  });
  engine.start();
  return Object.assign(engine, { ready });
}
