import { copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EXTENSIONS, preview, readSources } from '../../main/ingest/index.ts';
import type { IngestOptions } from '../../main/ingest/index.ts';
import { DATA, FILES, folderOf, hasData, readAll, thrownBy } from './material.ts';

const picture = readFileSync(join(FILES, 'rgb.png'));
const names = (all: { candidates: { name: string }[] }) => all.candidates.map(({ name }) => name);

describe('folders', () => {
  it('are read recursively and in the order of names, hidden and system files left out', async () => {
    const folder = folderOf({
      'b/2.txt': 'two', 'b/10.txt': 'ten', 'a.txt': 'a', 'a-b/x.md': 'x', 'B.txt': 'upper', 'z/deep/er/y.TXT': 'y',
      '.hidden.txt': 'no', '.git/config.txt': 'no', '._a.txt': 'no', '__MACOSX/a.txt': 'no', 'Thumbs.db': 'no',
    }); // prettier-ignore
    const all = await readAll(folder);
    expect(names(all)).toEqual(['B.txt', 'a-b/x.md', 'a.txt', 'b/10.txt', 'b/2.txt', 'z/deep/er/y.TXT']);
    expect(all.problems).toEqual([]);
    expect(all.batches.at(-1)).toMatchObject({ done: 6, total: 6 });
  });

  it.skipIf(process.platform === 'win32')(
    'links are followed, loops are not, and a link to nothing is a problem',
    async () => {
      const folder = folderOf({ 'in/a.txt': 'a' });
      const other = folderOf({ 'b.txt': 'b' });
      symlinkSync(folder, join(folder, 'in/loop'));
      symlinkSync(other, join(folder, 'in/other'));
      symlinkSync(join(other, 'b.txt'), join(folder, 'linked.txt'));
      symlinkSync(join(other, 'gone.txt'), join(folder, 'nowhere.txt'));
      const all = await readAll(folder);
      expect(names(all)).toEqual(['in/a.txt', 'in/other/b.txt', 'linked.txt']);
      expect(all.problems.map(({ code, source }) => [code, source])).toEqual([
        ['source-unreadable', join(folder, 'nowhere.txt')],
      ]);
    },
  );

  it('give labels by the first folder under the source where that is asked for', async () => {
    const folder = folderOf({ 'benign/p1/a.txt': 'a', 'malignant/b.txt': 'b', 'c.txt': 'c' });
    const all = await readAll(folder, { labelsFromFolders: true });
    expect(all.candidates.map(({ name, label }) => [name, label])).toEqual([
      ['benign/p1/a.txt', ['benign']],
      ['c.txt', null],
      ['malignant/b.txt', ['malignant']],
    ]);
    expect(all.problems.map(({ code }) => code)).toEqual(['label-missing']);
    expect((await readAll(folder)).candidates.every(({ label }) => label === null)).toBe(true);
  });

  it('several sources are read in order, and what lies in two of them once', async () => {
    const folder = folderOf({ 'a/1.txt': '1', 'b/2.txt': '2' });
    const all = await readAll([join(folder, 'b'), folder, join(folder, 'b')]);
    expect(names(all)).toEqual(['a/1.txt', 'b/2.txt']);
  });

  it('a .txt with paths in it is a text, not a list', async () => {
    const folder = folderOf({ 'list.txt': 'a.png\nb.png\n', 'a.png': picture });
    expect((await readAll(join(folder, 'list.txt'))).candidates[0].parts[0]).toMatchObject({
      kind: 'text',
      text: 'a.png\nb.png\n',
    });
  });

  it('a table among images is named and not read, unless columns are given: then it says what an item is', async () => {
    const folder = folderOf({ 'index.csv': 'image,report\na.png,Normal.\n', 'a.png': picture });
    const plain = await readAll(folder);
    expect([names(plain), plain.problems.map(({ code }) => code)]).toEqual([['a.png'], ['file-unsupported']]);
    const mapped = await readAll(folder, { mapping: { image: 'image', text: 'report' } });
    expect(mapped.candidates.map(({ parts }) => parts.length)).toEqual([2]);
  });

  it.each([
    ['a path where nothing is', (folder: string) => join(folder, 'gone'), 'source-missing'],
    ['an empty folder', (folder: string) => join(folder, 'empty'), 'source-empty'],
    ['a folder with nothing that is read', (folder: string) => join(folder, 'other'), 'source-empty'],
  ])('%s is refused before anything is read', async (_, path, code) => {
    const folder = folderOf({ 'other/a.docx': 'x', 'good/a.txt': 'x' });
    mkdirSync(join(folder, 'empty'));
    const error = await thrownBy(() => readAll([path(folder), join(folder, 'good')]));
    expect(error?.code).toBe(code);
    expect(error?.hint).toContain(code === 'source-empty' ? EXTENSIONS.join(', ') : 'path');
  });

  it('no source at all is refused', async () => {
    expect((await thrownBy(() => readAll([])))?.code).toBe('source-missing');
  });
});

