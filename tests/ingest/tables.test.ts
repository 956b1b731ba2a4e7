import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Candidate, NumbersPart, TextPart } from '../../main/domain/item.ts';
import type { IngestOptions } from '../../main/ingest/index.ts';
import { DATA, FILES, folderOf, hasData, readAll, thrownBy } from './material.ts';

async function table(name: string, content: string | Uint8Array, options: IngestOptions = {}) {
  const path = join(folderOf({ [name]: content }), name);
  return { path, ...(await readAll(path, options)) };
}

const textOf = (candidate: Candidate) => (candidate.parts.find((part) => part.kind === 'text') as TextPart).text;
const numbersOf = (candidate: Candidate) =>
  (candidate.parts.find((part) => part.kind === 'numbers') as NumbersPart).values;

describe('CSV and TSV', () => {
  it('quoted commas, doubled quotes, line breaks in cells and Windows line ends', async () => {
    const csv = 'id,text,n\r\n1,"a, ""b""",2\r\n2,"line one\r\nline two",3\r\n\r\n3,plain,4\r\n';
    const { candidates, problems, path } = await table('a.csv', csv, { mapping: { id: 'id', text: 'text' } });
    expect(problems).toEqual([]);
    expect(candidates.map((c) => [c.name, textOf(c), c.source])).toEqual([
      ['1', 'a, "b"', `${path}:2`],
      ['2', 'line one\nline two', `${path}:3`],
      ['3', 'plain', `${path}:6`],
    ]);
  });

  it.each([
    ['semicolons', 'a.csv', 'id;text;v\n1;one, two;3,5\n2;three;4,25\n', [3.5, 4.25]],
    ['tabs', 'a.tsv', 'id\ttext\tv\n1\tone, two\t3.5\n2\tthree\t4.25\n', [3.5, 4.25]],
    ['bars in a .csv', 'a.csv', 'id|text|v\n1|one, two|3.5\n2|three|4.25\n', [3.5, 4.25]],
  ])('finds %s as the delimiter', async (_, name, content, values) => {
    const { candidates } = await table(name, content, { mapping: { id: 'id', text: 'text', numbers: ['v'] } });
    expect(candidates.map((c) => textOf(c))).toEqual(['one, two', 'three']);
    expect(candidates.map((c) => numbersOf(c).v)).toEqual(values);
  });

  it('guesses name and group unless told that there is none', async () => {
    const csv = 'id,patient,text\n1,p1,one\n2,p1,two\n';
    const { candidates: guessed } = await table('a.csv', csv, { mapping: { text: 'text' } });
    expect(guessed.map((c) => [c.name, c.group])).toEqual([
      ['1', 'p1'],
      ['2', 'p1'],
    ]);
    const { candidates } = await table('a.csv', csv, { mapping: { text: 'text', id: null, group: null } });
    expect(candidates.map((c) => [c.name, c.group])).toEqual([
      ['a.csv:2', null],
      ['a.csv:3', null],
    ]);
  });

  it('in a tab-separated table a lone quote is a quote', async () => {
    const tsv = 'token\ttag\n"\tO\nheart\tB\n"\tO\n5" long\tO\n';
    const { candidates, problems } = await table('a.tsv', tsv, { mapping: { text: 'token' } });
    expect(problems).toEqual([]);
    expect(candidates.map(textOf)).toEqual(['"', 'heart', '"', '5" long']);
  });

  it('names empty and repeated columns', async () => {
    const error = await thrownBy(() => table('a.csv', 'a,,a\n1,2,3\n', { mapping: { text: 'b' } }));
    expect(error?.hint).toContain('a, column 2, a (2)');
  });
});

