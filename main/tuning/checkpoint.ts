/**
 * A checkpoint: where a run is, as one file that is on disk whole or not at all. It holds
 * JSON and float32 tensors by name, and the SHA-256 of both; one that does not fit its hash
 * counts as none, so that the worst that a crash can do is to cost the time since the one
 * before. Layout: 8 bytes 'MGLCKPT1', 32 bytes hash, uint32 length of the JSON, JSON,
 * padding to 4 bytes, tensors.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { Tensors } from '../autodiff/index.ts';

const MAGIC = Buffer.from('MGLCKPT1');
const START = MAGIC.length + 32;

export interface Checkpoint {
  /** Anything that JSON can hold. */
  state: unknown;
  tensors: Tensors;
}

/** Writes a checkpoint in place of the one before; on disk when it returns. */
export function writeCheckpoint(file: string, { state, tensors }: Checkpoint): void {
  const names = Object.keys(tensors);
  const json = Buffer.from(JSON.stringify({ state, tensors: names.map((name) => [name, tensors[name].length]) }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  const padding = Buffer.alloc((4 - ((START + 4 + json.length) % 4)) % 4);
  const body = [length, json, padding, ...names.map((name) => bytesOf(tensors[name]))];
  const hash = createHash('sha256');
  for (const part of body) hash.update(part);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const temporary = `${file}.tmp`;
  try {
    const fd = fs.openSync(temporary, 'w', 0o644);
    try {
      for (const part of [MAGIC, hash.digest(), ...body]) {
        for (let at = 0; at < part.length;) at += fs.writeSync(fd, part, at);
      }
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(temporary, file);
  } catch (error) {
    // A full disk needs the room.
    fs.rmSync(temporary, { force: true });
    throw error;
  }
}

/** The checkpoint, or null where there is none that is whole. */
export function readCheckpoint(file: string): Checkpoint | null {
  if (!fs.existsSync(file)) return null;
  const bytes = fs.readFileSync(file);
  if (bytes.length < START + 4 || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return null;
  const hash = createHash('sha256').update(bytes.subarray(START)).digest();
  if (!hash.equals(bytes.subarray(MAGIC.length, START))) return null;
  const size = bytes.readUInt32LE(START);
  const json = JSON.parse(bytes.toString('utf8', START + 4, START + 4 + size)) as {
    state: unknown;
    tensors: [string, number][];
  };
  let at = Math.ceil((START + 4 + size) / 4) * 4;
  const tensors = json.tensors.map(([name, length]): [string, Float32Array] => {
    const from = at;
    at += 4 * length;
    return [name, new Float32Array(bytes.buffer.slice(bytes.byteOffset + from, bytes.byteOffset + at))];
  });
  return { state: json.state, tensors: Object.fromEntries(tensors) };
}

/** Removes a checkpoint and whatever writing one has left. */
export function removeCheckpoint(file: string): void {
  fs.rmSync(file, { force: true });
  fs.rmSync(`${file}.tmp`, { force: true });
}

const bytesOf = (values: Float32Array) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
