/**
 * What the columns of a table are for. A mapping given by a person is checked against the
 * columns there are; what it leaves open is guessed from names and from the first rows.
 * Labels are only ever guessed for a person to see: a label column is used when it is
 * asked for, and never otherwise.
 *
 * Which columns `numbers: 'auto'` takes: those not used for anything else and not named
 * like an id, a group or a label, in which at least 95 % of the first 1,000 rows' recorded
 * cells are finite numbers (a measurement), or which hold at most 20 different values of at
 * most 40 characters, each on average in two rows or more (a category). Cells that are
 * empty, NA, N/A, NaN, null, none, ? or - are not recorded.
 */
import { basename } from 'node:path';
import { EngineError } from '../domain/errors.ts';
import type { Cell, OpenTable, Row } from './table.ts';

/** Which column is what; `null` says that no column is, where leaving it out would let it be guessed. `numbers: 'auto'` takes the columns that look like measurements. */
export interface Mapping {
  text?: string;
  image?: string;
  numbers?: string[] | 'auto';
  id?: string | null;
  group?: string | null;
  label?: string;
  /** Kept beside each item to compare subgroups; never shown to a model. */
  attributes?: string[];
}

export type Role = 'text' | 'image' | 'numbers' | 'id' | 'group' | 'label';

/** A mapping decided for one table. */
export interface ColumnPlan {
  text: string | null;
  image: string | null;
  numbers: { column: string; kind: 'measurement' | 'category' }[];
  id: string | null;
  /** Whether a person named the id column: only then is a repeated id a problem. */
  idGiven: boolean;
  group: string | null;
  label: string | null;
  attributes: string[];
  /** In `;`-separated tables 3,5 is a number. */
  decimalComma: boolean;
}

const NAMES: readonly [Role, RegExp][] = [
  ['id', /^(id|uid|uuid|key|item_?id|row_?id|record_?id|编号|序号)$/i],
  [
    'group',
    /^(group|patient|patient_?(id|no|nr)|subject|subject_?id|case|case_?id|slide|slide_?id|study_?id|topic|患者|病人|病例号|patient(en)?_?nummer)$/i,
  ],
  ['label', /^(label|labels|class|classes|target|category|diagnosis|outcome|y|gold|标签|类别|诊断|diagnose|klasse)$/i],
  [
    'image',
    /^(image|images|img|image_?(path|file|name)|picture|photo|path|file|file_?name|file_?path|图像|图片|bild)$/i,
  ],
  [
    'text',
    /^(text|report|answer|note|notes|sentence|abstract|body|content|document|findings|impression|comment|description|narrative|文本|报告|内容|befund)$/i,
  ],
];

const IMAGE_NAME = /\.(png|jpe?g|jpe|jfif|webp|tiff?|gif|bmp|dib)$/i;

/** What a column looks like it is for, from its name, and for images from its cells; null where it looks like nothing known. */
export function guessRole(column: string, sample: readonly Row[]): Role | null {
  const name = column.trim().replaceAll(/[\s-]+/g, '_');
  const role = NAMES.find(([, pattern]) => pattern.test(name))?.[0] ?? null;
  const cells = recorded(column, sample);
  const imageShare =
    cells.length === 0
      ? 0
      : cells.filter((cell) => typeof cell === 'string' && IMAGE_NAME.test(cell)).length / cells.length;
  if (role === 'image' || role === null || role === 'text') {
    if (imageShare >= 0.8) return 'image';
    if (role === 'image' && cells.length > 0) return null;
  }
  return role;
}

