/**
 * The loopback host answers only its own desk. Raw requests, because a browser would not
 * send most of them; every row says what is sent and what must come back.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { request, type OutgoingHttpHeaders } from 'node:http';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { placeOf, runCli, serveDesk, type ServedDesk } from '../served-desk.ts';

const work = mkdtempSync(join(tmpdir(), 'marginalia-web-'));
let desk: ServedDesk;
let port = 0;
let token = '';
let cookie = '';
let place = '';

function send(
  path: string,
  options: { method?: string; headers?: OutgoingHttpHeaders } = {},
): Promise<{ status: number; headers: OutgoingHttpHeaders; body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method: options.method ?? 'GET',
        headers: { Host: `127.0.0.1:${port}`, ...options.headers },
      },
      (response) => {
        let body = '';
        response.on('data', (data: Buffer) => (body += data.toString()));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
      },
    );
    outgoing.on('error', reject);
    outgoing.end();
  });
}

/** The status line that answers a WebSocket upgrade. */
function upgrade(headers: Record<string, string>, path = `${place}/rpc`): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket(port, '127.0.0.1', () => {
      const lines = Object.entries({
        Host: `127.0.0.1:${port}`,
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Protocol': 'marginalia',
        ...headers,
      }).map(([name, value]) => `${name}: ${value}`);
      socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
    });
    socket.once('data', (data) => {
      resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(data.toString())?.[1]));
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

beforeAll(async () => {
  await runCli(['new', join(work, 'project'), '--classes', 'yes,no']);
  desk = await serveDesk(join(work, 'project'));
  const address = new URL(desk.address);
  port = Number(address.port);
  token = address.hash.replace('#token=', '');
});

afterAll(async () => {
  await desk.stop();
  rmSync(work, { recursive: true, force: true });
});

describe('Before the token is exchanged', () => {
  test('the desk’s files are served under a strict policy, pixels and calls are not', async () => {
    const page = await send('/');
    expect(page.status).toBe(200);
    expect(page.headers['content-security-policy']).toContain("default-src 'none'");
    expect(page.headers['content-security-policy']).not.toContain("script-src 'self' 'unsafe-inline'");
    expect(page.headers['x-content-type-options']).toBe('nosniff');
    expect((await send('/pixels/abc/0')).status).toBe(404);
    expect(await upgrade({ Origin: `http://127.0.0.1:${port}` })).toBe(403);
  });
  test('a wrong token opens nothing', async () => {
    expect((await send('/session', { method: 'POST', headers: { Authorization: 'Bearer wrong' } })).status).toBe(401);
    expect((await send('/session', { method: 'POST' })).status).toBe(401);
  });
});

describe('The token', () => {
  test('works once', async () => {
    const first = await send('/session', { method: 'POST', headers: { Authorization: `Bearer ${token}` } });
    expect(first.status).toBe(204);
    const set = String(first.headers['set-cookie']);
    expect(set).toContain('HttpOnly');
    expect(set).toContain('SameSite=Strict');
    cookie = set.split(';')[0];
    place = placeOf(cookie);
    expect(set).toContain(`Path=${place}`);
    expect(first.headers.location).toBe(place);
    expect((await send('/session', { method: 'POST', headers: { Authorization: `Bearer ${token}` } })).status).toBe(
      401,
    );
    expect((await send(`${place}/session`, { method: 'POST', headers: { Cookie: cookie } })).status).toBe(204);
    expect((await send(`${place}/session`, { method: 'POST' })).status).toBe(401);
    expect((await send('/session', { method: 'POST', headers: { Cookie: cookie } })).status).toBe(401);
  });
});

describe('With a session', () => {
  const own = () => `http://127.0.0.1:${port}`;
  test.each([
    ['another host name (DNS rebinding)', () => ({ Host: `evil.example:${port}` }), 403],
    ['the right name with another port', () => ({ Host: '127.0.0.1:1' }), 403],
    ['no port', () => ({ Host: '127.0.0.1' }), 403],
    ['another origin', () => ({ Origin: 'https://evil.example' }), 403],
    ['the null origin', () => ({ Origin: 'null' }), 403],
    ['another port’s origin', () => ({ Origin: 'http://127.0.0.1:1' }), 403],
    ['a cross-site fetch', () => ({ 'Sec-Fetch-Site': 'cross-site' }), 403],
    ['a same-site fetch', () => ({ 'Sec-Fetch-Site': 'same-site' }), 403],
    ['its own origin', () => ({ Origin: own() }), 404],
    ['localhost', () => ({ Host: `localhost:${port}` }), 404],
  ])('pixels asked with %s', async (_name, headers, status) => {
    expect((await send(`${place}/pixels/abc/0`, { headers: { Cookie: cookie, ...headers() } })).status).toBe(status);
  });

  test.each([
    ['no origin', () => ({}), 403],
    ['another origin', () => ({ Origin: 'https://evil.example' }), 403],
    ['another host', () => ({ Host: `evil.example:${port}`, Origin: `http://evil.example:${port}` }), 403],
    ['its own origin and no cookie', () => ({ Origin: own(), Cookie: 'x=y' }), 403],
    ['its own origin', () => ({ Origin: own() }), 101],
  ])('a WebSocket with %s', async (_name, headers, status) => {
    expect(await upgrade({ Cookie: cookie, ...headers() })).toBe(status);
  });

  test.each([
    '/../package.json',
    '/..%2f..%2fpackage.json',
    '/%2e%2e/package.json',
    '/assets/../../../package.json',
    '//etc/passwd',
    '/%00',
    '/%',
  ])('the path %s leads to nothing', async (path) => {
    const { status, body } = await send(path, { headers: { Cookie: cookie } });
    expect(status).toBe(404);
    expect(body).not.toContain('marginalia"');
  });

  test('only GET and HEAD are answered', async () => {
    for (const method of ['PUT', 'DELETE', 'OPTIONS', 'POST']) {
      expect((await send('/', { method, headers: { Cookie: cookie } })).status).toBe(405);
    }
  });
});
