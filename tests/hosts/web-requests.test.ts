/**
 * What the loopback host is asked by others than its desk, as bytes: every row says what is sent
 * and what must come back. “yes” is an answer of the desk's own (2xx, 101, or 404 from behind the
 * session); everything else is a refusal. Two hosts that check less show that the table finds it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sendRaw, startRawHost, type Outcome, type RawHost } from './raw-http.ts';

/** What a row is written with; the words stand for the host's own values. */
interface Asked {
  port: number;
  place: string;
  cookie: string;
  token: string;
}

type Row = [what: string, request: (ours: Asked) => string[] | string, expected: Outcome];

const host = ({ port }: Asked) => `Host: 127.0.0.1:${port}`;
const origin = ({ port }: Asked) => `Origin: http://127.0.0.1:${port}`;
const cookie = (ours: Asked) => `Cookie: ${ours.cookie}`;
const OTHER = 'https://evil.example';
/** Of an item that no project has: 404 as JSON says that the question was let through. */
const PIXELS = '/pixels/abc/0';

/** The desk asks for pixels, with some headers more or instead. */
const pixels =
  (...more: ((ours: Asked) => string)[]) =>
  (ours: Asked) => [`GET ${ours.place}${PIXELS} HTTP/1.1`, host(ours), cookie(ours), ...more.map((line) => line(ours))];
const page =
  (target: string, ...more: string[]) =>
  (ours: Asked) => [`GET ${target.replace('PORT', String(ours.port))} HTTP/1.1`, host(ours), ...more];
const asking =
  (method: string, path: string, ...more: string[]) =>
  (ours: Asked) => [
    `${method} ${path.replace('PLACE', ours.place)} HTTP/1.1`,
    host(ours),
    ...more.map((line) => line.replace('TOKEN', ours.token).replace('COOKIE', ours.cookie)),
  ];
const socket =
  (changes: Record<string, string | null | ((ours: Asked) => string | null)> = {}) =>
  (ours: Asked) => {
    const lines: Record<string, string | null | ((ours: Asked) => string | null)> = {
      Host: `127.0.0.1:${ours.port}`,
      Origin: `http://127.0.0.1:${ours.port}`,
      Cookie: ours.cookie,
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Protocol': 'marginalia',
      ...changes,
    };
    const { Path: path = null, ...headers } = lines;
    const said = (value: string | null | ((ours: Asked) => string | null)) =>
      typeof value === 'function' ? value(ours) : value;
    return [
      `GET ${said(path) ?? `${ours.place}/rpc`} HTTP/1.1`,
      ...Object.entries(headers).flatMap(([name, value]) => (said(value) === null ? [] : [`${name}: ${said(value)}`])),
    ];
  };

