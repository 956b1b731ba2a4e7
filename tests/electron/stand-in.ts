/**
 * A stand-in for the package `electron`, whose binary cannot be had everywhere: what the shell
 * registers is kept, so that a test can call it with whatever it likes, and events are real.
 * A name that the real `electron.d.ts` does not have does not compile.
 */
import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import type * as Electron from 'electron';

/** Only names that the real one has. */
const named =
  <Real>() =>
  <T extends { [K in keyof T]: K extends keyof Real ? unknown : never }>(value: T): T =>
    value;

type Handler = (...given: never[]) => unknown;

/** Everything that was said to Electron, by what it was said to. */
export const said = {
  quits: 0,
  exits: [] as number[],
  switches: [] as [string, string?][],
  schemes: [] as Electron.CustomScheme[],
  sandboxedBeforeReady: false,
  locks: [] as unknown[],
  paths: [] as [string, string][],
  recent: [] as string[],
  menus: [] as Electron.MenuItemConstructorOptions[][],
  dialogs: [] as unknown[],
  blockers: new Set<number>(),
  trays: [] as StandInTray[],
  windows: [] as BrowserWindow[],
  session: {} as Record<string, unknown>,
  relaunched: [] as unknown[],
  clipboard: '',
};
/** What dialogs will answer, in turn. */
export const answers: { boxes: number[]; paths: string[][] } = { boxes: [], paths: [] };
export const places = { userData: '', isPackaged: false, isFirstInstance: true, languages: ['en-GB'] };
let isReady: () => void;
const ready = new Promise<void>((resolve) => (isReady = resolve));
let wasReady = false;
/** Electron is up. */
export function becomeReady(): void {
  wasReady = true;
  isReady();
}

const appParts = {
  whenReady: () => ready,
  isReady: () => wasReady,
  getPath: (name: string) => (name === 'userData' ? places.userData : join(places.userData, '..')),
  setPath: (name: string, path: string) => void said.paths.push([name, path]),
  getPreferredSystemLanguages: () => places.languages,
  addRecentDocument: (path: string) => void said.recent.push(path),
  enableSandbox: () => void (said.sandboxedBeforeReady = !wasReady),
  commandLine: {
    hasSwitch: () => false,
    appendSwitch: (...given: [string, string?]) => void said.switches.push(given),
  },
  requestSingleInstanceLock(data: unknown) {
    said.locks.push(data);
    return places.isFirstInstance;
  },
  exit: (code = 0) => void said.exits.push(code),
  relaunch: (options: unknown) => void said.relaunched.push(options),
  quit() {
    said.quits++;
    let isPrevented = false;
    app.emit('before-quit', { preventDefault: () => (isPrevented = true) });
    if (!isPrevented) app.exit(0);
  },
};
export const app = Object.assign(
  new EventEmitter(),
  named<Electron.App>()(appParts),
  Object.defineProperty({ isPackaged: false }, 'isPackaged', { get: () => places.isPackaged }),
);
Object.defineProperty(app, 'isPackaged', { get: () => places.isPackaged });

/** A page, as far as the shell knows it. */
class StandInContents extends EventEmitter {
  readonly sent: unknown[][] = [];
  reloads = 0;
  openHandler: ((details: { url: string }) => { action: string }) | null = null;
  webRtc = '';
  send(...given: unknown[]): void {
    this.sent.push(given);
  }
  reload(): void {
    this.reloads++;
  }
  setWindowOpenHandler(handler: (details: { url: string }) => { action: string }): void {
    this.openHandler = handler;
  }
  setWebRTCIPHandlingPolicy(policy: string): void {
    this.webRtc = policy;
  }
}

export class BrowserWindow extends EventEmitter {
  readonly webContents = new StandInContents();
  readonly options: Electron.BrowserWindowConstructorOptions;
  loaded = '';
  progress: unknown[] = [];
  focuses = 0;
  constructor(options: Electron.BrowserWindowConstructorOptions) {
    super();
    this.options = options;
    said.windows.push(this);
    app.emit('web-contents-created', {}, this.webContents);
  }
  loadURL(url: string): Promise<void> {
    this.loaded = url;
    return Promise.resolve();
  }
  show = () => undefined;
  hide = () => undefined;
  maximize = () => undefined;
  isMaximized = () => false;
  isMinimized = () => false;
  restore = () => undefined;
  getNormalBounds = () => ({ x: 10, y: 20, width: 1000, height: 700 });
  focus(): void {
    this.focuses++;
  }
  setProgressBar(...given: unknown[]): void {
    this.progress = given;
  }
  /** As a person closes it. */
  closes(): void {
    this.emit('close');
    this.emit('closed');
    said.windows.splice(said.windows.indexOf(this), 1);
    if (said.windows.length === 0) app.emit('window-all-closed');
  }
}

