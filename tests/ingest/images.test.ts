import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ImagePart } from '../../main/domain/item.ts';
import { openPixels } from '../../main/imaging/index.ts';
import { DATA, FILES, folderOf, hasData, pngOf, readAll, thrownBy } from './material.ts';

const file = (name: string) => readFileSync(join(FILES, name));

async function imageOf(path: string): Promise<ImagePart> {
  const { candidates, problems } = await readAll(path);
  expect(problems).toEqual([]);
  return candidates[0].parts[0] as ImagePart;
}

async function rgbOf(name: string): Promise<Buffer> {
  return (await openPixels(join(FILES, name)))
    .flatten({ background: '#000' })
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer();
}

describe('images that another program wrote', () => {
  it.each([
    ['rgb.png', 'png', 24, 16],
    ['rgb.jpg', 'jpeg', 24, 16],
    ['rgb.webp', 'webp', 24, 16],
    ['rgb.tif', 'tiff', 24, 16],
    ['palette.gif', 'gif', 24, 16],
    ['rgb.bmp', 'bmp', 24, 16],
    ['rgba.bmp', 'bmp', 24, 16],
    ['palette.bmp', 'bmp', 24, 16],
    ['grey.bmp', 'bmp', 24, 16],
    ['bilevel.bmp', 'bmp', 24, 16],
    ['grey16.png', 'png', 24, 16],
    ['turned.jpg', 'jpeg', 16, 24],
  ])(
    '%s is read as %s with its size after the EXIF orientation and the hash of its bytes',
    async (name, format, width, height) => {
      const part = await imageOf(join(FILES, name));
      const bytes = file(name);
      expect(part).toMatchObject({
        kind: 'image',
        format,
        width,
        height,
        sizeBytes: bytes.length,
        path: join(FILES, name),
      });
      expect(part.sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
    },
  );

  it('gives the pattern that was drawn, from PNG, TIFF and bitmaps of 24 and 32 bits alike', async () => {
    const drawn = Buffer.alloc(24 * 16 * 3);
    for (let y = 0, at = 0; y < 16; y++) {
      for (let x = 0; x < 24; x++, at += 3) drawn.set([(x * 10) % 256, (y * 15) % 256, (x * y * 3) % 256], at);
    }
    for (const name of ['rgb.png', 'rgb.tif', 'rgb.bmp', 'rgba.bmp']) {
      expect([name, (await rgbOf(name)).equals(drawn)]).toEqual([name, true]);
    }
  });

  it('reads bitmaps with a palette as the picture, and a bilevel one as black and white', async () => {
    const drawn = await rgbOf('rgb.png');
    const palette = await rgbOf('palette.bmp');
    const meanError = palette.reduce((sum, value, i) => sum + Math.abs(value - drawn[i]), 0) / palette.length;
    expect(meanError).toBeLessThan(8);
    expect(new Set(await rgbOf('bilevel.bmp'))).toEqual(new Set([0, 255]));
    const grey = await rgbOf('grey.bmp');
    for (let i = 0; i < grey.length; i += 3) expect([grey[i + 1], grey[i + 2]]).toEqual([grey[i], grey[i]]);
  });

  it('reads a bitmap stored top-down as the same picture', async () => {
    const bytes = file('rgb.bmp');
    const [at, stride] = [bytes.readUInt32LE(10), 24 * 3];
    const rows = Array.from({ length: 16 }, (_, y) => bytes.subarray(at + y * stride, at + (y + 1) * stride)).reverse();
    const flipped = Buffer.concat([bytes.subarray(0, at), ...rows]);
    flipped.writeInt32LE(-16, 22);
    const folder = folderOf({ 'down.bmp': flipped });
    expect((await (await openPixels(join(folder, 'down.bmp'))).raw().toBuffer()).equals(await rgbOf('rgb.bmp'))).toBe(
      true,
    );
  });

  it('goes by the content where the extension says something else', async () => {
    const folder = folderOf({ 'really.png': file('rgb.jpg'), 'note.txt': file('rgb.png') });
    const { candidates, problems } = await readAll(folder);
    expect(problems).toEqual([]);
    expect(candidates.map(({ name, parts }) => [name, (parts[0] as ImagePart).format])).toEqual([
      ['note.txt', 'png'],
      ['really.png', 'jpeg'],
    ]);
  });
});

const big = pngOf(30_000, 30_000, new Uint8Array(64));
const noise = Buffer.from(Array.from({ length: 2000 }, (_, i) => (i * 7919 + i * i * 31) & 255));
const patched = (name: string, change: (bytes: Buffer) => void) => {
  const bytes = Buffer.from(file(name));
  change(bytes);
  return bytes;
};

describe('bad images become problems with a reason', () => {
  it.each<[string, string, Uint8Array, string]>([
    ['a PNG cut in the middle', 'a.png', file('rgb.png').subarray(0, 120), 'file-damaged'],
    ['a PNG cut after its signature', 'a.png', file('rgb.png').subarray(0, 8), 'file-damaged'],
    ['a PNG whose rows are not all there', 'a.png', pngOf(24, 16, new Uint8Array(25 * 8)), 'file-damaged'],
    ['a JPEG cut in the middle', 'a.jpg', file('rgb.jpg').subarray(0, 760), 'file-damaged'],
    ['a JPEG cut two bytes before its end', 'a.jpg', file('rgb.jpg').subarray(0, -2), 'file-damaged'],
    ['a WebP cut short', 'a.webp', file('rgb.webp').subarray(0, 200), 'file-damaged'],
    ['a TIFF cut short', 'a.tif', file('rgb.tif').subarray(0, 700), 'file-damaged'],
    ['a GIF cut short', 'a.gif', file('palette.gif').subarray(0, 150), 'file-damaged'],
    ['a bitmap cut short', 'a.bmp', file('rgb.bmp').subarray(0, 500), 'file-damaged'],
    ['a bitmap cut in its header', 'a.bmp', file('rgb.bmp').subarray(0, 30), 'file-damaged'],
    ['a bitmap of 0 pixels', 'a.bmp', patched('rgb.bmp', (b) => b.writeInt32LE(0, 18)), 'file-damaged'],
    [
      'a bitmap of 100,000 × 100,000',
      'a.bmp',
      patched('rgb.bmp', (b) => [b.writeInt32LE(1e5, 18), b.writeInt32LE(1e5, 22)]),
      'image-too-large',
    ],
    [
      'a bitmap of 16,000 × 16,000 in 1,206 bytes',
      'a.bmp',
      patched('rgb.bmp', (b) => [b.writeInt32LE(16e3, 18), b.writeInt32LE(16e3, 22)]),
      'file-damaged',
    ],
    [
      'a bitmap with run-length compression',
      'a.bmp',
      patched('palette.bmp', (b) => b.writeUInt32LE(1, 30)),
      'file-unsupported',
    ],
    ['a bitmap of 16 bits', 'a.bmp', patched('rgb.bmp', (b) => b.writeUInt16LE(16, 28)), 'file-unsupported'],
    ['an empty file', 'a.png', new Uint8Array(), 'file-empty'],
    ['noise called a JPEG', 'a.jpg', noise, 'file-damaged'],
    ['a text called a PNG', 'a.png', Buffer.from('not an image at all'), 'file-damaged'],
    [
      'an SVG called a PNG, which libvips would open',
      'a.png',
      Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
      'file-damaged',
    ],
    ['a PNG of 16,000 × 16,000 in 100 bytes', 'a.png', pngOf(16_000, 16_000, new Uint8Array(64)), 'file-damaged'],
    ['a PNG 3 pixels high and 70,000 wide', 'a.png', pngOf(70_000, 3, new Uint8Array(210_003)), 'image-too-large'],
    ['a PNG of 30,000 × 30,000', 'a.png', big, 'image-too-large'],
  ])('%s', async (_, name, bytes, code) => {
    const folder = folderOf({ [name]: bytes, 'good.png': file('rgb.png') });
    const { candidates, problems } = await readAll(folder);
    expect(problems.map((problem) => [problem.code, problem.source])).toEqual([[code, join(folder, name)]]);
    expect(problems[0].message).toContain(join(folder, name));
    expect(problems[0].hint).toMatch(/^[A-Z]\w+ /);
    expect(candidates.map((candidate) => candidate.name)).toEqual(['good.png']);
  });

  it('takes the largest size as an option', async () => {
    const { problems } = await readAll(join(FILES, 'rgb.png'), { maxPixels: 24 * 16 - 1 });
    expect(problems[0].code).toBe('image-too-large');
    expect((await readAll(join(FILES, 'rgb.png'), { maxPixels: 24 * 16 })).candidates).toHaveLength(1);
  });

  it.skipIf(process.getuid?.() === 0 || process.platform === 'win32')('a file that may not be read', async () => {
    const folder = folderOf({ 'a.png': file('rgb.png'), 'b.png': file('rgb.png') });
    chmodSync(join(folder, 'a.png'), 0);
    const { candidates, problems } = await readAll(folder);
    expect([candidates.length, problems[0].code]).toEqual([1, 'source-unreadable']);
  });

  it.skipIf(process.platform === 'win32')('a pipe is refused instead of waited for', async () => {
    const folder = folderOf({});
    execFileSync('mkfifo', [join(folder, 'a.png')]);
    expect((await readAll(join(folder, 'a.png'))).problems[0].code).toBe('file-unsupported');
    writeFileSync(join(folder, 'b.png'), file('rgb.png'));
    mkdirSync(join(folder, 'c.png'));
    expect((await readAll(folder)).candidates.map(({ name }) => name)).toEqual(['b.png']);
  });

  it('opening pixels of a file that is gone names it', async () => {
    const path = join(folderOf({}), 'gone.png');
    expect(await thrownBy(() => openPixels(path))).toMatchObject({
      code: 'source-unreadable',
      message: expect.stringContaining(path),
    });
  });
});

describe.skipIf(!hasData)('real images', () => {
  it('every blood smear comes through, the XML beside them is named once', async () => {
    const { candidates, problems } = await readAll(join(DATA, 'bccd'));
    expect(candidates).toHaveLength(364);
    expect(problems.map(({ code }) => code)).toEqual(['file-unsupported']);
    expect(
      candidates.every(({ parts, fingerprint }) => (parts[0] as ImagePart).width === 640 && fingerprint !== null),
    ).toBe(true);
  });
});
