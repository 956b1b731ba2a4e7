/**
 * docs/dependencies.md against what is installed: every package that is inside by our own
 * choice has a row with its version and licence, what comes along is named, and nothing is
 * listed that is not there.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { build } from '../../hosts/build.ts';
import { inventory } from '../../packaging/inventory.ts';
import { platformNamed, product, ROOT } from '../../packaging/platforms.ts';

const page = readFileSync(join(ROOT, 'docs/dependencies.md'), 'utf8');

interface Row {
  name: string;
  version: string;
  licence: string;
}

/** Rows that start with a package, its version and its licence. */
const rowsOf = (text: string): Row[] =>
  [...text.matchAll(/^\| `([^`]+)` \| (\d[^ |]*) \| ([^|]+) \|/gm)].map(([, name, version, licence]) => ({
    name,
    version,
    licence: licence.trim(),
  }));

/** What the page says otherwise than the checkout does. */
function differences(rows: readonly Row[], wanted: Record<string, string>): string[] {
  const found = new Map(rows.map((row) => [row.name, row]));
  const missing = Object.keys(wanted).filter((name) => !found.has(name));
  const wrong = rows.flatMap(({ name, version, licence }) => {
    const asked = wanted[name]?.replace(/^npm:.*@/, '');
    if (asked === undefined) return [`${name} is not used`];
    if (asked !== version) return [`${name} is ${asked}, not ${version}`];
    const manifest = join(ROOT, 'node_modules', name, 'package.json');
    if (!existsSync(manifest)) return []; // another system's
    const told = JSON.parse(readFileSync(manifest, 'utf8')).license as string | undefined;
    return told === undefined || told.replace(/^\((.*)\)$/, '$1') === licence ? [] : [`${name} is under ${told}`];
  });
  return [...missing.map((name) => `${name} has no row`), ...wrong];
}

/** Of the packages that only build, those that the desk is made of. */
let wanted: Record<string, string> = {};
let inside: string[] = [];

beforeAll(async () => {
  expect(await build('desktop')).toBe(0);
  inside = inventory(platformNamed(), ['main', 'desk'])
    .filter(({ folder }) => folder !== null)
    .map(({ name }) => name);
  const { dependencies, devDependencies, optionalDependencies } = product;
  const desk = Object.entries(devDependencies).filter(([name]) => inside.includes(name) || name === 'electron');
  wanted = { ...dependencies, ...optionalDependencies, ...Object.fromEntries(desk) };
}, 120_000);

describe('docs/dependencies.md', () => {
  test('has a row for every package that we chose, with the version and licence that it has', () => {
    expect(differences(rowsOf(page), wanted)).toEqual([]);
    expect(Object.keys(wanted).length).toBeGreaterThan(20);
  });

  test('is compared in earnest', () => {
    const rows = rowsOf(page);
    expect(differences(rows.slice(1), wanted)).toEqual([`${rows[0].name} has no row`]);
    expect(differences([...rows, { name: 'left-pad', version: '1.0.0', licence: 'MIT' }], wanted)).toHaveLength(1);
    expect(differences([...rows.slice(1), { ...rows[0], version: '0.0.1' }], wanted)).toHaveLength(1);
    expect(differences([...rows.slice(1), { ...rows[0], licence: 'GPL-3.0' }], wanted)).toHaveLength(1);
  });

  test('names everything else that comes along', () => {
    const systems = /^@img\/sharp-/;
    expect(inside.filter((name) => !systems.test(name) && !page.includes(`\`${name}\``))).toEqual([]);
    expect(inside.length).toBeGreaterThan(35);
  });
});
