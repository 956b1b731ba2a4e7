/** What the parts of `npm run soak` share. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ROOT } from '../meta/sources.ts';

/** The number of the flag `--name=N`, or `otherwise`. */
export function flag(name: string, otherwise: number): number {
  const start = `--${name}=`;
  return Number(process.argv.find((word) => word.startsWith(start))?.slice(start.length) ?? otherwise);
}

/** Runs a test of `npm test` that does more here, shows what the test runner says, and ends as it does. */
export function runWhole(test: string): void {
  const { status } = spawnSync(process.execPath, [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', test], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, MARGINALIA_WHOLE_LOOP: '1' },
  });
  process.exitCode = status ?? 1;
}

/** Waits until nothing has been at work for a moment. */
export async function idle(client: { jobs: { list(): PromiseLike<{ endedAt: number | null }[]> } }): Promise<void> {
  for (let quiet = 0; quiet < 3; await pause(100)) {
    const jobs = await client.jobs.list();
    quiet = jobs.every(({ endedAt }) => endedAt !== null) ? quiet + 1 : 0;
  }
}
