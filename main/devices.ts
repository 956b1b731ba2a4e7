/**
 * What this machine can compute on. A device is tried once, in a throw-away process
 * (`device-probe.ts`) at low priority, when somebody first asks: a driver that crashes or
 * hangs ends that process and is remembered as failed. What was found lies in a file beside
 * all projects and holds for this runtime, system and driver setting; the choice is the
 * project's. Reading is cheap and never tries anything.
 */
import { ACCOUNT } from './account.ts';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { dirname, join } from 'node:path';
import envPaths from 'env-paths';
import packageJson from '../package.json' with { type: 'json' };
import { lowerPriority } from './compute-process.ts';
import type { Device, RealDevice, Trial } from './domain/device.ts';
import { EngineError } from './domain/errors.ts';
import type { ProjectStore } from './store/index.ts';
import { childFlags, entryOf } from './places.ts';

export interface DeviceEntry {
  device: RealDevice;
  state: Trial['state'] | 'probing';
  /** Training steps in a second over those of the processor. */
  speed: number | null;
  reason: string | null;
  /** Whether models run there now. */
  chosen: boolean;
}

export interface DevicesOptions {
  /** The project's setting `device`. */
  settings: { get(key: string): unknown; set(key: string, value: unknown): void };
  recorded: ProjectStore['recorded'];
  changed(): void;
  /** Where trials are kept; default: the user's cache folder. */
  file?: string;
  /** What tries a device. */
  entry?: string;
  timeoutMs?: number;
}

type Tried = Exclude<RealDevice, 'cpu'>;
type Trials = Partial<Record<Tried, Trial>>;

/** The systems that ONNX Runtime has each provider for. */
const SYSTEMS: Record<Tried, readonly NodeJS.Platform[]> = {
  webgpu: ['win32', 'linux', 'darwin'],
  cuda: ['win32', 'linux'],
  dml: ['win32'],
  coreml: ['darwin'],
};
const TRIED = Object.keys(SYSTEMS) as Tried[];

/** In safe mode models run on the processor; no driver is woken, and nothing that was found about them is forgotten. */
const isSafeMode = process.env.MARGINALIA_SAFE_MODE === '1';

/** Counted from the start of the process; graphics drivers may take seconds to compile. */
const TIMEOUT_MS = 60_000;
/** These say which driver answers. */
const DRIVER_SETTINGS = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES', 'CUDA_VISIBLE_DEVICES', 'DISPLAY', 'WAYLAND_DISPLAY'];

const cacheFile = () => join(envPaths('marginalia', { suffix: '' }).cache, 'devices.json');

/** What trials depend on; anything else is tried anew. */
function circumstances(): string {
  const runtime = packageJson.dependencies['onnxruntime-node'];
  const drivers = DRIVER_SETTINGS.map((name) => process.env[name] ?? '');
  return [runtime, process.platform, process.arch, release(), ...drivers].join('|');
}

/** Trials on record in `file` that still hold; none where it cannot be read. */
function readTrials(file: string): Trials {
  try {
    const kept = JSON.parse(readFileSync(file, 'utf8')) as { circumstances: string; trials: Trials };
    return kept.circumstances === circumstances() ? kept.trials : {};
  } catch {
    return {}; // no file, or not ours: everything is tried again
  }
}

/** Where models run by what is known: the choice if it is ready, the fastest that is ready for 'auto', else the processor. */
function deviceInUse(choice: Device, trials: Trials): RealDevice {
  if (isSafeMode) return 'cpu';
  const ready = TRIED.map((device) => ({ device, speed: speedOf(trials[device]) }));
  if (choice !== 'auto') return ready.some(({ device, speed }) => device === choice && speed !== null) ? choice : 'cpu';
  return ready.reduce<{ device: RealDevice; speed: number }>(
    (best, { device, speed }) => (speed !== null && speed > best.speed ? { device, speed } : best),
    { device: 'cpu', speed: 1 },
  ).device;
}

const speedOf = (trial: Trial | undefined) => (trial?.state === 'ready' ? trial.speed : null);

/** The device for work in another process, from the project's setting and the trials on record. */
export function knownDevice(setting: unknown, file = cacheFile()): RealDevice {
  return deviceInUse((setting ?? 'auto') as Device, readTrials(file));
}

export class Devices {
  readonly #options: DevicesOptions;
  readonly #file: string;
  #known: Trials | null = null;
  readonly #pending = new Map<Tried, Promise<Trial>>();
  /** One trial after another: two would measure each other. */
  #last: Promise<unknown> = Promise.resolve();
  #child: ChildProcess | null = null;
  #closed = false;

  constructor(options: DevicesOptions) {
    this.#options = options;
    this.#file = options.file ?? cacheFile();
  }

