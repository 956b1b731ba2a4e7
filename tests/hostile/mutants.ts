/**
 * Runs mutants in child processes and adds up what became of them. A child that crashed or
 * was ended by its watchdog is what trials are kept apart for: it counts as contained, and
 * the next child goes on behind that mutant. Where strace is there, what the children opened
 * after they had begun is read from its record.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FAST, findStrace } from '../durability/strace.ts';
import type { Kind } from './kinds.ts';

const ENTRY = fileURLToPath(new URL('mutants.child.ts', import.meta.url));

export const SLOW_MS = 5000;

export interface Tally {
  mutants: number;
  /** How many were decided with each code. */
  codes: Record<string, number>;
  /** Mutants that ended their child: a signal, or what the watchdog says. */
  contained: { index: number; how: string }[];
  untyped: { index: number; message: string }[];
  slowestMs: number;
  /** Those that took longer than SLOW_MS: in several steps, each within the watchdog's patience. */
  slow: { index: number; ms: number }[];
  /** Calls that reach a file, a network or a program that is none of ours. */
  reached: string[];
}

type Line = [number, string, number, string?] | { ended: string; value: number };

/** Mutants `from` to `to` (exclusive). `traced` records system calls, which takes strace. */
export async function runMutants(kind: Kind, from: number, to: number, seed: number, traced = false): Promise<Tally> {
  const tally: Tally = { mutants: 0, codes: {}, contained: [], untyped: [], slowestMs: 0, slow: [], reached: [] };
  const folder = mkdtempSync(join(FAST, 'marginalia-mutants-'));
  const record = join(folder, 'calls');
  const tracer = [
    TRACER ?? '',
    '-f',
    '--seccomp-bpf',
    '-qq',
    '-s',
    '400',
    '-e',
    'trace=%file,%network,%process',
    '-o',
    record,
  ];
  try {
    for (let next = from; next < to;) {
      const own = [process.execPath, ENTRY, kind, String(next), String(to), String(seed), folder];
      const [program, ...args] = traced ? [...tracer, ...own] : own;
      const { said, how } = await run(program, args);
      let ended = '';
      for (const text of said.split('\n')) {
        const line = parse(text);
        if (line === null) continue;
        if (!Array.isArray(line)) {
          ended = line.ended;
          continue;
        }
        const [index, code, ms, message] = line;
        next = index + 1;
        tally.mutants++;
        tally.codes[code] = (tally.codes[code] ?? 0) + 1;
        tally.slowestMs = Math.max(tally.slowestMs, ms);
        if (ms > SLOW_MS) tally.slow.push({ index, ms });
        if (message !== undefined) tally.untyped.push({ index, message });
      }
      if (traced) tally.reached.push(...reachedIn(readFileSync(record, 'utf8')).slice(0, 20));
      if (how === '0') break;
      tally.mutants++;
      tally.contained.push({ index: next++, how: ended || how });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return tally;
}

function run(program: string, args: string[]): Promise<{ said: string; how: string }> {
  // The test runner's cache of compiled modules would be written to by what must reach nothing.
  const env = { ...process.env, NODE_COMPILE_CACHE: undefined };
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'], env });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ said, how: String(signal ?? code) }));
  });
}

function parse(text: string): Line | null {
  try {
    return JSON.parse(text) as Line;
  } catch {
    return null;
  }
}

/** What Node, ONNX Runtime and the system's libraries look at by themselves, and the child's own folder. */
const EXPECTED = [
  /^\/proc\/(self|\d+)\//,
  /^\/proc\/(meminfo|cpuinfo|stat)$/,
  // the C library asks before it gives memory back
  /^\/proc\/sys\/vm\/overcommit_memory$/,
  /^\/sys\/(fs\/cgroup|devices\/system\/(cpu|node))/,
  /^\/dev\/urandom$/,
  /^\/etc\/(ld\.so|localtime|nsswitch|passwd-)/,
  /\/marginalia-mutants-[^/]*(\/|$)/,
  // a crash in native code is looked up in the program's own files
  /\.(node|so(\.\d+)*|debug)(\.dwp)?$|\/bin\/node(\.dwp)?$|^\/usr\/lib\/debug/,
  // whether a project lies in a synchronised folder or on a share
  /\/\.dropbox\/info\.json$/,
  /^\/(tmp|var|var\/tmp|dev|dev\/shm)?$/,
];

/** Calls after the mark that reach what is not expected. */
export function reachedIn(record: string): string[] {
  const lines = record.split('\n');
  const begin = lines.findIndex((line) => line.includes('"/BEGIN"'));
  if (begin < 0) return ['the mark is missing'];
  return lines.slice(begin + 1).filter((line) => {
    if (/^\d+ +(clone|clone3|exit|exit_group|wait4|kill|tgkill|vfork|\+\+\+|---|<\.\.\.)/.test(line)) return false;
    const path = /^\d+ +\w+\([^"]*"([^"]*)"/.exec(line)?.[1];
    if (path === '') return false; // of what is open already
    if (/^\d+ +(readlink|\w+\(\d+, "[^/"]+")/.test(line) && path !== '..') return false; // of a folder that is open
    if (path === undefined) return /^\d+ +(socket|connect|bind|sendto|execve)/.test(line);
    return !EXPECTED.some((expected) => expected.test(path));
  });
}

const strace = findStrace();

/** strace, where system calls can be recorded. */
export const TRACER: string | null = 'path' in strace ? strace.path : null;
