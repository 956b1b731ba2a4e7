/**
 * The engine's process as the shell sees it: the carried Node runs it, every window's frames
 * are handed on to it unread, and when it dies it is started again at once with the same
 * project, while the windows connect anew. A process that dies again and again is given up
 * and that is said. Opens no socket, and imports nothing of Electron.
 */
import { fork, type ChildProcess } from 'node:child_process';
import * as v from 'valibot';
import { frameOf } from '../hosts/frames.ts';
import {
  FromEngine,
  MOST_FRAME_BYTES,
  type FromEngineMessage,
  type PixelsFound,
  type ToEngineMessage,
  type WorkData,
} from '../main/api-shell.ts';
import { ENGINE_FLAGS } from '../main/places.ts';
import type { Crash } from './crashes.ts';

/** One end of a channel to a window: Electron's MessagePortMain is one. */
export interface WindowPort {
  on(event: 'message', listener: (event: { data: unknown }) => void): unknown;
  on(event: 'close', listener: () => void): unknown;
  postMessage(data: unknown): void;
  start(): void;
  close(): void;
}

export interface EngineProcessOptions {
  /** Stock Node, and what it runs. */
  node: string;
  entry: string;
  project: string | null;
  safe?: boolean;
  /** More deaths than this within so long, and it is not started again. */
  mostDeaths?: number;
  withinMs?: number;
  env?: NodeJS.ProcessEnv;
  /** Its stderr is shown as well, for developers: it may quote what is in a project. */
  echo?: boolean;
  on: {
    ready?(message: Extract<FromEngineMessage, { kind: 'ready' }>): void;
    project?(dir: string | null, name: string): void;
    work?(jobs: readonly WorkData[]): void;
    /** It is dead this moment: whatever waits for it waits in vain. */
    gone?(): void;
    /** How it died; `again` where it has been started anew. */
    died?(crash: Crash, again: boolean): void;
  };
}

/** Pixels on their way. */
interface Asked {
  question: Extract<ToEngineMessage, { kind: 'pixels' }>;
  pieces: Buffer[];
  /** Asked of a second engine after the first died; not of a third, because it may be what they die of. */
  again: boolean;
  answer(found: PixelsFound | null): void;
}

const MOST_DEATHS = 5;
const WITHIN_MS = 60_000;
/** Of what it last wrote to stderr, so much is kept for a report. */
const KEPT_STDERR = 16_384;
/** What a process wrote before it died has come through its pipe by then. */
const LAST_WORDS_MS = 100;

