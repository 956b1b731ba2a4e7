/** Part `full-disks` of `npm run soak`: nine operations on disks of twenty sizes each, until nothing more fits. Needs root on Linux. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { bytesIn, CAN_MOUNT, fillDisk, ON_FULL_DISKS, prepared, sizes } from '../places/full-disk.ts';

const TIMES = 40;

if (!CAN_MOUNT) {
  console.log('needs root on Linux, to mount small disks');
  process.exit(77);
}
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'marginalia-full-'));
try {
  const from = prepared(folder);
  const problems: string[] = [];
  let disks = 0;
  for (const operation of ON_FULL_DISKS) {
    const filled = sizes(bytesIn(from), 20).map((size) =>
      fillDisk(from, path.join(folder, 'disk'), operation, size, TIMES),
    );
    disks += filled.length;
    problems.push(
      ...filled.flatMap((each, i) => each.problems.map((problem) => `${operation}, size ${i}: ${problem}`)),
    );
    console.log(
      `  ${operation.padEnd(15)} done until full: ${filled.map(({ full, done }) => (full ? done : `${done} (fits)`)).join(', ')}`,
    );
  }
  console.log(`  ${disks} disks: ${problems.length} with something lost, unreadable or unsaid`);
  for (const problem of problems.slice(0, 20)) console.log(`  WRONG ${problem}`);
  process.exitCode = problems.length > 0 ? 1 : 0;
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
