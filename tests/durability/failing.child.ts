/**
 * One operation on one project, in a thread of its own so that strace counts its system
 * calls from one: `node failing.child.ts` reads a case per line and answers with a line.
 * Before the operation the thread makes as many calls of the kind that will fail as are
 * needed for the right one of the operation to be the one that strace lets fail.
 */
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { attempt, PID, type FailingCase, type FailingOutcome } from './failing-operations.ts';

/** One call of each kind that leaves the project alone. */
const IDLE: Record<string, (fd: number, file: string) => void> = {
  pwrite64: (fd) => fs.writeSync(fd, 'x', 0),
  write: (fd) => fs.writeSync(fd, 'x'),
  pread64: (fd) => fs.readSync(fd, Buffer.alloc(1), 0, 1, 0),
  read: (fd) => fs.readSync(fd, Buffer.alloc(1)),
  fsync: (fd) => fs.fsyncSync(fd),
  fdatasync: (fd) => fs.fdatasyncSync(fd),
  ftruncate: (fd) => fs.ftruncateSync(fd, 1),
  rename: (_, file) => fs.renameSync(file, file),
  // These three cannot be done, and are asked of the system all the same.
  unlink: (_, file) => quietly(() => fs.unlinkSync(`${file}s`)),
  mkdir: (_, file) => quietly(() => fs.mkdirSync(file)),
  link: (_, file) => quietly(() => fs.linkSync(file, file)),
};

function quietly(work: () => void): void {
  try {
    work();
  } catch {
    // Foreseen.
  }
}

/** Calls so often. */
function idle(call: string, times: number, dir: string): void {
  const file = path.join(dir, 'dummy');
  if (times === 0 || call === 'none') return;
  if (call === 'openat' || call === 'close') {
    for (let i = 0; i < times; i++) fs.closeSync(fs.openSync(file, 'r'));
    return;
  }
  const fd = fs.openSync(file, 'r+');
  for (let i = 0; i < times; i++) IDLE[call](fd, file);
  fs.closeSync(fd);
}

const say = (outcome: FailingOutcome) => void fs.writeSync(1, `${JSON.stringify(outcome)}\n`);

if (isMainThread) {
  for await (const line of createInterface({ input: process.stdin })) {
    const worker = new Worker(new URL(import.meta.url), { workerData: JSON.parse(line) as FailingCase });
    worker.on('error', (error) => say({ outcome: `bug: ${String(error)}`, message: '', second: null }));
    await once(worker, 'exit');
  }
} else {
  // Names of temporary files hold it, and strace must know them beforehand.
  Object.defineProperty(process, 'pid', { value: PID });
  const given = workerData as FailingCase;
  say(attempt(given, () => idle(given.call, given.idle, given.dir)));
}
