/**
 * Checkpoints on disk: what is written is read again bit for bit, what was cut off or changed
 * counts as none, and a half-written one does not hide the one before.
 */
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readCheckpoint, removeCheckpoint, writeCheckpoint } from '../../main/tuning/index.ts';

const dir = mkdtempSync(join(tmpdir(), 'marginalia-checkpoint-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const tensors = { 'weights/a': Float32Array.of(1, -0, NaN, 1e-40, Infinity), 'weights/b': Float32Array.of(3) };

describe('A checkpoint', () => {
  it('is read as it was written, whatever the length of its text', () => {
    for (const text of ['', 'x', 'xy', 'xyz', 'Größe 图']) {
      const file = join(dir, 'runs', 'a.checkpoint');
      writeCheckpoint(file, { state: { text, list: [1, null] }, tensors });
      const read = readCheckpoint(file)!;
      expect(read.state).toEqual({ text, list: [1, null] });
      expect(Object.keys(read.tensors)).toEqual(['weights/a', 'weights/b']);
      const bits = (values: Float32Array) => new Uint32Array(values.slice().buffer);
      expect(bits(read.tensors['weights/a'])).toEqual(bits(tensors['weights/a']));
    }
  });

  it('counts as none where it is absent, cut off or changed in any byte', () => {
    const file = join(dir, 'b.checkpoint');
    expect(readCheckpoint(file)).toBeNull();
    writeCheckpoint(file, { state: { n: 1 }, tensors });
    const whole = readFileSync(file);
    for (const at of [0, 9, 41, 50, whole.length - 1]) {
      const bytes = Buffer.from(whole);
      bytes[at] ^= 1;
      writeFileSync(file, bytes);
      expect(readCheckpoint(file)).toBeNull();
    }
    for (const length of [0, 7, 44, whole.length - 1]) {
      writeFileSync(file, whole);
      truncateSync(file, length);
      expect(readCheckpoint(file)).toBeNull();
    }
  });

  it('stays while the next one is half written, and is gone when removed', () => {
    const file = join(dir, 'c.checkpoint');
    writeCheckpoint(file, { state: 1, tensors });
    writeFileSync(`${file}.tmp`, 'half');
    expect(readCheckpoint(file)!.state).toBe(1);
    removeCheckpoint(file);
    expect(readCheckpoint(file)).toBeNull();
  });
});
