import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { countTerms, decodePixels } from '../../main/inference/index.ts';
import { WITHIN_FROM } from '../../main/inference/ngrams.ts';

const folder = mkdtempSync(join(tmpdir(), 'pixels-'));
afterAll(() => rmSync(folder, { recursive: true }));

const GREY = { side: 2, channels: 1, fit: 'fill' } as const;
const RGB = { side: 2, channels: 3, fit: 'fill' } as const;

function file(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

/** 2 × 2 pixels: red, green / blue, white. */
const FOUR = Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255);
const PLANES = [255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255];
const four = () => sharp(FOUR, { raw: { width: 2, height: 2, channels: 3 } });

/** The same four pixels as a bitmap of 24 bits, bottom-up, lines padded to 8 bytes; laid out by hand. */
function bitmap(): Uint8Array {
  const bytes = new Uint8Array(54 + 16);
  const view = new DataView(bytes.buffer);
  bytes.set([0x42, 0x4d]);
  view.setUint32(2, bytes.length, true);
  view.setUint32(10, 54, true);
  view.setUint32(14, 40, true);
  view.setInt32(18, 2, true);
  view.setInt32(22, 2, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, 24, true);
  bytes.set([255, 0, 0, 255, 255, 255], 54);
  bytes.set([0, 0, 255, 0, 255, 0], 62);
  return bytes;
}

describe('pixels', () => {
  it('come as planes of red, green and blue', async () => {
    const path = file('four.png', await four().png().toBuffer());
    expect(Array.from(await decodePixels(path, RGB))).toEqual(PLANES);
  });

  it('come from a bitmap as from any other format', async () => {
    expect(Array.from(await decodePixels(file('four.bmp', bitmap()), RGB))).toEqual(PLANES);
  });

  it('are turned upright by the EXIF orientation', async () => {
    // Orientation 6: to be shown turned by 90° clockwise, so the left column becomes the top row.
    const turned = await four().withMetadata({ orientation: 6 }).png().toBuffer();
    const red = Array.from(await decodePixels(file('turned.png', turned), RGB)).slice(0, 4);
    expect(red).toEqual([0, 255, 255, 0]);
  });

  it('stand on black where the image is transparent', async () => {
    const clear = await sharp({
      create: { width: 4, height: 4, channels: 4, background: { r: 255, g: 255, b: 255, alpha: 0 } },
    })
      .png()
      .toBuffer();
    expect(Array.from(await decodePixels(file('clear.png', clear), GREY))).toEqual([0, 0, 0, 0]);
  });

  it('of a 12-bit scan in a 16-bit file use the whole range', async () => {
    const deep = await sharp(Uint16Array.of(0, 1024, 2048, 4095), { raw: { width: 2, height: 2, channels: 1 } })
      .toColourspace('grey16')
      .png()
      .toBuffer();
    const values = await decodePixels(file('deep.png', deep), GREY);
    expect(Array.from(values, Math.round)).toEqual([0, 64, 128, 255]);
  });

  it('of an animation are those of the first frame', async () => {
    const frame = (grey: number) =>
      sharp({ create: { width: 8, height: 8, channels: 3, background: { r: grey, g: grey, b: grey } } })
        .png()
        .toBuffer();
    const animation = await sharp([await frame(255), await frame(0)], { join: { animated: true } })
      .gif()
      .toBuffer();
    expect(Array.from(await decodePixels(file('two.gif', animation), GREY))).toEqual([255, 255, 255, 255]);
  });

  it('that cannot be had are explained, with the path', async () => {
    const good = await sharp({ create: { width: 200, height: 200, channels: 3, background: '#888' } })
      .png()
      .toBuffer();
    const cases: [string, string][] = [
      [join(folder, 'absent.png'), 'source-unreadable'],
      [file('zero.png', new Uint8Array()), 'file-empty'],
      [file('short.png', good.subarray(0, good.length - 60)), 'file-damaged'],
      [file('short.bmp', bitmap().subarray(0, 60)), 'file-damaged'],
      [file('text.png', new TextEncoder().encode('not an image')), 'file-damaged'],
    ];
    for (const [path, code] of cases) {
      await expect(decodePixels(path, GREY), path).rejects.toMatchObject({ code, context: { path } });
    }
    const huge = bitmap();
    new DataView(huge.buffer).setInt32(18, 30_000, true);
    new DataView(huge.buffer).setInt32(22, 30_000, true);
    await expect(decodePixels(file('huge.bmp', huge), GREY)).rejects.toMatchObject({ code: 'image-too-large' });
  });
});

describe('terms', () => {
  it('of two words are the words, their pair, and the characters within', () => {
    // cat: 1 word; " cat " has 3 + 2 + 1 n-grams of 3, 4, 5 characters. A pair joins the two.
    const { ids, counts } = countTerms('cat dog');
    expect(ids.length).toBe(2 * (1 + 6) + 1);
    expect(ids.filter((id) => id < WITHIN_FROM).length).toBe(3);
    expect(counts.every((count) => count === 1)).toBe(true);
    expect([...ids]).toEqual([...ids].sort((a, b) => a - b));
  });

  it('do not depend on case, width or composition of the letters', () => {
    expect(countTerms('Ｆièvre')).toEqual(countTerms('fie\u0300vre'));
  });

  it('of Chinese are its characters, pairs and triples', () => {
    // 5 characters, 4 pairs, 3 triples, all different.
    expect(countTerms('肺部有阴影').ids.length).toBe(12);
    const shared = new Set(countTerms('左肺有阴影').ids);
    expect(countTerms('肺部有阴影').ids.filter((id) => shared.has(id)).length).toBe(4 + 2 + 1);
  });

  it('count the whole text, however long, and nothing where there are no letters', () => {
    const { counts } = countTerms('fever '.repeat(50_000));
    expect(Math.max(...counts)).toBe(50_000);
    expect(countTerms(' — … !').ids.length).toBe(0);
  });
});
