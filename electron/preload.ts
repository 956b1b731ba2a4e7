/**
 * The only script that stands between the page and the shell, in a sandbox of its own: it
 * puts the door (`ShellDoor`) on the window, and hands over the port to the engine. No
 * function of Electron reaches the page, and no event object of it.
 */
import { contextBridge, ipcRenderer } from 'electron';
import type { ShellDoor, ShellEventData, ShellQuestionData } from '../main/api-shell.ts';

const door: ShellDoor = {
  connect() {
    const { port1, port2 } = new MessageChannel();
    ipcRenderer.postMessage('connect', null, [port2]);
    // '/' is this page's own origin.
    window.postMessage('marginalia-port', '/', [port1]);
  },
  ask: (question: ShellQuestionData) => ipcRenderer.invoke('ask', question) as Promise<string[]>,
  listen(callback: (event: ShellEventData) => void) {
    ipcRenderer.on('event', (_event, said: ShellEventData) => callback(said));
  },
};

contextBridge.exposeInMainWorld('marginalia', door);