const kept =
  (name: string) =>
  (given: unknown): void =>
    void (said.session[name] = given);
const sessionParts = {
  setPermissionRequestHandler: kept('setPermissionRequestHandler'),
  setPermissionCheckHandler: kept('setPermissionCheckHandler'),
  setDevicePermissionHandler: kept('setDevicePermissionHandler'),
  setDisplayMediaRequestHandler: kept('setDisplayMediaRequestHandler'),
  setBluetoothPairingHandler: kept('setBluetoothPairingHandler'),
  setCertificateVerifyProc: kept('setCertificateVerifyProc'),
  setSpellCheckerEnabled: kept('setSpellCheckerEnabled'),
  webRequest: { onBeforeRequest: kept('onBeforeRequest') },
  setProxy(config: Electron.ProxyConfig) {
    kept('setProxy')(config);
    return Promise.resolve();
  },
};
export const session = { defaultSession: Object.assign(new EventEmitter(), named<Electron.Session>()(sessionParts)) };

const handlers = new Map<string, Handler>();
export const protocol = named<Electron.Protocol>()({
  registerSchemesAsPrivileged: (schemes: Electron.CustomScheme[]) => void (said.schemes = wasReady ? [] : schemes),
  handle: (scheme: string, handler: Handler) => void handlers.set(scheme, handler),
});
/** What answers a scheme. */
export const handlerOf = (scheme: string) =>
  handlers.get(scheme) as ((request: Request) => Promise<Response>) | undefined;

const invoked = new Map<string, Handler>();
export const ipcMain = Object.assign(
  new EventEmitter(),
  named<Electron.IpcMain>()({ handle: (channel: string, handler: Handler) => void invoked.set(channel, handler) }),
);
/** What answers a window's question on a channel. */
export const invoke = (channel: string, event: unknown, ...given: unknown[]) =>
  invoked.get(channel)?.(event as never, ...(given as never[]));

export const Menu = named<typeof Electron.Menu>()({
  buildFromTemplate: (template: Electron.MenuItemConstructorOptions[]) => template,
  setApplicationMenu: (menu: Electron.MenuItemConstructorOptions[]) => void said.menus.push(menu),
});

export const dialog = named<Electron.Dialog>()({
  showMessageBox(...given: unknown[]) {
    said.dialogs.push(given.at(-1));
    return Promise.resolve({ response: answers.boxes.shift() ?? 0 });
  },
  showOpenDialog(...given: unknown[]) {
    said.dialogs.push(given.at(-1));
    return Promise.resolve({ filePaths: answers.paths.shift() ?? [] });
  },
  showSaveDialog(...given: unknown[]) {
    said.dialogs.push(given.at(-1));
    return Promise.resolve({ filePath: answers.paths.shift()?.[0] ?? '' });
  },
});

export const screen = named<Electron.Screen>()({
  getAllDisplays: () => [{ workArea: { x: 0, y: 0, width: 1920, height: 1040 } }],
});

let blockers = 0;
export const powerSaveBlocker = named<Electron.PowerSaveBlocker>()({
  start(_type: string) {
    said.blockers.add(++blockers);
    return blockers;
  },
  stop: (id: number) => said.blockers.delete(id),
});

export const nativeImage = named<typeof Electron.nativeImage>()({
  createFromBitmap: (pixels: Buffer, { width, height }: { width: number; height: number }) => ({
    isEmpty: () => pixels.length !== 4 * width * height,
  }),
});

class StandInTray extends EventEmitter {
  tip = '';
  isDestroyed = false;
  constructor(image: { isEmpty(): boolean }) {
    super();
    if (image.isEmpty()) throw new Error('an empty image in the tray');
    said.trays.push(this);
  }
  setContextMenu = () => undefined;
  setToolTip(tip: string): void {
    this.tip = tip;
  }
  destroy(): void {
    this.isDestroyed = true;
  }
}
export { StandInTray as Tray };

export const clipboard = named<Electron.Clipboard>()({
  writeText(text: string) {
    said.clipboard = text;
    return Promise.resolve();
  },
});

/** The preload script's side. */
export const exposed: Record<string, unknown> = {};
export const contextBridge = named<Electron.ContextBridge>()({
  exposeInMainWorld: (name: string, value: unknown) => void (exposed[name] = value),
});
export const toMain: unknown[][] = [];
export const ipcRenderer = Object.assign(
  new EventEmitter(),
  named<Electron.IpcRenderer>()({
    postMessage: (...given: unknown[]) => void toMain.push(given),
    invoke(...given: unknown[]) {
      toMain.push(given);
      return Promise.resolve([]);
    },
  }),
);