describe('JSON Lines', () => {
  it('reads keys as columns, lists as several labels, and skips blank lines', async () => {
    const jsonl =
      '{"id": 7, "text": "one", "label": ["a", "b"]}\n\n{"id": "x", "text": "two", "label": "b", "extra": 1}\n';
    const { candidates, problems } = await table('a.jsonl', jsonl, {
      mapping: { text: 'text', id: 'id', label: 'label' },
    });
    expect(problems).toEqual([]);
    expect(candidates.map((c) => [c.name, textOf(c), c.label])).toEqual([
      ['7', 'one', ['a', 'b']],
      ['x', 'two', ['b']],
    ]);
  });

  it('keys that pollute change nothing but their own item', async () => {
    const jsonl =
      '{"__proto__": {"polluted": 1}, "constructor": 3, "text": "x"}\n{"__proto__": 5, "constructor": 4, "text": "y"}\n';
    const { candidates } = await table('a.jsonl', jsonl, {
      mapping: { text: 'text', numbers: ['__proto__', 'constructor'] },
    });
    expect(candidates.map((c) => Object.entries(numbersOf(c)))).toEqual([
      [
        ['__proto__', null],
        ['constructor', 3],
      ],
      [
        ['__proto__', 5],
        ['constructor', 4],
      ],
    ]);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

const deep = `{"text": "deep", "x": ${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
const wide = JSON.stringify({
  text: 'wide',
  ...Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, i])),
});

describe('bad rows become problems and the others are read', () => {
  it.each<[string, string, string, IngestOptions['mapping'], [string, number][], string[]]>([
    ['too few fields', 'a.csv', 'id,text\n1,one\nbroken\n3,three\n', { text: 'text' }, [['table-damaged', 3]], ['one', 'three']],
    ['too many fields', 'a.csv', 'id,text\n1,one,more\n2,two,\n3,three\n', { text: 'text' }, [['table-damaged', 2]], ['two', 'three']],
    ['a quote that is never closed', 'a.csv', 'id,text\n1,one\n2,"two\n3,three\n4,four\n', { text: 'text' }, [['table-damaged', 3]], ['one', 'three', 'four']],
    ['two quotes that are never closed', 'a.csv', 'id,text\n1,"one\n2,two\n3,"three\n4,four\n', { text: 'text' }, [['table-damaged', 2], ['table-damaged', 4]], ['two', 'four']],
    ['a line that is not JSON', 'a.jsonl', '{"text":"one"}\n{"text":\n{"text":"three"}\n', { text: 'text' }, [['table-damaged', 2]], ['one', 'three']],
    ['JSON that is no object', 'a.jsonl', '{"text":"one"}\n[1]\nnull\n3\n"s"\n', { text: 'text' }, [2, 3, 4, 5].map((line) => ['table-damaged', line] as [string, number]), ['one']],
    ['an object where a text belongs', 'a.jsonl', '{"text":{"a":1}}\n{"text":"two"}\n', { text: 'text' }, [['table-damaged', 1]], ['two']],
    ['JSON 100,000 deep', 'a.jsonl', `${deep}\n{"text":"two"}\n`, { text: 'text' }, [], ['deep', 'two']],
    ['100,000 keys', 'a.jsonl', `${wide}\n{"text":"two"}\n`, { text: 'text' }, [], ['wide', 'two']],
    ['rows with nothing in them', 'a.csv', 'id,text\n1,\n2,  \n3,three\n', { text: 'text' }, [['row-empty', 2], ['row-empty', 3]], ['three']],
    ['repeated ids', 'a.csv', 'id,text\n1,one\n1,other\n2,two\n', { text: 'text', id: 'id' }, [['id-duplicate', 3]], ['one', 'two']],
    ['repeated ids in a column that was only guessed', 'a.csv', 'id,text\n1,one\n1,other\n', { text: 'text' }, [], ['one', 'other']],
    ['no label where labels were asked for', 'a.csv', 'text,label\none,a\ntwo,\n', { text: 'text', label: 'label' }, [['label-missing', 3]], ['one', 'two']],
    ['1e999 and words among measurements', 'a.csv', 'text,n\none,1e999\ntwo,2\nthree,many\nfour,4\nfive,5\n', { text: 'text', numbers: ['n'] }, [['table-damaged', 2], ['table-damaged', 4]], ['one', 'two', 'three', 'four', 'five']],
    ['an image that is not there', 'a.csv', 'text,image\none,gone.png\ntwo,\n', { text: 'text', image: 'image' }, [['source-unreadable', 2]], ['two']],
    ['an image path with a NUL in it', 'a.jsonl', '{"text":"one","image":"a\\u0000.png"}\n{"text":"two"}\n', { text: 'text', image: 'image' }, [['source-unreadable', 1]], ['two']],
  ])('%s', async (_, name, content, mapping, expected, texts) => {
    const { path, candidates, problems } = await table(name, content, { mapping });
    expect(problems.map(({ code, source }) => [code, source])).toEqual(expected.map(([code, line]) => [code, `${path}:${line}`]));
    expect(candidates.map(textOf)).toEqual(texts);
  }); // prettier-ignore

  it('a line of 20 million characters', async () => {
    const jsonl = Buffer.concat([
      Buffer.from('{"text":"one"}\n{"text":"'),
      Buffer.alloc(20 * 2 ** 20, 120),
      Buffer.from('"}\n{"text":"three"}\n'),
    ]);
    const { candidates, problems, path } = await table('a.jsonl', jsonl, { mapping: { text: 'text' } });
    expect(problems).toMatchObject([{ code: 'table-damaged', source: `${path}:2` }]);
    expect(candidates.map(textOf)).toEqual(['one', 'three']);
  });

  it.each([
    ['an empty table', 'a.csv', '', 'file-empty'],
    ['a table of a header alone', 'a.csv', 'id,text\n', 'row-empty'],
    ['a table that is no text', 'a.csv', Buffer.from('00ff13370800ff', 'hex'), 'text-encoding-unknown'],
  ])('%s is one problem', async (_, name, content, code) => {
    const { candidates, problems } = await table(name, content);
    expect([candidates.length, problems.map((problem) => problem.code)]).toEqual([0, [code]]);
  });
});

describe('columns', () => {
  it('a named column that is missing is said before anything is read, with the columns there are', async () => {
    const error = await thrownBy(() =>
      table('a.csv', 'id,text,n\n1,one,2\n', { mapping: { text: 'report', numbers: ['n', 'm'] } }),
    );
    expect(error).toMatchObject({
      code: 'column-missing',
      message: expect.stringContaining('“report”, “m”'),
      hint: expect.stringContaining('id, text, n'),
    });
  });

  it('a table with nothing to show is refused', async () => {
    expect(await thrownBy(() => table('a.csv', 'id,label\n1,a\n2,b\n'))).toMatchObject({ code: 'column-missing' });
  });

  it('numbers: auto takes measurements and small categories, and nothing that is used or named otherwise', async () => {
    const rows = Array.from(
      { length: 30 },
      (_, i) => `p${i},${i % 7},${i % 5 === 0 ? 'NA' : i / 4},${i % 2 ? 'f' : 'm'},word${i},${i % 3},${i}`,
    );
    const { candidates } = await table(
      'a.csv',
      `patient,lesions,size,sex,free,class,outcome 5y\n${rows.join('\n')}\n`,
      { mapping: { numbers: 'auto' } },
    );
    expect(numbersOf(candidates[0])).toEqual({ lesions: 0, size: null, sex: 'm', 'outcome 5y': 0 });
    expect(numbersOf(candidates[3])).toEqual({ lesions: 3, size: 0.75, sex: 'f', 'outcome 5y': 3 });
    expect(candidates[3].group).toBe('p3');
    expect(candidates[3].label).toBeNull();
  });

  it.each(['', 'NA', 'N/A', 'NaN', 'null', '?', ' - '])('“%s” is not recorded', async (cell) => {
    const { candidates, problems } = await table('a.csv', `text,n\none,${cell}\ntwo,2\nthree,3\n`, {
      mapping: { text: 'text', numbers: ['n'] },
    });
    expect(problems).toEqual([]);
    expect(candidates[0].parts).toHaveLength(1);
    expect(numbersOf(candidates[1])).toEqual({ n: 2 });
  });

  it('an item may have an image, a text and numbers from one row; several classes come apart at the separator', async () => {
    const folder = folderOf({
      'list/cases.csv':
        'case,image,report,age,findings\nA,../pictures/one.png,Normal.,61,mass|nodule\nB,..\\pictures\\one.png,Normal.,61,\n',
      'pictures/one.png': '',
    });
    copyFileSync(join(FILES, 'rgb.png'), join(folder, 'pictures/one.png'));
    const mapping = { image: 'image', text: 'report', numbers: ['age'], group: 'case', label: 'findings' };
    const { candidates, problems } = await readAll(join(folder, 'list/cases.csv'), { mapping, labelSeparator: '|' });
    expect(candidates.map(({ parts, group, label }) => [parts.map(({ kind }) => kind), group, label])).toEqual([
      [['image', 'text', 'numbers'], 'A', ['mass', 'nodule']],
      [['image', 'text', 'numbers'], 'B', null],
    ]);
    expect(candidates[0].id).toBe(candidates[1].id);
    expect(candidates[0].fingerprint?.kind).toBe('image');
    expect(problems.map(({ code }) => code)).toEqual(['label-missing']);
  });

  it('two patients with equal measurements are two items', async () => {
    const { candidates } = await table('a.csv', 'a,b\n1,2\n1,2\n', { mapping: { numbers: 'auto' } });
    expect(candidates[0].id).not.toBe(candidates[1].id);
  });
});

describe.skipIf(!hasData)('real tables', () => {
  it('MedQuAD: every answer with its type and topic', async () => {
    const { candidates, problems } = await readAll(join(DATA, 'medquad/answers.jsonl'), {
      mapping: { text: 'text', label: 'label', group: 'topic' },
    });
    expect([candidates.length, problems.length]).toEqual([7703, 0]);
    expect(new Set(candidates.map(({ label }) => label?.[0])).size).toBe(10);
    expect(candidates[0]).toMatchObject({
      name: 'CancerGov-0000001_5-1',
      group: 'Hairy Cell Leukemia',
      label: ['information'],
    });
  });

  it('Pima: eight measurements of 768 patients, the label never among them', async () => {
    const { candidates } = await readAll(join(DATA, 'diabetes/pima.csv'), {
      mapping: { numbers: 'auto', label: 'diabetes' },
    });
    expect(candidates).toHaveLength(768);
    expect(Object.keys(numbersOf(candidates[0]))).toHaveLength(8);
    expect(candidates[0].label).toEqual(['1']);
    expect(new Set(candidates.map(({ id }) => id)).size).toBe(768);
  });

  it('every line of the tagged abstracts is a row, the lone quotes too', async () => {
    const { candidates, problems } = await readAll(join(DATA, 'ncbi-disease/devel.tsv'));
    expect([candidates.length, problems.length]).toEqual([23_968, 0]);
  });
});
