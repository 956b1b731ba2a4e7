/**
 * The first look at what would be imported: the columns with what they seem to be for, and
 * the first ten items as they would be read. It reads the beginnings of files only, so it
 * is quick whatever their size; an encoding judged from the first megabyte may turn out
 * different in the import, which reads to the end.
 */
import type { Candidate, ImportProblem } from '../domain/item.ts';
import { guessRole, isMissing, mappingOf } from './columns.ts';
import type { Mapping, Role } from './columns.ts';
import { hasContentMapping, planTable, readEntry } from './read.ts';
import type { IngestOptions } from './read.ts';
import { readRow } from './read-row.ts';
import type { Cell, OpenTable } from './table.ts';
import { listSources } from './sources.ts';

export interface PreviewColumn {
  name: string;
  /** Up to five different cells as text, each cut at 120 characters. */
  samples: string[];
  /** What the name and the cells suggest; null where nothing does. */
  guess: Role | null;
  /** What the column would be used for if the import began now; a label only where it was asked for. */
  role: Role | null;
}

export interface Preview {
  /** What the sources hold: tables, or files that are each one item. */
  kind: 'table' | 'images' | 'texts' | 'images and texts';
  /** Of the first table; empty for files. */
  columns: PreviewColumn[];
  /** The mapping that would be used on the first table; empty for files. */
  mapping: Mapping;
  /** The first ten items. */
  rows: Candidate[];
  problems: ImportProblem[];
  /** Class folders seen among the first files, for `labelsFromFolders`. */
  folders: string[];
  /** Values of the label column (mapped, else guessed) in the first 20,000 rows, most frequent first; for files the class folders. At most 50. */
  labels: string[];
}

const ROWS = 10;
/** A preview looks at no more than this many files of a folder. */
const FILES = 2000;
const SAMPLES = 5;
const SAMPLE_LENGTH = 120;
const LABELS = 50;
/** Class names are looked for in this many rows: rare ones come late. */
const LABEL_ROWS = 20_000;

/** Shows what an import would read. Errors: `source-missing`, `source-empty`, `column-missing`. */
export async function preview(sources: readonly string[], options: IngestOptions = {}): Promise<Preview> {
  const { entries, problems: found } = await listSources(sources, hasContentMapping(options.mapping), FILES);
  const result: Preview = {
    kind: 'table',
    columns: [],
    mapping: {},
    rows: [],
    problems: [...found],
    folders: [],
    labels: [],
  };
  const kinds = new Set(entries.map((entry) => entry.kind));
  if (!kinds.has('table'))
    result.kind = kinds.size === 2 ? 'images and texts' : kinds.has('image') ? 'images' : 'texts';
  result.folders = [...new Set(entries.flatMap(({ name }) => (name.includes('/') ? [name.split('/')[0]] : [])))];
  result.labels = result.folders.slice(0, LABELS);
  for (const entry of entries) {
    if (result.rows.length >= ROWS || result.problems.length > FILES) break;
    if (entry.kind !== 'table') {
      const { candidate, problems } = await readEntry(entry, options);
      if (candidate !== null) result.rows.push(candidate);
      result.problems.push(...problems);
      continue;
    }
    const { table, plan, problem } = await planTable(entry, options, false);
    if (table === null || plan === null) {
      if (problem !== null) result.problems.push(problem);
      continue;
    }
    if (result.columns.length === 0) {
      result.mapping = mappingOf(plan);
      result.columns = table.columns.map((name) => {
        const cells = table.sample
          .map((row) => row.cells.get(name))
          .filter((cell) => cell !== undefined && !isMissing(cell));
        const samples = [...new Set(cells.slice(0, 50).map(shown))].slice(0, SAMPLES);
        return { name, samples, guess: guessRole(name, table.sample), role: roleIn(result.mapping, name) };
      });
      const labelColumn = plan.label ?? result.columns.find((column) => column.guess === 'label')?.name;
      if (labelColumn !== undefined) result.labels = await labelsIn(table, labelColumn, options.labelSeparator);
    }
    for (const row of table.sample) {
      if (result.rows.length >= ROWS) break;
      const { candidate, problems } = await readRow(entry.path, row, plan, options);
      if (candidate !== null) result.rows.push(candidate);
      result.problems.push(...problems);
    }
  }
  return result;
}

/** What a column calls its classes, most frequent first, in the rows that a look may take. */
async function labelsIn(table: OpenTable, column: string, separator: string | undefined): Promise<string[]> {
  const counts = new Map<string, number>();
  let looked = 0;
  for await (const row of table.rows()) {
    if (++looked > LABEL_ROWS) break;
    const cell = row.cells.get(column);
    if (cell === undefined || isMissing(cell)) continue;
    const names = separator === undefined ? [shown(cell)] : shown(cell).split(separator);
    for (const name of names.map((n) => n.trim())) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const byCount = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  return byCount.slice(0, LABELS).map(([name]) => name);
}

function roleIn(mapping: Mapping, column: string): Role | null {
  for (const role of ['text', 'image', 'id', 'group', 'label'] as const) if (mapping[role] === column) return role;
  return Array.isArray(mapping.numbers) && mapping.numbers.includes(column) ? 'numbers' : null;
}

function shown(cell: Cell | undefined): string {
  let text: string;
  try {
    text = typeof cell === 'string' ? cell : (JSON.stringify(cell) ?? '');
  } catch {
    text = '…'; // Nested too deeply to be written down.
  }
  return text.length > SAMPLE_LENGTH ? `${text.slice(0, SAMPLE_LENGTH - 1)}…` : text;
}
