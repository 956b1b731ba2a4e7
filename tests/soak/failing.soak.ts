/** Part `failing` of `npm run soak`: every system call of nine operations fails: with EIO and ENOSPC, once and for ever. `--step=N` takes one in N. */
import { allFailures, Bench, named } from '../durability/failing.ts';
import { OPERATIONS, type OperationName } from '../durability/failing-operations.ts';
import { straceLack } from '../durability/strace.ts';
import { flag } from './parts.ts';

const lack = straceLack();
if (lack !== '') {
  console.log(`not run here:${lack}`);
  process.exit(77);
}
const step = flag('step', 1);
const operations = (Object.keys(OPERATIONS) as OperationName[]).filter((name) => name !== 'label and hide');
const bench = new Bench();
const wrong: string[] = [];
const outcomes = new Map<string, number>();
let count = 0;
try {
  const surveys = bench.survey(operations);
  const all = allFailures(surveys);
  await bench.run(
    all.filter((_, i) => i % step === 0),
    surveys,
    (failure, { outcome }, found) => {
      count++;
      if (count % 500 === 0) console.log(`  ${count} failures`);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      wrong.push(...found.map((line) => `${named(failure)}: ${outcome}: ${line}`));
    },
  );
} finally {
  bench.close();
}
const said = [...outcomes].map(([outcome, times]) => `${times} ${outcome}`).join(', ');
console.log(`${count} failures of ${operations.length} operations (${said}): ${wrong.length} wrong`);
for (const line of wrong.slice(0, 20)) console.error(line);
process.exitCode = wrong.length > 0 || count === 0 ? 1 : 0;
