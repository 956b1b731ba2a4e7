/**
 * The shape of the source: files of a readable size with a header, names that mean
 * something, and no chance or clock but the ones that tests can hold still.
 */
import { describe, expect, test } from 'vitest';
import { readSources, usesOf, type SourceFile } from './sources.ts';

const LONGEST = 500;
const FORBIDDEN_NAMES = /(^|[-.])(utils?|helpers?|common|managers?|services?|types|constants|misc)$/;

/** Where randomness and time come in. */
const MAY_DRAW = new Set(['main/domain/rng.ts']);
const MAY_TELL_TIME = /^(main\/(domain\/)?clock|main\/engine|main\/compute|hosts\/|electron\/|renderer\/)/;

function sizeProblems(files: readonly SourceFile[]): string[] {
  return files
    .filter(
      ({ text }) => text.split('\n').length > LONGEST + 1 && !/lines:|one thing because/i.test(text.slice(0, 1200)),
    )
    .map(
      ({ path, text }) =>
        `${path} has ${text.split('\n').length} lines and its header does not say why it is one thing`,
    );
}

function headerProblems(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ text }) => !/^((#!|\/\/\/ ).*\n)*\/\*\*[\s\S]{40,}?\*\//.test(text))
    .map(({ path }) => `${path} has no header`);
}

function nameProblems(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) =>
      FORBIDDEN_NAMES.test(
        path
          .split('/')
          .at(-1)!
          .replace(/(\.svelte)?\.(ts|svelte|cjs)$|\.test\.ts$/, ''),
      ),
    )
    .map(({ path }) => `${path}: name what it is about`);
}

function chanceProblems(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => [
    ...(MAY_DRAW.has(file.path)
      ? []
      : usesOf(file, 'Math', 'random').map((line) => `${file.path}:${line} draws unseeded`)),
    ...(MAY_TELL_TIME.test(file.path)
      ? []
      : usesOf(file, 'Date', 'now').map((line) => `${file.path}:${line} reads the clock`)),
  ]);
}

const sources = readSources(
  ['main', 'hosts', 'electron', 'packaging', 'renderer', 'resources'],
  ['.ts', '.cjs', '.svelte'],
);
const scripts = sources.filter(({ path }) => !path.endsWith('.svelte'));
const one = (path: string, text: string): SourceFile[] => [{ path, text }];

describe('Every source file', () => {
  test('is of a readable size, or says why not', () => {
    expect(sizeProblems(sources)).toEqual([]);
    expect(sizeProblems(one('main/x.ts', 'a\n'.repeat(502)))).toHaveLength(1);
    expect(sizeProblems(one('main/x.ts', `/** One thing because it is a table. */\n${'a\n'.repeat(502)}`))).toEqual([]);
  });

  test('starts with a header that says what it promises', () => {
    expect(headerProblems(scripts)).toEqual([]);
    expect(headerProblems(one('main/x.ts', "import a from 'a';\n"))).toHaveLength(1);
  });

  test('is named after what it is about', () => {
    expect(nameProblems(sources)).toEqual([]);
    for (const name of [
      'utils.ts',
      'string-helpers.ts',
      'common.ts',
      'types.ts',
      'Constants.svelte'.toLowerCase(),
      'job-manager.ts',
    ]) {
      expect(nameProblems(one(`main/${name}`, ''))).toHaveLength(1);
    }
    expect(nameProblems(one('main/prototypes.ts', ''))).toEqual([]);
  });

  test('takes chance and time only where a test can hold them still', () => {
    expect(chanceProblems(sources)).toEqual([]);
    expect(chanceProblems(one('main/store/x.ts', 'const at = Date.now();\nconst r = Math.random();'))).toEqual([
      'main/store/x.ts:2 draws unseeded',
      'main/store/x.ts:1 reads the clock',
    ]);
    expect(chanceProblems(one('main/store/x.ts', '// not Math.random()'))).toEqual([]);
  });
});
