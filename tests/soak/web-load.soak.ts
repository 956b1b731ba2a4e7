/** Part `web-load` of `npm run soak`: floods, stalls and slow clients of the web host, beside a desk that has to be answered. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../meta/sources.ts';

const { status } = spawnSync(
  process.execPath,
  [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', 'tests/hosts/web-load.test.ts'],
  { cwd: ROOT, stdio: 'inherit', env: { ...process.env, MARGINALIA_WHOLE_LOOP: '1' } },
);
process.exitCode = status ?? 1;
