/**
 * What leaves the machine, and what stays behind on it: the whole loop runs where there is no
 * network but loopback, under a recorder of every connection and every file made. Promises that it
 * works there, that nothing tries any other address, and that no word of a patient is written
 * outside the project: not to logs, temporary files or the program's own folders.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findStrace } from '../durability/strace.ts';
import { readSources, type SourceFile } from '../meta/sources.ts';

const LOOP = fileURLToPath(new URL('whole-loop.child.ts', import.meta.url));
/** Stands in every text, name, class, path and comment; in no program. */
const MARK = 'Zqxmark Mueller';
const work = mkdtempSync(join(tmpdir(), 'marginalia-privacy-'));
const [home, temporary, material] = ['home', 'temporary', 'material'].map((name) => join(work, name));
/** With fine-tuning, as `npm run soak` does it. */
const isWhole = process.env.MARGINALIA_WHOLE_LOOP === '1';
const strace = findStrace();
/** Of util-linux: a program with namespaces of its own. */
const UNSHARE = 'unshare';
const ALONE = ['--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'];
const canBeAlone = spawnSync(UNSHARE, [...ALONE, 'true']).status === 0;
const reason = 'path' in strace ? (canBeAlone ? null : 'a network of its own needs root and iproute2') : strace.reason;

afterAll(() => rmSync(work, { recursive: true, force: true }));

/** Runs a script with loopback as its only network; gives its output and what it asked of the system. */
function recorded(
  args: string[],
  limitMs: number,
): { status: number | null; stdout: string; stderr: string; calls: string[] } {
  const trace = join(work, 'trace');
  const env = {
    ...process.env,
    HOME: home,
    USERPROFILE: home,
    TMPDIR: temporary,
    XDG_CACHE_HOME: '',
    XDG_DATA_HOME: '',
    XDG_CONFIG_HOME: '',
    // What the test runner gives its processes, and nobody else does.
    NODE_COMPILE_CACHE: undefined,
  };
  const program = 'path' in strace ? strace.path : '';
  const recorder = [
    '-f',
    '-qq',
    '--seccomp-bpf',
    '-s',
    '200',
    '-e',
    'trace=connect,sendto,sendmsg,openat,open,creat,mkdir',
    '-o',
    trace,
  ];
  const { status, stdout, stderr } = spawnSync(UNSHARE, [...ALONE, program, ...recorder, process.execPath, ...args], {
    env,
    encoding: 'utf8',
    timeout: limitMs,
    maxBuffer: 64 << 20,
  });
  return { status, stdout, stderr, calls: readFileSync(trace, 'utf8').split('\n') };
}

