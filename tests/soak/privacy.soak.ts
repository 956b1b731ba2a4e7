/**
 * The whole loop with fine-tuning where loopback is the only network, under the recorder: the
 * test of `npm test` that leaves fine-tuning out, run whole. Prints what the test runner says.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../meta/sources.ts';

const { status } = spawnSync(
  process.execPath,
  [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', 'tests/hosts/privacy.test.ts'],
  { cwd: ROOT, stdio: 'inherit', env: { ...process.env, MARGINALIA_WHOLE_LOOP: '1' } },
);
process.exitCode = status ?? 1;
