/**
 * What goes wrong at the command line: each case exits 1 or 2 with a code, a message and a
 * hint that starts with a verb, and whatever was in the project before is there after.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import Database from 'better-sqlite3';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli, runJson, serveDesk } from '../served-desk.ts';

interface Trouble {
  code: string;
  message: string;
  hint: string;
}
interface Imported {
  added: number;
  duplicates: number;
  problems: { source: string; code: string; message: string; hint: string }[];
}

const work = mkdtempSync(join(tmpdir(), 'marginalia-bad-input-'));
const project = join(work, 'project');
const isRoot = process.getuid?.() === 0;
const onLinux = process.platform === 'linux';

/** A PNG that says it is 30,000 × 30,000 and holds a few bytes. */
function hugePng(): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const framed = Buffer.alloc(body.length + 8);
    framed.writeUInt32BE(data.length, 0);
    body.copy(framed, 4);
    framed.writeUInt32BE(crc(body), body.length + 4);
    return framed;
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(30_000, 0);
  header.writeUInt32BE(30_000, 4);
  header.set([8, 0, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.alloc(1000))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function crc(bytes: Buffer): number {
  let value = 0xffffffff;
  for (const byte of bytes) {
    value ^= byte;
    for (let k = 0; k < 8; k++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  }
  return (value ^ 0xffffffff) >>> 0;
}

function file(name: string, content: string | Buffer): string {
  const path = join(work, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  return path;
}

async function expectTrouble(code: string, ...args: string[]): Promise<Trouble> {
  const { code: exit, json, stderr } = await runJson<Trouble>(...args);
  expect({ exit, code: json.code }).toEqual({ exit: code === 'usage' ? 2 : 1, code });
  expect(json.message).toMatch(/\S/);
  expect(json.hint).toMatch(/^[A-Z][a-z]+ ?/);
  expect(stderr).toContain(json.message);
  expect(stderr).not.toMatch(/\n\s+at /);
  return json;
}

beforeAll(async () => {
  expect((await runCli(['new', project, '--classes', 'yes,no'])).code).toBe(0);
  const table = file(
    'good.csv',
    'id,note,answer\na,one of the good ones,yes\nb,another good one that differs,no\nc,the third thing to read,yes\n',
  );
  const { json } = await runJson<Imported>(
    'import',
    project,
    table,
    '--text',
    'note',
    '--id',
    'id',
    '--label',
    'answer',
  );
  expect(json.added).toBe(3);
});

afterAll(() => rmSync(work, { recursive: true, force: true }));

describe('A project', () => {
  test('with one class only has nothing to decide', () =>
    expectTrouble('schema-invalid', 'new', join(work, 'one'), '--classes', 'only'));
  test('is not made where one is', () => expectTrouble('project-exists', 'new', project, '--classes', 'a,b'));
  test('is not found where none is', () => expectTrouble('project-not-found', 'status', join(work, 'nowhere')));
  test('is opened by one at a time, and says by whom', async () => {
    const desk = await serveDesk(project);
    try {
      const { message } = await expectTrouble('project-locked', 'status', project);
      expect(message).toContain(String(desk.process.pid));
    } finally {
      await desk.stop();
    }
    expect((await runCli(['status', project])).code).toBe(0);
  });
  test('from a newer version is refused and not touched', async () => {
    const newer = join(work, 'newer');
    await runCli(['new', newer, '--classes', 'a,b']);
    const db = new Database(join(newer, 'project.sqlite'));
    db.pragma('user_version = 99');
    db.close();
    await expectTrouble('project-newer', 'status', newer);
  });
  test('that is not a database is said to be damaged', async () => {
    const broken = join(work, 'broken');
    mkdirSync(broken);
    writeFileSync(join(broken, 'project.sqlite'), 'this is not a database, only some text '.repeat(200));
    await expectTrouble('project-damaged', 'status', broken);
  });
});

describe('An import', () => {
  test('of a folder with nothing in it says what was looked for', async () => {
    mkdirSync(join(work, 'empty'));
    await expectTrouble('source-empty', 'import', project, join(work, 'empty'));
  });
  test('of a path that is not there', () => expectTrouble('source-missing', 'import', project, join(work, 'absent')));
  test('with a column that the table does not have names those it has', async () => {
    const { message, hint } = await expectTrouble(
      'column-missing',
      'import',
      project,
      join(work, 'good.csv'),
      '--text',
      'report',
    );
    expect(`${message} ${hint}`).toContain('note');
  });
  test('lists what is wrong with each file and takes in the good ones', async () => {
    const good = await sharp({ create: { width: 40, height: 40, channels: 3, background: '#a33' } })
      .png()
      .toBuffer();
    const noisy = await sharp({
      create: {
        width: 64,
        height: 64,
        channels: 3,
        background: '#000',
        noise: { type: 'gaussian', mean: 128, sigma: 60 },
      },
    })
      .png()
      .toBuffer();
    file('mixed/good.png', good);
    file('mixed/truncated.png', noisy.subarray(0, noisy.length / 2));
    file('mixed/nothing.png', '');
    file('mixed/huge.png', hugePng());
    file('mixed/not-an-image.png', 'a text that was given the wrong name');
    const { code, json } = await runJson<Imported>('import', project, join(work, 'mixed'));
    expect({ code, added: json.added }).toEqual({ code: 0, added: 1 });
    const found = Object.fromEntries(json.problems.map((p) => [p.source.split('/').pop(), p.code]));
    expect(found).toMatchObject({
      'truncated.png': 'file-damaged',
      'nothing.png': 'file-empty',
      'huge.png': 'image-too-large',
    });
    expect(found['not-an-image.png']).toMatch(/^file-(damaged|unsupported)$/);
    for (const problem of json.problems) expect(problem.hint).toMatch(/^[A-Z]/);
  });
  test.skipIf(process.platform === 'win32')('names a file that a link promises and that is not there', async () => {
    mkdirSync(join(work, 'dangling'));
    symlinkSync(join(work, 'nowhere.png'), join(work, 'dangling', 'link.png'));
    file('dangling/beside.txt', 'a text beside a link that leads nowhere');
    const { json } = await runJson<Imported>('import', project, join(work, 'dangling'));
    expect({ added: json.added, code: json.problems[0].code }).toEqual({ added: 1, code: 'source-unreadable' });
  });
  test.skipIf(isRoot || !onLinux)('names a file it may not read', async () => {
    chmodSync(file('secret/locked.txt', 'a text nobody may read'), 0o000);
    const { json } = await runJson<Imported>('import', project, join(work, 'secret'));
    expect(json.problems[0].code).toBe('source-unreadable');
  });
  test('keeps the first of two rows with one id', async () => {
    const table = file('twice.csv', 'id,note\nx,the first text of x\nx,the second text of x\ny,the only text of y\n');
    const { json } = await runJson<Imported>('import', project, table, '--text', 'note', '--id', 'id');
    expect(json.added).toBe(2);
    expect(json.problems.map((p) => p.code)).toEqual(['id-duplicate']);
  });
  test('takes in an item whose class is unknown, without the label', async () => {
    const table = file('unknown.csv', 'id,note,answer\nu,a text with a class of its own,maybe\n');
    const { json } = await runJson<Imported>(
      'import',
      project,
      table,
      '--text',
      'note',
      '--id',
      'id',
      '--label',
      'answer',
    );
    expect(json.added).toBe(1);
    expect(json.problems.map((p) => p.code)).toEqual(['class-unknown']);
  });
});

describe('A label', () => {
  test('of a class that the schema does not have is refused', () =>
    expectTrouble('class-unknown', 'label', project, 'a', 'perhaps'));
  test('for an item that is not there is refused', () =>
    expectTrouble('item-unknown', 'label', project, 'nobody', 'yes'));
});

test('A table whose labels are all of one class imports, and training says what is missing', async () => {
  const dir = join(work, 'one-sided');
  await runCli(['new', dir, '--classes', 'yes,no']);
  const rows = Array.from({ length: 12 }, (_, i) => `${i},note number ${i} about something,yes`);
  const table = file('one-sided.csv', `id,note,answer\n${rows.join('\n')}\n`);
  const { json } = await runJson<Imported>('import', dir, table, '--text', 'note', '--id', 'id', '--label', 'answer');
  expect(json).toMatchObject({ added: 12, problems: [] });
  await expectTrouble('labels-too-few', 'train', dir);
});

describe('Usage', () => {
  test('of an unknown command exits 2', () => expectTrouble('usage', 'frobnicate'));
  test('with an unknown option exits 2', () => expectTrouble('usage', 'status', project, '--wide'));
  test('without the folder exits 2', () => expectTrouble('usage', 'status'));
  test('with an unknown strategy names the known ones', async () => {
    const { hint } = await expectTrouble('usage', 'simulate', project, '--strategies', 'guessing');
    expect(hint).toContain('margin');
  });
});

describe.skipIf(!isRoot || !onLinux)('A full disk (a small tmpfs; needs root on Linux)', () => {
  const mount = join(work, 'small');
  beforeAll(() => {
    mkdirSync(mount);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=72m', 'tmpfs', mount]);
  });
  afterAll(() => void execFileSync('umount', ['-l', mount]));

  test('is a message, and what was saved before is there', async () => {
    const dir = join(mount, 'project');
    expect((await runCli(['new', dir, '--classes', 'yes,no'])).code).toBe(0);
    const small = file('small.csv', 'id,note\np,a first short text\nq,and a second short text\n');
    expect((await runJson<Imported>('import', dir, small, '--text', 'note', '--id', 'id')).json.added).toBe(2);
    expect((await runCli(['label', dir, 'p', 'yes'])).code).toBe(0);
    const rows = Array.from({ length: 400 }, (_, i) => `r${i},${`text number ${i} `.repeat(400)}`);
    // Long work leaves 64 MB for labels: what is left here is not enough for it.
    const ballast = join(mount, 'ballast');
    writeFileSync(ballast, Buffer.alloc(68 << 20));
    const large = file('large.csv', `id,note\n${rows.join('\n')}\n`);
    await expectTrouble('disk-full', 'import', dir, large, '--text', 'note', '--id', 'id');
    expect((await runCli(['label', dir, 'q', 'no'])).code).toBe(0);
    rmSync(ballast);
    const { json: status } = await runJson<{ labelled: number; items: number }>('status', dir);
    expect(status).toMatchObject({ labelled: 2, items: 2 });
    expect((await runJson<{ ok: boolean }>('verify', dir)).json.ok).toBe(true);
  });
});

test('After all of this the project is as good as before', async () => {
  const { json } = await runJson<{ ok: boolean; problems: unknown[] }>('verify', project);
  expect(json).toEqual({ ok: true, problems: [] });
  expect(existsSync(join(project, 'project.sqlite'))).toBe(true);
  const { json: status } = await runJson<{ items: number; labelled: number }>('status', project);
  expect(status).toMatchObject({ labelled: 3 });
});
