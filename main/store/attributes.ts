/**
 * What is known about items beside what is shown of them: sex, age, site, scanner. Named
 * columns of imported tables, and the columns of items that are numbers, which need no
 * naming. Written by imports; where a name is both, the imported column counts.
 */
import type { Db } from './connection.ts';

export interface AttributeReader {
  /** Of all attributes there are, in order. */
  names(): string[];
  /** Values by the item's `seq`, where recorded. None for a name that there is not. */
  valuesOf(name: string): Map<number, string | number>;
}

/** Items of which the columns of numbers are looked up: a table's rows have the same ones. */
const LOOKED_AT = 1000;

/** Reads on any connection. */
export function createAttributeReader(db: Db): AttributeReader {
  const imported = db.prepare<[], string>('SELECT DISTINCT name FROM attributes').pluck();
  const columns = db
    .prepare<[number], string>(
      `SELECT DISTINCT j.key FROM (SELECT body FROM parts WHERE kind = 'numbers' LIMIT ?) p, json_each(p.body) j`,
    )
    .pluck();
  const values = db.prepare<[string], [number, string]>('SELECT item, value FROM attributes WHERE name = ?').raw();
  const numbers = db
    .prepare<[string], [number, string | number]>(
      `SELECT p.item, j.value FROM parts p, json_each(p.body) j
       WHERE p.kind = 'numbers' AND j.key = ? AND j.value IS NOT NULL ORDER BY p.part`,
    )
    .raw();
  return {
    names: () => [...new Set([...imported.all(), ...columns.all(LOOKED_AT)])].sort(),
    valuesOf: (name) => new Map([...numbers.all(name), ...values.all(name)]),
  };
}
