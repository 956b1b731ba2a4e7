/**
 * How soon a project can be used: from the start of the engine's process to its first
 * answers to `status` and `queue.next`, for a project of a million items (or as many as the
 * first argument says) and for an almost empty one, beside each other, over the
 * channel that the desktop shell uses; and the memory that takes. The bundle where it is built.
 */
import { childrenOf, engineEntry, memoryMb, startEngine } from '../soak/engine-at-work.ts';
import { millionProject } from '../soak/million-project.ts';

const count = Number(process.argv.slice(2).find((word) => /^\d+$/.test(word)) ?? 1_000_000);
const TIMES = 5;

interface Opened {
  openMs: number;
  usableMs: number;
  memory: number;
}

/** One opening: the whole time, and the engine's memory after its first answers. */
async function opening(dir: string): Promise<Opened> {
  const began = performance.now();
  const engine = await startEngine(dir, { bundled: true });
  try {
    await Promise.all([engine.client.status(), engine.client.queue.next({ count: 8 })]);
    const usableMs = performance.now() - began;
    return { openMs: engine.openedAfterMs, usableMs, memory: memoryMb(engine.pid, 'VmHWM') };
  } finally {
    // What it began on opening is no part of this: both go at once.
    for (const pid of childrenOf(engine.pid)) process.kill(pid, 'SIGKILL');
    engine.kill();
  }
}

const best = (values: number[]) => Math.min(...values).toFixed(0);

console.log(`entry: ${engineEntry(true).split('/').slice(-3).join('/')}`);
for (const size of [1000, count]) {
  const dir = millionProject(size);
  const runs: Opened[] = [];
  for (let i = 0; i < TIMES; i++) runs.push(await opening(dir));
  const usable = runs.map(({ usableMs }) => usableMs).toSorted((a, b) => a - b);
  console.log(
    `${String(size).padStart(8)} items: open ${best(runs.map(({ openMs }) => openMs))} ms, usable ${usable[0].toFixed(0)} ms at best, ` +
      `${usable[2].toFixed(0)} median, ${usable[4].toFixed(0)} at worst; engine ${Math.max(...runs.map(({ memory }) => memory)).toFixed(0)} MB`,
  );
}
process.exit();
