/**
 * What the ingest tests share: a folder that is gone afterwards, reading everything at
 * once, and where real material lies when it is there.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import { onTestFinished } from 'vitest';
import type { Candidate, ImportProblem } from '../../main/domain/item.ts';
import { readSources } from '../../main/ingest/index.ts';
import type { IngestBatch, IngestOptions } from '../../main/ingest/index.ts';

export const FILES = resolve(import.meta.dirname, 'files');
export const DATA = resolve(import.meta.dirname, '../../../shared/data');
export const hasData = existsSync(DATA);

/** A folder with these files, removed when the test ends. */
export function folderOf(files: Record<string, string | Uint8Array>): string {
  const folder = mkdtempSync(join(tmpdir(), 'marginalia-ingest-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

export interface ReadAll {
  batches: IngestBatch[];
  candidates: Candidate[];
  problems: ImportProblem[];
}

/** Everything in the sources. */
export async function readAll(sources: string | string[], options: IngestOptions = {}): Promise<ReadAll> {
  const all: ReadAll = { batches: [], candidates: [], problems: [] };
  for await (const batch of readSources([sources].flat(), options)) {
    all.batches.push(batch);
    all.candidates.push(...batch.candidates);
    all.problems.push(...batch.problems);
  }
  return all;
}

/** The code of the `EngineError` that reading throws, or null. */
export async function thrownBy(
  read: () => Promise<unknown>,
): Promise<{ code: string; message: string; hint: string } | null> {
  try {
    await read();
    return null;
  } catch (error) {
    return error as { code: string; message: string; hint: string };
  }
}

/** A PNG of 8-bit grey with any size in its header and these scan lines (each with its filter byte first). */
export function pngOf(width: number, height: number, lines: Uint8Array): Buffer {
  const chunk = (type: string, data: Uint8Array) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    const check = Buffer.alloc(4);
    check.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, check]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(lines)),
    chunk('IEND', new Uint8Array()),
  ]);
}
