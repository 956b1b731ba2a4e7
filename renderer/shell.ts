/**
 * The desktop shell as the desk sees it: the door that the preload script puts on the window,
 * or null in a browser. It gives a port to the engine, native dialogs, and what was chosen in
 * a menu; everything else goes by the contract. What a browser lacks, the desk does itself.
 */
import { PORT_MESSAGE, type ShellDoor, type ShellEventData } from '../main/api-shell.ts';
import type { Locale } from './state/preferences.svelte.ts';

export const shell: ShellDoor | null = (globalThis as { marginalia?: ShellDoor }).marginalia ?? null;

/** The shell can show the system's dialogs. */
export const hasDialogs = shell !== null;

/** What was chosen in the system's dialog; none where the person thought better of it. */
export async function choose(what: 'folder' | 'files' | 'save', at: string): Promise<string[]> {
  return shell === null ? [] : shell.ask({ kind: 'choose', what, at });
}

/** Menus and dialogs follow the desk's language. */
export function tellLanguage(language: Locale): void {
  void shell?.ask({ kind: 'language', language });
}

/** Commands of the table that were chosen in a menu, and projects that are to be opened. */
export function onShell(callback: (event: ShellEventData) => void): void {
  shell?.listen(callback);
}

let current: MessagePort | null = null;
// A port says by itself that its other end is gone; the shell, which knows first, says it too.
onShell((event) => {
  if (event.kind === 'gone') current?.dispatchEvent(new Event('close'));
});

/** A port to the engine, of this page alone. */
export function openPort(door: ShellDoor): Promise<MessagePort> {
  return new Promise((resolve) => {
    const take = ({ source, data, ports }: MessageEvent) => {
      if (source !== window || data !== PORT_MESSAGE || ports.length !== 1) return;
      removeEventListener('message', take);
      [current] = ports;
      resolve(ports[0]);
    };
    addEventListener('message', take);
    door.connect();
  });
}
