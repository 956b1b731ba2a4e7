/** Part `tuning-kills` of `npm run soak`: a fine-tuning run that is killed thirty times, as the test of `npm test` does eight times. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../meta/sources.ts';

const { status } = spawnSync(
  process.execPath,
  [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', 'tests/engine/tuning-kill.test.ts'],
  { cwd: ROOT, stdio: 'inherit', env: { ...process.env, MARGINALIA_WHOLE_LOOP: '1' } },
);
process.exitCode = status ?? 1;
