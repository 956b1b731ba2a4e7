import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import type { Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import type { Fingerprint } from '../../main/domain/item.ts';
import { createRng } from '../../main/domain/rng.ts';
import { FINGERPRINT_SIDE, fingerprintImage, fingerprintText, isNearDuplicate } from '../../main/ingest/index.ts';
import { textSimilarity } from '../../main/ingest/fingerprint-text.ts';
import { DATA, folderOf, hasData, readAll } from './material.ts';

const sharesBand = (a: Fingerprint, b: Fingerprint) => a.bands.some((band, i) => band === b.bands[i]);

function textPrint(text: string): Fingerprint {
  const print = fingerprintText(text);
  if (print === null) throw new Error(`no fingerprint of ${text}`);
  return print;
}

const rng = createRng(5);
const WORDS = Array.from({ length: 3000 }, (_, i) => `w${i.toString(36)}`);
const HAN = Array.from({ length: 1500 }, (_, i) => String.fromCharCode(0x4e00 + i * 3));
const draw = (from: string[], n: number) => Array.from({ length: n }, () => from[rng.int(from.length)]);

/** Jaccard similarity of the sets of `width` neighbouring tokens: the definition. */
function jaccard(a: string[], b: string[], width: number): number {
  const shingles = (tokens: string[]) =>
    new Set(Array.from({ length: tokens.length - width + 1 }, (_, i) => tokens.slice(i, i + width).join(' ')));
  const [left, right] = [shingles(a), shingles(b)];
  const both = [...left].filter((shingle) => right.has(shingle)).length;
  return both / (left.size + right.size - both);
}

function edited(tokens: string[], from: string[], edits: number): string[] {
  const copy = [...tokens];
  for (let e = 0; e < edits; e++) copy[rng.int(copy.length)] = from[rng.int(from.length)];
  return copy;
}

describe('texts', () => {
  it.each([
    ['words', WORDS, ' ', 3],
    ['Chinese characters', HAN, '', 4],
  ])('the code estimates the Jaccard similarity of %s without bias', (_, from, space, width) => {
    let error = 0;
    let squares = 0;
    const trials = 150;
    for (let t = 0; t < trials; t++) {
      const tokens = draw(from, 60 + rng.int(200));
      const copy = edited(tokens, from, rng.int(20));
      const difference =
        textSimilarity(textPrint(tokens.join(space)).code, textPrint(copy.join(space)).code) -
        jaccard(tokens, copy, width);
      error += difference / trials;
      squares += difference ** 2 / trials;
    }
    // 126 minima: a standard error of at most 0.045 in one estimate, a twelfth of it in the mean.
    expect(Math.abs(error)).toBeLessThan(0.012);
    expect(Math.sqrt(squares)).toBeLessThan(0.05);
  });

  it('copies with a few words changed are found by their bands, and other texts of the same words are not', () => {
    const texts = Array.from({ length: 200 }, () => draw(WORDS, 150));
    const prints = texts.map((tokens) => textPrint(tokens.join(' ')));
    const copies = texts.map((tokens) => textPrint(edited(tokens, WORDS, 3).join(' ')));
    expect(copies.filter((copy, i) => sharesBand(copy, prints[i])).length).toBe(200);
    expect(copies.filter((copy, i) => isNearDuplicate(copy, prints[i])).length).toBeGreaterThanOrEqual(190);
    const strangers = prints.flatMap((a, i) =>
      prints.slice(0, i).filter((b) => sharesBand(a, b) || isNearDuplicate(a, b)),
    );
    expect(strangers).toEqual([]);
  });

  it('case, punctuation, spacing and full-width letters do not count; digits do', () => {
    const plain = textPrint('nodule of 8 mm in the right upper lobe');
    expect(textPrint('Nodule, of 8\u00a0mm  in the\nRIGHT upper ｌｏｂｅ.')).toEqual(plain);
    expect(isNearDuplicate(plain, textPrint('nodule of 3 mm in the right upper lobe'))).toBe(false);
    expect(isNearDuplicate(textPrint('双肺纹理增多，未见明显实变影。'), textPrint('双肺纹理增多 未见明显实变影'))).toBe(
      true,
    );
    expect(
      isNearDuplicate(textPrint('双肺纹理增多，未见明显实变影。'), textPrint('右下肺见斑片状高密度影，边界模糊。')),
    ).toBe(false);
  });

  it('short texts compare too, and what has no word has no fingerprint', () => {
    expect(isNearDuplicate(textPrint('normal'), textPrint('Normal.'))).toBe(true);
    expect(isNearDuplicate(textPrint('normal'), textPrint('abnormal'))).toBe(false);
    expect(fingerprintText(' … ?! ')).toBeNull();
  });

  it('bands are 32-bit integers, and an image is never a text', () => {
    const print = textPrint('one two three four');
    expect(print.bands.every((band) => (band | 0) === band)).toBe(true);
    expect(isNearDuplicate(print, { ...print, kind: 'image' })).toBe(false);
  });
});

describe('images', () => {
  it('one flat tone has no fingerprint', () => {
    expect(fingerprintImage(new Uint8Array(FINGERPRINT_SIDE ** 2).fill(77), 100, 100)).toBeNull();
  });

  it('brightness and contrast do not count, shape does', () => {
    const grey = Uint8Array.from({ length: FINGERPRINT_SIDE ** 2 }, () => 60 + rng.int(100));
    const [a, b, other] = [
      fingerprintImage(grey, 640, 480),
      fingerprintImage(
        grey.map((value) => value * 1.3 + 20),
        320,
        240,
      ),
      fingerprintImage(grey, 480, 640),
    ] as Fingerprint[];
    expect(isNearDuplicate(a, b)).toBe(true);
    expect(sharesBand(a, b)).toBe(true);
    expect(isNearDuplicate(a, other)).toBe(false);
  });
});

describe.skipIf(!hasData)('real images', () => {
  const changes: [string, (image: Sharp, width: number) => Sharp][] = [
    ['a.jpg', (image) => image.jpeg({ quality: 50 })],
    ['b.webp', (image) => image.webp({ quality: 60 })],
    ['c.png', (image, width) => image.resize(Math.round(width / 2)).png()],
    ['d.jpg', (image, width) => image.resize(Math.round(width * 1.7)).jpeg()],
    ['e.tif', (image) => image.linear(1.15, 0).tiff({ compression: 'lzw' })],
    ['f.gif', (image) => image.greyscale().gif()],
  ];

  it.each([
    ['chest films', 'chest-xray/pneumonia', 0],
    ['blood smears', 'bccd/JPEGImages', 1],
  ])('%s: every copy is found, and different pictures are not taken for copies', async (_, folder, knownPairs) => {
    const files = readdirSync(join(DATA, folder)).sort().slice(0, 120); // prettier-ignore
    const { candidates } = await readAll(files.map((name) => join(DATA, folder, name)));
    const originals = candidates.map(({ fingerprint }) => fingerprint as Fingerprint);
    let merged = 0;
    let candidatesByBand = 0;
    for (const [i, a] of originals.entries()) {
      for (const b of originals.slice(0, i)) {
        if (isNearDuplicate(a, b)) merged++;
        if (sharesBand(a, b)) candidatesByBand++;
      }
    }
    // BloodImage_00037 and _00038 are one field photographed at two focal planes.
    expect(merged).toBe(knownPairs);
    expect(candidatesByBand / ((originals.length * (originals.length - 1)) / 2)).toBeLessThan(0.02);
    const copies = folderOf({});
    for (let i = 0; i < files.length; i += 15) {
      const path = join(DATA, folder, files[i]);
      const { width } = await sharp(path).metadata();
      for (const [name, change] of changes)
        await change(sharp(path), width).toFile(join(copies, `${String(i).padStart(3, '0')}${name}`));
    }
    const found = (await readAll(copies)).candidates;
    expect(found).toHaveLength(8 * changes.length);
    for (const { name, fingerprint } of found) {
      const original = originals[Number(name.slice(0, 3))];
      expect([
        name,
        isNearDuplicate(fingerprint as Fingerprint, original),
        sharesBand(fingerprint as Fingerprint, original),
      ]).toEqual([name, true, true]);
    }
  });
});
