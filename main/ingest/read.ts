/**
 * Sources to candidates, in small batches and always in the same order. Nothing runs ahead
 * of whoever reads the batches: at most four files are open and two being decoded, and memory does not
 * grow with the number of items. Every batch carries a cursor; given back as `after`, an
 * import goes on behind it without reading the earlier files again. What is wrong with one
 * file or row is a problem in a batch; only what is wrong with the whole request throws,
 * before the first batch.
 */
import { basename } from 'node:path';
import { EngineError, assert } from '../domain/errors.ts';
import { itemIdOf } from '../domain/item.ts';
import type { Candidate, ImportProblem } from '../domain/item.ts';
import { planColumns } from './columns.ts';
import type { ColumnPlan, Mapping } from './columns.ts';
import { fingerprintText } from './fingerprint-text.ts';
import { DEFAULT_MAX_PIXELS } from '../imaging/index.ts';
import { isImageFile } from '../imaging/index.ts';
import { readImage, readText } from './read-file.ts';
import { readRow, rowId } from './read-row.ts';
import type { Outcome } from './read-row.ts';
import { byPath, listSources } from './sources.ts';
import type { Entry } from './sources.ts';
import { openTable } from './table.ts';
import type { OpenTable } from './table.ts';
import { HashSet } from './hash-set.ts';

export interface IngestOptions {
  /** Which columns of tables are what; what is left open is guessed, except the label. */
  mapping?: Mapping;
  /** The first folder under a source is the label of everything in it. */
  labelsFromFolders?: boolean;
  /** Splits a label cell into several classes, for example `|`. */
  labelSeparator?: string;
  /** The cursor of the last batch that was kept. */
  after?: string;
  /** Stops after the current batch; the generator then ends as if there were no more. */
  signal?: AbortSignal;
  /** Images with more pixels become problems. */
  maxPixels?: number;
}

export interface IngestBatch {
  candidates: Candidate[];
  problems: ImportProblem[];
  /** Everything up to here is in this batch or an earlier one. */
  cursor: string;
  /** Files and rows seen so far, those before `after` included. */
  done: number;
  /** Files and rows there are, as far as it is known: estimated for tables until they were read. */
  total: number | null;
}

/** At most this many candidates, or about this much text, in one batch. */
const BATCH_ITEMS = 64;
const BATCH_UNITS = 2 * 2 ** 20;
/** Files opened ahead of the one awaited; at most two of them are being decoded. */
const IN_FLIGHT = 4;

interface Step {
  work: () => Promise<Outcome>;
  entry: number;
  row: number;
}

/** Reads everything in `sources`. Errors, all before the first batch: `source-missing`, `source-empty`, `column-missing`. */
export async function* readSources(
  sources: readonly string[],
  options: IngestOptions = {},
): AsyncGenerator<IngestBatch> {
  const { signal } = options;
  const { entries, problems: found } = await listSources(sources, hasContentMapping(options.mapping));
  const after = options.after === undefined ? null : parseCursor(options.after);
  const start = after === null ? 0 : firstFrom(entries, after);
  const resumedIn =
    after !== null && entries[start]?.source === after.source && entries[start].path === after.path ? after.row : 0;
  const tables = await openTables(entries, options, start);
  const rowsOf = entries.map((entry, i) =>
    entry.kind === 'table' ? (tables.get(i)?.table?.estimatedRows ?? null) : 1,
  );
  const before = (after?.done ?? 0) - resumedIn;
  rowsOf.fill(0, 0, start);
  const state: Progress = { done: after?.done ?? 0, cursor: options.after ?? '', rowsOf };

  let batch = newBatch(after === null ? found : []);
  const inFlight: { step: Step; outcome: Promise<Outcome> }[] = [];
  const settle = async () => {
    const head = inFlight.shift();
    assert(head !== undefined, 'something in flight');
    const outcome = await head.outcome;
    batch.add(outcome);
    state.done++;
    const { source, path } = entries[head.step.entry];
    state.cursor = JSON.stringify([source, path, head.step.row, state.done]);
  };
  const emit = (): IngestBatch => {
    const total = state.rowsOf.includes(null)
      ? null
      : state.rowsOf.reduce<number>((sum, rows) => sum + (rows ?? 0), before);
    const { candidates, problems } = batch;
    batch = newBatch([]);
    return {
      candidates,
      problems,
      cursor: state.cursor,
      done: state.done,
      total: total === null ? null : Math.max(total, state.done),
    };
  };
  for await (const step of steps(entries, start, resumedIn, tables, options, state)) {
    if (signal?.aborted) break;
    const outcome = step.work();
    // Awaited in order later; until then a failure must not count as unhandled.
    outcome.catch(() => {});
    inFlight.push({ step, outcome });
    if (inFlight.length < IN_FLIGHT) continue;
    await settle();
    if (batch.isFull()) yield emit();
  }
  if (signal?.aborted) {
    await Promise.allSettled(inFlight.map(({ outcome }) => outcome));
    if (batch.candidates.length + batch.problems.length > 0) yield emit();
    return;
  }
  while (inFlight.length > 0) {
    await settle();
    if (batch.isFull()) yield emit();
  }
  if (batch.candidates.length + batch.problems.length > 0) yield emit();
}

