/**
 * Setting up: when packages are installed, what a failure says, and that the launcher runs
 * the real script with its arguments, its exit code and its signals.
 */
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ROOT } from '../meta/sources.ts';

interface SetUp {
  isInSync(wanted: string, installed: string): boolean;
  installFailure(output: string, code: number): Error;
  NODE_PACKAGES: Record<string, string>;
  TARGETS: Record<string, string[]>;
}
const setUp = createRequire(import.meta.url)('../../hosts/set-up.cjs') as SetUp;

const lock = (packages: Record<string, object>) => JSON.stringify({ packages: { '': {}, ...packages } });
const a1 = { version: '1.0.0', integrity: 'sha512-a' };

describe('Packages are installed', () => {
  test('when one is missing, has another version or other content, or is left over', () => {
    const wanted = lock({ 'node_modules/a': a1 });
    expect(setUp.isInSync(wanted, JSON.stringify({ packages: {} }))).toBe(false);
    expect(
      setUp.isInSync(wanted, JSON.stringify({ packages: { 'node_modules/a': { ...a1, version: '1.0.1' } } })),
    ).toBe(false);
    expect(setUp.isInSync(wanted, JSON.stringify({ packages: { 'node_modules/a': { ...a1, integrity: 'x' } } }))).toBe(
      false,
    );
    expect(setUp.isInSync(wanted, JSON.stringify({ packages: { 'node_modules/a': a1, 'node_modules/b': a1 } }))).toBe(
      false,
    );
  });

  test('not when all are there, even though other platforms’ are absent', () => {
    const wanted = lock({ 'node_modules/a': a1, 'node_modules/for-another-system': { ...a1, optional: true } });
    expect(setUp.isInSync(wanted, JSON.stringify({ packages: { 'node_modules/a': a1 } }))).toBe(true);
  });

  test('with a sentence when the registry cannot be reached or the disk is full', () => {
    expect(setUp.installFailure('npm error code ECONNREFUSED', 1).message).toContain('registry cannot be reached');
    expect(setUp.installFailure('npm error ENOSPC: no space', 1).message).toContain('disk is full');
    expect(setUp.installFailure('npm error something', 7).message).toContain('npm ended with 7');
  });
});

describe('The lock file and package.json', () => {
  test('name a Node for every platform that the launcher knows', () => {
    const { optionalDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      optionalDependencies: Record<string, string>;
    };
    const packages = Object.values(setUp.NODE_PACKAGES).map((path) => path.split('/')[0]);
    expect(packages.toSorted()).toEqual(Object.keys(optionalDependencies).toSorted());
    for (const version of Object.values(optionalDependencies)) expect(version).toMatch(/^24\./);
  });
});

describe.skipIf(process.platform === 'win32')('The launcher', () => {
  const root = mkdtempSync(join(tmpdir(), 'marginalia-launch-'));
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  /** A tiny project with the real launcher, packages in order, and a script of our own as `cli`. */
  const place = (path: string, content: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  };
  place('package-lock.json', lock({}));
  place('node_modules/.package-lock.json', JSON.stringify({ packages: {} }));
  place(
    'hosts/cli.ts',
    `const [what]: string[] = process.argv.slice(2);
     if (what === 'echo') console.log(JSON.stringify(process.argv.slice(2)));
     if (what === 'fail') process.exit(3);
     if (what === 'wait') {
       process.on('SIGTERM', () => { console.log('told to stop'); process.exit(5); });
       setInterval(() => {}, 1000);
       console.log('ready');
     }`,
  );
  for (const file of ['launch.cjs', 'set-up.cjs']) copyFileSync(join(ROOT, 'hosts', file), join(root, 'hosts', file));
  const launcher = join(root, 'hosts/launch.cjs');
  const launch = (...args: string[]) => spawnSync(process.execPath, [launcher, ...args], { encoding: 'utf8' });

  test('hands over arguments and keeps stdout for the script', () => {
    const { stdout, stderr, status } = launch('cli', 'echo', 'a b', '--json');
    expect(stdout).toBe('["echo","a b","--json"]\n');
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });

  test('passes the exit code through, and calls an unknown target wrong usage', () => {
    expect(launch('cli', 'fail').status).toBe(3);
    const wrong = launch('toString');
    expect(wrong.status).toBe(2);
    expect(wrong.stderr).toContain('Usage');
  });

  test('passes a signal through and waits for the script to end', async () => {
    const child = spawn(process.execPath, [launcher, 'cli', 'wait'], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (text.includes('ready')) child.kill('SIGTERM');
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(said).toContain('told to stop');
    expect(code).toBe(5);
  });

  test('tells a Node that is too old what to do, in syntax that it can read', () => {
    const source = readFileSync(launcher, 'utf8');
    const code = source.replace(/\/\*[\s\S]*?\*\//g, '');
    expect(code).not.toMatch(/=>|`|\b(const|let|class|import|async)\b|\?\./);
    const pretended = "Object.defineProperty(process.versions, 'node', { value: '10.24.1' });";
    const done = spawnSync(process.execPath, ['-e', `${pretended} require(${JSON.stringify(launcher)})`], {
      encoding: 'utf8',
    });
    expect(done.status).toBe(1);
    expect(done.stderr).toMatch(/^Marginalia needs Node 20 or newer/);
  });
});
