/**
 * Hostile files at the doors other than models: tokenizers, images, tables, projects and
 * backups. Crafted ones get their codes and words; hundreds of mutants of each format are
 * decided in time, typed, and reach nothing outside their folder.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { limitsFor, trialsApart } from '../../main/encoder-trial.ts';
import { decodePixels } from '../../main/inference/index.ts';
import { preview, readSources } from '../../main/ingest/index.ts';
import { openProject, restoreBackup } from '../../main/store/index.ts';
import { pngOf } from '../ingest/material.ts';
import { judge } from './judge.ts';
import { runMutants, TRACER } from './mutants.ts';
import { clock, makeProject, useProject } from './projects.ts';
import { PIECES, TOKENIZER } from './seeds.ts';

const VERB = /^[A-Z][a-z]+ /;
let folder: string;
let made: { dir: string; backup: string };
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'marginalia-doors-'));
  made = makeProject(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
/** A file of its own with these bytes. */
function fileOf(name: string, bytes: string | Uint8Array): string {
  const dir = join(folder, String(files++));
  mkdirSync(dir);
  writeFileSync(join(dir, name), bytes);
  return join(dir, name);
}

describe('A tokenizer', () => {
  const changed = (text: string, change: (json: Record<string, never>) => void) => {
    const json = JSON.parse(text) as Record<string, never>;
    change(json);
    return JSON.stringify(json);
  };
  const splitBy = (Regex: string) =>
    changed(PIECES, (json) =>
      Object.assign(json, {
        pre_tokenizer: { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false },
      }),
    );
  test.each([
    ['JSON a hundred thousand deep', '['.repeat(1e5), /cannot be read/],
    ['no JSON', '\0\0', /cannot be read/],
    [
      'a pattern that does not end',
      splitBy('(?:a+)+(?:a+)+(?:a+)+(?:a+)+[^a ]b'),
      /did not come to an end|cannot|broke off/,
    ],
    ['a pattern that is none', splitBy('('), /cannot be read/],
    [
      'no unknown word',
      changed(TOKENIZER, (json) => Object.assign(json.model, { unk_token: 'gone' })),
      /cannot take a text|cannot be read/,
    ],
  ])('with %s is refused, and nothing else ends', async (_, json, why) => {
    const trials = trialsApart((size, values) => ({ ...limitsFor(size, values), lifeMs: 3000 }));
    const { code, message, hint } = await judge(() => trials.tokenizer(json));
    expect({ code, message }).toEqual({ code: 'encoder-invalid', message: expect.stringMatching(why) });
    expect(hint).toMatch(VERB);
  });
});

