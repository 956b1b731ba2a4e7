/**
 * The package that needs no Electron, used as a stranger would: unpacked into a folder with
 * an awkward name that nobody may write, started by another account without a home, without
 * Node or npm anywhere, through the whole loop up to a served desk.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { filesUnder } from '../../packaging/contents.ts';
import { product, ROOT } from '../../packaging/platforms.ts';
import { keepToBudget } from '../../packaging/sizes.ts';
import { BARE, runBare, unpackedPackage, type Account } from './unpacked.ts';

const root = mkdtempSync(join(tmpdir(), 'marginalia-package-'));
const isRoot = process.getuid?.() === 0;
/** No such user exists: no name, no home. */
const account: Account = { uid: 54_321, gid: 54_321 };
const mayChange = isRoot && runBare('/bin/true', [], account).status === 0;
const stranger = mayChange ? account : undefined;
const home = join(root, 'Büro 病院 & Co');
const work = join(root, 'work');
const project = join(work, 'Befunde 報告');
let program = '';
let archive = '';

/** One command of the packed command line; its JSON. */
function marginalia<T>(...args: string[]): T {
  const { status, stdout, stderr } = runBare(program, [...args, '--json'], stranger);
  expect(`${status}\n${status === 0 ? '' : stderr}`, `marginalia ${args.join(' ')}`).toBe('0\n');
  return JSON.parse(stdout) as T;
}

const hasSums = spawnSync('sha256sum', ['--version']).status === 0;

const WORDS = {
  apple: ['red apple', 'fruit on a tree', 'orchard and cider', 'ripe pears'],
  whale: ['blue whale', 'fish in the sea', 'ocean current', 'deep water'],
};

beforeAll(async () => {
  const { opened, archive: packed } = await unpackedPackage(root);
  archive = packed;
  renameSync(opened, home);
  spawnSync('chmod', ['-R', 'a-w', home]);
  spawnSync('chmod', ['a+rx', root]);
  program = join(home, 'marginalia');
  mkdirSync(work);
  const rows = Object.entries(WORDS).flatMap(([name, phrases]) =>
    Array.from({ length: 30 }, (_, i) => `${name}-${i},${phrases[i % 4]} and ${phrases[(i * 3 + 1) % 4]} number ${i}`),
  );
  writeFileSync(join(work, 'notes.csv'), `id,text\n${rows.join('\n')}\n`);
  if (stranger) chownSync(work, stranger.uid, stranger.gid);
}, 180_000);

afterAll(() => {
  spawnSync('chmod', ['-R', 'u+w', home]);
  rmSync(root, { recursive: true, force: true });
});

