/** Part `backups` of `npm run soak`: 200 backups of a project that another process writes to, each an exact prefix of what was acknowledged. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createProject } from '../../main/store/index.ts';
import { copyUnderLoad } from '../places/backups.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'marginalia-backups-'));
try {
  let copies = 0;
  let acknowledged = 0;
  const problems: string[] = [];
  // Four projects, so that the later copies are not of an ever larger one.
  for (let round = 0; round < 4; round++) {
    const dir = path.join(folder, `project ${round}`);
    createProject(dir, { name: 'p', task: 'classify', classes: ['a', 'b', 'c'], seed: 1, clock: Date.now }).close();
    const work = path.join(folder, `copies ${round}`);
    fs.mkdirSync(work);
    const copied = await copyUnderLoad(dir, 50, work);
    copies += copied.copies;
    acknowledged += copied.acknowledged;
    problems.push(...copied.problems);
    fs.rmSync(dir, { recursive: true });
  }
  console.log(
    `  ${copies} backups under load, ${acknowledged} acts acknowledged before them: ${problems.length} not an exact prefix`,
  );
  for (const problem of problems.slice(0, 20)) console.log(`  WRONG ${problem}`);
  process.exitCode = problems.length > 0 || copies < 200 ? 1 : 0;
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
