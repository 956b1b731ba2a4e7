/**
 * The real engine in a process of its own, spoken to as a window does: over the channel to
 * the shell, by the contract. Also what the system says about such a process: memory,
 * open files, children.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createORPCClient } from '@orpc/client';
import { RPCLink } from '@orpc/client/message-port';
import type { ContractRouterClient } from '@orpc/contract';
import type { contract } from '../../main/api.ts';
import type { FromEngineMessage, ToEngineMessage } from '../../main/api-shell.ts';
import { ENGINE_FLAGS } from '../../main/places.ts';

export interface EngineAtWork {
  readonly pid: number;
  readonly client: ContractRouterClient<typeof contract>;
  /** From the start of the process to the answer that the project is open. */
  readonly openedAfterMs: number;
  /** Closes the project and waits for the end of the process. */
  close(): Promise<void>;
  kill(): void;
}

/** The bundle where it is built and asked for, else the sources. */
export function engineEntry(bundled: boolean): string {
  const bundle = fileURLToPath(new URL('../../out/main/engine-process.js', import.meta.url));
  return bundled && existsSync(bundle)
    ? bundle
    : fileURLToPath(new URL('../../main/engine-process.ts', import.meta.url));
}

/** Starts an engine on a project; `null` opens none. Errors leave as what the engine said. */
export async function startEngine(project: string | null, options: { bundled?: boolean } = {}): Promise<EngineAtWork> {
  const began = performance.now();
  const child = fork(engineEntry(options.bundled ?? false), [], {
    serialization: 'json',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: [...process.execArgv, ...ENGINE_FLAGS],
  });
  const say = (message: ToEngineMessage) => void (child.connected && child.send(message));
  const ready = new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the engine ended with ${code}`)));
    child.on('message', (message: FromEngineMessage) => {
      if (message.kind !== 'ready') return;
      if (message.trouble) reject(new Error(`${message.trouble.code}: ${message.trouble.message}`));
      else resolve();
    });
  });
  say({ kind: 'start', project });
  await ready;
  const openedAfterMs = performance.now() - began;
  say({ kind: 'connect', desk: 1 });
  const client: EngineAtWork['client'] = createORPCClient(new RPCLink({ port: portTo(child, say) }));
  return {
    pid: child.pid ?? 0,
    client,
    openedAfterMs,
    close() {
      say({ kind: 'close' });
      return new Promise((resolve) => child.once('exit', () => resolve()));
    },
    kill: () => void child.kill('SIGKILL'),
  };
}

function portTo(child: ChildProcess, say: (message: ToEngineMessage) => void) {
  return {
    on(event: string, callback: (event?: { data: unknown }) => void) {
      if (event === 'close') child.on('exit', () => callback());
      else
        child.on('message', (message: FromEngineMessage) => {
          if (message.kind === 'frame') callback({ data: message.frame });
        });
    },
    postMessage: (frame: unknown) => say({ kind: 'frame', desk: 1, frame: frame as string }),
  };
}

/** Resident memory in MB (Linux); 0 for a process that is gone. */
export function memoryMb(pid: number, kind: 'VmRSS' | 'VmHWM' = 'VmRSS'): number {
  try {
    const found = new RegExp(`^${kind}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Number(found?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

/** Open files of a process (Linux). */
export function handles(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}

/** The processes that this one started (Linux). */
export function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