  get choice(): Device {
    return (this.#options.settings.get('device') ?? 'auto') as Device;
  }

  /** Where models run by what is known now; nothing is tried for it. */
  get inUse(): RealDevice {
    return deviceInUse(this.choice, this.#trials);
  }

  /** Of the device in use, over the processor. */
  get speed(): number {
    const { inUse } = this;
    return inUse === 'cpu' ? 1 : (speedOf(this.#trials[inUse]) ?? 1);
  }

  /** Every device as known now; what was never tried is 'probing' from here on. */
  list(): DeviceEntry[] {
    for (const device of TRIED) if (!this.#trials[device]) void this.#try(device);
    const { inUse } = this;
    const cpu: DeviceEntry = { device: 'cpu', state: 'ready', speed: 1, reason: null, chosen: inUse === 'cpu' };
    return [
      cpu,
      ...TRIED.map((device): DeviceEntry => {
        const trial = this.#pending.has(device) ? undefined : this.#trials[device];
        const reason = trial && trial.state !== 'ready' ? trial.reason : null;
        const chosen = device === inUse;
        return { device, state: trial?.state ?? 'probing', speed: speedOf(trial), reason, chosen };
      }),
    ];
  }

  /** Like `list`, when every trial has ended; `again` tries anew what is not ready. */
  async tried(again = false): Promise<DeviceEntry[]> {
    for (const device of TRIED) {
      const trial = this.#trials[device];
      if (!trial || (again && trial.state !== 'ready')) void this.#try(device);
    }
    await Promise.all(this.#pending.values());
    return this.list();
  }

  /** Keeps the choice, after trying the device once more where it is not ready. Errors: `device-unavailable`. */
  async choose(choice: Device, who = ACCOUNT): Promise<void> {
    if (choice !== 'auto' && choice !== 'cpu' && this.#trials[choice]?.state !== 'ready') await this.#try(choice);
    await this.resolve(choice);
    const { recorded, settings } = this.#options;
    recorded(
      { who, call: 'devices.choose' },
      () => settings.set('device', choice),
      () => ({ device: choice }),
    );
    this.#options.changed();
  }

  /** The device for a run, tried first where it was not yet. Left out, the project's choice, or the processor where that is not ready here. Errors: `device-unavailable` for one that is named and did not pass. */
  async resolve(named?: Device): Promise<RealDevice> {
    const choice = named ?? this.choice;
    if (choice === 'cpu') return 'cpu';
    if (choice === 'auto') {
      await this.tried();
      return deviceInUse('auto', this.#trials);
    }
    const trial = await (this.#pending.get(choice) ?? this.#trials[choice] ?? this.#try(choice));
    if (trial.state === 'ready') return choice;
    if (named === undefined) return 'cpu';
    throw new EngineError(
      'device-unavailable',
      `The device “${choice}” ${trial.state === 'absent' ? 'is not there' : 'failed its trial'}: ${trial.reason.replace(/\.?$/, '.')}`,
      'Choose “auto” or “cpu”, or update the graphics driver and try the device again.',
      { device: choice },
    );
  }

  close(): void {
    this.#closed = true;
    this.#child?.kill('SIGKILL');
  }

  get #trials(): Trials {
    this.#known ??= readTrials(this.#file);
    return this.#known;
  }

  #try(device: Tried): Promise<Trial> {
    const running = this.#pending.get(device);
    if (running) return running;
    const trial = this.#last.then(async () => {
      const isHere = SYSTEMS[device].includes(process.platform);
      const found = isSafeMode ? leftAlone : isHere ? await this.#probe(device) : notHere;
      this.#pending.delete(device);
      if (!this.#closed) {
        this.#trials[device] = found;
        if (!isSafeMode) this.#keep();
        this.#options.changed();
      }
      return found;
    });
    this.#pending.set(device, trial);
    this.#last = trial;
    return trial;
  }

  #probe(device: Tried): Promise<Trial> {
    const { entry = entryOf('device-probe'), timeoutMs = TIMEOUT_MS } = this.#options;
    if (this.#closed) return Promise.resolve({ state: 'failed', reason: 'The project was closed.' });
    return new Promise((resolve) => {
      const failed = (reason: string) => resolve({ state: 'failed', reason });
      const child = spawn(process.execPath, [...childFlags(), entry, device], { stdio: ['ignore', 'pipe', 'ignore'] });
      this.#child = child;
      if (child.pid !== undefined) lowerPriority(child.pid);
      let output = '';
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        child.kill('SIGKILL');
      }, timeoutMs);
      child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
      child.on('error', (error) => {
        clearTimeout(timer);
        failed(`The trial could not be started: ${error.message}`);
      });
      child.on('close', (code, signal) => {
        clearTimeout(timer);
        this.#child = null;
        if (isLate) failed(`It gave no answer within ${timeoutMs / 1000} seconds.`);
        else if (signal !== null) failed(`The trial’s process was ended by ${signal}.`);
        else if (code !== 0) failed(`The trial’s process ended with exit code ${code}.`);
        else resolve(parseTrial(output));
      });
    });
  }

  #keep(): void {
    const text = JSON.stringify({ circumstances: circumstances(), trials: this.#trials });
    const part = `${this.#file}.${process.pid}`;
    try {
      mkdirSync(dirname(this.#file), { recursive: true });
      writeFileSync(part, text);
      renameSync(part, this.#file);
    } catch {
      // A cache that cannot be written loses only time: the next start tries the devices again.
    }
  }
}

const leftAlone: Trial = { state: 'absent', reason: 'In safe mode it is left alone.' };
const notHere: Trial = { state: 'absent', reason: 'There is none on this kind of system.' };

function parseTrial(output: string): Trial {
  try {
    const trial = JSON.parse(output.trim().split('\n').at(-1) ?? '') as Trial;
    if (trial.state === 'ready' ? trial.speed > 0 : trial.reason !== '') return trial;
  } catch {
    // said below
  }
  return { state: 'failed', reason: 'The trial ended without an answer.' };
}