describe('An image', () => {
  const chunk = (type: string, data: Uint8Array) => {
    const whole = pngOf(4, 4, new Uint8Array(20));
    const framed = Buffer.alloc(12 + data.length);
    framed.writeUInt32BE(data.length, 0);
    framed.write(type, 4, 'latin1');
    framed.set(data, 8);
    return Buffer.concat([whole.subarray(0, 33), framed, whole.subarray(33)]);
  };
  /** A TIFF whose directory follows itself. */
  const circle = () => {
    const bytes = Buffer.alloc(64);
    bytes.write('II*\0', 0, 'latin1');
    bytes.writeUInt32LE(8, 4);
    bytes.writeUInt16LE(1, 8);
    bytes.writeUInt16LE(256, 10);
    bytes.writeUInt16LE(3, 12);
    bytes.writeUInt32LE(1, 14);
    bytes.writeUInt32LE(4, 18);
    bytes.writeUInt32LE(8, 22);
    return bytes;
  };
  test.each<[string, Uint8Array, RegExp]>([
    [
      'that is a drawing with a script',
      Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>'),
      /file-damaged/,
    ],
    ['that is a drawing of another file', Buffer.from('<svg><image href="file:///etc/passwd"/></svg>'), /file-damaged/],
    ['that is a web page', Buffer.from('<!doctype html><img src=x onerror=alert(1)>'), /file-damaged/],
    [
      'in a format of libvips’ own',
      Buffer.concat([Buffer.from([8, 0xf2, 0xa6, 0xb6]), Buffer.alloc(96)]),
      /file-damaged/,
    ],
    [
      'in a format that we do not read (HEIF)',
      Buffer.from('\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf', 'latin1'),
      /file-damaged/,
    ],
    ['of sixty thousand pixels a side', pngOf(60_000, 60_000, new Uint8Array(100)), /image-too-large/],
    [
      'of four billion pixels a side',
      pngOf(2 ** 31 - 1, 2 ** 31 - 1, new Uint8Array(100)),
      /image-too-large|file-damaged/,
    ],
    ['of no pixels', pngOf(0, 0, new Uint8Array(100)), /file-damaged/],
    [
      'whose colours unpack to 64 MB',
      chunk('iCCP', Buffer.concat([Buffer.from('x\0\0'), deflateSync(Buffer.alloc(2 ** 26))])),
      /file-damaged|accepted/,
    ],
    [
      'whose remarks unpack to 64 MB',
      chunk('zTXt', Buffer.concat([Buffer.from('x\0\0'), deflateSync(Buffer.alloc(2 ** 26))])),
      /file-damaged|accepted/,
    ],
    ['whose directory leads to itself', circle(), /file-damaged/],
    [
      'a JPEG of no more than its head',
      Buffer.from([0xff, 0xd8, 0xff, 0xe1, 0xff, 0xff, ...Buffer.from('Exif\0\0II*\0'), 0xff, 0xff, 0xff, 0xff]),
      /file-damaged/,
    ],
    [
      'a GIF of 65,535 pixels a side',
      Buffer.from('GIF89a\xff\xff\xff\xff\x00\x00\x00;', 'latin1'),
      /image-too-large|file-damaged/,
    ],
  ])('%s is decided before it does harm', async (_, bytes, codes) => {
    const path = fileOf('picture.png', bytes);
    const { code, hint } = await judge(() => decodePixels(path, { side: 8, channels: 3, fit: 'fill' }));
    expect(code).toMatch(codes);
    if (code !== 'accepted') expect(hint).toMatch(VERB);
    for await (const { candidates, problems } of readSources([path], {})) {
      expect(candidates.length + problems.length).toBe(1);
    }
  });
});