function mixedFolder(): string {
  const rows = Array.from({ length: 300 }, (_, i) => (i % 40 === 7 ? 'broken' : `r${i % 60},row number ${i}`));
  const files: Record<string, string> = {
    'l.csv': 'id,text\na,one\nb,two\n',
    'm.csv': `id,text\n${rows.join('\n')}\n`,
    'n.jsonl': '{"id":"a","text":"one"}\n{"id":"b","text":"two"}\n',
  };
  return folderOf(files);
}

describe('batches', () => {
  const options: IngestOptions = { mapping: { text: 'text', id: 'id' } };

  it('are small, and the cursor of any of them continues with exactly what was left', async () => {
    const folder = mixedFolder();
    const whole = await readAll(folder, options);
    expect(whole.batches.length).toBeGreaterThan(2);
    expect(Math.max(...whole.batches.map((batch) => batch.candidates.length))).toBeLessThanOrEqual(64);
    expect(whole.problems.filter(({ code }) => code === 'id-duplicate').length).toBeGreaterThan(50);
    for (const [i, batch] of whole.batches.entries()) {
      const rest = await readAll(folder, { ...options, after: batch.cursor });
      const later = whole.batches.slice(i + 1);
      expect(rest.candidates).toEqual(later.flatMap(({ candidates }) => candidates));
      expect(rest.problems).toEqual(later.flatMap(({ problems }) => problems));
      expect(rest.batches.map(({ done }) => done).at(-1) ?? 304).toBe(304);
      expect(rest.batches.map(({ total }) => total).at(-1) ?? 304).toBe(304);
    }
    expect(whole.batches.at(-1)).toMatchObject({ done: 304, total: 304 });
  });

  it('a resumed import does not read earlier files again: they may even be gone', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 130 }, (_, i) => [`${String(i).padStart(3, '0')}.txt`, `text ${i}`]),
    );
    const folder = folderOf(files);
    const first = await readSources([folder]).next();
    const { cursor, candidates } = first.value as { cursor: string; candidates: { name: string }[] };
    for (const { name } of candidates) rmSync(join(folder, name));
    const rest = await readAll(folder, { after: cursor });
    expect(rest.problems).toEqual([]);
    expect(names(rest)).toEqual(Object.keys(files).slice(candidates.length));
  });

  it('stopping by signal ends the generator, and its last cursor loses nothing', async () => {
    const folder = mixedFolder();
    const stop = new AbortController();
    const seen: string[] = [];
    let after: string | undefined;
    for await (const batch of readSources([folder], { ...options, signal: stop.signal })) {
      seen.push(...batch.candidates.map(({ name }) => name));
      after = batch.cursor;
      stop.abort();
    }
    const rest = await readAll(folder, { ...options, after });
    expect([...seen, ...names(rest)]).toEqual(names(await readAll(folder, options)));
    expect(rest.candidates.length).toBeGreaterThan(0);
  });

  it('stopping before the first batch gives none', async () => {
    expect((await readAll(mixedFolder(), { ...options, signal: AbortSignal.abort() })).batches).toEqual([]);
  });

  it('reading twice gives the same', async () => {
    const folder = mixedFolder();
    writeFileSync(join(folder, 'x.csv'), 'text\nlast\n');
    expect(await readAll(folder, { mapping: { text: 'text' } })).toEqual(
      await readAll(folder, { mapping: { text: 'text' } }),
    );
  });

  it('texts of a million characters come a few at a time', async () => {
    const text = 'word '.repeat(200_000);
    const folder = folderOf(Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`${i}.txt`, `${i} ${text}`])));
    const { batches } = await readAll(folder);
    expect(batches.map(({ candidates }) => candidates.length)).toEqual([3, 3]);
  });
});

