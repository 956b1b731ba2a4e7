/**
 * One row of a table to one candidate: its text, its image, its numbers, or several of
 * them. A row whose image cannot be read is no candidate, since it would be shown without
 * the thing to look at; a row that lacks a label where one was asked for is one.
 */
import { basename, dirname, resolve } from 'node:path';
import { EngineError } from '../domain/errors.ts';
import { itemIdOf } from '../domain/item.ts';
import type { Candidate, Fingerprint, ImportProblem, Part } from '../domain/item.ts';
import { isMissing, numberOf } from './columns.ts';
import type { ColumnPlan } from './columns.ts';
import { fingerprintText } from './fingerprint-text.ts';
import { DEFAULT_MAX_PIXELS } from '../imaging/index.ts';
import { readImage, textPart } from './read-file.ts';
import type { Cell, Row } from './table.ts';

/** What reading one entry or row gave: a candidate, problems, or both. */
export interface Outcome {
  candidate: Candidate | null;
  problems: ImportProblem[];
}

export interface RowOptions {
  /** Splits a label cell into several classes. */
  labelSeparator?: string;
  maxPixels?: number;
}

/** In UTF-16 units; what is longer is no group of items. */
const LONGEST_ATTRIBUTE = 200;

/** Reads one row by its plan. Never throws for what is wrong with the row. */
export async function readRow(path: string, row: Row, plan: ColumnPlan, options: RowOptions): Promise<Outcome> {
  const maxPixels = options.maxPixels ?? DEFAULT_MAX_PIXELS;
  const source = `${path}:${row.line}`;
  const problems: ImportProblem[] = [];
  const note = (code: ImportProblem['code'], message: string, hint: string) =>
    problems.push({ source, code, message, hint });
  const refuse = (code: ImportProblem['code'], message: string, hint: string): Outcome => {
    note(code, message, hint);
    return { candidate: null, problems };
  };
  if (row.damage !== null) {
    return refuse(
      'table-damaged',
      `Line ${row.line} of ${basename(path)} was left out: ${row.damage}.`,
      'Correct the line and import the table again.',
    );
  }
  const cell = (column: string | null): Cell => (column === null ? null : (row.cells.get(column) ?? null));
  const textCell = cell(plan.text);
  const imageCell = cell(plan.image);
  const [text, imageName] = [textOf(textCell), textOf(imageCell)?.trim()];
  if ((text === null && isComposite(textCell)) || (imageName === undefined && isComposite(imageCell))) {
    return refuse(
      'table-damaged',
      `Line ${row.line} of ${basename(path)} has a list or an object where a text or a path belongs.`,
      'Make every cell one text.',
    );
  }
  const parts: Part[] = [];
  let fingerprint: Fingerprint | null = null;
  if (imageName !== undefined && imageName !== '') {
    try {
      const image = await readReferredImage(dirname(path), imageName, maxPixels);
      parts.push(image.part);
      fingerprint = image.fingerprint;
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      return refuse(error.code, `Line ${row.line}: ${error.message}`, error.hint);
    }
  }
  if (text !== null && text.trim() !== '') {
    parts.push(textPart(text, null));
    fingerprint ??= fingerprintText(text);
  }
  const values = plan.numbers.map(({ column, kind }) => {
    const value = cell(column);
    if (isMissing(value)) return [column, null] as const;
    const read = kind === 'category' ? textOf(value) : numberOf(value, plan.decimalComma);
    if (read === null) {
      const shown = (textOf(value) ?? 'a list or an object').slice(0, 40);
      note(
        'table-damaged',
        `Line ${row.line}: “${shown}” in ${column} is not ${kind === 'category' ? 'one value' : 'a finite number'}; it counts as not recorded.`,
        'Correct the cell, or leave it empty.',
      );
    }
    return [column, read] as const;
  });
  // Own properties whatever the columns are called, `__proto__` too.
  if (values.some(([, value]) => value !== null)) parts.push({ kind: 'numbers', values: Object.fromEntries(values) });
  if (parts.length === 0) {
    return refuse(
      'row-empty',
      `Line ${row.line} of ${basename(path)} has nothing to show.`,
      'Fill its text, image or numbers, or remove the line.',
    );
  }
  const label = plan.label === null ? null : labelsOf(cell(plan.label), options.labelSeparator);
  if (plan.label !== null && label === null) {
    note(
      'label-missing',
      `Line ${row.line} of ${basename(path)} has no label; it was imported without one.`,
      `Fill ${plan.label}, or label the item here.`,
    );
  }
  const given = textOf(cell(plan.id))?.trim() || null;
  const name = given ?? (imageName || `${basename(path)}:${row.line}`);
  const candidate: Candidate = {
    id: itemIdOf(parts, name),
    name,
    parts,
    group: textOf(cell(plan.group))?.trim() || null,
    label,
    fingerprint,
    ...(plan.attributes.length > 0 && { attributes: attributesOf(row, plan) }),
    source,
  };
  return { candidate, problems };
}

function attributesOf(row: Row, { attributes }: ColumnPlan): Record<string, string> {
  const recorded = attributes.flatMap((column) => {
    const cell = row.cells.get(column);
    const value = isMissing(cell) ? null : textOf(cell ?? null);
    return value === null ? [] : [[column, value.trim().normalize('NFC').slice(0, LONGEST_ATTRIBUTE)] as const];
  });
  return Object.fromEntries(recorded);
}

/** The id a row carries, or null. */
export function rowId(row: Row, plan: ColumnPlan): string | null {
  return plan.id === null ? null : textOf(row.cells.get(plan.id) ?? null)?.trim() || null;
}

/** Paths in a table are relative to it; a table made on Windows may use backslashes. */
async function readReferredImage(
  folder: string,
  name: string,
  maxPixels: number,
): Promise<Awaited<ReturnType<typeof readImage>>> {
  try {
    return await readImage(resolve(folder, name), maxPixels);
  } catch (error) {
    const mayBeWindows = name.includes('\\') && error instanceof EngineError && error.code === 'source-unreadable';
    if (!mayBeWindows) throw error;
    return readImage(resolve(folder, name.replaceAll('\\', '/')), maxPixels);
  }
}

function isComposite(cell: Cell): boolean {
  return cell !== null && typeof cell === 'object';
}

function textOf(cell: Cell): string | null {
  return cell === null || typeof cell === 'object' ? null : String(cell);
}

function labelsOf(cell: Cell, separator: string | undefined): string[] | null {
  const cells: unknown[] = Array.isArray(cell) ? cell : [cell];
  const labels = cells
    .filter((value) => typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    .flatMap((value) => (separator === undefined ? [String(value)] : String(value).split(separator)))
    .map((value) => value.trim().normalize('NFC'))
    .filter((value) => value !== '');
  return labels.length === 0 ? null : [...new Set(labels)];
}
