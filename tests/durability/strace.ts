/**
 * Runs a program under strace: to record every system call of its main thread that touches
 * the disk, with all the bytes written, or to let chosen calls fail. strace is what this
 * machine has, or (as root on Debian) the distribution's package; `findStrace` says why
 * there is none. SQLite and the engine's own file work run in the main thread, and a
 * recording is refused where another thread wrote.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';

/** One recorded call that succeeded, with its arguments decoded. */
export interface Call {
  name: string;
  /** Numbers as numbers, strings as bytes, flags as text. */
  args: (number | Buffer | string)[];
  result: number;
}

/** Memory where the system has a disk of it: the failures are ours, a real disk only costs time. */
export const FAST = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** Every call by which a program changes files, folders or file descriptors. */
const RECORDED = [
  ...['open', 'openat', 'creat', 'close', 'dup', 'dup2', 'dup3', 'lseek'],
  ...['write', 'pwrite64', 'writev', 'pwritev', 'pwritev2', 'ftruncate', 'truncate', 'fallocate'],
  ...['fsync', 'fdatasync', 'sync_file_range', 'copy_file_range', 'sendfile'],
  ...['rename', 'renameat', 'renameat2', 'link', 'linkat', 'unlink', 'unlinkat', 'rmdir', 'mkdir', 'mkdirat'],
];

function installed(): string | null {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, 'strace')).find((file) => existsSync(file)) ?? null;
}

function works(strace: string): boolean {
  return spawnSync(strace, ['-o', '/dev/null', process.execPath, '--version'], { timeout: 20_000 }).status === 0;
}

function isDebian(): boolean {
  return existsSync('/etc/os-release') && /^ID(_LIKE)?=.*debian/m.test(readFileSync('/etc/os-release', 'utf8'));
}

let found: { path: string } | { reason: string } | null = null;

/** strace, fetched once where it is missing and may be fetched; else why not. */
export function findStrace(): { path: string } | { reason: string } {
  found ??= search();
  return found;
}

function search(): { path: string } | { reason: string } {
  if (process.platform !== 'linux') return { reason: 'strace is for Linux' };
  if (installed() === null && process.getuid?.() === 0 && isDebian()) {
    process.stderr.write('strace is missing: installing Debian’s package …\n');
    spawnSync('sh', ['-c', 'apt-get update -qq && apt-get install -y -qq --no-install-recommends strace'], {
      timeout: 180_000,
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
  }
  const path = installed();
  if (path === null) return { reason: 'strace is not installed' };
  return works(path) ? { path } : { reason: 'strace may not trace here' };
}

/** Why tests that need strace are skipped, as a part of their names; '' where they run. */
export function straceLack(): string {
  const strace = findStrace();
  return 'reason' in strace ? ` (${strace.reason})` : '';
}

/** Runs Node on a script and gives its calls in order; `log` is where strace writes and is removed. */
export function record(log: string, script: string, args: string[]): Call[] {
  const strace = findStrace();
  if ('reason' in strace) throw new Error(strace.reason);
  const filter = RECORDED.map((name) => `?${name}`).join(',');
  const traced = ['-ff', '--seccomp-bpf', '-xx', '-s', '268435456', '-o', log, '-e', `trace=${filter}`];
  const { status, stderr } = spawnSync(strace.path, [...traced, process.execPath, script, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    timeout: 600_000,
  });
  if (status !== 0) throw new Error(`The recorded program ended with ${status}:\n${stderr}`);
  const threads = readdirSync(dirname(log))
    .filter((name) => name.startsWith(`${basename(log)}.`))
    .map((name) => join(dirname(log), name))
    .toSorted((a, b) => Number(a.split('.').at(-1)) - Number(b.split('.').at(-1)));
  const [main, ...others] = threads;
  try {
    for (const other of others)
      if (/^(pwrite64|pwritev|fsync|fdatasync|rename|ftruncate)/m.test(readFileSync(other, 'latin1')))
        throw new Error('Another thread than the main one changed files.');
    return parse(readFileSync(main, 'latin1'));
  } finally {
    for (const file of threads) rmSync(file);
  }
}

/** The calls of one thread's log that succeeded. */
export function parse(text: string): Call[] {
  const calls: Call[] = [];
  for (let from = 0; from < text.length;) {
    const end = text.indexOf('\n', from);
    const line = text.slice(from, end < 0 ? text.length : end);
    from = end < 0 ? text.length : end + 1;
    const open = line.indexOf('(');
    const equals = line.lastIndexOf(' = ');
    if (open < 0 || equals < 0 || !/^[a-z]/.test(line)) continue;
    const result = Number.parseInt(line.slice(equals + 3), 10);
    if (!(result >= 0)) continue;
    const close = line.lastIndexOf(')', equals);
    calls.push({ name: line.slice(0, open), args: argumentsOf(line.slice(open + 1, close)), result });
  }
  return calls;
}

function argumentsOf(text: string): (number | Buffer | string)[] {
  const args: (number | Buffer | string)[] = [];
  for (let at = 0; at < text.length;) {
    if (text[at] === '"') {
      const end = text.indexOf('"', at + 1);
      if (text.startsWith('...', end + 1)) throw new Error('A recorded string was cut short.');
      args.push(Buffer.from(text.slice(at + 1, end).replaceAll('\\x', ''), 'hex'));
      at = end + 1;
    } else {
      const comma = text.indexOf(', ', at);
      const word = text.slice(at, comma < 0 ? text.length : comma);
      args.push(/^-?\d+$/.test(word) ? Number(word) : word);
      at += word.length;
    }
    if (text.startsWith(', ', at)) at += 2;
    else if (at < text.length) throw new Error(`Arguments that are not understood: ${text.slice(0, 200)}`);
  }
  return args;
}

/** Runs Node on a script, in which calls fail as in `startFailing`, and gives what it printed. */
export function runFailing(inject: string, paths: string[], script: string, args: string[]): string {
  const [strace, words] = failing(inject, paths);
  return spawnSync(strace, [...words, process.execPath, script, ...args], { encoding: 'utf8', timeout: 60_000 }).stdout;
}

/** Starts Node on a script, in which calls `inject` (strace's own words) fail where they touch `paths`. Its own lines go nowhere. */
export function startFailing(inject: string, paths: string[], script: string, args: string[]): ChildProcess {
  const [strace, words] = failing(inject, paths);
  return spawn(strace, [...words, process.execPath, script, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
}

function failing(inject: string, paths: string[]): [strace: string, words: string[]] {
  const strace = findStrace();
  if ('reason' in strace) throw new Error(strace.reason);
  const only = paths.flatMap((path) => ['-P', path]);
  const what = ['-e', `trace=${inject.slice(0, inject.indexOf(':'))}`, '-e', `inject=${inject}`];
  return [strace.path, ['-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', ...only, ...what]];
}
