/** Part `compound` of `npm run soak`: 500 folders that a power loss has left are opened while the disk fails, and then again on one that works; `--cases=N` for another number. */
import { failTwice } from '../durability/compound.ts';
import { straceLack } from '../durability/strace.ts';
import { flag } from './parts.ts';

const lack = straceLack();
if (lack !== '') {
  console.log(`not run here:${lack}`);
  process.exit(77);
}
const wanted = flag('cases', 500);
const { cases, heard, wrong } = await failTwice({ seed: 21, cases: wanted });
console.log(`${cases} times a power loss and then a failing disk (${heard} failures heard of): ${wrong.length} wrong`);
for (const line of wrong.slice(0, 20)) console.error(line);
process.exitCode = wrong.length > 0 || cases < wanted ? 1 : 0;
