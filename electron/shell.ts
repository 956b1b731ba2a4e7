/**
 * Entry of the desktop app: one instance, one window, and the engine in a process behind it.
 * It composes what the other files of this room do and holds no domain logic: projects,
 * labels and models are the engine's, what is seen is the desk's. Opens no socket.
 */
import {
  app,
  BrowserWindow,
  clipboard,
  dialog,
  ipcMain,
  Menu,
  protocol,
  screen,
  session,
  type MessageBoxOptions,
  type OpenDialogOptions,
  type SaveDialogOptions,
} from 'electron';
import { readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import packageJson from '../package.json' with { type: 'json' };
import { ShellQuestion, type ShellEventData, type ShellQuestionData } from '../main/api-shell.ts';
import { DESK, entryOf, packagedEngine } from '../main/places.ts';
import { AtWork } from './at-work.ts';
import { Crashes } from './crashes.ts';
import { changedFiles, type Beside } from './intact.ts';
import { menuTemplate } from './menu.ts';
import { EngineProcess } from './processes.ts';
import { placeOn, Remembered } from './remembered.ts';
import { answer, DESK_ADDRESS, isOurSender, lockApp, lockSession, SCHEMES, webPreferences } from './security.ts';
import { languageOf, wordsOf, type Language, type Words } from './words.ts';

/** Behind the window while the page is on its way. */
const BACKGROUND = '#101418';
/** The engine tells within this what it does when the last window has gone. */
const WORK_IS_KNOWN_MS = 1500;
/** A page that dies more often than this within a minute is not loaded again. */
const MOST_RELOADS = 3;

/** The project that a path, or the address of one, means: its folder, or a file in it; null for anything else. */
function projectAt(given: string): string | null {
  try {
    const path = resolve(given.startsWith('file://') ? fileURLToPath(given) : given);
    const folder = statSync(path).isDirectory() ? path : dirname(path);
    return statSync(join(folder, 'project.sqlite')).isFile() ? folder : null;
  } catch {
    return null;
  }
}

/** What the program was started with, after its own name and, in development, its folder. */
const args = process.argv.slice(app.isPackaged ? 1 : 2).filter((arg) => !arg.startsWith('--'));
const named = args.map((arg) => projectAt(arg)).find((dir) => dir !== null) ?? null;
if (!app.commandLine.hasSwitch('user-data-dir')) app.setPath('userData', join(app.getPath('appData'), 'Marginalia'));
const data = app.getPath('userData');
const remembered = new Remembered(join(data, 'shell.json'));
const crashes = new Crashes(join(data, 'crashes'), {
  app: packageJson.version,
  ...{ electron: process.versions.electron, chrome: process.versions.chrome, node: process.versions.node },
  system: `${process.platform} ${process.arch} ${process.getSystemVersion()}`,
});
const devTools = !app.isPackaged;
const beside = (path: string) => fileURLToPath(new URL(path, import.meta.url));
/** In the package the carried Node; while developing the one that every script runs on. */
const { node, entry } = app.isPackaged
  ? packagedEngine(process.resourcesPath)
  : { node: process.env.MARGINALIA_NODE ?? 'node', entry: developedEntry() };

function developedEntry(): string {
  return import.meta.url.endsWith('.ts') ? entryOf('engine-process') : beside('../main/engine-process.js');
}

let window: BrowserWindow | null = null;
/** Said to the page as soon as it listens. */
const unsaid: ShellEventData[] = [];
let isPageListening = false;
let isQuitting = false;
let language: Language = remembered.language ?? languageOf(app.getPreferredSystemLanguages());
let reloads: number[] = [];

const words = (): Words => wordsOf(language);
const atWork = new AtWork({ words, window: () => window, show: () => void showWindow(), quit: () => app.quit() });
const lately = remembered.recent[0]?.dir;
const engine = new EngineProcess({
  node,
  entry,
  project: named ?? (lately === undefined ? null : projectAt(lately)),
  echo: devTools,
  on: {
    // Tried once more by the desk, which says in its own words what is wrong.
    ready: ({ trouble }) => trouble && engine.project !== null && say({ kind: 'open', dir: engine.project }),
    project(dir, name) {
      if (dir === null) return;
      remembered.opened(dir, name);
      app.addRecentDocument(dir);
      whenUp(drawMenu);
    },
    work: (jobs) =>
      whenUp(() => {
        atWork.set(jobs);
        if (window === null && !atWork.isBusy) quitWithoutWindows();
      }),
    gone() {
      whenUp(() => atWork.set([]));
      say({ kind: 'gone' });
    },
    died(crash, again) {
      crashes.keep(crash);
      if (!again) whenUp(() => void tellGivenUp());
    },
  },
});

/** The engine is started before Electron is up, which menus and dialogs need. */
function whenUp(act: () => void): void {
  void app.whenReady().then(act);
}

function say(event: ShellEventData): void {
  if (isPageListening) window?.webContents.send('event', event);
  else if (event.kind !== 'gone') unsaid.push(event);
}

async function showWindow(): Promise<void> {
  if (!app.isReady() || isQuitting) return;
  if (window) {
    if (window.isMinimized()) window.restore();
    return window.focus();
  }
  const { bounds, maximized } = remembered.window;
  const opened = new BrowserWindow({
    ...placeOn(
      screen.getAllDisplays().map(({ workArea }) => workArea),
      bounds,
    ),
    show: false,
    backgroundColor: BACKGROUND,
    webPreferences: webPreferences(beside('../preload/preload.cjs'), devTools),
  });
  window = opened;
  isPageListening = false;
  if (maximized) opened.maximize();
  opened.once('ready-to-show', () => opened.show());
  opened.on('close', () => remembered.keep({ bounds: opened.getNormalBounds(), maximized: opened.isMaximized() }));
  opened.once('closed', () => (window = null));
  // The system is shut down: nobody will be told to quit.
  opened.on('session-end', () => remembered.end());
  opened.webContents.on('did-start-navigation', ({ isMainFrame, isSameDocument }) => {
    if (isMainFrame && !isSameDocument) isPageListening = false;
  });
  opened.webContents.on('render-process-gone', (_event, { reason, exitCode }) => {
    if (reason === 'clean-exit' || isQuitting) return;
    const at = Date.now();
    crashes.keep({ at, startedAt: at, code: exitCode, signal: `window ${reason}`, stderr: '' });
    reloads = [...reloads.filter((earlier) => at - earlier < 60_000), at];
    if (reloads.length <= MOST_RELOADS) opened.webContents.reload();
    else void tellGivenUp();
  });
  await opened.loadURL(DESK_ADDRESS);
}

function drawMenu(): void {
  const parts = { platform: process.platform, words: words(), recent: remembered.recent, devTools };
  const template = menuTemplate({
    ...parts,
    command: (id) => void showWindow().then(() => say({ kind: 'command', id })),
    chooseProject: () => void chooseProject(),
    open: openProject,
    crashes: () => void showCrashes(),
    safeMode() {
      app.relaunch({ args: [...process.argv.slice(1).filter((arg) => arg !== '--safe-mode'), '--safe-mode'] });
      app.quit();
    },
  });
  Menu.setApplicationMenu(Menu.buildFromTemplate(template));
}

/** By the desk, which says what is wrong where it cannot be opened. */
function openProject(dir: string): void {
  void showWindow();
  say({ kind: 'open', dir });
}

async function chooseProject(): Promise<void> {
  const [dir] = await choose({ kind: 'choose', what: 'folder', at: engine.project ?? '' });
  if (dir !== undefined) openProject(projectAt(dir) ?? dir);
}

async function choose({ what, at }: Extract<ShellQuestionData, { kind: 'choose' }>): Promise<string[]> {
  const from = at === '' ? {} : { defaultPath: at };
  if (what === 'save') {
    const asked: SaveDialogOptions = { ...from, title: words().choosePlace };
    const { filePath } = await (window ? dialog.showSaveDialog(window, asked) : dialog.showSaveDialog(asked));
    return filePath ? [filePath] : [];
  }
  const options: OpenDialogOptions = {
    ...from,
    properties: what === 'folder' ? ['openDirectory', 'createDirectory'] : ['openFile', 'multiSelections'],
  };
  const { filePaths } = await (window ? dialog.showOpenDialog(window, options) : dialog.showOpenDialog(options));
  return filePaths;
}

async function ask(options: MessageBoxOptions): Promise<number> {
  const { response } = await (window ? dialog.showMessageBox(window, options) : dialog.showMessageBox(options));
  return response;
}

async function showCrashes(): Promise<void> {
  const reports = crashes.list();
  const { ok, copy, noCrashes, crashesDetail, crashes: title } = words();
  if (reports.length === 0) return void (await ask({ message: noCrashes, buttons: [ok] }));
  const text = reports.map((report) => JSON.stringify(report, null, 2)).join('\n');
  const newest = JSON.stringify(reports[0], null, 2);
  const message = `${title.replace('…', '')} (${reports.length})`;
  const chosen = await ask({ message, detail: `${crashesDetail}\n\n${newest}`, buttons: [ok, copy], defaultId: 0 });
  if (chosen === 1) void clipboard.writeText(text);
}

/** The engine, or the page, dies again and again: what now is the person's to say. */
async function tellGivenUp(): Promise<void> {
  const { gaveUp, gaveUpDetail, startAgain, startSafe, showReport, quit } = words();
  const buttons = [startAgain, startSafe, showReport, quit];
  const chosen = await ask({ type: 'error', message: gaveUp, detail: gaveUpDetail, buttons, defaultId: 1 });
  if (chosen === 2) {
    await showCrashes();
    return tellGivenUp();
  }
  if (chosen === 3) return app.quit();
  engine.start(chosen === 1);
  reloads = [];
  window?.webContents.reload();
}

/** The last window is gone: with nothing at work, so is the program. On a Mac it stays, as programs do there. */
function quitWithoutWindows(): void {
  if (window === null && !atWork.isBusy && process.platform !== 'darwin') app.quit();
}

function listenToWindow(): void {
  ipcMain.on('connect', (event) => {
    const [port] = event.ports;
    if (!port) return;
    if (!isOurSender(event, window?.webContents)) return port.close();
    engine.connect(port);
    isPageListening = true;
    for (const event of unsaid.splice(0)) say(event);
  });
  ipcMain.handle('ask', async (event, question: unknown): Promise<string[]> => {
    if (!isOurSender(event, window?.webContents)) return [];
    const { success, output } = v.safeParse(ShellQuestion, question);
    if (!success) return [];
    if (output.kind === 'choose') return choose(output);
    language = output.language;
    remembered.keep({ language });
    drawMenu();
    return [];
  });
}

/** Whether the engine is the one that was packed with this program; where it is not, that is said. */
function isIntact(): boolean {
  if (!app.isPackaged) return true;
  const beside = JSON.parse(readFileSync(join(app.getAppPath(), 'beside.json'), 'utf8')) as Beside;
  const changed = changedFiles(process.resourcesPath, beside);
  if (changed.length === 0) return true;
  const { changedFiles: title, changedDetail } = words();
  dialog.showErrorBox(title, `${changedDetail}\n\n${changed.slice(0, 5).join('\n')}`);
  return false;
}

async function run(): Promise<void> {
  if (!isIntact()) return app.exit(1);
  const isSafe = process.argv.includes('--safe-mode');
  const isDoubtful = remembered.begin() >= 2 && !isSafe;
  if (!isDoubtful) engine.start(isSafe);
  await app.whenReady();
  await lockSession(session.defaultSession, devTools);
  protocol.handle('marginalia', (request) =>
    answer(request, { desk: DESK, pixels: (...ask) => engine.pixels(...ask) }),
  );
  listenToWindow();
  drawMenu();
  if (isDoubtful) {
    const { twice, gaveUpDetail, startSafe, startAsUsual } = words();
    engine.start((await ask({ message: twice, detail: gaveUpDetail, buttons: [startSafe, startAsUsual] })) === 0);
  }
  await showWindow();
}

protocol.registerSchemesAsPrivileged(SCHEMES);
lockApp(app);
app.on('second-instance', (_event, _argv, _cwd, sent) => {
  const project = v.is(v.object({ project: v.string() }), sent) ? projectAt(sent.project) : null;
  if (project === null) void showWindow();
  else openProject(project);
});
app.on('open-file', (event, path) => {
  event.preventDefault();
  const project = projectAt(path);
  if (project !== null) openProject(project);
});
app.on('activate', () => void showWindow());
app.on('window-all-closed', () => {
  engine.left();
  setTimeout(quitWithoutWindows, WORK_IS_KNOWN_MS);
});
app.on('before-quit', (event) => {
  if (isQuitting) return;
  isQuitting = true;
  event.preventDefault();
  window?.hide();
  void engine.close().finally(() => {
    remembered.end();
    app.quit();
  });
});

if (app.requestSingleInstanceLock({ project: named ?? '' })) void run();
else app.exit(0);
