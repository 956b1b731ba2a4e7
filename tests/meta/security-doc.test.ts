/**
 * docs/security.md promises nothing that is not proved: every row names a test file that is
 * there, every quoted name stands in that file, and every threat is met by some row.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from './sources.ts';

interface Row {
  promise: string;
  proof: string;
}

/** The rows of every table headed “promise | proved by”. */
function rowsOf(markdown: string): Row[] {
  const rows: Row[] = [];
  let inTable = false;
  for (const line of markdown.split('\n')) {
    const cells = line.startsWith('|')
      ? line
          .slice(1, -1)
          .split(/(?<!\\)\|/)
          .map((cell) => cell.trim())
      : [];
    if (cells.length === 0) inTable = false;
    else if (cells[0] === 'promise') inTable = true;
    else if (inTable && !/^-+$/.test(cells[0])) rows.push({ promise: cells[0], proof: cells.slice(1).join('|') });
  }
  return rows;
}

/** A proof is `path` or `path` “test name”, more of them after a semicolon; a name belongs to the path before it. */
function proofProblems({ promise, proof }: Row, read: (path: string) => string | null): string[] {
  const problems: string[] = [];
  const parts = [...proof.matchAll(/`([^`]+)`|“([^”]+)”/g)];
  let text: string | null = null;
  let files = 0;
  for (const [, path, name] of parts) {
    if (path !== undefined) {
      text = read(path);
      files += 1;
      if (text === null) problems.push(`${path} is not there (${promise})`);
    } else if (text !== null && !plain(text).includes(plain(name))) {
      problems.push(`“${name}” is no test there (${promise})`);
    }
  }
  if (files === 0) problems.push(`nothing proves “${promise}”`);
  return problems;
}

/** Without the differences that a source file and a page make between quotes. */
function plain(text: string): string {
  return text.replaceAll(/\\?[’'"“”]/g, "'").replaceAll(/\s+/g, ' ');
}

function threatsOf(markdown: string): string[] {
  return [...markdown.matchAll(/^\| (T\d+) \|/gm)].map(([, threat]) => threat);
}

/** Threats that no row names at the end of its promise: “… (T1, T2)”. */
function unmet(markdown: string): string[] {
  const met = new Set(
    rowsOf(markdown).flatMap(({ promise }) => (/\(([^()]*)\)$/.exec(promise)?.[1] ?? '').split(/,\s*/)),
  );
  return threatsOf(markdown).filter((threat) => !met.has(threat));
}

const document = readFileSync(join(ROOT, 'docs/security.md'), 'utf8');
const read = (path: string) => (existsSync(join(ROOT, path)) ? readFileSync(join(ROOT, path), 'utf8') : null);

describe('docs/security.md', () => {
  test('points to a test that is there for every promise', () => {
    expect(rowsOf(document).flatMap((row) => proofProblems(row, read))).toEqual([]);
  });

  test('has a promise for every threat', () => {
    expect(threatsOf(document).length).toBeGreaterThan(10);
    expect(unmet(document)).toEqual([]);
  });

  test('is really read: a missing file, a missing name and a missing proof are found', () => {
    const files: Record<string, string> = { 'tests/a.test.ts': "test('it’s held', …)" };
    const look = (path: string) => files[path] ?? null;
    const table = (proof: string) => rowsOf(`| promise | proved by |\n| --- | --- |\n| p (T1) | ${proof} |`)[0];
    expect(proofProblems(table("`tests/a.test.ts` “it's held”"), look)).toEqual([]);
    expect(proofProblems(table('`tests/a.test.ts` “it is lost”'), look)).toHaveLength(1);
    expect(proofProblems(table('`tests/b.test.ts`'), look)).toHaveLength(1);
    expect(proofProblems(table('as everybody knows'), look)).toHaveLength(1);
    expect(unmet('| T1 | a |\n| T2 | b |\n\n| promise | proved by |\n| --- | --- |\n| p (T1) | `x` |')).toEqual(['T2']);
  });
});
