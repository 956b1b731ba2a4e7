/**
 * A real host process as a test sees it: started as the README says, spoken to over its
 * real WebSocket with the real token exchange, and killed when the test likes.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createORPCClient } from '@orpc/client';
import { RPCLink } from '@orpc/client/websocket';
import type { ContractRouterClient } from '@orpc/contract';
import { WebSocket } from 'ws';
import type { contract } from '../main/api.ts';

export type DeskClient = ContractRouterClient<typeof contract>;

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CLI = fileURLToPath(new URL('../hosts/cli.ts', import.meta.url));

export interface ServedDesk {
  process: ChildProcess;
  /** With the one-time token. */
  address: string;
  origin: string;
  /** Exchanges the token and connects; works once, as in a browser. */
  connect(): Promise<{ client: DeskClient; cookie: string; close(): void }>;
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>;
  /** SIGTERM, and waits until it has closed the project. */
  stop(): Promise<void>;
  /** What it wrote to stderr so far. */
  log(): string;
}

/** Starts `marginalia serve`, on a port of its own where 0; rejects with what it said when it ends instead of serving. */
export async function serveDesk(dir: string | null, env: NodeJS.ProcessEnv = {}, port = 0): Promise<ServedDesk> {
  const child = spawn(
    process.execPath,
    [CLI, 'serve', ...(dir === null ? [] : [dir]), '--port', String(port), '--json'],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    },
  );
  let log = '';
  let output = '';
  child.stderr.on('data', (data: Buffer) => (log += data.toString()));
  const exited = once(child, 'exit');
  const address = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
      if (output.includes('\n') && !output.includes('"address"'))
        reject(new Error(`The host did not start: ${output}`));
      if (output.includes('\n'))
        resolve((JSON.parse(output.slice(0, output.indexOf('\n'))) as { address: string }).address);
    });
    void exited.then(() => reject(new Error(`The host ended: ${output}${log}`)));
  });
  const origin = new URL(address).origin;
  return {
    process: child,
    address,
    origin,
    connect: () => connect(address),
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
    log: () => log,
  };
}

async function connect(address: string): Promise<{ client: DeskClient; cookie: string; close(): void }> {
  const { origin, hash } = new URL(address);
  const token = hash.replace('#token=', '');
  const session = await fetch(`${origin}/session`, { method: 'POST', headers: { Authorization: `Bearer ${token}` } });
  if (session.status !== 204) throw new Error(`No session: ${session.status} ${await session.text()}`);
  const cookie = (session.headers.get('set-cookie') ?? '').split(';')[0];
  return { ...(await connectWithCookie(origin, cookie)), cookie };
}

/** The path that a session's cookie is for; its value begins with it. */
export function placeOf(cookie: string): string {
  return `/${/=([^.]+)\./.exec(cookie)?.[1] ?? ''}`;
}

/** A second connection beside a browser's, with its cookie. */
export async function connectWithCookie(
  origin: string,
  cookie: string,
): Promise<{ client: DeskClient; close(): void }> {
  const socket = new WebSocket(`${origin.replace('http', 'ws')}${placeOf(cookie)}/rpc`, ['marginalia'], {
    headers: { Cookie: cookie, Origin: origin },
  });
  socket.on('error', () => socket.terminate());
  await once(socket, 'open');
  const client = createORPCClient<DeskClient>(new RPCLink({ websocket: socket }));
  return { client, close: () => socket.terminate() };
}

/** Runs one command of the command line to its end. */
export async function runCli(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [CLI, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const [code] = (await once(child, 'exit')) as [number | null];
  return { code, stdout, stderr };
}

/** Like `runCli` with `--json`, its document parsed. */
export async function runJson<T = Record<string, unknown>>(
  ...args: string[]
): Promise<{ code: number | null; json: T; stderr: string }> {
  const { code, stdout, stderr } = await runCli([...args, '--json']);
  return { code, json: JSON.parse(stdout) as T, stderr };
}