describe('preview', () => {
  it('shows columns with their guesses, never uses a label that was only guessed, and reads ten rows', async () => {
    const rows = Array.from(
      { length: 50 },
      (_, i) => `${i},Case report ${i} with a few words,${i % 2 ? 'a' : 'b'},p${i}`,
    );
    const path = join(folderOf({ 'a.csv': `id,report,label,patient\n${rows.join('\n')}\nbroken\n` }), 'a.csv');
    const seen = await preview([path]);
    expect(seen.kind).toBe('table');
    expect(seen.columns.map(({ name, guess, role }) => [name, guess, role])).toEqual([
      ['id', 'id', 'id'],
      ['report', 'text', 'text'],
      ['label', 'label', null],
      ['patient', 'group', 'group'],
    ]);
    expect(seen.mapping).toEqual({ text: 'report', id: 'id', group: 'patient' });
    expect(seen.columns[2].samples).toEqual(['b', 'a']);
    expect(seen.rows).toHaveLength(10);
    expect(seen.rows[0]).toMatchObject({ name: '0', group: 'p0', label: null });
    expect((await preview([path], { mapping: { label: 'label' } })).rows[0].label).toEqual(['b']);
    expect((await readAll(path)).candidates[0].label).toBeNull();
  });

  it('names the classes of the label column, the commonest first, also one that comes late', async () => {
    const rows = Array.from(
      { length: 3000 },
      (_, i) => `${i},a text with its number ${i},${i === 2999 ? 'rare' : i % 3 ? 'common' : 'less'}`,
    );
    const path = join(folderOf({ 'late.csv': `id,text,label\n${rows.join('\n')}\n` }), 'late.csv');
    expect((await preview([path])).labels).toEqual(['common', 'less', 'rare']);
  });

  it('shows the first ten files of a folder, its class folders and its problems', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 12 }, (_, i) => [`${i < 6 ? 'cat' : 'dog'}/${i}.txt`, `text ${i}`]),
    );
    const folder = folderOf({ ...files, 'cat/a.txt': '' });
    copyFileSync(join(FILES, 'rgb.png'), join(folder, 'cat/0.png'));
    const seen = await preview([folder]);
    expect([seen.kind, seen.folders, seen.rows.length, seen.columns]).toEqual([
      'images and texts',
      ['cat', 'dog'],
      10,
      [],
    ]);
    expect(seen.problems.map(({ code }) => code)).toEqual(['file-empty']);
  });

  it('throws as an import would', async () => {
    const folder = folderOf({ 'a.csv': 'id,text\n1,one\n' });
    expect((await thrownBy(() => preview([join(folder, 'b.csv')])))?.code).toBe('source-missing');
    expect((await thrownBy(() => preview([folder], { mapping: { text: 'report' } })))?.code).toBe('column-missing');
  });

  it.skipIf(!hasData)('finds the columns of MedQuAD', async () => {
    expect((await preview([join(DATA, 'medquad/answers.jsonl')])).mapping).toEqual({
      text: 'text',
      id: 'id',
      group: 'topic',
    });
  });
});
