/** Measurements of pictures: hand-worked pixels, and real X-rays spoiled on purpose. */
import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { measurePicture, measurePixels } from '../../main/imaging/artefacts.ts';

const XRAYS = join(import.meta.dirname, '../../../shared/data/chest-xray/pneumonia');

test('the numbers of a few pixels are what one works out by hand', () => {
  // A chessboard of 10 and 30, 6 × 4: every inner Laplacian is ±80, the brightness's variance 100.
  const board = Uint8Array.from({ length: 24 }, (_, i) => ((Math.floor(i / 6) + i) % 2 === 0 ? 10 : 30));
  const grey = measurePixels(board, 6, 4, 1);
  expect(grey).toMatchObject({ span: 20, colour: 0 });
  expect(grey.aspect).toBeCloseTo(Math.log(1.5), 12);
  expect(grey.sharpness).toBeCloseTo(Math.log(6400 / 100), 5);
  // Half red, half grey.
  const red = measurePixels(Uint8Array.of(255, 0, 0, 90, 90, 90), 2, 1, 3);
  expect(red.colour).toBeCloseTo(0.5, 12);
  expect(red.span).toBe(90 - Math.round(0.299 * 255) + 0);
  const blank = measurePixels(new Uint8Array(100).fill(200), 10, 10, 1);
  expect(blank.span).toBe(0);
  expect(Number.isFinite(blank.sharpness)).toBe(true);
});

test.skipIf(!existsSync(XRAYS))('a blurred X-ray is less sharp than any other, at whatever contrast', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'marginalia-artefacts-'));
  const files = readdirSync(XRAYS).slice(0, 12);
  const spoiled = (name: string) => join(dir, `${name}.png`);
  for (const name of files.slice(0, 3)) {
    await sharp(join(XRAYS, name))
      .blur(3)
      .toFile(spoiled(`blur-${name}`));
    await sharp(join(XRAYS, name))
      .linear(0.3, 80)
      .toFile(spoiled(`pale-${name}`));
  }
  const sharpness = async (path: string) => (await measurePicture(path)).sharpness;
  const usual = await Promise.all(files.map((name) => sharpness(join(XRAYS, name))));
  const least = Math.min(...usual);
  for (const [i, name] of files.slice(0, 3).entries()) {
    expect(await sharpness(spoiled(`blur-${name}`))).toBeLessThan(least - 0.25);
    expect(await sharpness(spoiled(`pale-${name}`))).toBeCloseTo(usual[i], 0);
  }
});
