/**
 * A full disk is a message, not a loss: each operation on disks of five sizes (twenty in
 * `npm run soak -- --only full-disks`), until nothing more fits.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytesIn, CAN_MOUNT, fillDisk, ON_FULL_DISKS, prepared, sizes } from './full-disk.ts';

const TIMES = 10;

describe.skipIf(!CAN_MOUNT)('a disk that is full (needs root on Linux)', () => {
  let folder = '';
  let from = '';
  let all: number[] = [];
  beforeAll(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'marginalia-full-'));
    from = prepared(folder);
    all = sizes(bytesIn(from), 5);
  });
  afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));
  const filling = (operation: string, size: number, spoil = false) =>
    fillDisk(from, path.join(folder, 'disk'), operation, size, TIMES, spoil);

  it.each(ON_FULL_DISKS)('costs nothing that was acknowledged and says so: %s', { timeout: 60_000 }, (operation) => {
    const filled = all.map((size) => filling(operation, size));
    expect(filled.flatMap(({ problems }) => problems)).toEqual([]);
    expect(filled.some(({ full }) => full)).toBe(true);
    if (operation !== 'open') expect(filled.some(({ done }) => done > 0)).toBe(true);
  });

  it('would be noticed if something was acknowledged that is not there', () => {
    expect(filling('label', all[2], true).problems).toEqual([
      'what was acknowledged is not there',
      'what was acknowledged is not there after reopening',
    ]);
  });
});
