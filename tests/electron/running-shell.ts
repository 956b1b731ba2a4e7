/**
 * The real shell, running on the stand-in for Electron: its entry is loaded as Electron would
 * load it, with the real engine process behind it. A test file that imports this says
 * `vi.mock('electron', () => import('./stand-in.ts'))`, and there is one shell in it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, vi } from 'vitest';
import { ROOT } from '../served-desk.ts';
import { app, becomeReady, places, said, type BrowserWindow } from './stand-in.ts';

/** The folder of this test file's shell. */
export const work = mkdtempSync(join(tmpdir(), 'marginalia-desktop-'));

afterAll(async () => {
  if (said.exits.length === 0) {
    app.quit();
    await vi.waitFor(() => said.exits.length > 0, { timeout: 20_000 });
  }
  rmSync(work, { recursive: true, force: true });
});

/** Starts the shell with these arguments; resolves when Electron would have shown its window. */
export async function startShell(...args: string[]): Promise<BrowserWindow> {
  places.userData = join(work, 'user-data');
  process.argv = ['electron', ROOT, ...args];
  process.env.MARGINALIA_NODE = process.execPath;
  Object.assign(process, { getSystemVersion: () => 'stand-in' });
  await import('../../electron/shell.ts');
  becomeReady();
  return vi.waitFor(
    () => {
      const [window] = said.windows;
      if (!window?.loaded) throw new Error('No window yet');
      return window;
    },
    { timeout: 20_000 },
  );
}

/** A message as it comes from the desk's own page in the window. */
export function eventFrom(window: BrowserWindow, ports: unknown[] = []): Record<string, unknown> {
  const frame = { url: 'marginalia://desk/', parent: null };
  return { sender: window.webContents, senderFrame: frame, ports };
}
