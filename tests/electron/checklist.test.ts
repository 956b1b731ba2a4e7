/**
 * Electron's security checklist on the running shell: every row holds for what the shell
 * really hands to Electron and does when called, and fails for a planted defect.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { FuseV1Options } from '@electron/fuses';
import type { PermissionCheckHandlerHandlerDetails } from 'electron';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { SWITCHES } from '../../electron/security.ts';
import { FUSES } from '../../packaging/fuses.ts';
import { readSources } from '../meta/sources.ts';
import { ROOT } from '../served-desk.ts';
import { CHECKLIST, OUTSIDE, type Observed, type Sender } from './checklist.ts';
import { windowPort } from './relayed-desk.ts';
import { eventFrom, startShell } from './running-shell.ts';
import {
  answers,
  contextBridge,
  exposed,
  handlerOf,
  invoke,
  ipcMain,
  ipcRenderer,
  said,
  session,
  toMain,
} from './stand-in.ts';

vi.mock('electron', () => import('./stand-in.ts'));

/** Pixels that there are none of; each must be answered. */
const PIXELS = [
  'x/0',
  'x',
  '',
  'x/NaN',
  'x/1.5',
  'x/-1',
  'x/1e99',
  'x/0?side=no',
  'x/0?side=Infinity',
  '%',
  `${'x'.repeat(600)}/0`,
].map((path) => `marginalia://desk/pixels/${path}`);
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const page = read('out/renderer/index.html');
let observed: Observed;

