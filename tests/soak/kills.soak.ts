/** 5,000 SIGKILLs of the engine's process through the desktop's channel; `--kills=N` for another number. Two at a time, because most of a life is waiting. */
import { tmpdir } from 'node:os';
import { killOften } from '../durability/kills.ts';

const word = process.argv.find((argument) => argument.startsWith('--kills='));
const kills = Number(word?.slice('--kills='.length) ?? 5000);
const each = Math.ceil(kills / 2);
const done = [0, 0];
const halves = await Promise.all(
  done.map((_, half) =>
    killOften({ seed: 100 + half, kills: each, under: tmpdir() }, (n) => {
      done[half] = n;
      if (half === 0 && n % 500 === 0) console.log(`  ${done[0] + done[1]} kills`);
    }),
  ),
);
const wrong = halves.flatMap((outcome) => outcome.wrong);
const sum = (of: (outcome: (typeof halves)[number]) => number) => halves.reduce((total, one) => total + of(one), 0);
console.log(
  `${sum(({ kills: n }) => n)} kills, ${sum(({ acknowledged }) => acknowledged)} acts acknowledged, ` +
    `${sum(({ unheard }) => unheard)} kills with an act written and not yet acknowledged: ${wrong.length} wrong`,
);
for (const line of wrong.slice(0, 20)) console.error(line);
process.exitCode = wrong.length > 0 || sum(({ kills: n }) => n) < kills ? 1 : 0;