export class EngineProcess {
  readonly #options: EngineProcessOptions;
  readonly #ports = new Map<number, WindowPort>();
  readonly #asked = new Map<number, Asked>();
  readonly #deaths: number[] = [];
  #child: ChildProcess | null = null;
  #project: string | null;
  #safe: boolean;
  #serial = 0;
  #closing = false;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: EngineProcessOptions) {
    this.#options = options;
    this.#project = options.project;
    this.#safe = options.safe ?? false;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  get project(): string | null {
    return this.#project;
  }

  /** Starts it, also after it was given up; `safe` from then on. */
  start(safe = this.#safe): void {
    if (this.#child || this.#closing) return;
    // What it died of may be in the project.
    if (safe && !this.#safe) this.#project = null;
    this.#safe = safe;
    const { node, entry, env = process.env } = this.#options;
    const startedAt = Date.now();
    const child = fork(entry, [], {
      execPath: node,
      // What belongs to the shell's own Node is not the engine's.
      execArgv: ENGINE_FLAGS,
      env: {
        ...env,
        ELECTRON_RUN_AS_NODE: undefined,
        NODE_OPTIONS: undefined,
        ...(safe && { MARGINALIA_SAFE_MODE: '1' }),
      },
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
      windowsHide: true,
    });
    let stderr = '';
    child.stderr!.on('data', (data: Buffer) => {
      stderr = (stderr + data.toString()).slice(-KEPT_STDERR);
      if (this.#options.echo) process.stderr.write(data);
    });
    child.on('message', (data) => this.#hear(child, data));
    // A program that cannot be started says so here, and never exits.
    child.on('error', (error) => {
      stderr += `${error.name}: ${error.message}\n`;
      if (child.pid === undefined) this.#died(child, () => ({ code: null, signal: null, stderr, startedAt }));
      else child.kill('SIGKILL');
    });
    this.#ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        resolve();
        this.#died(child, () => ({ code, signal, stderr, startedAt }));
      });
    });
    this.#child = child;
    this.#tell({ kind: 'start', project: this.#project });
  }

  /** Connects a window: its frames go to the engine and the answers back, until either end is gone. */
  connect(port: WindowPort): void {
    if (!this.#child) return port.close();
    const desk = ++this.#serial;
    this.#ports.set(desk, port);
    port.on('message', ({ data }) => {
      if (this.#ports.get(desk) !== port) return;
      if (isWindowFrame(data)) this.#tell({ kind: 'frame', desk, frame: data });
      else this.#drop(desk);
    });
    port.on('close', () => {
      if (this.#ports.delete(desk)) this.#tell({ kind: 'disconnect', desk });
    });
    this.#tell({ kind: 'connect', desk });
    port.start();
  }

  /** An item's pixels; null while there is no engine. */
  pixels(item: string, part: number, side: number | null): Promise<PixelsFound | null> {
    if (!this.#child) return Promise.resolve(null);
    const ask = ++this.#serial;
    const question = { kind: 'pixels', ask, item, part, side } as const;
    return new Promise((answer) => {
      this.#asked.set(ask, { question, pieces: [], again: false, answer });
      this.#tell(question);
    });
  }

  /** The last window was closed. */
  left(): void {
    this.#tell({ kind: 'left' });
  }

  /** Lets it close the project and end; after `patienceMs` it is ended. */
  async close(patienceMs = 10_000): Promise<void> {
    this.#closing = true;
    const child = this.#child;
    if (!child) return;
    this.#tell({ kind: 'close' });
    const patience = setTimeout(() => child.kill('SIGKILL'), patienceMs);
    await this.#ended;
    clearTimeout(patience);
  }

  #tell(message: ToEngineMessage): void {
    // An error of sending is the death of the process, which is heard by itself.
    if (this.#child?.connected) this.#child.send(message, () => undefined);
  }

  #hear(child: ChildProcess, data: unknown): void {
    if (child !== this.#child) return;
    const { success, output: message } = v.safeParse(FromEngine, data);
    if (!success) return;
    const { on } = this.#options;
    switch (message.kind) {
      case 'frame':
        return this.#ports.get(message.desk)?.postMessage(message.frame);
      case 'pixels':
        return this.#answer(message);
      case 'bytes':
        this.#asked.get(message.ask)?.pieces.push(Buffer.from(message.bytes, 'base64'));
        return;
      case 'project':
        this.#project = message.dir;
        return on.project?.(message.dir, message.name);
      case 'work':
        return on.work?.(message.jobs);
      case 'ready':
        return on.ready?.(message);
    }
  }

  #answer({ ask, found, trouble }: Extract<FromEngineMessage, { kind: 'pixels' }>): void {
    const asked = this.#asked.get(ask);
    this.#asked.delete(ask);
    const body = found?.file ?? Buffer.concat(asked?.pieces ?? []);
    asked?.answer({ found: found && { type: found.type, body }, trouble });
  }

  #drop(desk: number): void {
    const port = this.#ports.get(desk);
    if (!this.#ports.delete(desk)) return;
    this.#tell({ kind: 'disconnect', desk });
    port!.close();
  }

  /** After a death: what was under way is asked of the new engine, once. */
  #askAgain(): void {
    for (const [ask, asked] of this.#asked) {
      if (this.#child && !asked.again) {
        Object.assign(asked, { pieces: [], again: true });
        this.#tell(asked.question);
      } else {
        this.#asked.delete(ask);
        asked.answer(null);
      }
    }
  }

  #died(child: ChildProcess, how: () => Omit<Crash, 'at'>): void {
    if (child !== this.#child) return;
    this.#child = null;
    const ports = [...this.#ports.values()];
    this.#ports.clear();
    const at = Date.now();
    const { mostDeaths = MOST_DEATHS, withinMs = WITHIN_MS, on } = this.#options;
    this.#deaths.push(at);
    while (this.#deaths[0] < at - withinMs) this.#deaths.shift();
    const again = !this.#closing && this.#deaths.length <= mostDeaths;
    if (again) this.start();
    else this.#deaths.length = 0;
    this.#askAgain();
    // Only now: who is told that a port closed connects anew at once.
    if (!this.#closing) on.gone?.();
    for (const port of ports) port.close();
    if (!this.#closing) setTimeout(() => on.died?.({ ...how(), at }, again), LAST_WORDS_MS);
  }
}

/** What the relay hands on: the engine's RPC library dies of what it cannot read. */
function isWindowFrame(data: unknown): data is string {
  return typeof data === 'string' && data.length <= MOST_FRAME_BYTES && frameOf(data) !== null;
}
