/**
 * Clients that flood or stall the loopback host: bodies without end, headers a byte at a time,
 * ten thousand sockets, answers that nobody reads, floods of frames. All of them meet a real host
 * process with a project; a desk beside them goes on being answered, and memory and files return
 * to where they were.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { connectWithCookie, placeOf, runCli, serveDesk, type DeskClient, type ServedDesk } from '../served-desk.ts';
import { IS_LINUX, memoryMb, openFileCount } from './processes.ts';
import { openSocket } from './raw-http.ts';

const CARELESS = fileURLToPath(new URL('careless-child.ts', import.meta.url));
/** How long the desk beside may wait for an answer on a busy machine. */
const AT_ONCE_MS = 2000;
/** What a flood may leave in memory for a while. */
const FLAT_MB = 150;

const work = mkdtempSync(join(tmpdir(), 'marginalia-load-'));
let desk: ServedDesk;
let client: DeskClient;
let cookie = '';
let port = 0;
let item = '';
/** The negative control: the same clients at a host that takes no care. */
let careless: ChildProcess;
let carelessPort = 0;

beforeAll(async () => {
  const dir = join(work, 'project');
  const noise = { type: 'gaussian' as const, mean: 128, sigma: 60 }; // hardly compresses
  const picture = { width: 2000, height: 2000, channels: 3 as const, background: '#888', noise };
  await sharp({ create: picture }).png({ compressionLevel: 1 }).toFile(join(work, 'large.png'));
  await runCli(['new', dir, '--classes', 'yes,no']);
  const rows = Array.from({ length: 40 }, (_, n) => JSON.stringify({ id: `t${n}`, report: `${n} `.repeat(30_000) }));
  writeFileSync(join(work, 'long.jsonl'), rows.join('\n'));
  await runCli(['import', dir, join(work, 'large.png'), join(work, 'long.jsonl')]);
  desk = await serveDesk(dir);
  port = Number(new URL(desk.origin).port);
  ({ client, cookie } = await desk.connect());
  item = (await client.items.list({ search: 'large' })).items[0].id;
  careless = spawn(process.execPath, [CARELESS, join(work, 'large.png')], { stdio: ['ignore', 'pipe', 'ignore'] });
  const [said] = (await once(careless.stdout!, 'data')) as [Buffer];
  carelessPort = Number(said);
}, 120_000);

afterAll(async () => {
  careless.kill('SIGKILL');
  await desk.stop();
  rmSync(work, { recursive: true, force: true });
});

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const memory = () => (IS_LINUX ? memoryMb(desk.process.pid!) : 0);
const files = () => (IS_LINUX ? openFileCount(desk.process.pid!) : 0);
const head = (...lines: string[]) => [...lines, `Host: 127.0.0.1:${port}`, `Cookie: ${cookie}`].join('\r\n');

/** The longest that the desk beside waited for an answer while something went on. */
async function longestWaitMs(during: () => Promise<unknown>): Promise<number> {
  let isOver = false;
  let longest = 0;
  const asking = (async () => {
    while (!isOver) {
      const asked = performance.now();
      await client.items.list({ search: 'large' });
      longest = Math.max(longest, performance.now() - asked);
      await wait(10);
    }
  })();
  await during().finally(() => (isOver = true));
  await asking;
  return longest;
}

/** Waits until `value` is at most `limit`; gives the last one seen. */
async function settled(value: () => number, limit: number, withinMs = 5000): Promise<number> {
  for (let waited = 0; value() > limit && waited < withinMs; waited += 50) await wait(50);
  return value();
}

/** How long a socket lived from now, or `limitMs` where it still lives. */
async function livedMs(socket: Socket, limitMs: number): Promise<number> {
  const from = performance.now();
  socket.on('error', () => undefined);
  if (!socket.destroyed) await Promise.race([new Promise((resolve) => socket.once('close', resolve)), wait(limitMs)]);
  return socket.destroyed ? performance.now() - from : limitMs;
}

/** Writes as much of a body as the other side takes, and tells how much. */
async function pour(socket: Socket, chunk: Buffer, limitBytes: number): Promise<number> {
  let sent = 0;
  let isGone = false;
  socket.on('error', () => (isGone = true)).on('close', () => (isGone = true));
  while (sent < limitBytes && !isGone) {
    sent += chunk.length;
    const isTaken = await Promise.race([
      new Promise((resolve) => socket.write(chunk, () => resolve(true))),
      wait(500).then(() => false),
    ]);
    if (isTaken === false) break;
  }
  return sent;
}

