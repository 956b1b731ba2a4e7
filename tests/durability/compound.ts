/**
 * Two misfortunes in a row: what a power loss has left is opened while the disk fails, and
 * then opened again on a disk that works.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createRng } from '../../main/domain/rng.ts';
import { Bench, type Failure } from './failing.ts';
import { forEachImage } from './power-loss.ts';
import { FAST } from './strace.ts';
import { wrongIn, type Ack } from './workload.ts';

/** What may fail while a project is opened, labelled in and closed, and about how often each is called then. */
const CALLS: [call: string, times: number][] = [
  ['pwrite64', 40],
  ['fsync', 12],
  ['openat', 14],
  ['ftruncate', 4],
  ['unlink', 3],
  ['close', 10],
  ['pread64', 60],
];
/** What opening may say when something fails. */
const FORESEEN = new Set(['ok', 'io-failed', 'disk-full', 'project-damaged']);

interface Outcome {
  cases: number;
  /** In how many of them something failed to the program's knowledge. */
  heard: number;
  wrong: string[];
}

export async function failTwice({ seed, cases }: { seed: number; cases: number }): Promise<Outcome> {
  const rng = createRng(seed).derive('compound');
  const work = mkdtempSync(join(FAST, 'marginalia-compound-'));
  const images: { folder: string; acks: readonly Ack[]; name: string }[] = [];
  const bench = new Bench();
  const outcome: Outcome = { cases: 0, heard: 0, wrong: [] };
  try {
    // More than are needed: those from before the project was made are of no use here.
    const { all } = forEachImage(
      { seed, sessions: 5, steps: 30, images: Math.ceil(cases * 1.1) },
      (image, acks, _, name) => {
        if (acks.length === 0 || !existsSync(join(image, 'project')) || images.length === cases) return;
        const folder = join(work, String(images.length));
        cpSync(image, folder, { recursive: true });
        images.push({ folder, acks, name });
      },
    );
    await bench.reopen(
      images.map(({ folder, acks, name }) => {
        const [call, times] = CALLS[rng.int(CALLS.length)];
        const failure: Omit<Failure, 'operation'> = {
          call,
          nth: 1 + rng.int(times),
          error: rng.next() < 0.5 ? 'EIO' : 'ENOSPC',
          isForEver: rng.next() < 0.5,
        };
        return {
          project: join(folder, 'project'),
          failure,
          see({ outcome: said, message }, left) {
            outcome.cases++;
            if (said !== 'ok') outcome.heard++;
            rmSync(join(folder, 'project'), { recursive: true });
            mkdirSync(folder, { recursive: true });
            renameSync(left, join(folder, 'project'));
            const found = wrongIn(folder, acks, withOneMore(all));
            if (!FORESEEN.has(said)) found.push(`${said}: ${message}`);
            const how = `${failure.error} from ${call} ${failure.nth}${failure.isForEver ? ' on' : ''}`;
            outcome.wrong.push(...found.map((line) => `${name}, ${how}, ${said}: ${line}`));
            rmSync(folder, { recursive: true });
          },
        };
      }),
    );
    return outcome;
  } finally {
    bench.close();
    rmSync(work, { recursive: true, force: true });
  }
}

/** The label made while the disk failed may be there as well. */
function withOneMore(all: readonly Ack[]): Ack[] {
  const more = all.flatMap((ack) => ('sequence' in ack ? ack.sequence + 1 : []));
  return [...all, ...more.map((sequence): Ack => ({ kind: 'act', sequence, hash: '' }))];
}