/** Addresses of the internet that were spoken to, loopback left out. */
function foreign(calls: readonly string[]): string[] {
  return calls
    .filter((call) => /\b(connect|sendto|sendmsg)\(/.test(call) && /AF_INET/.test(call))
    .filter((call) => !/inet_addr\("127\.|"::1"/.test(call));
}

/** Files that were opened to be written, outside some folders. */
function written(calls: readonly string[], inside: readonly string[]): string[] {
  return calls
    .filter((call) => /\b(openat|open|creat|mkdir)\(/.test(call) && !/ = -1 /.test(call))
    .filter((call) => /mkdir\(|creat\(|O_WRONLY|O_RDWR|O_CREAT/.test(call))
    .map((call) => /"([^"]*)"/.exec(call)?.[1] ?? '')
    .filter(
      (path) =>
        path.startsWith('/') && !inside.some((folder) => path.startsWith(folder)) && !/^\/(dev|proc|sys)\//.test(path),
    );
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Files that hold the mark, as UTF-8, as UTF-16 or in their names. */
function marked(folder: string): string[] {
  const forms = [Buffer.from('Zqxmark'), Buffer.from('Zqxmark', 'utf16le'), Buffer.from('Zqxmark').toString('hex')];
  return filesUnder(folder).filter(
    (file) => file.includes('Zqxmark') || forms.some((form) => readFileSync(file).includes(form)),
  );
}

describe.skipIf(reason !== null)(
  `The whole loop without a network${reason === null ? '' : ` (skipped: ${reason})`}`,
  () => {
    let run: ReturnType<typeof recorded>;
    beforeAll(() => {
      for (const folder of [home, temporary, material]) mkdirSync(folder);
      run = recorded([LOOP, material, MARK, isWhole ? 'whole' : 'quick'], 240_000);
    }, 250_000);

    test('works', () => {
      expect(run.stderr).toBe('');
      expect(run.status).toBe(0);
      const { troubles, statuses, tuned } = JSON.parse(run.stdout) as {
        troubles: boolean[];
        statuses: number[];
        tuned: number | null;
      };
      expect(troubles).toEqual([true, true, true, true, true]);
      expect(statuses, 'pixels of images, and of one that is gone').toEqual([200, 404]);
      if (isWhole) expect(tuned, 'a step of fine-tuning was made').toBeGreaterThan(0);
    });

    test('speaks to no address but loopback', () => {
      expect(
        run.calls.filter((call) => /connect\(.*inet_addr\("127\.0\.0\.1"\)/.test(call)).length,
        'the recorder sees',
      ).toBeGreaterThan(0);
      expect(foreign(run.calls)).toEqual([]);
    });

    test('of which the recorder sees a call of another address, and a name that is looked up', () => {
      const attempts = `
      await fetch('http://192.0.2.1/').catch(() => {});
      await import('node:dns').then((dns) => new dns.promises.Resolver({ timeout: 300, tries: 1 }).resolve4('example.org')).catch(() => {});`;
      expect(foreign(recorded(['--input-type=module', '-e', attempts], 20_000).calls).length).toBeGreaterThan(0);
    });

    test('writes nowhere but into the project and its own folders', () => {
      expect(written(run.calls, []).length, 'the recorder sees').toBeGreaterThan(0);
      expect([...new Set(written(run.calls, [material, home, temporary]))]).toEqual([]);
    });

    test('leaves no word of a patient in logs, temporary files or its own folders', () => {
      const { said } = JSON.parse(run.stdout) as { said: string[] };
      expect(said.join('')).not.toContain('Zqxmark');
      expect(marked(home)).toEqual([]);
      expect(marked(temporary)).toEqual([]);
      expect(marked(material).length, 'the search finds the project').toBeGreaterThan(3);
      writeFileSync(join(temporary, 'planted'), `x${MARK}`, 'utf16le');
      expect(marked(temporary)).toHaveLength(1);
    });
  },
);

/** Where a program could speak to another machine; each place with the reason that it does not. */
const SPEAKS = new Map([
  ['hosts/web.ts', 'listens, on 127.0.0.1'],
  ['renderer/engine.ts', 'fetches and connects to the page’s own origin, which the policy holds it to'],
]);
const SPEAKING =
  /\bfrom '(node:)?(http|https|http2|net|tls|dgram|dns|dns\/promises|undici|ws)'|(?<![.\w#]|async )fetch\(|\bnew (WebSocket|XMLHttpRequest|EventSource|WebTransport|RTCPeerConnection)\b|sendBeacon|\bimport\(['"`]https?:/;

function speaking(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ text }) => SPEAKING.test(text.replaceAll(/^import type .*$/gm, '')))
    .map(({ path }) => path)
    .filter((path) => !SPEAKS.has(path));
}

describe('The sources', () => {
  const sources = readSources(['main', 'hosts', 'electron', 'renderer'], ['.ts', '.cjs', '.svelte']);
  test('speak to no other machine', () => {
    expect(speaking(sources)).toEqual([]);
    for (const text of ["import { get } from 'node:https';", "await fetch('/x')", 'new WebSocket(address)'])
      expect(speaking([{ path: 'main/x.ts', text }])).toEqual(['main/x.ts']);
    expect(speaking([{ path: 'main/x.ts', text: 'void this.#fetch(1); items.refetch(); door.fetch(2);' }])).toEqual([]);
  });

  test('put no markup into a page and make no program of text', () => {
    const making = (files: readonly SourceFile[]) =>
      files
        .filter(({ text }) =>
          /\{@html|\.(inner|outer)HTML\s*=|insertAdjacentHTML|document\.write|\beval\(|new Function\(|\bsrcdoc=|runIn(This|New)?Context/.test(
            text,
          ),
        )
        .map(({ path }) => path);
    expect(making(sources)).toEqual([]);
    for (const text of ['{@html text}', 'node.innerHTML = text', 'eval(text)', 'new Function(text)'])
      expect(making([{ path: 'renderer/x.ts', text }])).toHaveLength(1);
  });
});
