/** Processes as Linux lists them: whose child is who, and what it runs. Empty elsewhere. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';

const isLinux = process.platform === 'linux';

function read(pid: number, file: 'status' | 'cmdline'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // it ended meanwhile
  }
}

/** The children of a process, of which the command line names `what`. */
export function childrenOf(parent: number, what = ''): number[] {
  if (!isLinux) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => read(pid, 'status').includes(`PPid:\t${parent}\n`) && read(pid, 'cmdline').includes(what));
}

/** Whether it runs, and is not merely unburied. */
export function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(read(pid, 'status'));
}
