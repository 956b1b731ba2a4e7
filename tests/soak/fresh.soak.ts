/**
 * Part `fresh` of `npm run soak`: what a stranger has. The last commit is cloned into a folder
 * with an awkward name, `npm ci --ignore-scripts` fetches everything by the lock file, and
 * with nothing else the sample project is made and checked. The package without Electron is
 * made twice, the second time after the clone was moved elsewhere: the same bytes, and it
 * runs with an empty environment. Needs git and a registry.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../../packaging/platforms.ts';

const CANNOT_RUN = 77;
const { installFailure } = createRequire(import.meta.url)('../../hosts/set-up.cjs') as {
  installFailure(output: string, code: number | null): Error;
};

const root = mkdtempSync(join(tmpdir(), 'marginalia-fresh-'));
const clone = join(root, 'ein Klon & 克隆');
const moved = join(root, 'elsewhere');
let where = clone;

class Failed extends Error {}

/** Runs a program to its end; its output. Anything but success ends the part. */
function run(program: string, args: string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): string {
  const began = performance.now();
  const done = spawnSync(program, args, { cwd: where, encoding: 'utf8', maxBuffer: 2 ** 26, ...options });
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  if (done.status !== 0)
    throw new Failed(`${program} ${args.join(' ')}: ${done.status}\n${done.stdout}\n${done.stderr}`);
  console.log(`  ${seconds.padStart(6)} s  ${[program.split('/').at(-1), ...args].join(' ').slice(0, 90)}`);
  return done.stdout;
}

const script = (...args: string[]) => run(process.execPath, [join(where, 'hosts/launch.cjs'), ...args]);
const isSound = (verified: string) => (JSON.parse(verified) as { ok: boolean }).ok;

function packaged(): { folder: string; digest: string } {
  rmSync(join(where, 'out'), { recursive: true, force: true });
  const out = join(root, 'packages');
  rmSync(out, { recursive: true, force: true });
  script('package:web', '--out', out, '--level', '1');
  const archive = readdirSync(out).find((name) => /\.(tar\.gz|zip)$/.test(name))!;
  const digest = createHash('sha256')
    .update(readFileSync(join(out, archive)))
    .digest('hex');
  return { folder: join(out, archive.replace(/\.(tar\.gz|zip)$/, '')), digest };
}

function main(): number {
  const cloned = spawnSync('git', ['clone', '--quiet', '--no-hardlinks', ROOT, clone], { encoding: 'utf8' });
  if (cloned.status !== 0) {
    console.log(`  git could not clone this folder: ${cloned.error?.message ?? cloned.stderr}`);
    return CANNOT_RUN;
  }
  try {
    run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    const reason = installFailure(error.message, 1).message;
    console.log(`  ${reason.trim().split('\n').slice(-2).join('\n  ')}`);
    return /cannot be reached/.test(reason) ? CANNOT_RUN : 1;
  }
  const sample = join(root, 'sample');
  script('cli', 'sample', sample);
  if (!isSound(script('cli', 'verify', sample, '--json'))) throw new Failed('the sample project is not sound');

  const first = packaged();
  renameSync(clone, moved);
  where = moved;
  const second = packaged();
  console.log(`  the package twice: ${first.digest.slice(0, 16)} ${second.digest.slice(0, 16)}`);
  if (first.digest !== second.digest) throw new Failed('the same sources gave two different packages');

  const program = join(second.folder, process.platform === 'win32' ? 'marginalia.cmd' : 'marginalia');
  const stdout = run(program, ['verify', sample, '--json'], { cwd: root, env: { PATH: '/nonexistent' } });
  if (!isSound(stdout)) throw new Failed('the packed program finds the sample project unsound');
  const left = run('git', ['status', '--porcelain']);
  if (left !== '') throw new Failed(`what was built is not ignored:\n${left}`);
  return 0;
}

try {
  process.exitCode = main();
} catch (error) {
  if (!(error instanceof Failed)) throw error;
  console.log(`  FAILED ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(root, { recursive: true, force: true });
}
