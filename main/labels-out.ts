/**
 * What an export is made of: the labelled items with where each label comes from, read page
 * by page, and a file that appears under its name only when all of it is on disk.
 */
import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { EngineError } from './domain/errors.ts';
import { WRITERS, type ExportRow } from './export/index.ts';
import { discard, syncFolder, type ItemRecord, type ProjectStore } from './store/index.ts';

const PAGE = 500;

/** Writes the labels to a file; returns how many. Errors: `usage` for an unknown format; those of `writeWhole`. */
export function exportLabels(store: ProjectStore, format: string, file: string): number {
  const writer = Object.hasOwn(WRITERS, format) ? WRITERS[format] : null;
  if (!writer) {
    throw new EngineError(
      'usage',
      `There is no format “${format}”.`,
      `Choose among ${Object.keys(WRITERS).join(', ')}.`,
      { format },
    );
  }
  let count = 0;
  const counted = function* (rows: Iterable<ExportRow>) {
    for (const row of rows) {
      count++;
      yield row;
    }
  };
  writeWhole(file, writer.write(counted(exportRows(store))));
  return count;
}

/** Labelled items in order of import. */
function* exportRows(store: ProjectStore): Generator<ExportRow> {
  for (let after = 0; ;) {
    const page = store.items.list({ after, limit: PAGE, state: 'labelled' });
    for (const record of page) {
      const row = rowOf(store, record);
      if (row) yield row;
    }
    if (page.length < PAGE) return;
    after = page[page.length - 1].seq;
  }
}

function rowOf(store: ProjectStore, record: ItemRecord): ExportRow | null {
  const deciding = record.by === null ? null : store.annotations.get(record.by);
  if (!deciding) return null;
  const { suggestion } = deciding;
  return {
    item: record.id,
    name: record.name,
    group: record.group,
    source: record.source,
    sha256: record.parts.flatMap((part) => (part.kind === 'numbers' ? [] : [part.sha256])),
    classes: record.classes ?? [],
    annotator: deciding.annotator,
    at: deciding.at,
    durationMs: deciding.durationMs,
    annotation: deciding.sequence,
    hash: deciding.hash,
    schemaVersion: deciding.schemaVersion,
    role: record.role,
    suggested: suggestion && { ...suggestion, visible: deciding.suggestionVisible },
  };
}

/** Errors: `disk-full`, `io-failed`; the file that was there before then stays. */
export function writeWhole(file: string, pieces: Iterable<string | Uint8Array>): void {
  const temporary = `${file}.part`;
  try {
    const fd = openSync(temporary, 'w');
    try {
      // Not writeSync, which on a full disk may write a part and say nothing.
      for (const piece of pieces) writeFileSync(fd, piece);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, file);
    syncFolder(dirname(resolve(file)));
  } catch (error) {
    discard(temporary);
    if (error instanceof EngineError) throw error;
    const isFull = (error as NodeJS.ErrnoException).code === 'ENOSPC';
    throw new EngineError(
      isFull ? 'disk-full' : 'io-failed',
      isFull ? `There is no room for ${file}.` : `${file} could not be written.`,
      isFull ? 'Free some space, or choose another disk.' : 'Choose a folder that can be written to.',
      { path: file },
      error,
    );
  }
}