describe.skipIf(process.platform === 'win32')('The package without Electron', () => {
  test('is used where there is neither Node nor npm', () => {
    for (const name of ['node', 'npm', 'sh'])
      expect(spawnSync('/bin/sh', ['-c', `command -v ${name}`], { env: BARE }).status).not.toBe(0);
    expect(runBare(program, ['help'], stranger, {}).stdout).toMatch(/^marginalia COMMAND/);
    expect(readFileSync(program, 'utf8')).toContain('HOME=/dev/null'); // where not even root can make a folder
  });

  test.skipIf(!mayChange)('cannot be written by who uses it (needs root to take another account)', () => {
    const attempt = runBare('/bin/sh', ['-c', `: > '${home}/app/x'`], stranger);
    expect(attempt.status).not.toBe(0);
  });

  test.skipIf(!hasSums)('holds what its own list of checksums says, by the system’s own program', () => {
    const check = spawnSync('sha256sum', ['--check', '--strict', '--quiet', 'SHA256SUMS'], {
      cwd: home,
      encoding: 'utf8',
    });
    expect(check.stdout + check.stderr).toBe('');
    expect(check.status).toBe(0);
    const listed = readFileSync(join(home, 'SHA256SUMS'), 'utf8').trim().split('\n').length;
    const found = filesUnder(home).length;
    expect(found).toBe(listed + 1);
  });

  test('keeps to the budget, unpacked', () => {
    const sizeBytes = filesUnder(home).reduce((sum, file) => sum + statSync(join(home, file)).size, 0);
    expect(sizeBytes).toBeGreaterThan(100e6);
    expect(() => keepToBudget('the web package', sizeBytes)).not.toThrow();
  });

  test('runs the loop: project, import, labels, model version, status, export, verification', () => {
    marginalia('new', project, '--classes', 'apple,whale');
    expect(marginalia('import', project, join(work, 'notes.csv'), '--text', 'text', '--id', 'id')).toMatchObject({
      added: 60,
      problems: [],
    });
    const { items } = marginalia<{ items: { item: string; name: string }[] }>('queue', project, '--count', '12');
    for (const { item, name } of items) marginalia('label', project, item, name.replace(/-\d+$/, ''));
    // by the engine alone, without what the start script sets
    const own = join(work, 'home');
    mkdirSync(own);
    if (stranger) chownSync(own, stranger.uid, stranger.gid);
    const cli = join(home, 'app/out/main/cli.js');
    expect(runBare(join(home, 'node/node'), [cli, 'train', project], stranger, { HOME: own }).status).toBe(0);
    const left = readdirSync(own, { recursive: true }).map(String);
    expect(left.filter((path) => !/^\.cache(\/marginalia(\/devices\.json)?)?$/.test(path))).toEqual([]);
    const status = marginalia<{ labelled: number; modelVersion: unknown }>('status', project);
    expect(status.labelled).toBe(12);
    expect(status.modelVersion).not.toBeNull();
    marginalia('export', project, join(work, 'labels.csv'), '--format', 'csv');
    expect(readFileSync(join(work, 'labels.csv'), 'utf8').trim().split('\n').length).toBeGreaterThan(12);
    expect(marginalia('verify', project)).toMatchObject({ ok: true, problems: [] });
  }, 120_000);

  test('serves the desk from inside itself', async () => {
    const server = spawn(program, ['serve', project, '--json'], {
      ...stranger,
      env: BARE,
      cwd: '/',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const line = await new Promise<string>((resolve, reject) => {
        server.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString()));
        server.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
      });
      const { port } = JSON.parse(line) as { port: number };
      const page = await fetch(`http://127.0.0.1:${port}/`);
      expect(page.status).toBe(200);
      const script = /src="\.\/(assets\/[^"]+\.js)"/.exec(await page.text())?.[1];
      const code = await fetch(`http://127.0.0.1:${port}/${script}`);
      expect(code.headers.get('content-type')).toMatch(/^text\/javascript/);
      expect((await code.text()).length).toBeGreaterThan(100_000);
    } finally {
      const ended = new Promise((resolve) => server.once('exit', resolve));
      server.kill('SIGTERM');
      await ended;
    }
  });

  test.skipIf(process.platform !== 'linux')(
    'is installed by the words of docs/install.md, followed to the letter',
    async () => {
      const page = readFileSync(join(ROOT, 'docs/install.md'), 'utf8').replaceAll('0.1.0', product.version);
      const linux = page.slice(page.indexOf('### Linux'), page.indexOf('### Windows'));
      const [first, forAll] = [...linux.matchAll(/^```\n([\s\S]*?)^```$/gm)].map(([, commands]) => commands);
      const machine = join(root, 'machine');
      mkdirSync(join(machine, 'usr/local/bin'), { recursive: true });
      renameSync(archive, join(machine, archive.slice(root.length + 1)));
      const env = { PATH: '/usr/bin:/bin', HOME: machine };
      // the last command serves until it is stopped: it takes the shell's place, so that it can be
      const served = first.replace(/^(?=.* serve )/m, 'exec ');
      const user = spawn('/bin/sh', ['-e', '-c', served], { cwd: machine, env, stdio: ['ignore', 'pipe', 'ignore'] });
      let said = '';
      const ended = new Promise((resolve) => user.once('exit', resolve));
      user.stdout.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        if (said.includes('The desk is at')) user.kill('SIGTERM');
      });
      expect(await ended).toBe(0);
      expect(said).toMatch(/^The desk is at http:\/\/127\.0\.0\.1:\d+\//m);

      // another root than this machine's
      const elsewhere = forAll
        .replaceAll('/opt/', `${machine}/opt/`)
        .replaceAll('/usr/local/', `${machine}/usr/local/`);
      expect(spawnSync('/bin/sh', ['-e', '-c', elsewhere], { cwd: machine, env }).status).toBe(0);
      const linked = runBare(join(machine, 'usr/local/bin/marginalia'), ['help'], stranger, { PATH: '/usr/bin:/bin' });
      expect(linked.stdout).toMatch(/^marginalia COMMAND/);
    },
    120_000,
  );

  test('would not pass these tests without the compute process, which is a file that nothing imports', () => {
    const broken = join(root, 'broken');
    expect(spawnSync('cp', ['-r', home, broken]).status).toBe(0);
    spawnSync('chmod', ['-R', 'u+w', broken]);
    rmSync(join(broken, 'app/out/main/compute.js'));
    expect(runBare(join(broken, 'marginalia'), ['train', project, '--json']).status).toBe(1);
    rmSync(broken, { recursive: true });
  });
});
