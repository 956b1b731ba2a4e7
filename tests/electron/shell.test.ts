/**
 * The running shell on the stand-in for Electron: one instance, the project that it was
 * started with, menus, dialogs, what a person sees of work and of an engine that dies, and a
 * quit that closes the project. One story, because there is one shell.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MessageChannel } from 'node:worker_threads';
import { createORPCClient } from '@orpc/client';
import { RPCLink } from '@orpc/client/message-port';
import type { MenuItemConstructorOptions } from 'electron';
import { describe, expect, test, vi } from 'vitest';
import { Project } from '../../main/project.ts';
import type { DeskClient } from '../served-desk.ts';
import { childrenOf } from './children.ts';
import { windowPort } from './relayed-desk.ts';
import { eventFrom, startShell, work } from './running-shell.ts';
import { answers, app, invoke, ipcMain, places, said } from './stand-in.ts';

vi.mock('electron', () => import('./stand-in.ts'));
vi.setConfig({ testTimeout: 60_000 });

const window = () => said.windows[0];

/** The page of the window connects, as the preload script does. */
function connect(): { client: DeskClient; closed: Promise<void> } {
  const { port1, port2 } = new MessageChannel();
  const closed = new Promise<void>((resolve) => port1.once('close', resolve));
  ipcMain.emit('connect', eventFrom(window(), [windowPort(port2)]));
  const port = {
    on(event: string, listener: (event?: { data: unknown }) => void) {
      if (event === 'message') port1.on('message', (data: unknown) => listener({ data }));
      else port1.on('close', () => listener());
    },
    postMessage: (data: unknown) => port1.postMessage(data),
  };
  return { client: createORPCClient<DeskClient>(new RPCLink({ port })), closed };
}

function item(
  label: RegExp,
  menu: MenuItemConstructorOptions[] = said.menus.at(-1)!,
): MenuItemConstructorOptions | undefined {
  for (const entry of menu) {
    if (label.test(entry.label ?? '')) return entry;
    const found = Array.isArray(entry.submenu) && item(label, entry.submenu);
    if (found) return found;
  }
  return undefined;
}
const click = (label: RegExp) => (item(label)!.click as () => void)();
const toPage = () => window().webContents.sent.map(([, event]) => event);

async function newProject(name: string): Promise<string> {
  const dir = join(work, name);
  await (await Project.create(dir, { classes: ['a', 'b'], seed: 1 })).close();
  return dir;
}

