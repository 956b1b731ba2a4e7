/**
 * The desktop's window as an end-to-end test sees it. With MARGINALIA_E2E=electron it is the
 * real one, driven by Playwright's `_electron`. Else it is a page of Chromium over the same
 * parts: the built preload script with a stand-in for `electron`, the shell's own answers and
 * headers, and the real engine process behind its relay, over real message ports.
 */
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { createORPCClient } from '@orpc/client';
import { RPCLink } from '@orpc/client/message-port';
import { _electron, type Page } from '@playwright/test';
import { EngineProcess, type WindowPort } from '../../electron/processes.ts';
import { answer, DESK_ADDRESS } from '../../electron/security.ts';
import type { ShellEventData } from '../../main/api-shell.ts';
import { childrenOf } from '../electron/children.ts';
import { ROOT, type DeskClient } from '../served-desk.ts';

export interface DeskWindow {
  page: Page;
  /** Of the page and everything that it may ask for. */
  origin: string;
  /** The process to be killed; null while there is none. */
  enginePid(): number | null;
  /** What the system's dialog will answer. */
  willChoose(paths: string[]): Promise<void>;
  /** As a menu would. */
  say(event: ShellEventData): Promise<void>;
  close(): Promise<void>;
}

const wantsElectron = process.env.MARGINALIA_E2E === 'electron';

const BINARIES: Partial<Record<NodeJS.Platform, string>> = {
  linux: 'electron',
  win32: 'electron.exe',
  darwin: 'Electron.app/Contents/MacOS/Electron',
};
const dist = process.env.ELECTRON_OVERRIDE_DIST_PATH ?? join(ROOT, 'node_modules/electron/dist');
const binary = join(dist, BINARIES[process.platform] ?? 'electron');

/** Why nothing can be tested in the way that was asked for; null where it can. */
export const unavailable = wantsElectron && !existsSync(binary) ? `Electron’s binary is not at ${binary}` : null;

/** Opens the desktop on a project, or on none. `page` is a fresh page of Chromium, not used by Electron. */
export async function openDeskWindow(page: Page, project: string | null, home: string): Promise<DeskWindow> {
  return wantsElectron ? openElectron(project, home) : openChromium(page, project, home);
}

async function openElectron(project: string | null, home: string): Promise<DeskWindow> {
  const app = await _electron.launch({
    executablePath: binary,
    args: [ROOT, ...(project === null ? [] : [project]), `--user-data-dir=${join(home, 'user-data')}`],
    env: {
      ...(process.env as Record<string, string>),
      HOME: home,
      USERPROFILE: home,
      MARGINALIA_NODE: process.execPath,
    },
  });
  return {
    page: await app.firstWindow(),
    origin: DESK_ADDRESS,
    enginePid: () => childrenOf(app.process().pid!, 'engine-process')[0] ?? null,
    willChoose: (filePaths) =>
      app.evaluate(({ dialog }, chosen) => {
        dialog.showOpenDialog = () => Promise.resolve({ canceled: chosen.length === 0, filePaths: chosen });
      }, filePaths),
    say: (event) =>
      app.evaluate(
        ({ BrowserWindow }, said) => BrowserWindow.getAllWindows()[0].webContents.send('event', said),
        event,
      ),
    close: () => app.close(),
  };
}