/** Every permission that Electron's own types know. */
function permissionsOfElectron(): string[] {
  const types = read('node_modules/electron/electron.d.ts');
  const handlers = types.match(/set(?:PermissionRequest|PermissionCheck)Handler\(.*?permission: ([^,]+),/g) ?? [];
  return [...new Set(handlers.flatMap((text) => text.match(/'([\w-]+)'/g) ?? []))].map((name) => name.slice(1, -1));
}

/** Majors that are named in what is installed: a list of Electron's versions that other tools carry. */
function knownMajors(): number[] {
  const list = 'node_modules/electron-to-chromium/versions.json';
  if (!existsSync(join(ROOT, list))) return [];
  return Object.keys(JSON.parse(read(list)) as object).map((version) => Number(version.split('.')[0]));
}

async function observe(): Promise<Observed> {
  const window = await startShell();
  const contents = window.webContents;
  const handlers = session.defaultSession && (said.session as Record<string, (...given: unknown[]) => unknown>);
  const serve = handlerOf('marginalia')!;
  const statuses = new Map<string, number>();
  const policies: string[] = [];
  const fetched = [
    ...OUTSIDE.map((path) => `marginalia://desk/${path}`),
    'marginalia://desk/',
    'marginalia://other/index.html',
  ];
  for (const address of [...fetched, 'marginalia://desk/nothing', ...PIXELS]) {
    const response = await serve(new Request(address));
    statuses.set(address, response.status);
    policies.push(response.headers.get('Content-Security-Policy') ?? '');
  }
  const prevented = (event: string, ...given: object[]): boolean => {
    let isPrevented = false;
    contents.emit(event, Object.assign({ preventDefault: () => (isPrevented = true) }, ...given));
    return isPrevented;
  };
  const heard = new Map<Sender, { connect: boolean; ask: boolean }>();
  for (const sender of ['desk', 'frame', 'elsewhere', 'pixels', 'other window', 'gone'] as const) {
    heard.set(sender, await hears(sender));
  }

  async function hears(from: Sender): Promise<{ connect: boolean; ask: boolean }> {
    const { port1, port2 } = new MessageChannel();
    const event = eventFrom(window, [windowPort(port2)]);
    const main = { url: 'marginalia://desk/', parent: null };
    const frames = { frame: { ...main, parent: main }, elsewhere: { ...main, url: 'https://example.org/' } };
    if (from === 'frame' || from === 'elsewhere') event.senderFrame = frames[from];
    if (from === 'pixels') event.senderFrame = { ...main, url: 'marginalia://desk/pixels/a/0' };
    if (from === 'other window') event.sender = {};
    if (from === 'gone') event.senderFrame = null;
    const answered = new Promise<boolean>((resolve) => {
      port1.once('message', () => resolve(true));
      port1.once('close', () => resolve(false));
    });
    ipcMain.emit('connect', event);
    port1.postMessage(JSON.stringify({ i: '1', p: { u: '/desk/state' } }));
    const connect = await answered;
    port1.close();
    answers.paths = [['/chosen']];
    const question = { kind: 'choose', what: 'folder', at: '' };
    const ask = ((await invoke('ask', event, question)) as string[]).length > 0;
    return { connect, ask };
  }

  await import('../../electron/preload.ts');
  const door = exposed.marginalia as {
    connect(): void;
    ask(q: unknown): unknown;
    listen(callback: (...given: unknown[]) => void): void;
  };
  let listened: unknown[] = [];
  const given = door.listen((...what) => (listened = what));
  ipcRenderer.emit('event', { sender: ipcRenderer, ports: [] }, { kind: 'gone' });
  const leaks = [
    given !== undefined && 'what listening returned',
    listened.length !== 1 && 'an event',
    Object.values(door).some((value) => typeof value !== 'function') && 'a value',
    Object.values(exposed).some((value) => value === ipcRenderer || value === contextBridge) && 'ipcRenderer',
    Object.keys(exposed).length !== 1 && 'a second door',
  ].filter((leak) => leak !== false);
  toMain.length = 0;

  return {
    address: window.loaded,
    preferences: window.options.webPreferences!,
    schemes: said.schemes,
    sandboxedBeforeReady: said.sandboxedBeforeReady,
    lets(url) {
      let isCancelled = true;
      handlers.onBeforeRequest({ url }, ({ cancel }: { cancel: boolean }) => (isCancelled = cancel));
      return !isCancelled;
    },
    permissions: permissionsOfElectron(),
    grants(permission) {
      let onRequest = true;
      handlers.setPermissionRequestHandler(contents, permission, (granted: boolean) => (onRequest = granted), {});
      const details = { isMainFrame: true } as PermissionCheckHandlerHandlerDetails;
      return {
        onRequest,
        onCheck: handlers.setPermissionCheckHandler(contents, permission, 'marginalia://desk', details) === true,
      };
    },
    policies,
    goes: (how, url) => !prevented(how, { url }),
    opens: (url) => contents.openHandler!({ url }).action !== 'deny',
    attachesWebview: () => !prevented('will-attach-webview'),
    sources: [
      ...readSources(['electron', 'renderer', 'main', 'hosts'], ['.ts', '.svelte', '.html']),
      { path: 'index.html', text: page },
    ],
    version: {
      pinned: (JSON.parse(read('package.json')) as { devDependencies: Record<string, string> }).devDependencies
        .electron,
      installed: (JSON.parse(read('node_modules/electron/package.json')) as { version: string }).version,
      known: knownMajors(),
    },
    hears: (sender) => heard.get(sender)!,
    serves: (address) => statuses.get(address) ?? 0,
    fuses: FUSES,
    door: { names: Object.keys(door).sort(), leaks },
  };
}

describe('Electron’s checklist', () => {
  beforeAll(async () => {
    observed = await observe();
  }, 60_000);

  test('has its twenty rows', () => {
    expect(CHECKLIST.map(({ number }) => number)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  test.each(CHECKLIST)('Row $number: $says', ({ problems, planted }) => {
    expect(problems(observed)).toEqual([]);
    expect(problems(planted(observed)), 'a planted defect is found').not.toEqual([]);
  });

  test('and beyond it: no device, download, certificate, dictionary, proxy of the system or name on the network', async () => {
    const handlers = said.session as Record<string, (...given: unknown[]) => unknown>;
    const answered: unknown[] = [];
    const answer = (value: unknown) => void answered.push(value);
    handlers.setCertificateVerifyProc({}, answer);
    handlers.setDisplayMediaRequestHandler({}, answer);
    handlers.setBluetoothPairingHandler({}, answer);
    expect(answered).toEqual([-2, {}, { confirmed: false }]);
    expect(handlers.setDevicePermissionHandler({})).toBe(false);
    expect(said.session.setSpellCheckerEnabled).toBe(false);
    expect(said.windows[0].options.webPreferences!.spellcheck).toBe(false);
    let isRefused = false;
    session.defaultSession.emit('will-download', { preventDefault: () => (isRefused = true) });
    expect(isRefused).toBe(true);
    // What they do is shown in a real Chromium: tests/e2e/desktop-silence.spec.ts.
    expect(said.switches.map((given) => given.filter((one) => one !== undefined))).toEqual(SWITCHES);
    expect(said.session.setProxy).toMatchObject({ mode: 'fixed_servers', proxyRules: '127.0.0.1:9' });
    expect(said.windows[0].webContents.webRtc).toBe('disable_non_proxied_udp');
    const methods = await Promise.all(
      ['POST', 'PUT', 'DELETE', 'OPTIONS'].map((method) =>
        handlerOf('marginalia')!(new Request('marginalia://desk/', { method })),
      ),
    );
    expect(methods.map(({ status }) => status)).toEqual([405, 405, 405, 405]);
  });

  test('and pixels that there are none of are answered as such', () => {
    expect(PIXELS.map((address) => observed.serves(address)).filter((status) => status !== 404)).toEqual([]);
  });

  test('names every fuse that @electron/fuses knows, but the one that the packager cannot set', () => {
    const known = Object.keys(FuseV1Options).filter((name) => !/^\d+$/.test(name));
    const lower = new Set(Object.keys(FUSES).map((name) => name.toLowerCase()));
    expect(known.filter((name) => !lower.has(name.toLowerCase()))).toEqual(['WasmTrapHandlers']);
  });

  test('questions that are in no schema are not asked of the system', async () => {
    const before = said.dialogs.length;
    const hostile = [null, 'choose', {}, { kind: 'choose' }, { kind: 'choose', what: 'folder', at: 'x'.repeat(5000) }];
    for (const question of [
      ...hostile,
      { kind: 'run', what: 'sh' },
      { kind: 'language', language: 'xx' },
      { __proto__: { kind: 'choose' } },
    ]) {
      expect(await invoke('ask', eventFrom(said.windows[0]), question)).toEqual([]);
    }
    expect(said.dialogs.length).toBe(before);
  });
});
