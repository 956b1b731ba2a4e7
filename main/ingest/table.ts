/**
 * Rows of a table, streamed: CSV and TSV (RFC 4180, with csv-parse; the delimiter is found
 * in the first lines) and JSON Lines. A line that cannot be read is a damaged row with its
 * line number, and reading goes on at the next line: a quote that is never closed costs one
 * line, not the rest of the file. No more than a few megabytes are held, whatever the file.
 */
import { createReadStream } from 'node:fs';
import { basename, extname } from 'node:path';
import { parse } from 'csv-parse/sync';
import { EngineError } from '../domain/errors.ts';
import { detectFileEncoding } from './text-encoding.ts';
import { statFile, unreadable } from '../imaging/index.ts';

/** A cell as the file has it: CSV gives strings, JSON also numbers, booleans and lists. */
export type Cell = string | number | boolean | null | readonly unknown[] | object;

/** One row, or why the line gave none. `number` counts rows from 1, damaged ones too. */
export interface Row {
  number: number;
  /** Of the file, from 1. */
  line: number;
  cells: Map<string, Cell>;
  damage: string | null;
}

export interface OpenTable {
  path: string;
  format: 'csv' | 'tsv' | 'jsonl';
  /** Of CSV; null for JSON Lines. */
  delimiter: string | null;
  /** From the header; for JSON Lines the keys of the first rows, in order of appearance. */
  columns: string[];
  /** The first rows (at most 1,000), from which roles and kinds of columns follow. */
  sample: Row[];
  /** About how many rows there are, or null where the file was not read to its end. */
  estimatedRows: number | null;
  rows(signal?: AbortSignal): AsyncGenerator<Row>;
}

const SAMPLE_ROWS = 1000;
/** A sample of long texts ends earlier. In UTF-16 units, or cells that are not text. */
const SAMPLE_UNITS = 4 * 2 ** 20;
/** A longer line is damaged: nothing that a person could annotate is that long. In UTF-16 units. */
const MAX_LINE = 16 * 2 ** 20;
/** A quoted field may run over this many lines; more, and its quote was never closed. */
const MAX_RECORD_LINES = 2000;
const MAX_RECORD_UNITS = 4 * 2 ** 20;
/** This much is given to the CSV parser at once. */
const BLOCK_UNITS = 256 * 1024;

/** Opens a table and reads its first rows. `thorough` reads the file once to its end to be sure of its encoding. Errors: `source-unreadable`, `file-empty`, `text-encoding-unknown`, `table-damaged`. */
export async function openTable(path: string, thorough: boolean, signal?: AbortSignal): Promise<OpenTable> {
  await statFile(path);
  const { encoding, newlines, complete } = await detectFileEncoding(path, thorough, signal).catch((cause) => {
    throw cause instanceof EngineError || signal?.aborted ? cause : unreadable(path, cause);
  });
  const extension = extname(path).toLowerCase();
  const format = extension === '.jsonl' || extension === '.ndjson' ? 'jsonl' : extension === '.csv' ? 'csv' : 'tsv';
  const lines = (stop?: AbortSignal) => readLines(path, encoding, stop);
  if (format === 'jsonl') {
    const sample = await take(readJsonLines(lines(signal)), SAMPLE_ROWS, unitsOf);
    const columns = [...new Set(sample.flatMap((row) => [...row.cells.keys()]))];
    const estimatedRows = complete ? newlines + 1 : null;
    return {
      path,
      format,
      delimiter: null,
      columns,
      sample,
      estimatedRows,
      rows: (stop) => readJsonLines(lines(stop)),
    };
  }
  const head = await take(lines(signal), 20, (line) => line.text.length);
  const delimiter = findDelimiter(
    head.map((line) => line.text),
    format === 'tsv' ? '\t' : ',',
  );
  const header = await take(readRecords(lines(signal), delimiter, null), 1);
  if (header.length === 0 || header[0].fields === null) {
    throw new EngineError(
      'table-damaged',
      `${basename(path)} has no header that can be read.`,
      'Give the first line the names of the columns.',
      { path },
    );
  }
  const columns = nameColumns(header[0].fields);
  const rows = (stop?: AbortSignal) => readCsv(lines(stop), delimiter, columns);
  const sample = await take(rows(signal), SAMPLE_ROWS, unitsOf);
  return { path, format, delimiter, columns, sample, estimatedRows: complete ? newlines : null, rows };
}

async function take<T>(values: AsyncGenerator<T>, count: number, size: (value: T) => number = () => 0): Promise<T[]> {
  const taken: T[] = [];
  let units = 0;
  for await (const value of values) {
    taken.push(value);
    units += size(value);
    if (taken.length === count || units > SAMPLE_UNITS) break;
  }
  return taken;
}

