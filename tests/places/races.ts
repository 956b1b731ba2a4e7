/** Races for a project: processes that stay, told to go for it at the same moment. */
import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';

export interface Racer {
  /** Does one thing, as `racer.child.ts` knows them, and says how it went. */
  tell(...words: string[]): Promise<{ said: string; ms: number }>;
  /** SIGKILL; returns when the process is gone. */
  kill(): Promise<void>;
}

/** Starts one and waits until it is ready. */
export async function startRacer(children: ChildProcess[]): Promise<Racer> {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'racer.child.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async () => {
    const { value, done } = await lines.next();
    const [said, ms] = done ? ['gone', '0'] : value.split('\t');
    return { said, ms: Number(ms) };
  };
  await line();
  return {
    tell(...words) {
      child.stdin.write(`${words.join('\t')}\n`);
      return line();
    },
    kill() {
      child.kill('SIGKILL');
      return gone;
    },
  };
}

export interface Tally {
  races: number;
  /** Races that not exactly one won. */
  wrong: string[];
  /** The longest that anybody waited for an answer, in milliseconds. */
  longestMs: number;
  /** How often each answer was given. */
  answers: Record<string, number>;
}

export const noRaces = (): Tally => ({ races: 0, wrong: [], longestMs: 0, answers: {} });

/** Lets all go for it at once; `wins` are the answers of a winner, `loses` those of everybody else. The winner lets go at the end. */
export async function race(
  tally: Tally,
  racers: readonly Racer[],
  words: (i: number) => string[],
  wins: string[],
  loses: string[],
) {
  const all = await Promise.all(racers.map((racer, i) => racer.tell(...words(i))));
  const said = all.map((answer) => answer.said);
  const won = said.filter((answer) => wins.includes(answer)).length;
  const lost = said.filter((answer) => loses.includes(answer)).length;
  if (won !== 1 || won + lost !== racers.length) tally.wrong.push(`${words(0)[0]}: ${said.join(', ')}`);
  tally.races++;
  tally.longestMs = Math.max(tally.longestMs, ...all.map(({ ms }) => ms));
  for (const answer of said) tally.answers[answer] = (tally.answers[answer] ?? 0) + 1;
  return said;
}

/** One group's share: races to open, to make, and to restore, by two to four of its racers in turn. */
export async function raceThrough(
  tally: Tally,
  racers: readonly Racer[],
  rounds: number,
  folder: string,
  backup: string,
) {
  const dir = path.join(folder, 'project');
  await racers[0].tell('create', dir);
  await racers[0].tell('close');
  for (let round = 0; round < rounds; round++) {
    const some = racers.slice(0, 2 + (round % (racers.length - 1)));
    if (round % 4 === 3) {
      const fresh = path.join(folder, `made ${round}`);
      await race(tally, some, () => ['create', fresh], ['created'], ['project-locked', 'project-exists']);
      await Promise.all(some.map((racer) => racer.tell('close')));
      fs.rmSync(fresh, { recursive: true });
    } else if (round % 8 === 6) {
      const fresh = path.join(folder, `restored ${round}`);
      await race(tally, some, () => ['restore', backup, fresh], ['restored'], ['project-locked', 'project-exists']);
      await race(
        tally,
        some,
        (i) => (i === 0 ? ['open', fresh] : ['restore', backup, fresh]),
        ['opened'],
        ['project-locked', 'project-exists'],
      );
      await Promise.all(some.map((racer) => racer.tell('close')));
      fs.rmSync(fresh, { recursive: true });
    } else {
      await race(tally, some, () => ['open', dir], ['opened'], ['project-locked']);
      await Promise.all(some.map((racer) => racer.tell('close')));
    }
  }
}
