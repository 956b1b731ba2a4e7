/**
 * Labels → files: one writer per format, from one table. JSONL is the exact one: it loses
 * nothing. CSV is for spreadsheets and is inert there: a text cell that a spreadsheet
 * would take for a formula begins with an apostrophe (OWASP, CSV injection); numbers stay
 * numbers.
 */
import type { ItemId } from '../domain/item.ts';

/** One labelled item, with where its label comes from. */
export interface ExportRow {
  item: ItemId;
  name: string;
  group: string | null;
  source: string;
  /** SHA-256 of the parts' bytes, in order; numbers have none. */
  sha256: string[];
  classes: string[];
  annotator: string;
  /** Milliseconds since 1970, UTC. */
  at: number;
  durationMs: number;
  /** The annotation that decided, and its hash in the chain. */
  annotation: number;
  hash: string;
  schemaVersion: number;
  /** `pool` or `audit`. */
  role: string;
  /** What the model had suggested, whether or not it was visible. */
  suggested: { classes: string[]; probability: number; modelVersion: number; visible: boolean } | null;
}

export interface Writer {
  /** Pieces of the file, in order. */
  write(rows: Iterable<ExportRow>): Generator<string>;
}

const COLUMNS: Record<string, (row: ExportRow) => string | number | null> = {
  item: (row) => row.item,
  name: (row) => row.name,
  group: (row) => row.group,
  source: (row) => row.source,
  label: (row) => row.classes.join('|'),
  annotator: (row) => row.annotator,
  at: (row) => new Date(row.at).toISOString(),
  duration_ms: (row) => Math.round(row.durationMs),
  annotation: (row) => row.annotation,
  hash: (row) => row.hash,
  schema_version: (row) => row.schemaVersion,
  role: (row) => row.role,
  suggested: (row) => row.suggested?.classes.join('|') ?? null,
  suggested_probability: (row) => row.suggested?.probability ?? null,
  suggestion_visible: (row) => (row.suggested ? Number(row.suggested.visible) : null),
  model_version: (row) => row.suggested?.modelVersion ?? null,
  sha256: (row) => row.sha256.join('|'),
};

const csv: Writer = {
  *write(rows) {
    yield `${Object.keys(COLUMNS).join(',')}\r\n`;
    for (const row of rows)
      yield `${Object.values(COLUMNS)
        .map((cell) => csvCell(cell(row)))
        .join(',')}\r\n`;
  },
};

const jsonl: Writer = {
  *write(rows) {
    for (const row of rows) yield `${JSON.stringify({ ...row, at: new Date(row.at).toISOString() })}\n`;
  },
};

/** Every format by the name that `--format` takes. */
export const WRITERS: Readonly<Record<string, Writer>> = { csv, jsonl };

/** A cell by RFC 4180, made inert where it is text: also full-width signs, which some spreadsheets fold. */
export function csvCell(value: string | number | null): string {
  if (value === null) return '';
  if (typeof value === 'number') return String(value);
  const inert = /^[=+\-@\t\r\n\0＝＋－＠]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}