function unitsOf(row: Row): number {
  let units = row.cells.size;
  for (const cell of row.cells.values()) if (typeof cell === 'string') units += cell.length;
  return units;
}

/** Empty names become `column 3`, repeated ones get a number. */
function nameColumns(fields: readonly string[]): string[] {
  const names = new Set<string>();
  for (const [i, field] of fields.entries()) {
    const wanted = field.trim() || `column ${i + 1}`;
    let name = wanted;
    for (let n = 2; names.has(name); n++) name = `${wanted} (${n})`;
    names.add(name);
  }
  return [...names];
}

/** The delimiter that splits the first lines most evenly, quoted text left out. */
function findDelimiter(lines: readonly string[], usual: string): string {
  const bare = lines.map((line) => line.replaceAll(/"[^"]*"/g, '')).filter((line) => line !== '');
  const first = bare[0] ?? '';
  let best = usual;
  let bestScore = 0;
  for (const delimiter of [usual, ',', ';', '\t', '|']) {
    const count = first.split(delimiter).length - 1;
    if (count === 0) continue;
    const same = bare.filter((line) => line.split(delimiter).length - 1 === count).length / bare.length;
    const score = same * 4 + Math.min(count, 10) / 10;
    if (score > bestScore) [best, bestScore] = [delimiter, score];
  }
  return best;
}

interface Line {
  number: number;
  text: string;
  /** Why the line cannot be used, whatever is on it. */
  damage: string | null;
}

const TOO_LONG = `the line is longer than ${MAX_LINE / 2 ** 20} million characters`;
const NOT_DECODED = 'it holds bytes that are not in the encoding of the rest';

async function* readLines(path: string, encoding: string, signal?: AbortSignal): AsyncGenerator<Line> {
  const decoder = new TextDecoder(encoding);
  let rest = '';
  let number = 0;
  let dropping = false;
  const stream = createReadStream(path, { highWaterMark: 2 ** 18, signal });
  const finish = (text: string): Line => {
    const damage = dropping ? TOO_LONG : encoding !== 'utf-8' && text.includes('\ufffd') ? NOT_DECODED : null;
    const line = {
      number: ++number,
      text: damage !== null ? '' : text.endsWith('\r') ? text.slice(0, -1) : text,
      damage,
    };
    dropping = false;
    return line;
  };
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      const text = rest + decoder.decode(chunk, { stream: true });
      let start = 0;
      for (let end = text.indexOf('\n', Math.max(0, rest.length - 1)); end !== -1; end = text.indexOf('\n', start)) {
        yield finish(text.slice(start, end));
        start = end + 1;
      }
      rest = text.slice(start);
      if (rest.length > MAX_LINE) dropping = true;
      if (dropping) rest = '';
    }
  } catch (cause) {
    if (signal?.aborted) return;
    throw cause instanceof EngineError ? cause : unreadable(path, cause);
  }
  rest += decoder.decode();
  if (rest !== '' || dropping) yield finish(rest);
}

async function* readJsonLines(lines: AsyncGenerator<Line>): AsyncGenerator<Row> {
  let number = 0;
  for await (const line of lines) {
    if (line.damage === null && line.text.trim() === '') continue;
    yield { number: ++number, line: line.number, ...parseJsonLine(line) };
  }
}

