/**
 * Part `races` of `npm run soak`: two, three and four processes want the same project at
 * the same moment, 200 times (open, make, restore), and 40 times right after the one that
 * had it was killed. Exactly one has it each time; the others are told within a second.
 */
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createProject } from '../../main/store/index.ts';
import { noRaces, race, raceThrough, startRacer } from '../places/races.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'marginalia-races-'));
const children: ChildProcess[] = [];
const tally = noRaces();
const kills = noRaces();

try {
  const made = path.join(folder, 'first');
  const store = createProject(made, { name: 'first', task: 'classify', classes: ['a', 'b'], seed: 1, clock: Date.now });
  const backup = path.join(folder, 'one.backup');
  store.backup(backup);
  store.close();

  const racers = await Promise.all([1, 2, 3, 4].map(() => startRacer(children)));
  await raceThrough(tally, racers, 180, path.join(folder, 'races'), backup);
  for (let round = 0; round < 40; round++) {
    const said = await race(kills, racers, () => ['open', made], ['opened'], ['project-locked']);
    const holder = said.indexOf('opened');
    await racers[holder]?.kill();
    racers[holder] = await startRacer(children);
  }
} finally {
  for (const child of children) child.kill('SIGKILL');
  fs.rmSync(folder, { recursive: true, force: true });
}

const wrong = [...tally.wrong, ...kills.wrong];
const longest = Math.max(tally.longestMs, kills.longestMs);
console.log(`  ${tally.races} races and ${kills.races} after a kill: ${wrong.length} without exactly one winner`);
console.log(`  longest wait for an answer ${longest} ms (at most 1000)`);
console.log(`  answers: ${JSON.stringify(tally.answers)}, after kills ${JSON.stringify(kills.answers)}`);
for (const each of wrong) console.log(`  WRONG ${each}`);
process.exitCode = wrong.length > 0 || longest > 1000 || tally.races < 200 ? 1 : 0;
