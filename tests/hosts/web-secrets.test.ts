/**
 * Where the loopback host can be reached and who can learn how: it listens on the loopback
 * interface alone, at a port of its own; its token is said once, to whoever started it, and is in
 * no command line, environment or log; guessing leads nowhere; and a session ends with the host.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commandLine, environment, family, internetSockets, IS_LINUX, isLoopback } from './processes.ts';
import { sendRaw, startRawHost, type RawHost } from './raw-http.ts';

const CLI = fileURLToPath(new URL('../../hosts/cli.ts', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'marginalia-secrets-'));
const home = join(work, 'home');
const asked = join(work, 'asked');
afterAll(() => rmSync(work, { recursive: true, force: true }));

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition() && tries < 400; tries++) await new Promise((resolve) => setTimeout(resolve, 25));
  expect(condition()).toBe(true);
}

describe.skipIf(!IS_LINUX)('A host that opens the browser (read from /proc, on Linux)', () => {
  let host: ChildProcess;
  let [output, log, token] = ['', '', ''];
  let port = 0;
  const seen = new Set<string>();
  /** Notes command lines and environments of the host and all that it starts, again and again. */
  let watching: ReturnType<typeof setInterval>;

  beforeAll(async () => {
    mkdirSync(home);
    const browser = join(work, 'bin');
    mkdirSync(browser);
    // Stands for the browser: says what it was given, and lives for a while as one does.
    writeFileSync(
      join(browser, 'xdg-open'),
      `#!/bin/sh\necho "$@" > '${asked}.part'; mv '${asked}.part' '${asked}'; sleep 2\n`,
    );
    chmodSync(join(browser, 'xdg-open'), 0o755);
    const env = { ...process.env, HOME: home, PATH: `${browser}${delimiter}${process.env.PATH}` };
    host = spawn(process.execPath, [CLI, 'serve', '--port', '0', '--open'], { stdio: ['ignore', 'pipe', 'pipe'], env });
    host.stdout!.on('data', (data: Buffer) => (output += data.toString()));
    host.stderr!.on('data', (data: Buffer) => (log += data.toString()));
    watching = setInterval(() => {
      for (const pid of family(host.pid!)) seen.add(`${pid} ${commandLine(pid)} ${environment(pid)}`);
    }, 20);
    await until(() => existsSync(asked));
    token = /#token=(\S+)/.exec(output)?.[1] ?? '';
    port = Number(/127\.0\.0\.1:(\d+)/.exec(output)?.[1]);
  });
  afterAll(async () => {
    clearInterval(watching);
    host.kill('SIGTERM');
    await once(host, 'exit');
  });

  test('listens on the loopback interface alone, and cannot be reached by the machine’s other addresses', async () => {
    const sockets = family(host.pid!).flatMap(internetSockets);
    expect(sockets.filter(({ listens }) => listens)).toHaveLength(1);
    expect(sockets.filter(({ local }) => !isLoopback(local))).toEqual([]);
    const others = Object.values(networkInterfaces()).flatMap((list) => list?.map(({ address }) => address) ?? []);
    for (const address of [...others, '::1', '127.0.0.2'].filter((one) => one !== '127.0.0.1')) {
      const [, outcome] = await sendRaw(port, ['GET / HTTP/1.1', `Host: 127.0.0.1:${port}`], { host: address });
      expect(['refused', 'closed'], address).toContain(outcome);
    }
    expect((await sendRaw(port, ['GET / HTTP/1.1', `Host: 127.0.0.1:${port}`]))[1]).toBe(200);
  });

  test('of which one that listens everywhere would be found', async () => {
    const everywhere = createServer();
    await new Promise<void>((resolve) => everywhere.listen(0, '0.0.0.0', resolve));
    const found = internetSockets(process.pid).filter(({ listens, local }) => listens && !isLoopback(local));
    everywhere.close();
    expect(found).toHaveLength(1);
  });

  test('says the token once, and gives the browser a file that only its user can read', async () => {
    expect(token).toMatch(/^[\w-]{43}$/);
    expect(output.split(token)).toHaveLength(2);
    expect(log).not.toContain(token);
    const file = readFileSync(asked, 'utf8').trim();
    expect(file).toMatch(/marginalia-\w+\.html$/);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).toContain(`url=http://127.0.0.1:${port}/#token=${token}"`);
    const session = await fetch(`http://127.0.0.1:${port}/session`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}` },
    });
    expect(session.status).toBe(204);
    await until(() => !existsSync(file));
    const all = [...seen].join('\n');
    expect(all).toContain('xdg-open');
    expect(all).toContain(file);
    expect(all).not.toContain(token);
  });
});

describe('The token and the session', () => {
  let raw: RawHost;
  beforeAll(async () => {
    raw = await startRawHost();
  });
  afterAll(() => raw.close());
  const session = (lines: string[], { port } = raw) =>
    sendRaw(port, ['POST /session HTTP/1.1', `Host: 127.0.0.1:${port}`, ...lines]);

  test('are others in every host, and so is the port', async () => {
    const another = await startRawHost();
    expect(another.port).not.toBe(raw.port);
    for (const key of ['token', 'cookie', 'place'] as const) expect(another[key]).not.toBe(raw[key]);
    expect((await session([`Authorization: Bearer ${another.token}`]))[1]).toBe(401);
    const pixels = [`GET ${another.place}/pixels/a/0 HTTP/1.1`, `Host: 127.0.0.1:${another.port}`];
    expect((await sendRaw(another.port, [...pixels, `Cookie: ${raw.cookie}`]))[0]).not.toContain('"code":');
    expect((await sendRaw(another.port, [...pixels, `Cookie: ${another.cookie}`]))[0]).toContain('"code":');
    await another.close();
  });

  test('cannot be guessed: a thousand near misses open nothing', async () => {
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const outcomes = new Set<unknown>();
    for (let n = 0; n < 1000; n++) {
      const at = n % raw.token.length;
      const other = letters[(letters.indexOf(raw.token[at]) + 1 + (n >> 6)) % 64];
      const guess = raw.token.slice(0, at) + other + raw.token.slice(at + 1);
      outcomes.add((await session([`Authorization: Bearer ${guess}`]))[1]);
    }
    expect([...outcomes]).toEqual([401]);
  });

  test('end with the host: its successor at the same port knows neither', async () => {
    const [before, port] = [raw, raw.port];
    await raw.close();
    raw = await startRawHost(port);
    expect(raw.port).toBe(port);
    const asks = (cookie: string, place: string) =>
      sendRaw(port, [`POST ${place}/session HTTP/1.1`, `Host: 127.0.0.1:${port}`, `Cookie: ${cookie}`]);
    expect((await asks(before.cookie, before.place))[1]).toBe(401);
    expect((await asks(raw.cookie, raw.place))[1]).toBe(204);
  });
});
