/**
 * Ends this process when native code does not come back, takes more memory than it may, or
 * outlives whoever started it. A model's run blocks its thread and cannot be interrupted, so
 * the watch is kept by a thread of its own, in the same way on every system: it looks many
 * times a second and kills without asking. Before that it says why, as one JSON line.
 */
import { Worker } from 'node:worker_threads';

export interface Limits {
  /** The main thread must not be stuck for longer than this. */
  stuckMs: number;
  /** Memory of the process in RAM. */
  memoryBytes: number;
  /** The whole process is to end by then; default: never. */
  lifeMs?: number;
  /** How often it looks; default 20. Memory grows by about 2 MB in a millisecond at most. */
  lookMs?: number;
}

/** Why the watchdog ended its process. */
export type Ending = 'stuck' | 'late' | 'memory' | 'alone';

interface Told extends Limits {
  pulse: Int32Array;
  parent: number;
  descriptor: number;
}

const LOOK_MS = 20;
const PULSE_MS = 250;
const SMALL = { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1 };

/** The thread: in plain JavaScript, because it must be there at once and load nothing. */
const WATCH = `
const { workerData: told, parentPort } = require('node:worker_threads');
const { writeSync } = require('node:fs');
const begun = performance.now();
let pulse = 0, alive = begun, looked = begun, asleep = 0;
function end(why, value) {
  try { writeSync(told.descriptor, JSON.stringify({ ended: why, value }) + '\\n'); } catch {}
  process.kill(process.pid, 'SIGKILL');
}
function isAlone() {
  if (process.ppid !== told.parent && process.platform !== 'win32') return true;
  try { process.kill(told.parent, 0); return false; } catch (error) { return error.code === 'ESRCH'; }
}
setInterval(() => {
  const now = performance.now();
  if (now - looked > 2000) asleep += now - looked; // the machine slept, or this process was stopped
  if (now - looked > 2000) alive = now;
  looked = now;
  const latest = Atomics.load(told.pulse, 0);
  if (latest !== pulse) { pulse = latest; alive = now; }
  const memory = process.memoryUsage.rss();
  if (memory > told.memoryBytes) end('memory', memory);
  if (told.lifeMs !== undefined && now - begun - asleep > told.lifeMs) end('late', Math.round(now - begun));
  if (now - alive > told.stuckMs) end('stuck', Math.round(now - alive));
  if (isAlone()) end('alone', told.parent);
}, told.lookMs ?? ${LOOK_MS});
parentPort.postMessage('watching');
`;

/** Starts the watch, which lasts as long as the process; it says why it ends it on `descriptor` (2: standard error). Resolves when it is kept. */
export async function keepWatch(limits: Limits, descriptor = 2): Promise<void> {
  const pulse = new Int32Array(new SharedArrayBuffer(4));
  const told: Told = { ...limits, pulse, parent: process.ppid, descriptor };
  const thread = new Worker(WATCH, {
    eval: true,
    workerData: told,
    execArgv: [],
    name: 'watchdog',
    resourceLimits: SMALL,
  });
  thread.unref();
  await new Promise<void>((resolve, reject) => {
    thread.once('message', () => resolve());
    thread.once('error', reject);
  });
  setInterval(() => Atomics.add(pulse, 0, 1), PULSE_MS).unref();
}
