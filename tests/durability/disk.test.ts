/**
 * The disk that power-loss tests rebuild, against what POSIX says of a few calls, worked
 * out by hand: what is there for certain, and what may or may not be.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createRng } from '../../main/domain/rng.ts';
import { Disk, FAILURES, type Failure } from './disk.ts';
import { parse } from './strace.ts';

const work = mkdtempSync(join(tmpdir(), 'marginalia-disk-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const text = (value: string) =>
  `"${Buffer.from(value)
    .toString('hex')
    .replaceAll(/../g, String.raw`\x$&`)}"`;
const open = (name: string, fd: number, flags = 'O_RDWR|O_CREAT') =>
  `openat(AT_FDCWD, ${text(`/r${name}`)}, ${flags}, 0644) = ${fd}`;
const write = (fd: number, value: string, at: number) =>
  `pwrite64(${fd}, ${text(value)}, ${value.length}, ${at}) = ${value.length}`;
const sync = (fd: number) => `fsync(${fd}) = 0`;
const rename = (from: string, to: string) => `rename(${text(`/r${from}`)}, ${text(`/r${to}`)}) = 0`;
const folderSynced = [open('', 9, 'O_RDONLY'), sync(9)];

let count = 0;

/** Every state the disk was found in after these calls, over many failures, as `name=content` of each file. */
function states(calls: string[], failures: readonly Failure[] = FAILURES): string[] {
  const disk = new Disk('/r');
  for (const call of parse(calls.join('\n'))) disk.apply(call);
  const seen = new Set<string>();
  for (const failure of failures) {
    for (let seed = 0; seed < 60; seed++) {
      const folder = join(work, String(count++));
      disk.fail(failure, createRng(seed), folder);
      const files = readdirSync(folder).toSorted();
      seen.add(files.map((name) => `${name}=${readFileSync(join(folder, name), 'latin1')}`).join(' '));
      rmSync(folder, { recursive: true });
    }
  }
  return [...seen].toSorted();
}

describe('A disk whose power fails', () => {
  it('keeps a file only when both it and its folder were synced', () => {
    expect(states([open('/a', 3), write(3, 'x', 0), sync(3), ...folderSynced])).toEqual(['a=x']);
    expect(states([open('/a', 3), write(3, 'x', 0), sync(3)])).toEqual(['', 'a=x']);
    expect(states([open('/a', 3), write(3, 'x', 0), ...folderSynced], ['dropped', 'kept'])).toEqual(['a=', 'a=x']);
  });

  it('may keep a later write and not an earlier one', () => {
    const calls = [open('/a', 3), write(3, '--', 0), sync(3), ...folderSynced, write(3, 'x', 0), write(3, 'y', 1)];
    expect(states(calls, ['reordered'])).toEqual(['a=--', 'a=-y', 'a=x-', 'a=xy']);
    expect(states(calls, ['cut'])).toEqual(['a=--', 'a=x-', 'a=xy']);
  });

  it('tears one write at sectors, and never within one', () => {
    const calls = [
      ...[open('/a', 3), write(3, '-'.repeat(1024), 0), sync(3), ...folderSynced],
      write(3, 'x'.repeat(1024), 0),
    ];
    const halves = states(calls, ['torn']).map((state) => `${state[2]}${state[513]}${state[514]}${state[1025]}`);
    expect(halves.toSorted()).toEqual(['----', '--xx', 'xx--', 'xxxx']);
  });

  it('renames wholly or not at all, and may have the new name with the old bytes', () => {
    const old = [open('/a', 3), write(3, 'old', 0), sync(3), ...folderSynced];
    const unsynced = [...old, open('/b', 4), write(4, 'new', 0), rename('/b', '/a')];
    const synced = [...old, open('/b', 4), write(4, 'new', 0), sync(4), rename('/b', '/a')];
    expect(states(unsynced, ['dropped', 'reordered'])).toEqual(['a=', 'a=new', 'a=old', 'a=old b=', 'a=old b=new']);
    expect(states(synced)).toEqual(['a=new', 'a=old', 'a=old b=new']);
    expect(states([...synced, ...folderSynced])).toEqual(['a=new']);
  });

  it('may bring back what was removed, and what was cut off', () => {
    const made = [open('/a', 3), write(3, 'old', 0), sync(3), ...folderSynced];
    expect(states([...made, `unlink(${text('/r/a')}) = 0`])).toEqual(['', 'a=old']);
    expect(states([...made, 'ftruncate(3, 1) = 0'])).toEqual(['a=o', 'a=old']);
    expect(existsSync('/r')).toBe(false);
  });
});
