/**
 * Records a process that writes, then lets the power fail at many moments of it and opens
 * what is left. Everything but the recording happens in this process and follows from the
 * seed.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createRng } from '../../main/domain/rng.ts';
import { Disk, FAILURES } from './disk.ts';
import { FAST, record, type Call } from './strace.ts';
import { acksIn, wrongIn, type Ack } from './workload.ts';

interface Losses {
  seed: number;
  /** How often the project is opened, and how much is done each time. */
  sessions: number;
  steps: number;
  /** At how many moments the power fails. */
  images: number;
  planted?: 'NORMAL' | 'OFF';
}

interface Outcome {
  images: number;
  acknowledged: number;
  /** System calls on the disk. */
  calls: number;
  /** Images in which something acknowledged is missing, and in which something is half there. */
  lost: number;
  damaged: number;
  wrong: string[];
}

/** Whether a call printed an acknowledgement, and what. */
function printedBy({ name, args, result }: Call): string {
  return name === 'write' && args[0] === 1 ? (args[1] as Buffer).subarray(0, result).toString() : '';
}

/** Calls `see` for every image: a folder that may be on disk when the power fails, and the acknowledgements before that. */
export function forEachImage(
  { seed, sessions, steps, images, planted }: Losses,
  see: (folder: string, acks: readonly Ack[], all: readonly Ack[], name: string) => void,
): { calls: number; all: Ack[] } {
  const work = mkdtempSync(join(FAST, 'marginalia-power-'));
  const root = join(work, 'root');
  mkdirSync(root);
  try {
    const script = join(import.meta.dirname, 'workload.child.ts');
    const words = [seed, sessions, steps, ...(planted ? [planted] : [])].map(String);
    const calls = record(join(work, 'log'), script, [root, ...words]);
    const all = acksIn(calls.map(printedBy).join(''));
    const probe = new Disk(root);
    for (const call of calls) probe.apply(call);
    const total = probe.changes;
    const rng = createRng(seed).derive('moments');
    const moments = Array.from({ length: images }, () => rng.int(total + 1)).toSorted((a, b) => a - b);
    const disk = new Disk(root);
    let printed = '';
    let done = 0;
    for (let i = 0, at = 0; i < images; i++) {
      while (disk.changes < moments[i] && at < calls.length) {
        printed += printedBy(calls[at]);
        disk.apply(calls[at++]);
      }
      const failure = FAILURES[i % FAILURES.length];
      const folder = join(work, `image-${i}`);
      disk.fail(failure, rng.derive(`image ${i}`), folder);
      see(folder, acksIn(printed), all, `image ${i} (${failure}, after call ${at})`);
      rmSync(folder, { recursive: true, force: true });
      done++;
    }
    if (done !== images) throw new Error(`${done} of ${images} images were made.`);
    return { calls: total, all };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Opens every image and compares it with what was acknowledged. */
export function losePower(losses: Losses): Outcome {
  const outcome: Outcome = { images: 0, acknowledged: 0, calls: 0, lost: 0, damaged: 0, wrong: [] };
  const { calls, all } = forEachImage(losses, (folder, acks, every, name) => {
    const wrong = wrongIn(folder, acks, every);
    outcome.images++;
    if (wrong.some((line) => line.startsWith('lost'))) outcome.lost++;
    if (wrong.some((line) => line.startsWith('damaged'))) outcome.damaged++;
    outcome.wrong.push(...wrong.map((line) => `${name}: ${line}`));
  });
  outcome.calls = calls;
  outcome.acknowledged = all.length;
  return outcome;
}