/** Whether the mapping says what an item consists of or what its columns are. */
export function hasContentMapping(mapping: Mapping | undefined): boolean {
  return mapping !== undefined && Object.values(mapping).some((value) => value !== undefined);
}

/** One image or text file, with its label from the folder where that is asked for. Never throws for what is wrong with the file. */
export async function readEntry(entry: Entry, options: IngestOptions): Promise<Outcome> {
  const problems: ImportProblem[] = [];
  try {
    const isImage = entry.kind === 'image' || (await isImageFile(entry.path));
    const read = isImage
      ? await readImage(entry.path, options.maxPixels ?? DEFAULT_MAX_PIXELS)
      : { part: await readText(entry.path), fingerprint: null };
    const fingerprint = read.part.kind === 'text' ? fingerprintText(read.part.text) : read.fingerprint;
    const folders = entry.name.split('/').slice(0, -1);
    const label = options.labelsFromFolders && folders.length > 0 ? [folders[0].normalize('NFC')] : null;
    if (options.labelsFromFolders && label === null) {
      problems.push({
        source: entry.path,
        code: 'label-missing',
        message: `${entry.name} lies in no class folder; it was imported without a label.`,
        hint: 'Move it into the folder of its class, or label it here.',
      });
    }
    const parts = [read.part];
    return {
      candidate: {
        id: itemIdOf(parts, entry.name),
        name: entry.name,
        parts,
        group: null,
        label,
        fingerprint,
        source: entry.path,
      },
      problems,
    };
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return { candidate: null, problems: [problemOf(entry.path, error)] };
  }
}

export interface PlannedTable {
  table: OpenTable | null;
  plan: ColumnPlan | null;
  problem: ImportProblem | null;
}

/** Opens one table and decides its columns. A table that cannot be read is a problem; a named column that is missing throws. */
export async function planTable(entry: Entry, options: IngestOptions, thorough: boolean): Promise<PlannedTable> {
  try {
    const table = await openTable(entry.path, thorough, options.signal);
    return { table, plan: planColumns(table, options.mapping ?? {}), problem: null };
  } catch (error) {
    if (!(error instanceof EngineError) || error.code === 'column-missing') throw error;
    return { table: null, plan: null, problem: problemOf(entry.path, error) };
  }
}

export function problemOf(source: string, { code, message, hint }: EngineError): ImportProblem {
  return { source, code, message, hint };
}

async function openTables(
  entries: readonly Entry[],
  options: IngestOptions,
  start: number,
): Promise<Map<number, PlannedTable>> {
  const tables = new Map<number, PlannedTable>();
  for (let i = start; i < entries.length; i++) {
    if (options.signal?.aborted) break;
    if (entries[i].kind !== 'table') continue;
    const planned = await planTable(entries[i], options, true).catch((error: unknown) => {
      // What stopping interrupted says nothing about the table.
      if (options.signal?.aborted) return null;
      throw error;
    });
    if (planned === null) break;
    // Of a thousand tables the samples would be too much to hold.
    if (planned.table !== null) planned.table = { ...planned.table, sample: [] };
    tables.set(i, planned);
  }
  return tables;
}

