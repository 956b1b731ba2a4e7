/**
 * Every visible word goes through the message tables, in every language: same keys, same
 * parameters, nothing empty, nothing unused, and no sentence written into a component.
 * Markup from data never becomes HTML.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, type AST } from 'svelte/compiler';
import { describe, expect, test } from 'vitest';
import { readSources, ROOT, type SourceFile } from './sources.ts';

type Messages = Record<string, unknown>;

const LANGUAGES = ['en', 'zh-CN'];
const messages = LANGUAGES.map((language) => {
  const table = JSON.parse(readFileSync(join(ROOT, `renderer/i18n/${language}.json`), 'utf8')) as Messages;
  delete table.$schema;
  return table;
});

/** `{name}` parameters of a message, whatever its form (text or variants). */
function parametersOf(message: unknown): string[] {
  const text = JSON.stringify(message);
  return [...new Set([...text.matchAll(/(?<!\\)\{(\w+)\}/g)].map(([, name]) => name))].toSorted();
}

function tableProblems(first: Messages, second: Messages): string[] {
  const problems: string[] = [];
  for (const key of new Set([...Object.keys(first), ...Object.keys(second)])) {
    if (!(key in first) || !(key in second)) problems.push(`${key} is missing in one language`);
    else if (parametersOf(first[key]).join() !== parametersOf(second[key]).join())
      problems.push(`${key} differs in its parameters`);
    for (const table of [first, second]) {
      if (typeof table[key] === 'string' && table[key].trim() === '') problems.push(`${key} is empty`);
    }
  }
  return problems;
}

/** Keys that no source names. Keys made at run time count by their quoted prefix: m[`error_${code}`]. */
function unusedKeys(keys: readonly string[], files: readonly SourceFile[]): string[] {
  const all = files.map(({ text }) => text).join('\n');
  const named = new Set([...all.matchAll(/\bm\.(\w+)|['"`]([a-z][a-z0-9_]+)['"`]/g)].map(([, a, b]) => a ?? b));
  const prefixes = [...all.matchAll(/`([a-z][a-z0-9_]*_)\$\{/g)].map(([, prefix]) => prefix);
  return keys.filter((key) => !named.has(key) && !prefixes.some((prefix) => key.startsWith(prefix)));
}

const SPOKEN_ATTRIBUTES = new Set(['title', 'alt', 'placeholder', 'aria-label', 'aria-description', 'label']);
/** Letters of any script; digits, signs and key caps are no words. */
const IS_WORDED = /\p{L}{2,}/u;
/** Written the same in every language. */
const NO_WORDS = /^(\s|Enter|Esc|Tab|Space|Ctrl|Shift|Alt|PNG|JPEG|CSV|TSV|JSONL|English|简体中文|Marginalia)*$/;

function isSpoken(text: string): boolean {
  return IS_WORDED.test(text) && !NO_WORDS.test(text);
}

/** Words written into the markup of a component, and any {@html}. */
function markupProblems({ path, text }: SourceFile): string[] {
  const problems: string[] = [];
  const lineAt = (at: number) => text.slice(0, at).split('\n').length;
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) return node.forEach(visit);
    if (node === null || typeof node !== 'object') return;
    const typed = node as AST.Text | AST.HtmlTag | AST.Attribute;
    if (['StyleDirective', 'ClassDirective'].includes((node as { type?: string }).type ?? '')) return;
    if (typed.type === 'HtmlTag') problems.push(`${path}:${lineAt(typed.start)} turns data into HTML`);
    if (typed.type === 'Text' && isSpoken(typed.data))
      problems.push(`${path}:${lineAt(typed.start)} says “${typed.data.trim()}”`);
    if (typed.type === 'Attribute') {
      if (SPOKEN_ATTRIBUTES.has(typed.name)) {
        const parts = typed.value === true ? [] : [typed.value].flat();
        for (const part of parts) {
          const said =
            part.type === 'Text' ? part.data : part.expression.type === 'Literal' ? String(part.expression.value) : '';
          if (isSpoken(said)) problems.push(`${path}:${lineAt(typed.start)} ${typed.name} says “${said}”`);
        }
      }
      return;
    }
    for (const [key, value] of Object.entries(node)) {
      if (key !== 'expression' && key !== 'metadata' && key !== 'parent') visit(value);
    }
  };
  visit(parse(text, { modern: true }).fragment);
  return problems;
}

const components = readSources(['renderer'], ['.svelte']);
const scripts = readSources(['renderer'], ['.svelte', '.ts']);

describe('Messages', () => {
  test('are the same in English and Chinese: keys, parameters, none empty', () => {
    expect(tableProblems(messages[0], messages[1])).toEqual([]);
    expect(tableProblems({ a: 'x', b: '{n} items', c: ' ' }, { b: '{m} 项', c: '丙', d: '丁' })).toEqual([
      'a is missing in one language',
      'b differs in its parameters',
      'c is empty',
      'd is missing in one language',
    ]);
  });

  test('name everything that the audit trail can hold', () => {
    const code = readSources(['main'], ['.ts']).map(({ text }) => text);
    const calls = code.flatMap((text) =>
      [...text.matchAll(/call: '([a-z]+\.[a-zA-Z-]+)'|'(program\.[a-z-]+)'/g)].map(([, a, b]) => a ?? b),
    );
    expect(calls.length).toBeGreaterThan(25);
    const keys = calls.map((call) => `deed_${call.replace(/[.-]/g, '_').toLowerCase()}`);
    expect(keys.filter((key) => !(key in messages[0]))).toEqual([]);
  });

  test('are all used', () => {
    expect(unusedKeys(Object.keys(messages[0]), scripts)).toEqual([]);
    const file = { path: 'x.ts', text: 'm.used(); m[`error_${code}`](); table = "listed";' };
    expect(unusedKeys(['used', 'unused', 'error_disk_full', 'listed'], [file])).toEqual(['unused']);
  });
});

describe('Components', () => {
  test('say nothing in one language only, and never turn data into HTML', () => {
    expect(components.flatMap(markupProblems)).toEqual([]);
  });

  test('are watched: text, spoken attributes and {@html} are caught', () => {
    const of = (text: string) => markupProblems({ path: 'X.svelte', text }).length;
    expect(of('<p>Hello there</p>')).toBe(1);
    expect(of('{#if a}<b>保存</b>{/if}')).toBe(1);
    expect(of('<button title="Save all">{m.save()}</button>')).toBe(1);
    expect(of('<img alt={"A cell"} />')).toBe(1);
    expect(of('<p>{@html text}</p>')).toBe(1);
    expect(of('<p class="large">{m.save()} · 3 <kbd>Enter</kbd></p>')).toBe(0);
  });
});
