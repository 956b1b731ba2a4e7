/**
 * For which system and processor a file is compiled, read from its first bytes: names can be
 * wrong, and a package must hold nothing that another system would run. Knows ELF, PE and
 * Mach-O. Sources: the System V ABI, Microsoft's PE format, Apple's mach/machine.h.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { PackedFile } from './contents.ts';
import { PackagingTrouble, type Platform } from './platforms.ts';

const ELF = { 0x3e: 'linux-x64', 0xb7: 'linux-arm64' } as const;
const PE = { 0x8664: 'win32-x64', 0xaa64: 'win32-arm64', 0x14c: 'win32-ia32' } as const;
const MACH_O = { 0x01000007: 'darwin-x64', 0x0100000c: 'darwin-arm64' } as const;
/** PE's header lies where a number in the old DOS header says; linkers put it within this. */
const HEAD_BYTES = 4096;

/** The platform that `head`, a file's beginning, is compiled for; `unknown` for code of others; null for what is no program or library. */
export function machineOf(head: Buffer): string | null {
  if (head.length < 64) return null;
  if (head.readUInt32BE(0) === 0x7f454c46) {
    return (ELF as Record<number, string>)[head.readUInt16LE(18)] ?? 'unknown';
  }
  if (head.readUInt32LE(0) === 0xfeedfacf) {
    return (MACH_O as Record<number, string>)[head.readUInt32LE(4)] ?? 'unknown';
  }
  if (head.readUInt32BE(0) === 0xcafebabe) return 'unknown'; // for several processors at once
  if (head.readUInt16LE(0) === 0x5a4d) {
    const at = head.readUInt32LE(60);
    if (at + 6 > head.length || head.readUInt32LE(at) !== 0x4550) return 'unknown';
    return (PE as Record<number, string>)[head.readUInt16LE(at + 4)] ?? 'unknown';
  }
  return null;
}

function headOf({ source }: PackedFile): Buffer {
  if (typeof source !== 'string') return source.subarray(0, HEAD_BYTES);
  const file = openSync(source, 'r');
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    return head.subarray(0, readSync(file, head));
  } finally {
    closeSync(file);
  }
}

/** Ends the build where a file is compiled for another platform. */
export function refuseForeignCode(platform: Platform, files: readonly PackedFile[]): void {
  for (const file of files) {
    const machine = machineOf(headOf(file));
    if (machine !== null && machine !== platform.name) {
      throw new PackagingTrouble(`${file.path} is compiled for ${machine}, and this package is for ${platform.name}.`);
    }
  }
}
