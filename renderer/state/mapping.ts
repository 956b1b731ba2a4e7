/**
 * What a table's columns are, as the person chose it, and names out of paths: pure
 * functions of the import steps.
 */
import type { ImportOptionsData, PreviewData } from '../../main/api.ts';

export const ROLES = ['ignore', 'text', 'image', 'numbers', 'id', 'group', 'label', 'attribute'] as const;
export type Role = (typeof ROLES)[number];

/** Whether several columns may have it. */
export const isShared = (role: Role): boolean => ['numbers', 'attribute', 'ignore'].includes(role);

/** The last name in a path of either kind. */
export function baseName(path: string): string {
  return (
    path
      .replace(/[/\\]+$/, '')
      .split(/[/\\]/)
      .at(-1) ?? ''
  );
}

/** The folder that a file lies in. */
export function folderOf(path: string): string {
  const folder = path.slice(0, Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')));
  return /^([A-Za-z]:)?$/.test(folder) ? path.slice(0, folder.length + 1) : folder;
}

/**
 * What each column starts as: the engine's guess; else what the rows it read show it took
 * the column for: a measurement, or the text.
 */
export function rolesOf({ columns, rows }: PreviewData): Record<string, Role> {
  const parts = rows.flatMap((row) => row.parts);
  const measured = new Set(parts.flatMap((part) => (part.kind === 'numbers' ? Object.keys(part.values) : [])));
  const texts = parts.flatMap((part) => (part.kind === 'text' ? [part.text.trim()] : []));
  const isText = (sample: string) =>
    texts.some((text) => sample !== '' && text.startsWith(sample.replace(/…$/, '').trim()));
  const seen = (column: PreviewData['columns'][number]): Role => {
    if (measured.has(column.name)) return 'numbers';
    return column.samples.some(isText) ? 'text' : 'ignore';
  };
  const roles: Record<string, Role> = {};
  const taken = new Set<Role>();
  // What the engine names comes first.
  for (const column of columns.toSorted((a, b) => Number(a.guess === null) - Number(b.guess === null))) {
    const role = ROLES.find((r) => r === column.guess) ?? seen(column);
    roles[column.name] = !isShared(role) && taken.has(role) ? 'ignore' : role;
    taken.add(role);
  }
  return roles;
}

/** The numbers in what somebody typed, whatever stands between them. */
export function numbersIn(text: string): number[] {
  return [...text.matchAll(/[-+]?\d*\.?\d+(?:e[-+]?\d+)?/gi)].map(([digits]) => Number(digits));
}

/** Columns' roles as the contract's mapping; only numbers and attributes may have several columns. A table without id or group says so, or the engine would guess one. */
export function mappingOf(roles: Record<string, Role>): ImportOptionsData['mapping'] {
  const mapping: ImportOptionsData['mapping'] = { id: null, group: null };
  const numbers: string[] = [];
  const attributes: string[] = [];
  for (const [column, role] of Object.entries(roles)) {
    if (role === 'numbers') numbers.push(column);
    else if (role === 'attribute') attributes.push(column);
    else if (role !== 'ignore') mapping[role] ??= column;
  }
  if (numbers.length > 0) mapping.numbers = numbers;
  if (attributes.length > 0) mapping.attributes = attributes;
  return mapping;
}