function parseJsonLine(line: Line): Pick<Row, 'cells' | 'damage'> {
  const damaged = (damage: string) => ({ cells: new Map<string, Cell>(), damage });
  if (line.damage !== null) return damaged(line.damage);
  let value: unknown;
  try {
    value = JSON.parse(line.text);
  } catch (error) {
    // The engine's own words may quote half the line.
    return damaged(`it is not JSON (${(error as Error).message.slice(0, 80)})`);
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return damaged('it is not a JSON object');
  return { cells: new Map(Object.entries(value as Record<string, Cell>)), damage: null };
}

interface CsvRecord {
  line: number;
  fields: string[] | null;
  damage: string | null;
}

async function* readCsv(
  lines: AsyncGenerator<Line>,
  delimiter: string,
  columns: readonly string[],
): AsyncGenerator<Row> {
  let number = 0;
  let isHeader = true;
  for await (const record of readRecords(lines, delimiter, columns.length)) {
    if (isHeader) {
      isHeader = false;
      continue;
    }
    const { line, fields, damage } = record;
    const cells = new Map<string, Cell>();
    if (fields !== null) for (const [i, column] of columns.entries()) cells.set(column, fields[i]);
    yield { number: ++number, line, cells, damage };
  }
}

/**
 * Groups lines into records by the parity of their quotes. One-line records are parsed block by block; a record of several lines is
 * parsed alone, and where that fails only its first line is given up and the others are read afresh. `width` null reads the header.
 */
async function* readRecords(
  lines: AsyncGenerator<Line>,
  delimiter: string,
  width: number | null,
): AsyncGenerator<CsvRecord> {
  let block: Line[] = [];
  let blockUnits = 0;
  let pending: Line[] = [];
  let pendingUnits = 0;
  const again: Line[] = [];
  const flush = () => {
    const full = block;
    [block, blockUnits] = [[], 0];
    return parseBlock(full, delimiter, width);
  };
  try {
    for (;;) {
      const line = again.pop() ?? ((await lines.next()).value as Line | undefined);
      const ends =
        line === undefined ||
        line.damage !== null ||
        pending.length >= MAX_RECORD_LINES ||
        pendingUnits > MAX_RECORD_UNITS;
      if (pending.length > 0 && ends) {
        yield* flush();
        yield parseAlone(pending[0], delimiter, width);
        if (line !== undefined) again.push(line);
        again.push(...pending.slice(1).reverse());
        [pending, pendingUnits] = [[], 0];
        continue;
      }
      if (line === undefined) break;
      if (line.damage !== null) {
        yield* flush();
        yield { line: line.number, fields: null, damage: line.damage };
        continue;
      }
      const odd = hasOddQuotes(line.text);
      if (pending.length === 0 && !odd) {
        if (line.text === '') continue;
        block.push(line);
        blockUnits += line.text.length;
        if (width === null || blockUnits > BLOCK_UNITS) yield* flush();
        continue;
      }
      pending.push(line);
      pendingUnits += line.text.length;
      if (pending.length === 1 || !odd) continue;
      yield* flush();
      const [record] = tryParse(pending.map((part) => part.text).join('\n'), delimiter, 'quoted') ?? [];
      // In tab-separated tables a quote is often just a quote: what runs over lines and tabs was never one cell.
      const swallowed = delimiter === '\t' && record?.some((field) => field.includes('\n') && field.includes('\t'));
      const fields = record === undefined || swallowed ? null : fitWidth(record, width);
      yield fields === null
        ? parseAlone(pending[0], delimiter, width)
        : { line: pending[0].number, fields, damage: null };
      if (fields === null) again.push(...pending.slice(1).reverse());
      [pending, pendingUnits] = [[], 0];
    }
    yield* flush();
  } finally {
    await lines.return(undefined);
  }
}

function* parseBlock(block: readonly Line[], delimiter: string, width: number | null): Generator<CsvRecord> {
  if (block.length === 0) return;
  const records = tryParse(block.map((line) => line.text).join('\n'), delimiter, 'quoted');
  for (const [i, line] of block.entries()) {
    const fields = records?.length === block.length ? fitWidth(records[i], width) : null;
    yield fields === null ? parseAlone(line, delimiter, width) : { line: line.number, fields, damage: null };
  }
}

/** One line by itself, quotes inside a field allowed; says what is wrong where that gives no record either. */
function parseAlone(line: Line, delimiter: string, width: number | null): CsvRecord {
  const [record] = tryParse(line.text, delimiter, 'relaxed') ?? [];
  const [plain] = delimiter === '\t' ? (tryParse(line.text, delimiter, 'plain') ?? []) : [];
  for (const read of [record, plain]) {
    const fields = read === undefined ? null : fitWidth(read, width);
    if (fields !== null) return { line: line.number, fields, damage: null };
  }
  const damage =
    record === undefined
      ? 'a quote is opened and never closed'
      : `it has ${record.length} ${record.length === 1 ? 'field' : 'fields'} and the header has ${width}`;
  return { line: line.number, fields: null, damage };
}

/** `relaxed` allows quotes inside a field that does not begin with one; `plain` gives quotes no meaning. */
function tryParse(text: string, delimiter: string, quotes: 'quoted' | 'relaxed' | 'plain'): string[][] | null {
  try {
    const quote = quotes === 'plain' ? null : '"';
    return parse(text, {
      delimiter,
      quote,
      record_delimiter: '\n',
      relax_column_count: true,
      relax_quotes: quotes === 'relaxed',
    });
  } catch {
    return null;
  }
}

/** The fields when they are as many as the header's; empty ones beyond are dropped. */
function fitWidth(fields: string[], width: number | null): string[] | null {
  if (width === null || fields.length === width) return fields;
  return fields.length > width && fields.slice(width).every((field) => field === '') ? fields.slice(0, width) : null;
}

function hasOddQuotes(text: string): boolean {
  let odd = false;
  for (let at = text.indexOf('"'); at !== -1; at = text.indexOf('"', at + 1)) odd = !odd;
  return odd;
}