describe('A table', () => {
  async function read(path: string) {
    const all = { items: 0, codes: [] as string[] };
    await preview([path], {});
    for await (const { candidates, problems } of readSources([path], {})) {
      all.items += candidates.length;
      all.codes.push(...problems.map(({ code }) => code));
    }
    return all;
  }
  const proto = Object.getOwnPropertyNames(Object.prototype).length;
  test.each<[string, string, string, number]>([
    ['a line a hundred thousand deep', 'a.jsonl', `{"text":${'['.repeat(1e5)}\n{"text":"sound"}`, 1],
    [
      'whole lines a hundred thousand deep',
      'a.jsonl',
      `{"text":"sound","more":${'['.repeat(1e5)}${']'.repeat(1e5)}}`,
      1,
    ],
    ['columns named like prototypes', 'a.csv', '__proto__,constructor,toString,text\n1,2,3,sound\n', 1],
    [
      'keys named like prototypes',
      'a.jsonl',
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"text":"sound"}',
      1,
    ],
    ['numbers that are none', 'a.jsonl', '{"text":"sound","age":1e999,"size":-1e999}', 1],
    ['NULs', 'a.csv', 'text,b\n"so\0und",\0\n', 0],
    [
      'a hundred thousand columns',
      'a.csv',
      `${Array.from({ length: 1e5 }, (_, i) => `c${i}`).join(',')}\n${'x,'.repeat(99_999)}x\n`,
      0,
    ],
    ['a quote that is never closed', 'a.csv', 'text,b\n"never,1\nsound,2\n', 1],
    ['the same key a thousand times', 'a.jsonl', `{${'"text":"x",'.repeat(1000)}"text":"sound"}`, 1],
  ])('with %s costs that line at most', async (_, name, text, items) => {
    let found = { items: 0, codes: [] as string[] };
    const { code } = await judge(async () => (found = await read(fileOf(name, text))));
    expect(code).toEqual(items === 0 ? expect.toBeOneOf(['column-missing', 'accepted']) : 'accepted');
    expect(found.items).toBeGreaterThanOrEqual(items);
    expect(found.codes.every((one) => typeof one === 'string')).toBe(true);
    expect(Object.getOwnPropertyNames(Object.prototype)).toHaveLength(proto);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  test('with a line of 256 MB holds a little of it', { timeout: 60_000 }, async () => {
    const path = fileOf('a.csv', 'text,b\n');
    openSync(path, 'a');
    truncateSync(path, 2 ** 28); // a hole: it reads as NULs
    const before = process.memoryUsage.rss();
    expect(await judge(() => read(path))).not.toMatchObject({ code: 'untyped' });
    expect(process.memoryUsage.rss() - before).toBeLessThan(512 * 2 ** 20);
  });
});

describe('A project that others made', () => {
  const withSql = (name: string, sql: string) => {
    const dir = join(folder, name);
    mkdirSync(dir);
    writeFileSync(join(dir, 'project.sqlite'), readFileSync(join(made.dir, 'project.sqlite')));
    const db = new Database(join(dir, 'project.sqlite'));
    db.exec(sql);
    db.close();
    return dir;
  };
  test.each([
    [
      'a trigger that relabels',
      'CREATE TRIGGER t AFTER INSERT ON jobs BEGIN UPDATE project SET name = 2; END',
      /trigger “t”/,
    ],
    ['a view', 'CREATE VIEW v AS SELECT 1', /view “v”/],
    ['a table of its own', 'CREATE TABLE more (a)', /table “more”/],
    ['an index that computes', 'CREATE INDEX i ON items (abs(seq))', /index “i”/],
    [
      'a view in place of a table',
      'DROP TABLE queue; CREATE VIEW queue AS WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x FROM r) SELECT x FROM r',
      /queue/,
    ],
    ['a table less', 'DROP TABLE queue', /queue/],
    ['a format of nothing', 'PRAGMA user_version = 0', /format is 0/],
    ['a negative format', 'PRAGMA user_version = -5', /format is -5/],
  ])('with %s is not opened', async (name, sql, why) => {
    const dir = withSql(name, sql);
    const { code, message, hint } = await judge(() => openProject(dir, { clock }).close());
    expect({ code, message }).toEqual({ code: 'project-damaged', message: expect.stringMatching(why) });
    expect(hint).toMatch(VERB);
  });

  test('is opened when it is as we make it', () => {
    expect(() => useProject(withSql('sound', 'SELECT 1'))).not.toThrow();
  });
});

describe('A backup that others made', () => {
  const restoreWith = (name: string, sql: string) => {
    const file = join(folder, `${name}.backup`);
    writeFileSync(file, readFileSync(made.backup));
    const db = new Database(file);
    db.exec(sql);
    db.close();
    return judge(() => restoreBackup(file, join(folder, 'inner', name)));
  };
  test.each([
    ['a name that leads outside', "UPDATE backup_blobs SET sha256 = '../../escaped'"],
    ['an absolute name', "UPDATE backup_blobs SET sha256 = '/tmp/escaped'"],
    ['other bytes under the name', "UPDATE backup_blobs SET bytes = x'00'"],
    [
      'files without an end',
      'DROP TABLE backup_blobs; CREATE VIEW backup_blobs AS WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT x AS sha256 FROM r',
    ],
    ['a trigger', 'CREATE TRIGGER t AFTER DELETE ON backup_blobs BEGIN DELETE FROM items; END'],
  ])('with %s is not restored, and nothing lies outside', async (name, sql) => {
    const { code, hint } = await restoreWith(name, sql);
    expect(code).toBe('project-damaged');
    expect(hint).toMatch(VERB);
    expect(existsSync(join(folder, 'inner', name, 'project.sqlite'))).toBe(false);
    const outside = readdirSync(folder, { recursive: true }).map(String);
    expect(outside.filter((path) => path.includes('escaped'))).toEqual([]);
    expect(existsSync('/tmp/escaped')).toBe(false);
  });
});

describe('Mutants', () => {
  // a backup is a project with files in it
  test.each([
    [200, 'tokenizer'],
    [200, 'image'],
    [200, 'table'],
    [120, 'project'],
    [80, 'backup'],
  ] as const)(
    '%i of the kind %s are decided, typed, in time, and reach nothing',
    { timeout: 120_000 },
    async (count, kind) => {
      const tally = await runMutants(kind, 0, count, 1, TRACER !== null);
      expect(tally).toMatchObject({ mutants: count, untyped: [], reached: [] });
      expect(tally.slowestMs).toBeLessThan(5000);
      // a tokenizer is tried in a process that may end; the others are read where the work goes on
      if (kind !== 'tokenizer') expect(tally.contained).toEqual([]);
    },
  );
});