/** Decides every column's use. Errors: `column-missing`, when a named column is not there or nothing could be shown. */
export function planColumns(table: OpenTable, mapping: Mapping): ColumnPlan {
  const { columns, sample } = table;
  const numbersNamed = Array.isArray(mapping.numbers) ? mapping.numbers : [];
  const named = [
    mapping.text,
    mapping.image,
    mapping.id,
    mapping.group,
    mapping.label,
    ...numbersNamed,
    ...(mapping.attributes ?? []),
  ];
  const missing = [
    ...new Set(named.filter((name): name is string => typeof name === 'string' && !columns.includes(name))),
  ];
  if (missing.length > 0) {
    throw columnMissing(
      table,
      `${basename(table.path)} has no column ${missing.map((name) => `“${name}”`).join(', ')}.`,
      missing,
    );
  }
  const used = new Set(named);
  const roles = new Map(columns.map((column) => [column, guessRole(column, sample)]));
  const guess = (role: Role) => columns.find((column) => !used.has(column) && roles.get(column) === role) ?? null;
  const decimalComma = table.delimiter === ';';
  const contentGiven = mapping.text !== undefined || mapping.image !== undefined || mapping.numbers !== undefined;
  const id = mapping.id === undefined ? guess('id') : mapping.id;
  const group = mapping.group === undefined ? guess('group') : mapping.group;
  const image = mapping.image ?? (contentGiven ? null : guess('image'));
  let text = mapping.text ?? (contentGiven ? null : guess('text'));
  for (const column of [id, group, image, text]) if (column !== null) used.add(column);
  const auto = () =>
    columns.flatMap((column) => {
      const role = roles.get(column);
      if (used.has(column) || role === 'id' || role === 'group' || role === 'label') return [];
      const kind = numberKind(column, sample, decimalComma);
      return kind === null ? [] : [{ column, kind }];
    });
  let numbers: ColumnPlan['numbers'] = [];
  if (mapping.numbers === 'auto') numbers = auto();
  else if (numbersNamed.length > 0) {
    numbers = numbersNamed.map((column) => ({
      column,
      kind: isMeasured(recorded(column, sample), decimalComma, 0.5) ? 'measurement' : 'category',
    }));
  } else if (!contentGiven && text === null && image === null) {
    text = longestText(
      columns.filter((column) => !used.has(column) && roles.get(column) !== 'label'),
      sample,
    );
    if (text === null) numbers = auto();
  }
  if (text === null && image === null && numbers.length === 0) {
    throw columnMissing(
      table,
      `${basename(table.path)} has no column that looks like a text, an image or measurements.`,
      [],
    );
  }
  return {
    text,
    image,
    numbers,
    id,
    idGiven: typeof mapping.id === 'string',
    group,
    label: mapping.label ?? null,
    attributes: [...new Set(mapping.attributes)],
    decimalComma,
  };
}

/** The mapping that a plan amounts to, for a person to confirm. */
export function mappingOf(plan: ColumnPlan): Mapping {
  const mapping: Mapping = {};
  if (plan.text !== null) mapping.text = plan.text;
  if (plan.image !== null) mapping.image = plan.image;
  if (plan.numbers.length > 0) mapping.numbers = plan.numbers.map(({ column }) => column);
  if (plan.id !== null) mapping.id = plan.id;
  if (plan.group !== null) mapping.group = plan.group;
  if (plan.label !== null) mapping.label = plan.label;
  if (plan.attributes.length > 0) mapping.attributes = plan.attributes;
  return mapping;
}

/** Whether a cell says that nothing was recorded. */
export function isMissing(cell: Cell | undefined): boolean {
  return (
    cell === undefined ||
    cell === null ||
    (typeof cell === 'string' && /^\s*(|na|n\/a|nan|null|none|\?|-)\s*$/i.test(cell))
  );
}

/** The finite number a cell holds, or null. */
export function numberOf(cell: Cell, decimalComma: boolean): number | null {
  if (typeof cell === 'number') return Number.isFinite(cell) ? cell : null;
  if (typeof cell === 'boolean') return cell ? 1 : 0;
  if (typeof cell !== 'string') return null;
  const text = cell.trim();
  const plain = decimalComma && /^[+-]?\d+,\d+$/.test(text) ? text.replace(',', '.') : text;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain)) return null;
  const value = Number(plain);
  return Number.isFinite(value) ? value : null;
}

function recorded(column: string, sample: readonly Row[]): Cell[] {
  return sample.flatMap((row) => {
    const cell = row.cells.get(column);
    return cell === undefined || isMissing(cell) ? [] : [cell];
  });
}

function isMeasured(cells: readonly Cell[], decimalComma: boolean, least: number): boolean {
  return (
    cells.length > 0 && cells.filter((cell) => numberOf(cell, decimalComma) !== null).length >= least * cells.length
  );
}

function numberKind(column: string, sample: readonly Row[], decimalComma: boolean): 'measurement' | 'category' | null {
  const cells = recorded(column, sample);
  if (isMeasured(cells, decimalComma, 0.95)) return 'measurement';
  if (cells.length === 0 || cells.some((cell) => typeof cell === 'object' || String(cell).length > 40)) return null;
  const different = new Set(cells.map(String)).size;
  return different <= 20 && different * 2 <= cells.length ? 'category' : null;
}

/** The column with the longest cells, where they are longer than a name: 20 characters on average. */
function longestText(columns: readonly string[], sample: readonly Row[]): string | null {
  let best: string | null = null;
  let bestLength = 20;
  for (const column of columns) {
    const cells = recorded(column, sample).filter((cell) => typeof cell === 'string');
    const length = cells.reduce((sum, cell) => sum + cell.length, 0) / Math.max(1, cells.length);
    if (length >= bestLength) [best, bestLength] = [column, length];
  }
  return best;
}

function columnMissing(table: OpenTable, message: string, missing: string[]): EngineError {
  return new EngineError('column-missing', message, `Choose among its columns: ${table.columns.join(', ')}.`, {
    path: table.path,
    missing,
    columns: table.columns,
  });
}
