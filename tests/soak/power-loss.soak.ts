/** Part `power-loss` of `npm run soak`: the power fails at 20,000 moments of ten recorded runs with different seeds; `--images=N` for another number. */
import { losePower } from '../durability/power-loss.ts';
import { straceLack } from '../durability/strace.ts';
import { flag } from './parts.ts';

const RUNS = 10;
const lack = straceLack();
if (lack !== '') {
  console.log(`not run here:${lack}`);
  process.exit(77);
}
const wanted = flag('images', 20_000);
/** Of the two long runs, whose images take several times as long to open. */
const FEW = Math.ceil(wanted / 40);
const total = { images: 0, acknowledged: 0, calls: 0, lost: 0, damaged: 0 };
const wrong: string[] = [];
for (let seed = 1; seed <= RUNS; seed++) {
  // The last two run on until the write-ahead log is emptied while the project is open.
  const isLong = seed > RUNS - 2;
  const images = isLong ? FEW : Math.ceil((wanted - 2 * FEW) / (RUNS - 2));
  const outcome = losePower({ seed, sessions: isLong ? 2 : 5, steps: isLong ? 260 : 40, images });
  for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += outcome[key];
  wrong.push(...outcome.wrong.map((line) => `seed ${seed}: ${line}`));
  console.log(
    `  seed ${seed}: ${outcome.calls} calls, ${outcome.acknowledged} acknowledgements, ${outcome.wrong.length} wrong`,
  );
}
console.log(
  `${total.images} images of ${total.calls} calls with ${total.acknowledged} acknowledgements: ${total.lost} lost, ${total.damaged} damaged`,
);
for (const line of wrong.slice(0, 20)) console.error(line);
process.exitCode = wrong.length > 0 ? 1 : 0;
