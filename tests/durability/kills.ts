/**
 * Kills the engine's process again and again while it answers, over the channel by which the
 * desktop's shell speaks to it. An act counts as acknowledged when its answer has come back.
 * After every kill the project is opened by the real store and compared.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createORPCClient } from '@orpc/client';
import { RPCLink } from '@orpc/client/message-port';
import type { ItemId } from '../../main/domain/item.ts';
import { createRng, type Rng } from '../../main/domain/rng.ts';
import { createProject, openProject } from '../../main/store/index.ts';
import type { DeskClient } from '../served-desk.ts';
import { candidates, NEW_PROJECT } from './workload.ts';

const ENGINE = join(import.meta.dirname, '../../main/engine-process.ts');
/** So many calls wait for their answers at a time. */
const IN_FLIGHT = 3;
/** A kill comes at most so long after the first answer. */
const LONGEST_MS = 60;
/** A project is used for so many kills, then a new one is made. */
const KILLS_PER_PROJECT = 50;

interface Kills {
  seed: number;
  kills: number;
  /** Where the projects lie: on a real disk commits take time, and kills fall into them. */
  under: string;
  /** A module that plants a defect in the engine's process. */
  planted?: string;
  /** The engine's process: the sources where left out. */
  entry?: string;
}

type How = Pick<Kills, 'planted' | 'entry'>;

interface Outcome {
  kills: number;
  acknowledged: number;
  /** Kills after which there was an act that had been written and not yet acknowledged. */
  unheard: number;
  wrong: string[];
}

interface Act {
  sequence: number;
  item: string;
  classes: string[] | null;
  retracts: number | null;
}

/** An engine's process with one desk connected. */
function startEngine(project: string, { planted, entry = ENGINE }: How): { child: ChildProcess; client: DeskClient } {
  const child = fork(entry, [], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    // In safe mode no model runs beside it.
    env: { ...process.env, MARGINALIA_SAFE_MODE: '1' },
    execArgv: ['--disable-warning=ExperimentalWarning', ...(planted ? ['--import', planted] : [])],
  });
  child.on('error', () => undefined);
  const send = (message: object) => void (child.connected && child.send(message, () => undefined));
  const link = new RPCLink({
    port: {
      on(event: string, listener: (event?: { data: unknown }) => void) {
        if (event === 'close') child.on('exit', () => listener());
        else
          child.on('message', (message) => {
            const { kind, frame } = message as { kind: string; frame: unknown };
            if (kind === 'frame') listener({ data: frame });
          });
      },
      postMessage: (frame: unknown) => send({ kind: 'frame', desk: 1, frame }),
    },
  });
  send({ kind: 'start', project });
  send({ kind: 'connect', desk: 1 });
  return { child, client: createORPCClient<DeskClient>(link) };
}

function newProject(dir: string): void {
  let now = 1_000_000;
  const store = createProject(dir, { ...NEW_PROJECT, clock: () => now++ });
  const { id: job } = store.jobs.enqueue('import', {});
  store.items.addCandidates(candidates(0, 30), { job, cursor: 30 });
  store.close();
}

/** Labels, takes back, comments until the process is gone. */
async function actUntilDead(client: DeskClient, items: ItemId[], rng: Rng, heard: (act: Act) => void): Promise<void> {
  for (;;) {
    const item = items[rng.int(items.length)];
    const kind = rng.int(10);
    const classes = [NEW_PROJECT.classes[rng.int(3)]];
    const by = { annotator: 'kim', durationMs: 5 };
    try {
      heard(
        kind < 2
          ? await client.annotations.undo({ annotator: 'kim' })
          : await client.annotations.add(
              kind < 9 ? { item, act: 'label', classes, ...by } : { item, act: 'comment', text: 'x', ...by },
            ),
      );
    } catch (error) {
      if ((error as { code?: string }).code !== 'nothing-to-undo') return;
    }
  }
}

/** One life of the engine's process; gives every act it acknowledged, in order. */
async function oneLife(dir: string, rng: Rng, how: How): Promise<Act[]> {
  const { child, client } = startEngine(dir, how);
  const isGone = new Promise<void>((done) => child.on('exit', () => done()));
  const acts: Act[] = [];
  try {
    const { items } = await client.items.list({ limit: 100 });
    const ids = items.map(({ id }) => id);
    let hasAnswered: () => void;
    const first = new Promise<void>((done) => (hasAnswered = done));
    const acting = Array.from({ length: IN_FLIGHT }, (_, i) =>
      actUntilDead(client, ids, rng.derive(`hand ${i}`), (act) => {
        acts.push(act);
        hasAnswered();
      }),
    );
    await first;
    await new Promise((done) => setTimeout(done, rng.next() * LONGEST_MS));
    child.kill('SIGKILL');
    await isGone;
    await Promise.all(acting);
    return acts;
  } finally {
    child.kill('SIGKILL');
  }
}

/** A life that ends by itself, and leaves its compiled modules to later ones. */
async function warmUp(dir: string, how: How): Promise<void> {
  newProject(dir);
  const { child, client } = startEngine(dir, how);
  const isGone = new Promise<void>((done) => child.on('exit', () => done()));
  await client.status();
  child.send({ kind: 'close' });
  await isGone;
}

/** What is wrong in a project after these acts were acknowledged. */
function wrongAfter(dir: string, acts: readonly Act[]): { wrong: string[]; extra: number } {
  const store = openProject(dir, { clock: () => 9_000_000 });
  try {
    const lost = acts.filter(({ sequence, item, classes, retracts }) => {
      const kept = store.annotations.get(sequence);
      const isSame = kept?.item === item && kept.retracts === retracts;
      return !isSame || JSON.stringify(kept.classes) !== JSON.stringify(classes);
    });
    const extra = store.annotations.head().sequence - Math.max(0, ...acts.map(({ sequence }) => sequence));
    const { problems } = store.verify();
    return {
      extra,
      wrong: [
        ...lost.map(({ sequence }) => `lost: annotation ${sequence}`),
        ...(extra > IN_FLIGHT ? [`${extra} acts that nobody heard of`] : []),
        ...problems.map(({ code, where, message }) => `${code}, ${where}: ${message}`),
      ],
    };
  } finally {
    store.close();
  }
}

/** Kills so often; `told` hears of every hundredth. */
export async function killOften({ seed, kills, under, ...how }: Kills, told?: (n: number) => void): Promise<Outcome> {
  const rng = createRng(seed);
  const work = mkdtempSync(join(under, 'marginalia-kills-'));
  const outcome: Outcome = { kills: 0, acknowledged: 0, unheard: 0, wrong: [] };
  try {
    await warmUp(join(work, 'warm'), { entry: how.entry });
    for (let kill = 0; kill < kills; kill++) {
      const dir = join(work, `project-${Math.floor(kill / KILLS_PER_PROJECT)}`);
      if (kill % KILLS_PER_PROJECT === 0) newProject(dir);
      const acts = await oneLife(dir, rng.derive(`life ${kill}`), how);
      const { wrong, extra } = wrongAfter(dir, acts);
      outcome.kills++;
      outcome.acknowledged += acts.length;
      if (extra > 0) outcome.unheard++;
      outcome.wrong.push(...wrong.map((line) => `kill ${kill}: ${line}`));
      if (kill % 100 === 99) told?.(kill + 1);
    }
    return outcome;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