describe('The shell', () => {
  test('starts with the project that is named, in one window where it was last, and remembers it', async () => {
    const dir = await newProject('first');
    writeFileSync(join(work, 'not-a-project'), '');
    await startShell(join(work, 'not-a-project'), '--some-switch', join(dir, 'project.sqlite'));
    const { client } = connect();
    expect(await client.desk.state()).toMatchObject({ project: dir, host: 'desktop' });
    expect(said.locks).toEqual([{ project: dir }]);
    expect(said.paths).toEqual([['userData', join(work, 'Marginalia')]]);
    await vi.waitFor(() => expect(said.recent).toEqual([dir]));
    expect(item(/first/)).toBeDefined();
    expect(window().options).toMatchObject({ width: 1280, height: 800 });
  });

  test('opens in the same window what a second start, the system or the menu names', async () => {
    const dir = await newProject('second');
    const { focuses } = window();
    app.emit('second-instance', {}, [], '/', { project: dir });
    let isTaken = false;
    app.emit('open-file', { preventDefault: () => (isTaken = true) }, pathToFileURL(dir).href);
    expect(isTaken).toBe(true);
    answers.paths.push([dir]);
    click(/Open project/);
    await vi.waitFor(() => expect(toPage()).toEqual(Array.from({ length: 3 }, () => ({ kind: 'open', dir }))));
    for (const hostile of [null, 7, { project: 7 }, { project: '/etc' }, { project: 'x\0' }])
      app.emit('second-instance', {}, [], '/', hostile);
    app.emit('open-file', { preventDefault: () => undefined }, '/etc/passwd');
    expect(toPage()).toHaveLength(3);
    expect(window().focuses).toBeGreaterThan(focuses + 3);
    expect(said.windows).toHaveLength(1);
  });

  test('sends the desk its commands, speaks its language, and asks the system’s dialogs', async () => {
    click(/New project/);
    await vi.waitFor(() => expect(toPage().at(-1)).toEqual({ kind: 'command', id: 'new-project' }));
    await invoke('ask', eventFrom(window()), { kind: 'language', language: 'zh-CN' });
    expect(item(/新建项目/)).toBeDefined();
    await invoke('ask', eventFrom(window()), { kind: 'language', language: 'en' });
    answers.paths.push(['/a', '/b'], ['/new-place']);
    expect(await invoke('ask', eventFrom(window()), { kind: 'choose', what: 'files', at: '' })).toEqual(['/a', '/b']);
    expect(await invoke('ask', eventFrom(window()), { kind: 'choose', what: 'save', at: '/x' })).toEqual([
      '/new-place',
    ]);
    expect(said.dialogs.at(-1)).toMatchObject({ defaultPath: '/x' });
  });

  test.skipIf(process.platform !== 'linux')(
    'starts a dead engine again, tells the page, and keeps a report that is shown on request',
    async () => {
      const { client, closed } = connect();
      const { project } = await client.desk.state();
      const [engine] = childrenOf(process.pid, 'engine-process');
      process.kill(engine, 'SIGKILL');
      await closed;
      const again = connect();
      expect((await again.client.desk.state()).project).toBe(project);
      await vi.waitFor(() => expect(toPage().at(-1)).toEqual({ kind: 'gone' }));
      expect(readdirSync(join(places.userData, 'crashes'))).toHaveLength(1);
      answers.boxes.push(1);
      click(/Crash reports/);
      await vi.waitFor(() => expect(said.clipboard).toContain('"signal": "SIGKILL"'));
      expect(said.clipboard).not.toContain(work);
    },
  );

  test('shows work on the taskbar and in the tray, keeps the machine awake, and stops when it is done', async () => {
    const { client } = connect();
    const rows = Array.from({ length: 400 }, (_, i) => `{"id":"n${i}","text":"note ${i} of ${i % 7}"}`);
    const source = join(work, 'notes.jsonl');
    writeFileSync(source, rows.join('\n'));
    await client.imports.start({ sources: [source], mapping: { text: 'text', id: 'id' } });
    await vi.waitFor(() => expect(said.blockers.size).toBe(1), { timeout: 20_000, interval: 5 });
    expect(window().progress[0]).not.toBe(-1);
    await vi.waitFor(() => expect(said.blockers.size).toBe(0), { timeout: 40_000 });
    expect(window().progress[0]).toBe(-1);
  });

  test('remembers the window, and a page that dies is loaded again until it dies too often', async () => {
    const contents = window().webContents;
    for (let n = 1; n <= 3; n++) {
      contents.emit('render-process-gone', {}, { reason: 'crashed', exitCode: 5 });
      expect(contents.reloads).toBe(n);
    }
    answers.boxes.push(0);
    contents.emit('render-process-gone', {}, { reason: 'crashed', exitCode: 5 });
    await vi.waitFor(() => expect(said.dialogs.at(-1)).toMatchObject({ type: 'error' }));
  });

  test('restarts in safe mode when asked, and quits only after the project is closed', async () => {
    const { client } = connect();
    const dir = (await client.desk.state()).project!;
    window().closes();
    click(/safe mode/);
    expect(said.relaunched).toEqual([{ args: expect.arrayContaining(['--safe-mode']) }]);
    expect(said.exits, 'not yet').toEqual([]);
    await vi.waitFor(() => expect(said.exits).toEqual([0]), { timeout: 20_000 });
    const project = await Project.open(dir, { resume: false });
    await project.close();
    expect(JSON.parse(readFileSync(join(places.userData, 'shell.json'), 'utf8'))).toMatchObject({
      unfinished: 0,
      bounds: { x: 10, y: 20, width: 1000, height: 700 },
      language: 'en',
    });
  });
});