describe('Bodies', () => {
  const text = Buffer.alloc(1 << 15, 97);
  test.each([
    ['of four gigabytes', 'Content-Length: 4294967296', text],
    [
      'in chunks without end',
      'Transfer-Encoding: chunked',
      Buffer.concat([Buffer.from('8000\r\n'), text, Buffer.from('\r\n')]),
    ],
  ])('%s are not read', async (_what, length, chunk) => {
    const poured = async (to: number) => {
      const socket = await openSocket(to);
      socket.write(`${head('POST /session HTTP/1.1', length)}\r\n\r\n`);
      const sent = await pour(socket, chunk, 64 << 20);
      socket.destroy();
      return sent;
    };
    const before = memory();
    expect(await poured(port)).toBeLessThan(16 << 20);
    expect(memory() - before).toBeLessThan(FLAT_MB);
    expect(await poured(carelessPort), 'a careless host reads them').toBeGreaterThanOrEqual(64 << 20);
  });
});

describe('A desk is answered', () => {
  test('beside four hundred clients that send a byte a second, and those are sent away', async () => {
    const before = files();
    const open = (count: number, at: number) => Promise.all(Array.from({ length: count }, () => openSocket(at)));
    const longest = await longestWaitMs(async () => {
      const [sockets, kept] = [await open(400, port), await open(5, carelessPort)];
      for (const socket of [...sockets, ...kept]) socket.on('error', () => undefined).write('GET / HTTP/1.1\r\nX-A: ');
      const drip = () => [...sockets, ...kept].forEach((socket) => socket.writable && socket.write('a'));
      const dripping = setInterval(drip, 1000);
      const lived = await Promise.all(sockets.map((socket) => livedMs(socket, 15_000)));
      clearInterval(dripping);
      expect(Math.max(...lived)).toBeLessThan(12_000);
      expect(
        kept.some((socket) => socket.destroyed),
        'a careless host keeps them',
      ).toBe(false);
      for (const socket of kept) socket.destroy();
    });
    expect(longest).toBeLessThan(AT_ONCE_MS);
    if (IS_LINUX) expect(await settled(files, before + 5)).toBeLessThanOrEqual(before + 5);
  });

  test('beside ten thousand sockets that say nothing, and so is one that comes now', async () => {
    const [before, filesBefore] = [memory(), files()];
    let mostFiles = 0;
    const sockets: Socket[] = [];
    const longest = await longestWaitMs(async () => {
      for (let batch = 0; batch < 20; batch++) {
        const opened = await Promise.allSettled(Array.from({ length: 500 }, () => openSocket(port)));
        for (const socket of opened)
          if (socket.status === 'fulfilled') sockets.push(socket.value.on('error', () => undefined).resume());
        mostFiles = Math.max(mostFiles, files());
        const another = await connectWithCookie(desk.origin, cookie);
        expect((await another.client.items.list({ search: 'large' })).items).toHaveLength(1);
        another.close();
      }
    });
    expect(sockets.length).toBeGreaterThan(9000);
    expect(longest).toBeLessThan(AT_ONCE_MS);
    expect(mostFiles - filesBefore).toBeLessThan(1000);
    expect(memory() - before).toBeLessThan(FLAT_MB);
    for (const socket of sockets) socket.destroy();
    if (IS_LINUX) expect(await settled(files, filesBefore + 5)).toBeLessThanOrEqual(filesBefore + 5);
  }, 60_000);

  test('beside a hundred clients that do not read a large image, and its file is closed when they go', async () => {
    const [before, filesBefore] = [memory(), files()];
    /** Files that stay open at a host after its clients have come and gone. */
    const left = async (pid: number, to: number) => {
      const already = IS_LINUX ? openFileCount(pid) : 0;
      const sockets = await Promise.all(Array.from({ length: 100 }, () => openSocket(to)));
      for (const socket of sockets) {
        socket.on('error', () => undefined).pause();
        socket.write(`${head(`GET ${placeOf(cookie)}/pixels/${item}/0 HTTP/1.1`)}\r\n\r\n`);
      }
      if (IS_LINUX) await settled(() => already + 150 - openFileCount(pid), 0);
      if (IS_LINUX) expect(openFileCount(pid)).toBeGreaterThanOrEqual(already + 150);
      for (const socket of sockets) socket.destroy();
      return IS_LINUX ? (await settled(() => openFileCount(pid), already + 5, 1000)) - already : 0;
    };
    const longest = await longestWaitMs(async () => expect(await left(desk.process.pid!, port)).toBeLessThanOrEqual(5));
    expect(longest).toBeLessThan(AT_ONCE_MS);
    expect(memory() - before).toBeLessThan(FLAT_MB);
    expect(files()).toBeLessThanOrEqual(filesBefore + 5);
    if (IS_LINUX) expect(await left(careless.pid!, carelessPort), 'a careless host’s stay open').toBeGreaterThan(90);
  });

  test('beside clients that are reset while they ask for another protocol', async () => {
    const reset = async (to: number) => {
      for (let n = 0; n < 200; n++) {
        const socket = await openSocket(to).catch(() => null);
        if (socket === null) return;
        const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket';
        await new Promise((resolve) =>
          socket.on('error', resolve).write(`${head(`GET /rpc HTTP/1.1`, upgrade)}\r\n\r\n`, resolve),
        );
        if (n % 2) await wait(1);
        socket.resetAndDestroy();
      }
    };
    await reset(port);
    expect(await client.items.list({ limit: 1 })).toBeDefined();
    expect(desk.process.exitCode).toBeNull();
    await reset(carelessPort);
    await settled(() => (careless.exitCode === null ? 1 : 0), 0);
    expect(careless.exitCode, 'a careless host ends').not.toBeNull();
  });
});