async function openChromium(page: Page, project: string | null, home: string): Promise<DeskWindow> {
  let isConnected: () => void;
  const connected = new Promise<void>((resolve) => (isConnected = resolve));
  const engine = new EngineProcess({
    node: process.execPath,
    entry: join(ROOT, 'main/engine-process.ts'),
    env: { ...process.env, HOME: home, USERPROFILE: home },
    project,
    on: {
      gone: () => void say({ kind: 'gone' }),
      ready: ({ trouble }) => {
        if (trouble && project !== null) void connected.then(() => say({ kind: 'open', dir: project }));
      },
    },
  });
  const desk = join(ROOT, 'out/renderer');
  const server = createServer((request, response) => {
    const address = new URL(request.url ?? '/', DESK_ADDRESS);
    void answer(new Request(address, { method: request.method }), {
      desk,
      pixels: (...ask) => engine.pixels(...ask),
    }).then((answered) => {
      response.writeHead(answered.status, Object.fromEntries(answered.headers));
      if (answered.body) Readable.fromWeb(answered.body as ReadableStream).pipe(response);
      else response.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const say = (event: ShellEventData) => page.evaluate((said) => (window as never as Stand).shellSays(said), event);

  let choice: string[] = [];
  const relay = relayTo(page, engine);
  await page.exposeBinding('shellConnects', (_source, id: number) => {
    relay.connect(id);
    isConnected();
  });
  await page.exposeBinding('shellHears', (_source, id: number, data: unknown) => relay.hear(id, data));
  await page.exposeBinding('shellIsAsked', (_source, question: { kind: string }) =>
    question.kind === 'choose' ? choice : [],
  );
  await page.addInitScript(standIn, readFileSync(join(ROOT, 'out/preload/preload.cjs'), 'utf8'));
  engine.start();
  await page.goto(`${origin}/`);
  return {
    page,
    origin,
    enginePid: () => engine.pid,
    willChoose(paths) {
      choice = paths;
      return Promise.resolve();
    },
    say,
    async close() {
      await engine.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

/** What the page's stand-in puts on the window for this process, and what Playwright does. */
interface Stand {
  shellSays(event: ShellEventData): void;
  shellTells(id: number, data: unknown): void;
  shellCloses(id: number): void;
  shellConnects(id: number): void;
  shellHears(id: number, data: unknown): void;
  shellIsAsked(question: unknown): Promise<string[]>;
}

/** Runs in the page before anything else: `electron` as the preload script knows it, and the script itself. */
function standIn(preload: string): void {
  const stand = window as never as Stand;
  const ports = new Map<number, MessagePort>();
  const listeners: ((event: null, said: ShellEventData) => void)[] = [];
  stand.shellSays = (event) => listeners.forEach((listener) => listener(null, event));
  stand.shellTells = (id, data) => ports.get(id)?.postMessage(data);
  stand.shellCloses = (id) => ports.get(id)?.close();
  const electron = {
    contextBridge: { exposeInMainWorld: (name: string, door: object) => Object.assign(window, { [name]: door }) },
    ipcRenderer: {
      postMessage(_channel: string, _message: null, [port]: MessagePort[]) {
        const id = ports.size + 1;
        ports.set(id, port);
        stand.shellConnects(id);
        port.onmessage = ({ data }) => stand.shellHears(id, data);
      },
      invoke: (_channel: string, question: unknown) => stand.shellIsAsked(question),
      on: (_channel: string, listener: (typeof listeners)[number]) => listeners.push(listener),
    },
  };
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- before the page, and outside its policy
  new Function('require', preload)(() => electron);
}

/** The shell's ends of the page's ports. */
function relayTo(page: Page, engine: EngineProcess) {
  const heard = new Map<number, (event: { data: unknown }) => void>();
  const inPage = (what: 'shellTells' | 'shellCloses', id: number, data?: unknown) =>
    // A page that is gone hears nothing.
    void page
      .evaluate(([name, ...told]) => (window as never as Stand)[name](...told), [what, id, data] as const)
      .catch(() => undefined);
  return {
    connect(id: number) {
      const port: WindowPort = {
        on(event: 'message' | 'close', listener: (event: { data: unknown }) => void) {
          if (event === 'message') heard.set(id, listener);
        },
        postMessage: (data: unknown) => inPage('shellTells', id, data),
        start: () => undefined,
        close: () => inPage('shellCloses', id),
      };
      engine.connect(port);
    },
    hear: (id: number, data: unknown) => heard.get(id)?.({ data }),
  };
}

/** A second connection to the engine, through the page's own door: a test sees what was kept. */
export async function clientOver(page: Page): Promise<DeskClient> {
  const heard: ((event: { data: unknown }) => void)[] = [];
  await page.exposeBinding('testHears', (_source, data: unknown) => heard.forEach((listener) => listener({ data })));
  await page.evaluate(
    () =>
      new Promise<void>((resolve) => {
        const take = ({ data, ports: [port] }: MessageEvent) => {
          if (data !== 'marginalia-port') return;
          removeEventListener('message', take);
          const { testHears } = window as never as { testHears(data: unknown): void };
          Object.assign(window, { testPort: port });
          port.onmessage = (event) => testHears(event.data);
          resolve();
        };
        addEventListener('message', take);
        (window as never as { marginalia: { connect(): void } }).marginalia.connect();
      }),
  );
  const link = new RPCLink({
    port: {
      on(event: string, listener: (event?: { data: unknown }) => void) {
        if (event === 'message') heard.push(listener);
      },
      postMessage: (data: unknown) =>
        void page.evaluate((frame) => {
          const { testPort: port } = window as never as { testPort: MessagePort };
          port.postMessage(frame);
        }, data),
    },
  });
  return createORPCClient<DeskClient>(link);
}
