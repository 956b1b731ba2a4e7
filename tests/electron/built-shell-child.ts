/** Runs the built shell on the stand-in for Electron, in plain Node, as Electron would load it; tells what came of it. */
import { existsSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { MessageChannel } from 'node:worker_threads';
import { ROOT } from '../served-desk.ts';
import { windowPort } from './relayed-desk.ts';
import { app, becomeReady, handlerOf, ipcMain, places, said } from './stand-in.ts';

const [project, userData] = process.argv.slice(2);
registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'electron'
      ? { url: new URL('./stand-in.ts', import.meta.url).href, shortCircuit: true }
      : next(specifier, context),
});
places.userData = userData;
process.argv = ['electron', ROOT, project];
process.env.MARGINALIA_NODE = process.execPath;
Object.assign(process, { getSystemVersion: () => 'stand-in' });
await import(new URL('../../out/shell/index.js', import.meta.url).href);
becomeReady();
while (!said.windows[0]?.loaded) await new Promise((resolve) => setTimeout(resolve, 20));

const [window] = said.windows;
const { port1, port2 } = new MessageChannel();
const answered = new Promise<string>((resolve) => port1.once('message', resolve));
const frame = { url: window.loaded, parent: null };
ipcMain.emit('connect', { sender: window.webContents, senderFrame: frame, ports: [windowPort(port2)] });
port1.postMessage(JSON.stringify({ i: '1', p: { u: '/desk/state' } }));
const page = await handlerOf('marginalia')!(new Request(window.loaded));
const told = {
  state: JSON.parse(await answered) as unknown,
  status: page.status,
  page: await page.text(),
  preload: existsSync(window.options.webPreferences!.preload!),
};
port1.close();
app.quit();
while (said.exits.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
process.send?.(told, undefined, undefined, () => process.exit(0));
