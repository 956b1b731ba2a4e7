/**
 * Other pages in the expert's own browser, real Chromium: a page elsewhere, one at another port of
 * this machine, and one whose name was rebound to the desk's own address and port. They know the
 * port and even where the session lies, and try every way a page has to reach it: nothing is let
 * through. A careless server in the desk's place shows that the same tries do succeed. And the
 * address: it leaves no token behind in the page or with a neighbour, and no session in the profile.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, expect, test, type BrowserContext, type Page } from '@playwright/test';
import { WebSocketServer } from 'ws';
import { runCli, serveDesk, type ServedDesk } from '../served-desk.ts';

const EVIL = 'evil.test';
const ATTACK = '<!doctype html><title>attack</title><body></body>';
const PIXEL = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64');

const work = mkdtempSync(join(tmpdir(), 'marginalia-origins-'));
const profile = join(work, 'profile');
let desk: ServedDesk;
let browser: BrowserContext;
let token = '';
let port = '';
let place = '';
let session = '';
/** Serves the attacker's page at any name, and notes the cookies that it is sent. */
let neighbour: Server;
const cookiesSeen: string[] = [];
/** Answers everything to everybody. */
let careless: Server;
const portOf = (server: Server) => String((server.address() as AddressInfo).port);
const listen = (server: Server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

test.beforeAll(async () => {
  const rows = Array.from({ length: 12 }, (_, n) => JSON.stringify({ id: `n${n}`, note: `note ${n}` }));
  writeFileSync(join(work, 'rows.jsonl'), rows.join('\n'));
  await runCli(['new', join(work, 'project'), '--classes', 'yes,no']);
  await runCli(['import', join(work, 'project'), join(work, 'rows.jsonl')]);
  desk = await serveDesk(join(work, 'project'));
  const address = new URL(desk.address);
  [token, port] = [address.hash.replace('#token=', ''), address.port];
  neighbour = createServer((request, response) => {
    cookiesSeen.push(request.headers.cookie ?? '');
    response.setHeader('Content-Type', 'text/html');
    if (request.url === '/control') response.setHeader('Set-Cookie', 'control=1; Path=/');
    response.end(ATTACK);
  });
  careless = createServer((request, response) => {
    const isImage = request.url?.includes('/pixels/');
    response.setHeader('Content-Type', isImage ? 'image/gif' : 'text/html');
    response.end(isImage ? PIXEL : '');
  });
  const sockets = new WebSocketServer({ noServer: true });
  careless.on('upgrade', (request, socket, head) => sockets.handleUpgrade(request, socket, head, () => undefined));
  await Promise.all([listen(neighbour), listen(careless)]);
  const { launchOptions } = test.info().project.use;
  browser = await chromium.launchPersistentContext(profile, {
    ...launchOptions,
    headless: true,
    args: [
      ...(launchOptions?.args ?? []),
      `--host-resolver-rules=MAP ${EVIL} 127.0.0.1`,
      // What newer Chromium refuses by itself is ours to refuse here.
      '--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets',
    ],
  });
});
test.afterAll(async () => {
  await browser.close();
  for (const server of [neighbour, careless]) {
    server.closeAllConnections();
    server.close();
  }
  await desk.stop();
  rmSync(work, { recursive: true, force: true });
});

/** Every way that a page has to reach an address, and whether anything came back that it could use or that was carried out. */
async function tries(page: Page, target: string, at: string, isSameOrigin: boolean): Promise<string[]> {
  return page.evaluate(
    async ({ target, at, isSameOrigin }) => {
      const within = <T>(promise: Promise<T>, otherwise: T) =>
        Promise.race([
          promise.catch(() => otherwise),
          new Promise<T>((resolve) => setTimeout(resolve, 1500, otherwise)),
        ]);
      const element = (make: () => HTMLElement & { src?: string }, source: string) =>
        within(
          new Promise<boolean>((resolve) => {
            const made = make();
            made.addEventListener('load', () => resolve(true));
            made.addEventListener('error', () => resolve(false));
            made.src = source;
            document.body.append(made);
          }),
          false,
        );
      const fetched = (path: string, init: RequestInit = {}) =>
        within(
          fetch(`${target}${path}`, { credentials: 'include', ...init }).then((answer) => answer.ok),
          false,
        );
      const socket = (path: string) =>
        within(
          new Promise<boolean>((resolve) => {
            const opened = new WebSocket(`${target.replace('http', 'ws')}${path}`, ['marginalia']);
            opened.addEventListener('open', () => resolve(true));
            opened.addEventListener('error', () => resolve(false));
          }),
          false,
        );
      const results: Record<string, Promise<boolean>> = {
        image: element(() => document.createElement('img'), `${target}${at}/pixels/x/0`),
        script: element(() => document.createElement('script'), `${target}/assets/x.js`),
        socket: socket(`${at}/rpc`),
        'socket at the root': socket('/rpc'),
      };
      if (isSameOrigin) {
        results.fetch = fetched('/');
        results['fetch of pixels'] = fetched(`${at}/pixels/x/0`);
        results.session = fetched('/session', { method: 'POST' });
        results['session held'] = fetched(`${at}/session`, { method: 'POST' });
        results.frame = within(
          new Promise<boolean>((resolve) => {
            const frame = document.createElement('iframe');
            frame.addEventListener('load', () =>
              resolve(frame.contentDocument?.title === '' && frame.contentDocument.body.innerText === ''),
            );
            frame.src = `${target}/`;
            document.body.append(frame);
          }),
          false,
        );
      }
      const done = await Promise.all(
        Object.entries(results).map(async ([name, result]) => [name, await result] as const),
      );
      return done.filter(([, succeeded]) => succeeded).map(([name]) => name);
    },
    { target, at, isSameOrigin },
  );
}

/** The attacker's page at an origin; where that is the desk's own address and port by another name, only the page itself comes from elsewhere. */
async function attackerAt(origin: string): Promise<Page> {
  const page = await browser.newPage();
  // Where the name was rebound, only this page still comes from the attacker's server.
  if (!origin.endsWith(portOf(neighbour))) {
    await page.route(`${origin}/attack`, (route) => route.fulfill({ contentType: 'text/html', body: ATTACK }));
  }
  await page.goto(`${origin}/attack`);
  expect(await page.title()).toBe('attack');
  return page;
}

test('The address opens the desk once, from a file too, and leaves no token in the page', async () => {
  const file = join(work, 'open.html');
  writeFileSync(file, `<!doctype html><meta http-equiv="refresh" content="0;url=${desk.address}">`);
  const page = await browser.newPage();
  await page.goto(`file://${file}`);
  await expect(page.getByTestId('item')).toBeVisible();
  expect(page.url()).toBe(`${desk.origin}/`);
  expect(await page.evaluate(() => document.referrer)).toBe('');
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  expect(kept).not.toContain(token);
  const [cookie] = await browser.cookies();
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict', name: `marginalia-${port}` });
  place = cookie.path;
  session = cookie.value.split('.')[1];
  expect(kept, 'the desk knows where, and not with what').toContain(place);
  expect(kept).not.toContain(session);

  const stranger = await browser.browser()?.newContext();
  const again = await (stranger ?? browser).newPage();
  if (stranger !== undefined) {
    await again.goto(desk.address);
    await expect(again.getByTestId('item')).toHaveCount(0);
  }
  await page.reload();
  await expect(page.getByTestId('item'), 'the session holds when the page is loaded anew').toBeVisible();
});

test('A page elsewhere, at another port or under a rebound name gets nothing', async () => {
  for (const [origin, isSameOrigin] of [
    [`http://${EVIL}:${portOf(neighbour)}`, false],
    [`http://127.0.0.1:${portOf(neighbour)}`, false],
    [`http://localhost:${portOf(neighbour)}`, false],
    [`http://${EVIL}:${port}`, true],
    [`http://localhost:${port}`, true],
  ] as const) {
    const page = await attackerAt(origin);
    const target = isSameOrigin ? origin : desk.origin;
    const isOwnName = origin === `http://localhost:${port}`;
    const succeeded = await tries(page, target, place, isSameOrigin);
    // Our other name may show the page, which holds nothing; it has no session.
    expect(
      succeeded.filter((name) => !(isOwnName && (name === 'fetch' || name === 'script' || name === 'frame'))),
      origin,
    ).toEqual([]);
    await page.close();
  }
});

test('… and gets it from a careless server', async () => {
  const elsewhere = await attackerAt(`http://${EVIL}:${portOf(neighbour)}`);
  const reached = await tries(elsewhere, `http://127.0.0.1:${portOf(careless)}`, place, false);
  expect(reached.toSorted()).toEqual(['image', 'script', 'socket', 'socket at the root']);
  const rebound = await attackerAt(`http://${EVIL}:${portOf(careless)}`);
  const all = await tries(rebound, `http://${EVIL}:${portOf(careless)}`, place, true);
  expect(all).toHaveLength(9);
});

test('A form, a beacon and a window of another page change nothing', async () => {
  const page = await attackerAt(`http://${EVIL}:${portOf(neighbour)}`);
  const answered: number[] = [];
  browser.on('response', (response) => response.url().startsWith(desk.origin) && answered.push(response.status()));
  await page.evaluate(
    ({ target, at }) => {
      navigator.sendBeacon(`${target}${at}/session`, 'x');
      for (const action of ['/session', `${at}/session`, `${at}/rpc`]) {
        const frame = document.createElement('iframe');
        frame.name = `f${action.length}`;
        const form = document.createElement('form');
        Object.assign(form, { method: 'POST', action: `${target}${action}`, target: frame.name });
        document.body.append(frame, form);
        form.submit();
      }
    },
    { target: desk.origin, at: place },
  );
  await expect.poll(() => answered.length).toBeGreaterThanOrEqual(2);
  expect(new Set(answered)).toEqual(new Set([403]));
  const [opened] = await Promise.all([
    browser.waitForEvent('page'),
    page.evaluate((target) => void window.open(`${target}/`), desk.origin),
  ]);
  await expect(opened.getByTestId('item'), 'the expert may be led to the desk').toBeVisible();
  expect(await opened.evaluate(() => window.opener === null), 'which its opener has lost').toBe(true);
  await opened.close();
  await page.close();
});

test('A neighbour at another port is never sent the session, though it is sent other cookies', async () => {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${portOf(neighbour)}/control`);
  cookiesSeen.length = 0;
  for (const path of ['/', '/session', '/rpc', '/pixels/x/0'])
    await page.goto(`http://127.0.0.1:${portOf(neighbour)}${path}`);
  expect(cookiesSeen.join(' ')).toContain('control=1');
  expect(cookiesSeen.join(' ')).not.toContain('marginalia');
  await page.close();
});

test('A service worker cannot be put in the desk’s place', async () => {
  const page = await browser.newPage();
  await page.goto(desk.origin);
  const script = readdirSync('out/renderer/assets').find((name) => name.endsWith('.js'));
  const registered = await page.evaluate(
    (url) =>
      navigator.serviceWorker.register(url).then(
        () => 'registered',
        (error: Error) => error.name,
      ),
    `/assets/${script}`,
  );
  expect(registered).not.toBe('registered');
  await page.close();
});

test('When the browser is closed, its profile holds no session, and the address in its history opens nothing', async () => {
  await browser.close();
  const files = (folder: string): string[] =>
    readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? files(join(folder, entry.name)) : entry.isFile() ? [join(folder, entry.name)] : [],
    );
  const all = files(profile);
  expect(all.length).toBeGreaterThan(20);
  const holding = (secret: string) => all.filter((file) => readFileSync(file).includes(secret));
  expect(session).toMatch(/^[\w-]{43}$/);
  expect(holding(session).map((file) => file.slice(profile.length))).toEqual([]);
  expect(holding(place).length, 'the search finds what the desk keeps').toBeGreaterThan(0);
  const used = await fetch(`${desk.origin}/session`, { method: 'POST', headers: { Authorization: `Bearer ${token}` } });
  expect(used.status).toBe(401);
});
