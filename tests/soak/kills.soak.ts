/** Part `kills` of `npm run soak`: 5,000 SIGKILLs of the engine's process as it is shipped, through the desktop's channel; `--kills=N` for another number. */
import { tmpdir } from 'node:os';
import { killOften } from '../durability/kills.ts';
import { engineEntry } from './engine-at-work.ts';
import { flag } from './parts.ts';

const wanted = flag('kills', 5000);
const { kills, acknowledged, unheard, wrong } = await killOften(
  { seed: 100, kills: wanted, under: tmpdir(), entry: engineEntry(true) },
  (n) => {
    if (n % 500 === 0) console.log(`  ${n} kills`);
  },
);
console.log(
  `${kills} kills, ${acknowledged} acts acknowledged, after ${unheard} kills an act written and not yet acknowledged: ${wrong.length} wrong`,
);
for (const line of wrong.slice(0, 20)) console.error(line);
process.exitCode = wrong.length > 0 || kills < wanted ? 1 : 0;
