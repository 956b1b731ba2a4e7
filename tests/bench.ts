/**
 * `npm run bench -- [NAME…] [--FLAG]`: runs the measurements in tests/bench one after the other, each in
 * a process of its own, or lists them. A measurement prints what it measured and what it is
 * compared with; none of them is part of `npm test`, because a shared machine's speed drifts.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('bench', import.meta.url));

const all = existsSync(FOLDER)
  ? readdirSync(FOLDER)
      .filter((file) => file.endsWith('.bench.ts'))
      .map((file) => basename(file, '.bench.ts'))
      .toSorted()
  : [];
const flags = process.argv.slice(2).filter((word) => word.startsWith('--'));
const wanted = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const unknown = wanted.filter((name) => !all.includes(name));

if (wanted.length === 0 || unknown.length > 0) {
  if (unknown.length > 0) console.error(`There is no measurement “${unknown.join(', ')}”.`);
  console.log(`Measurements: ${all.join(', ') || 'none yet'}. Run them with “npm run bench -- NAME …”.`);
  process.exitCode = unknown.length > 0 ? 2 : 0;
} else {
  for (const name of wanted) {
    console.log(`\n${name}`);
    const { status } = spawnSync(process.execPath, [join(FOLDER, `${name}.bench.ts`), ...flags], { stdio: 'inherit' });
    if (status !== 0) process.exitCode = 1;
  }
}