const rows: Row[] = [
  // What the desk does.
  ['the page', page('/'), 200],
  ['the page, typed into the address bar', page('/', 'Sec-Fetch-Site: none', 'Sec-Fetch-Mode: navigate'), 200],
  ['a file of the page', page('/desk.js', 'Sec-Fetch-Site: same-origin', 'Sec-Fetch-Dest: script'), 200],
  ['the head of the page', (ours) => ['HEAD / HTTP/1.1', host(ours)], 200],
  ['the page by the name localhost', ({ port }) => ['GET / HTTP/1.1', `Host: localhost:${port}`], 200],
  ['pixels with the session', pixels(), 404],
  [
    'pixels as the desk’s image',
    pixels(
      () => 'Sec-Fetch-Site: same-origin',
      () => 'Sec-Fetch-Dest: image',
    ),
    404,
  ],
  ['pixels, in part', pixels(() => 'Range: bytes=0-9'), 404],
  [
    'pixels beside another program’s cookies',
    pixels(
      () => 'X: 1',
      () => 'Accept: */*',
    ),
    404,
  ],
  [
    'pixels with a foreign cookie of our name before ours',
    (ours) => [
      `GET ${ours.place}${PIXELS} HTTP/1.1`,
      host(ours),
      `Cookie: marginalia-${ours.port}=tossed; ${ours.cookie}`,
    ],
    404,
  ],
  ['whether the session holds', asking('POST', 'PLACE/session', 'Cookie: COOKIE', 'Content-Length: 0'), 204],
  ['a WebSocket', socket(), 101],
  [
    'a link on another page that leads to the desk',
    page('/', 'Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: document'),
    200,
  ],

  // Who is asked: DNS rebinding and other names.
  [
    'another host name that leads here',
    ({ port, place, ...ours }) => [
      `GET ${place}${PIXELS} HTTP/1.1`,
      `Host: evil.example:${port}`,
      `Cookie: ${ours.cookie}`,
    ],
    403,
  ],
  ['the page by another host name', ({ port }) => ['GET / HTTP/1.1', `Host: evil.example:${port}`], 403],
  ['a name that ends like ours', ({ port }) => ['GET / HTTP/1.1', `Host: 127.0.0.1.evil.example:${port}`], 403],
  ['a name that begins like ours', ({ port }) => ['GET / HTTP/1.1', `Host: localhost.evil.example:${port}`], 403],
  ['localhost with a dot', ({ port }) => ['GET / HTTP/1.1', `Host: localhost.:${port}`], 403],
  ['the address written otherwise', ({ port }) => ['GET / HTTP/1.1', `Host: 127.1:${port}`], 403],
  ['the address as a number', ({ port }) => ['GET / HTTP/1.1', `Host: 2130706433:${port}`], 403],
  ['all addresses', ({ port }) => ['GET / HTTP/1.1', `Host: 0.0.0.0:${port}`], 403],
  ['IPv6', ({ port }) => ['GET / HTTP/1.1', `Host: [::1]:${port}`], 403],
  ['another port', () => ['GET / HTTP/1.1', 'Host: 127.0.0.1:1'], 403],
  ['no port', () => ['GET / HTTP/1.1', 'Host: 127.0.0.1'], 403],
  ['a user before the host', ({ port }) => ['GET / HTTP/1.1', `Host: a@127.0.0.1:${port}`], 403],
  ['no host', () => ['GET / HTTP/1.1'], 400],
  ['an empty host', () => ['GET / HTTP/1.1', 'Host:'], 403],
  ['two hosts, ours first', (ours) => ['GET / HTTP/1.1', host(ours), 'Host: evil.example'], 403],
  ['two hosts, ours last', (ours) => ['GET / HTTP/1.1', 'Host: evil.example', host(ours)], 403],
  ['our host twice', (ours) => ['GET / HTTP/1.1', host(ours), host(ours)], 403],
  ['a whole address as the target', (ours) => [`GET http://127.0.0.1:${ours.port}/ HTTP/1.1`, host(ours)], 404],
  ['a foreign address as the target', (ours) => [`GET http://evil.example/ HTTP/1.1`, host(ours)], 404],
  ['a star as the target', (ours) => ['OPTIONS * HTTP/1.1', host(ours)], 404],

  // Who asks: other origins.
  ['pixels for another origin', pixels(() => `Origin: ${OTHER}`), 403],
  ['pixels for the null origin', pixels(() => 'Origin: null'), 403],
  ['pixels for a file', pixels(() => 'Origin: file://'), 403],
  ['pixels for another port', pixels(() => 'Origin: http://127.0.0.1:1'), 403],
  ['pixels for our port by TLS', pixels(({ port }) => `Origin: https://127.0.0.1:${port}`), 403],
  ['pixels for our other name', pixels(({ port }) => `Origin: http://localhost:${port}`), 403],
  ['pixels for two origins', pixels(origin, () => `Origin: ${OTHER}`), 403],
  ['pixels for an empty origin', pixels(() => 'Origin:'), 403],
  ['pixels, cross-site', pixels(() => 'Sec-Fetch-Site: cross-site'), 403],
  ['pixels, same site (another port)', pixels(() => 'Sec-Fetch-Site: same-site'), 403],
  [
    'pixels, said twice to be ours',
    pixels(
      () => 'Sec-Fetch-Site: same-origin',
      () => 'Sec-Fetch-Site: cross-site',
    ),
    403,
  ],
  [
    'pixels as a page of another’s',
    pixels(
      () => 'Sec-Fetch-Site: cross-site',
      () => 'Sec-Fetch-Mode: navigate',
      () => 'Sec-Fetch-Dest: document',
    ),
    403,
  ],
  [
    'the page in another’s frame',
    page('/', 'Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: iframe'),
    403,
  ],
  [
    'the page as another’s script',
    page('/', 'Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: no-cors', 'Sec-Fetch-Dest: script'),
    403,
  ],
  [
    'a form of another’s',
    asking(
      'POST',
      '/',
      'Sec-Fetch-Site: cross-site',
      'Sec-Fetch-Mode: navigate',
      'Sec-Fetch-Dest: document',
      `Origin: ${OTHER}`,
    ),
    403,
  ],
  ['a file of the page for another', page('/desk.js', 'Sec-Fetch-Site: same-site', 'Sec-Fetch-Dest: script'), 403],
  [
    'a service worker',
    page('/desk.js', 'Service-Worker: script', 'Sec-Fetch-Site: same-origin', 'Sec-Fetch-Dest: serviceworker'),
    403,
  ],

  // With what: token and cookie.
  ['pixels without the cookie', (ours) => [`GET ${ours.place}${PIXELS} HTTP/1.1`, host(ours)], 'page'],
  ['pixels without the place', (ours) => [`GET ${PIXELS} HTTP/1.1`, host(ours), cookie(ours)], 'page'],
  [
    'pixels with the place and another’s cookie',
    (ours) => [`GET ${ours.place}${PIXELS} HTTP/1.1`, host(ours), 'Cookie: session=1; marginalia=2'],
    'page',
  ],
  [
    'pixels with our cookie cut short',
    (ours) => [`GET ${ours.place}${PIXELS} HTTP/1.1`, host(ours), `Cookie: ${ours.cookie.slice(0, -1)}`],
    'page',
  ],
  [
    'pixels with our cookie under another port’s name',
    (ours) => [
      `GET ${ours.place}${PIXELS} HTTP/1.1`,
      host(ours),
      `Cookie: ${ours.cookie.replace(String(ours.port), '1')}`,
    ],
    'page',
  ],
  ['the session with the used token', asking('POST', '/session', 'Authorization: Bearer TOKEN'), 401],
  ['the session with another token', asking('POST', '/session', `Authorization: Bearer ${'A'.repeat(43)}`), 401],
  ['the session with an empty token', asking('POST', '/session', 'Authorization: Bearer '), 401],
  ['the session with the token by another scheme', asking('POST', '/session', 'Authorization: Basic TOKEN'), 401],
  ['the session with the token in the address', asking('POST', '/session?token=TOKEN'), 401],
  ['the session with the cookie but not its place', asking('POST', '/session', 'Cookie: COOKIE'), 401],
  ['the session by GET', asking('GET', '/session', 'Authorization: Bearer TOKEN'), 'page'],

  // WebSockets.
  ['a WebSocket without an origin', socket({ Origin: null }), 403],
  ['a WebSocket of another origin', socket({ Origin: OTHER }), 403],
  ['a WebSocket of the null origin', socket({ Origin: 'null' }), 403],
  [
    'a WebSocket by rebinding',
    socket({ Host: ({ port }) => `evil.example:${port}`, Origin: ({ port }) => `http://evil.example:${port}` }),
    403,
  ],
  ['a WebSocket without the cookie', socket({ Cookie: null }), 403],
  ['a WebSocket with a wrong cookie', socket({ Cookie: ({ port }) => `marginalia-${port}=wrong` }), 403],
  ['a WebSocket without the place', socket({ Path: '/rpc' }), 403],
  ['a WebSocket elsewhere', socket({ Path: ({ place }) => `${place}/pixels` }), 403],
  ['a WebSocket, cross-site', socket({ 'Sec-Fetch-Site': 'cross-site' }), 403],
  ['a WebSocket of another version', socket({ 'Sec-WebSocket-Version': '12' }), 400],
  ['a WebSocket without a key', socket({ 'Sec-WebSocket-Key': null }), 400],
  ['another protocol: h2c', socket({ Upgrade: 'h2c' }), 403],
  ['another protocol: TLS', socket({ Upgrade: 'TLS/1.0' }), 403],

  // How: methods, bodies, bytes.
  ['PUT', asking('PUT', '/'), 405],
  ['DELETE', asking('DELETE', '/'), 405],
  [
    'OPTIONS, as before a cross-origin fetch',
    asking('OPTIONS', '/session', `Origin: ${OTHER}`, 'Access-Control-Request-Method: POST'),
    403,
  ],
  ['OPTIONS of our own', asking('OPTIONS', '/session'), 405],
  ['TRACE', asking('TRACE', '/', 'Cookie: COOKIE'), 405],
  ['CONNECT', () => ['CONNECT evil.example:443 HTTP/1.1', 'Host: evil.example:443'], 'closed'],
  ['a body', asking('POST', '/session', 'Content-Length: 5', 'Content-Type: text/plain'), 413],
  ['four gigabytes', asking('POST', '/session', 'Content-Length: 4294967296'), 413],
  ['a body without an end', asking('POST', '/session', 'Transfer-Encoding: chunked'), 413],
  ['a body that must be asked for', asking('POST', '/session', 'Content-Length: 5', 'Expect: 100-continue'), 413],
  ['two lengths', asking('POST', '/session', 'Content-Length: 5', 'Content-Length: 6'), 400],
  ['a length and chunks', asking('POST', '/session', 'Content-Length: 5', 'Transfer-Encoding: chunked'), 400],
  ['chunks by a wrong name', asking('POST', '/session', 'Transfer-Encoding: xchunked'), 413],
  ['a folded header', (ours) => ['GET / HTTP/1.1', host(ours), 'X-A: 1', ' X-B: 2'], 400],
  ['a space before a colon', (ours) => ['GET / HTTP/1.1', host(ours), 'Origin : https://evil.example'], 400],
  ['a bare line feed', (ours) => `GET / HTTP/1.1\n${host(ours)}\n\n`, 400],
  ['HTTP/1.0', (ours) => ['GET / HTTP/1.0', host(ours)], 505],
  ['HTTP/0.9', () => 'GET /\r\n\r\n', 505],
  ['HTTP/2 at once', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
  ['TLS', () => '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003', 400],
  ['headers of 64 kB', (ours) => ['GET / HTTP/1.1', host(ours), `X: ${'a'.repeat(65_536)}`], 431],

  // Where: paths.
  ['a path of 16 kB', page(`/${'a'.repeat(16_000)}`), 'page'],
  ['the parent', page('/../package.json'), 'page'],
  ['the parent, escaped', page('/%2e%2e/package.json'), 'page'],
  ['the parent, escaped twice', page('/%252e%252e/package.json'), 'page'],
  ['the parent, with escaped slashes', page('/..%2f..%2fpackage.json'), 'page'],
  ['the parent, with backslashes', page('/..\\..\\package.json'), 404],
  ['the parent, with escaped backslashes', page('/..%5c..%5cpackage.json'), 'page'],
  ['the parent, after a folder', page('/assets/../../package.json'), 'page'],
  ['the root', page('//etc/passwd'), 404],
  ['a drive', page('/C:/Windows/win.ini'), 'page'],
  ['a NUL', page('/desk.js%00.html'), 'page'],
  ['a broken escape', page('/%'), 'page'],
  ['a folder', page('/assets/'), 'page'],
  [
    'pixels of a path',
    (ours) => [`GET ${ours.place}/pixels/..%2f..%2fproject.sqlite/0 HTTP/1.1`, host(ours), cookie(ours)],
    404,
  ],
  ['pixels of a broken escape', (ours) => [`GET ${ours.place}/pixels/%/0 HTTP/1.1`, host(ours), cookie(ours)], 404],
];

/** “page” in a row: the answer that any path gets which means no file of the desk. */
const NOTHING_HERE = 404;

let raw: RawHost;
beforeAll(async () => {
  raw = await startRawHost();
});
afterAll(() => raw.close());

/** Rows whose outcome is another than expected, in words. */
async function mistakes(port: number): Promise<string[]> {
  const found: string[] = [];
  for (const [what, request, expected] of rows) {
    const [text, outcome] = await sendRaw(port, request({ ...raw, port }));
    const wanted = expected === 'page' ? NOTHING_HERE : expected;
    const isOwn = text.includes('"code":');
    if (outcome !== wanted) found.push(`${what}: ${outcome} instead of ${wanted}`);
    else if (expected === 'page' && isOwn) found.push(`${what}: was let through`);
  }
  return found;
}

describe('The table of requests', () => {
  test('has no wrong accept and no wrong refusal', async () => {
    expect(rows.length).toBeGreaterThanOrEqual(60);
    expect(await mistakes(raw.port)).toEqual([]);
  });

  test.each([
    ['answers whoever asks', () => 200, 60],
    [
      'looks only at the origin',
      ({ headers }: IncomingMessage) =>
        headers.origin === undefined || headers.origin.startsWith('http://127') ? 200 : 403,
      40,
    ],
    [
      'looks only at the host’s beginning',
      ({ headers }: IncomingMessage) =>
        headers.host?.startsWith('127.0.0.1') || headers.host?.startsWith('localhost') ? 200 : 403,
      40,
    ],
  ])('finds a host that %s', async (_what, status, atLeast) => {
    const careless = createServer((request: IncomingMessage, response: ServerResponse) => {
      response.writeHead(status(request)).end();
    });
    await new Promise<void>((resolve) => careless.listen(0, '127.0.0.1', resolve));
    expect((await mistakes((careless.address() as AddressInfo).port)).length).toBeGreaterThan(atLeast);
    careless.closeAllConnections();
    careless.close();
  });
});
