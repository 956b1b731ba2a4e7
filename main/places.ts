/**
 * Where the program's own files lie, asked by everything that starts a process or serves
 * the desk: beside the sources while they run as they are, beside the bundles when built.
 * It promises the right answer in both, because the engine's bundle keeps all its files,
 * shared ones too, in one folder (`engine.vite.config.ts`). It also says with which of Node's flags they are started.
 */
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ending = extname(import.meta.url);
const isBundled = ending === '.js';

/** The entry of a process of its own, to be started with Node. */
export function entryOf(name: 'compute' | 'device-probe' | 'encoder-trial-child' | 'engine-process'): string {
  return fileURLToPath(new URL(`./${name}${ending}`, import.meta.url));
}

/** The folder of the built desk. */
export const DESK = fileURLToPath(new URL(isBundled ? '../renderer' : '../out/renderer', import.meta.url));

/** In a desktop package, below Electron's folder of resources: the carried Node and the engine that it runs. */
export function packagedEngine(resources: string, platform = process.platform): { node: string; entry: string } {
  return {
    node: join(resources, 'node', platform === 'win32' ? 'node.exe' : 'node'),
    entry: join(resources, 'engine/out/main/engine-process.js'),
  };
}

/**
 * Node's flags for the engine. Left alone, V8 lets the part of its heap for young objects grow
 * to 130 MB while somebody works: 9,000 acts took as long with 8 MB, and left the process at
 * 160 MB instead of 290.
 */
export const ENGINE_FLAGS = ['--max-semi-space-size=8'];

/** Node's flags for what the engine starts: its own, without those that are for one process. */
export function childFlags(): string[] {
  return process.execArgv.filter((flag) => !flag.startsWith('--inspect') && !ENGINE_FLAGS.includes(flag));
}
