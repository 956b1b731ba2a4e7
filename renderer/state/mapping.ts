/**
 * What a table's columns are, as the person chose it, and names out of paths: pure
 * functions of the import steps.
 */
import type { ImportOptionsData } from '../../main/api.ts';

export const ROLES = ['ignore', 'text', 'image', 'numbers', 'id', 'group', 'label'] as const;
export type Role = (typeof ROLES)[number];

/** The last name in a path of either kind. */
export function baseName(path: string): string {
  return (
    path
      .replace(/[/\\]+$/, '')
      .split(/[/\\]/)
      .at(-1) ?? ''
  );
}

/** Columns' roles as the contract's mapping; only numbers may have several columns. */
export function mappingOf(roles: Record<string, Role>): ImportOptionsData['mapping'] {
  const mapping: ImportOptionsData['mapping'] = {};
  const numbers: string[] = [];
  for (const [column, role] of Object.entries(roles)) {
    if (role === 'numbers') numbers.push(column);
    else if (role !== 'ignore') mapping[role] ??= column;
  }
  if (numbers.length > 0) mapping.numbers = numbers;
  return mapping;
}