describe('A socket of the session', () => {
  async function opened(): Promise<{ socket: WebSocket; ended: Promise<number> }> {
    const address = `${desk.origin.replace('http', 'ws')}${placeOf(cookie)}/rpc`;
    const socket = new WebSocket(address, ['marginalia'], { headers: { Cookie: cookie, Origin: desk.origin } });
    const ended = new Promise<number>((resolve) => {
      socket.on('error', () => undefined).on('close', (code) => resolve(code));
    });
    await new Promise((resolve) => socket.once('open', resolve));
    return { socket, ended };
  }
  const call = (n: number, text?: string) =>
    JSON.stringify({ i: String(n), p: { u: '/items/list', b: { json: { search: text } } } });

  test('is closed by a message of a megabyte and a byte, and not by one of a megabyte', async () => {
    const { socket, ended } = await opened();
    const room = (1 << 20) - call(1, '').length;
    socket.send(call(1, 'a'.repeat(room)));
    const [answer] = await new Promise<Buffer[]>((resolve) =>
      socket.once('message', (...data) => resolve(data as Buffer[])),
    );
    expect(answer.toString()).toContain('"i":"1"');
    socket.send(call(2, 'a'.repeat(room + 1)));
    expect(await ended).toBe(1009);
  });

  test.each([
    ['a message that is no JSON', (socket: WebSocket) => socket.send('patient 4711'), 1007],
    [
      'a message that is no call',
      (socket: WebSocket) => socket.send('{"i":"1","p":{"u":"/status","h":{"content-disposition":"x"}}}'),
      1007,
    ],
    ['bytes', (socket: WebSocket) => socket.send(Buffer.from('{}')), 1003],
    [
      'a message in a thousand pieces',
      (socket: WebSocket) => {
        for (let n = 0; n < 1000; n++) socket.send('a', { fin: false });
      },
      1008,
    ],
    [
      'a message in empty pieces',
      (socket: WebSocket) => {
        for (let n = 0; n < 1000; n++) socket.send('', { fin: false });
      },
      1008,
    ],
    ['bytes that are no text', (socket: WebSocket) => socket.send(Buffer.from([0xff, 0xfe]), { binary: false }), 1007],
  ])('is closed by %s, without a word in the log', async (_what, send, code) => {
    const log = desk.log();
    const { socket, ended } = await opened();
    send(socket);
    expect([code, 1006]).toContain(await ended);
    expect(desk.log()).toBe(log);
  });

  test('may ask five thousand times at once', async () => {
    const before = memory();
    const longest = await longestWaitMs(async () => {
      const { socket } = await opened();
      let answers = 0;
      socket.on('message', () => (answers += 1));
      for (let n = 0; n < 5000; n++) socket.send(JSON.stringify({ i: String(n), p: { u: '/desk/state' } }));
      expect(await settled(() => 5000 - answers, 0)).toBe(0);
      socket.terminate();
    });
    expect(longest).toBeLessThan(AT_ONCE_MS);
    expect(await settled(() => memory() - before, FLAT_MB)).toBeLessThan(FLAT_MB);
  });

  test('that pings without end is closed', async () => {
    const before = memory();
    const longest = await longestWaitMs(async () => {
      const { socket, ended } = await opened();
      for (let n = 0; n < 50_000; n++) socket.ping();
      expect(await ended).toBe(1006);
    });
    expect(longest).toBeLessThan(AT_ONCE_MS);
    expect(memory() - before).toBeLessThan(FLAT_MB);
  });

  test('that asks without reading is closed before it fills the memory', async () => {
    const before = memory();
    const { socket, ended } = await opened();
    socket.pause();
    let mostMb = 0;
    let answers = 0;
    socket.on('message', () => (answers += 1));
    const watching = setInterval(() => (mostMb = Math.max(mostMb, memory() - before)), 20);
    for (let n = 0; n < ASKED; n++) socket.send(call(n));
    await longestWaitMs(() => wait(1500)); // the desk beside has its turn after what was asked
    socket.resume();
    await Promise.race([ended, settled(() => ASKED - answers, 0, 10_000)]);
    clearInterval(watching);
    expect(answers).toBeLessThan(ASKED);
    expect(mostMb).toBeLessThan(3 * FLAT_MB);
    expect(await ended).toBe(1006);
  });
  const ASKED = 400;
});