interface Progress {
  done: number;
  cursor: string;
  /** By entry: how many files or rows, null where that is not known yet. */
  rowsOf: (number | null)[];
}

async function* steps(
  entries: readonly Entry[],
  start: number,
  resumedIn: number,
  tables: Map<number, PlannedTable>,
  options: IngestOptions,
  state: Progress,
): AsyncGenerator<Step> {
  for (let i = start; i < entries.length; i++) {
    const entry = entries[i];
    if (entry.kind !== 'table') {
      yield { work: () => readEntry(entry, options), entry: i, row: 0 };
      continue;
    }
    const { table, plan, problem } = tables.get(i) ?? { table: null, plan: null, problem: null };
    tables.delete(i);
    if (table !== null && plan !== null) yield* tableSteps(table, plan, i, i === start ? resumedIn : 0, options, state);
    else if (problem !== null) yield problemStep(i, 0, problem);
  }
}

/** The rows behind `resumedIn`; those before it only tell which ids were seen. */
async function* tableSteps(
  table: OpenTable,
  plan: ColumnPlan,
  entry: number,
  resumedIn: number,
  options: IngestOptions,
  state: Progress,
): AsyncGenerator<Step> {
  const { path } = table;
  const ids = new HashSet();
  let rows = 0;
  for await (const row of table.rows(options.signal)) {
    rows = row.number;
    const id = row.damage === null ? rowId(row, plan) : null;
    const repeated = id !== null && !ids.add(id);
    if (row.number <= resumedIn) continue;
    if (repeated && plan.idGiven) {
      yield problemStep(entry, row.number, {
        source: `${path}:${row.line}`,
        code: 'id-duplicate',
        message: `Line ${row.line} of ${basename(path)} repeats the id “${id}”; the earlier row was kept.`,
        hint: 'Give every row an id of its own, or choose another id column.',
      });
    } else {
      // An id that was only guessed and repeats is no name.
      const named = repeated ? { ...plan, id: null } : plan;
      yield { work: () => readRow(path, row, named, options), entry, row: row.number };
    }
  }
  if (options.signal?.aborted) return;
  state.rowsOf[entry] = Math.max(1, rows);
  if (rows > 0) return;
  yield problemStep(entry, 0, {
    source: path,
    code: 'row-empty',
    message: `${basename(path)} has columns but no rows.`,
    hint: 'Check whether the table was exported whole.',
  });
}

function problemStep(entry: number, row: number, problem: ImportProblem): Step {
  return { work: async () => ({ candidate: null, problems: [problem] }), entry, row };
}

function newBatch(found: readonly ImportProblem[]) {
  const batch = {
    candidates: [] as Candidate[],
    problems: [...found],
    units: 0,
    add({ candidate, problems }: Outcome) {
      batch.problems.push(...problems);
      if (candidate === null) return;
      batch.candidates.push(candidate);
      for (const part of candidate.parts) if (part.kind === 'text') batch.units += part.text.length;
    },
    isFull: () =>
      batch.candidates.length >= BATCH_ITEMS || batch.problems.length >= BATCH_ITEMS || batch.units >= BATCH_UNITS,
  };
  return batch;
}

interface Cursor {
  source: string;
  path: string;
  /** Of a table, from 1; 0 for a file that is one item. */
  row: number;
  done: number;
}

function parseCursor(text: string): Cursor | null {
  if (text === '') return null;
  const value: unknown = JSON.parse(text);
  assert(Array.isArray(value) && value.length === 4, 'a cursor that an earlier batch gave', text);
  const [source, path, row, done] = value as [string, string, number, number];
  return { source, path, row, done };
}

/** The first entry that is not wholly before the cursor: the table it stopped in, or what follows the file it stopped at. */
function firstFrom(entries: readonly Entry[], cursor: Cursor): number {
  const index = entries.findIndex((entry) => {
    const order = byPath(entry.source, cursor.source) || byPath(entry.path, cursor.path);
    return order > 0 || (order === 0 && cursor.row > 0);
  });
  return index === -1 ? entries.length : index;
}
