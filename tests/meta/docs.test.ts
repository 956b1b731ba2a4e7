/**
 * The documents keep up with the code: every error code has its line, every command is
 * mentioned, links lead somewhere, and decisions are numbered without doubles.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES } from '../../main/domain/errors.ts';
import { readSources, ROOT } from './sources.ts';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** Codes that have a row in the table: | `code` | what happened | what to do | with all three filled. */
function documentedCodes(markdown: string): string[] {
  return [...markdown.matchAll(/^\| `([a-z-]+)` \| ([^|]*\S[^|]*) \| ([^|]*\S[^|]*) \|$/gm)].map(([, code]) => code);
}

/** Names of the commands that the command line's own help lists. */
function missingCommands(commands: readonly string[], documents: string): string[] {
  return commands.filter((command) => !new RegExp(`\\b(marginalia( --)?|\`) ?${command}\\b`).test(documents));
}

function brokenLinks(path: string, text: string): string[] {
  return [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
    .map(([, target]) => target)
    .filter((target) => !existsSync(join(ROOT, dirname(path), target)))
    .map((target) => `${path} → ${target}`);
}

describe('docs/errors.md', () => {
  test('has exactly one full line for every error code', () => {
    const documented = documentedCodes(read('docs/errors.md'));
    expect(documented.toSorted()).toEqual([...ERROR_CODES].toSorted());
  });

  test('is really read: a line without advice does not count', () => {
    expect(documentedCodes('| `disk-full` | The disk is full. | Free some space. |')).toEqual(['disk-full']);
    expect(documentedCodes('| `disk-full` | The disk is full. | |')).toEqual([]);
  });
});

describe('Documents', () => {
  test.skipIf(!existsSync(join(ROOT, 'hosts/commands.ts')))('mention every command of the command line', async () => {
    const { commands } = (await import(join(ROOT, 'hosts/commands.ts'))) as { commands: Record<string, unknown> };
    const names = Object.keys(commands);
    expect(names.length).toBeGreaterThan(10);
    expect(missingCommands(names, read('README.md') + read('docs/command-line.md'))).toEqual([]);
  });

  test('are searched for commands in earnest', () => {
    expect(missingCommands(['import', 'queue'], 'Run `marginalia import DIR`; the queue is long.')).toEqual(['queue']);
  });

  test('link only to files that exist', () => {
    const documents = [...readSources(['docs'], ['.md']), { path: 'README.md', text: read('README.md') }];
    expect(documents.flatMap(({ path, text }) => brokenLinks(path, text))).toEqual([]);
    expect(brokenLinks('docs/x.md', '[a](nowhere.md) [b](https://example.org/x)')).toEqual(['docs/x.md → nowhere.md']);
  });

  test('number every decision once', () => {
    const numbers = readdirSync(join(ROOT, 'docs/decisions')).map((name) => name.slice(0, 4));
    expect(numbers.every((number) => /^\d{4}$/.test(number))).toBe(true);
    expect(new Set(numbers).size).toBe(numbers.length);
  });
});
