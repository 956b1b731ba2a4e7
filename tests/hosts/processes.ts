/**
 * What Linux tells about running processes: their descendants, command lines, sockets and
 * memory. Reads /proc only; tests that need it are skipped by name on other systems.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export const IS_LINUX = process.platform === 'linux';

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // the process has ended
  }
}

function openFiles(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`);
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}

/** A process and everything that it started, and so on. */
export function family(pid: number): number[] {
  const parents = new Map(
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => [Number(name), Number(/^PPid:\s+(\d+)/m.exec(read(`/proc/${name}/status`))?.[1])]),
  );
  const found = [pid];
  for (const one of found) for (const [child, parent] of parents) if (parent === one) found.push(child);
  return found;
}

export function commandLine(pid: number): string {
  return read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ') + read(`/proc/${pid}/comm`);
}

export function environment(pid: number): string {
  return read(`/proc/${pid}/environ`).replaceAll('\0', ' ');
}

export function openFileCount(pid: number): number {
  return openFiles(pid).length;
}

export function memoryMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1]) / 1024;
}

export interface InternetSocket {
  table: 'tcp' | 'tcp6' | 'udp' | 'udp6';
  /** As the kernel writes them: hexadecimal address and port. */
  local: string;
  remote: string;
  listens: boolean;
}

/** Sockets of IPv4 and IPv6 that a process holds. */
export function internetSockets(pid: number): InternetSocket[] {
  const inodes = new Set(openFiles(pid).flatMap((file) => /^socket:\[(\d+)\]$/.exec(file)?.[1] ?? []));
  return (['tcp', 'tcp6', 'udp', 'udp6'] as const).flatMap((table) =>
    read(`/proc/${pid}/net/${table}`)
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => inodes.has(fields[9]))
      .map(([, local, remote, state]) => ({
        table,
        local,
        remote,
        listens: state === '0A' || table.startsWith('udp'),
      })),
  );
}

/** 127.0.0.0/8 or ::1, as the kernel writes them. */
export function isLoopback(address: string): boolean {
  const [hex] = address.split(':');
  return hex.length === 8
    ? hex.endsWith('7F')
    : hex === '00000000000000000000000001000000' || /^0{16}FFFF0000.{6}7F$/.test(hex);
}
