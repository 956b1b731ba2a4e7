/**
 * SIGKILL to a fine-tuning run and every process of it, again and again: it always goes on, and
 * ends with the file that an undisturbed run ends with, byte for byte. Thirty times in
 * `npm run soak`, eight times here.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { createRng } from '../../main/domain/rng.ts';
import { readCheckpoint } from '../../main/tuning/index.ts';
import { closed, done, imported, newFolder, newProject, until } from './small-projects.ts';
import { CLASSES, writeStripes } from './striped-project.ts';

const KILLS = process.env.MARGINALIA_WHOLE_LOOP ? 30 : 8;
/** So many that the run is not over before the last kill. */
const EPOCHS = 1.5 * KILLS;
const HOST = fileURLToPath(new URL('./tuning-host.ts', import.meta.url));

interface Outcome {
  state: string;
  error: unknown;
  model: string;
  tuned: boolean;
}

function start(dir: string) {
  // A group of its own, so that compute dies with the engine at the same moment.
  const child = spawn(process.execPath, [HOST, dir, `${EPOCHS}`], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  const ended = once(child, 'exit');
  return {
    get hasEnded() {
      return child.exitCode !== null || child.signalCode !== null;
    },
    async kill() {
      if (child.exitCode === null) process.kill(-child.pid!, 'SIGKILL');
      await ended;
    },
    async outcome(): Promise<Outcome> {
      await ended;
      return JSON.parse(said) as Outcome;
    },
  };
}

/** How far the run's checkpoint is: a number that grows with every step. */
function progressOf(dir: string): number {
  const runs = join(dir, 'runs');
  const file = existsSync(runs) && readdirSync(runs).find((name) => name.endsWith('.checkpoint'));
  const state = (file && readCheckpoint(join(runs, file))?.state) as
    { histories: unknown[]; fit: { epoch: number; step: number } | null } | undefined;
  if (!state) return 0;
  return 1e6 * state.histories.length + 1e3 * (state.fit?.epoch ?? 0) + (state.fit?.step ?? 0);
}

test(`A run that is killed ${KILLS} times ends as one that is not`, { timeout: 900_000 }, async () => {
  const folder = newFolder();
  await writeStripes(folder, 80);
  const dir = join(newFolder(), 'project');
  const project = await newProject({ classes: CLASSES, auditShare: 0.15 }, { resume: false }, dir);
  await imported(project, { sources: [folder], labelsFromFolders: true, labels: 'given' });
  done(await project.train().finished);
  await closed(project);
  const undisturbed = join(newFolder(), 'project');
  cpSync(dir, undisturbed, { recursive: true });

  const rng = createRng(1);
  let before = 0;
  let advanced = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const host = start(dir);
    // Most are let go on for a step or more; some are hit while they are still reading.
    const isEarly = rng.next() < 0.2;
    if (!isEarly) await until('the run gets on, or ends', () => progressOf(dir) > before || host.hasEnded);
    await new Promise((resolve) => setTimeout(resolve, 400 * rng.next()));
    expect(host.hasEnded, 'still running').toBe(false);
    await host.kill();
    const now = progressOf(dir);
    expect(now).toBeGreaterThanOrEqual(before);
    if (now > before) advanced++;
    before = now;
  }
  expect(advanced).toBeGreaterThan(KILLS / 2);
  const [killed, whole] = await Promise.all([start(dir).outcome(), start(undisturbed).outcome()]);
  expect(killed).toMatchObject({ state: 'done', error: null, tuned: true });
  expect(killed).toEqual(whole);
});
