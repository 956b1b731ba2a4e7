/**
 * The sample's material: the same for the same seed, complete, plainly simulated, small,
 * and neither trivial nor hopeless to learn.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRng } from '../../main/domain/rng.ts';
import { CELL_KINDS, drawCell, drawSlide, SIDE } from '../../resources/sample-project/cells.ts';
import { generateSample, type Sample } from '../../resources/sample-project/generate.ts';
import { drawNotes, URGENCIES } from '../../resources/sample-project/notes.ts';

const scratch = mkdtempSync(join(tmpdir(), 'marginalia-sample-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function hashOf(sample: Sample): string {
  const digest = createHash('sha256');
  for (const name of readdirSync(sample.cellsDir).toSorted()) digest.update(readFileSync(join(sample.cellsDir, name)));
  return digest.update(readFileSync(sample.cellsTable)).update(readFileSync(sample.notesFile)).digest('hex');
}

describe('A generated sample', () => {
  let sample: Sample;
  beforeAll(async () => {
    sample = await generateSample(join(scratch, 'a'), { seed: 3, cells: 16, notes: 60 });
  });

  test('has a picture for every row of its table, each class in equal shares', async () => {
    const rows = parse(readFileSync(sample.cellsTable), { columns: true }) as Record<string, string>[];
    expect(rows).toHaveLength(16);
    for (const kind of CELL_KINDS) expect(rows.filter((row) => row.kind === kind)).toHaveLength(4);
    for (const row of rows) {
      const { width, height, format } = await sharp(join(scratch, 'a', row.image)).metadata();
      expect([width, height, format]).toEqual([SIDE, SIDE, 'jpeg']);
      expect(row.slide).toMatch(/^slide-\d\d$/);
    }
    expect(sample.cellClasses).toEqual([...CELL_KINDS]);
  });

  test('takes less than 20 kB a picture, so that a few hundred stay below 6 MB', () => {
    for (const name of readdirSync(sample.cellsDir)) {
      expect(statSync(join(sample.cellsDir, name)).size).toBeLessThan(20_000);
    }
  });

  test('says in its folder and in every name that it is simulated', () => {
    expect(readFileSync(join(scratch, 'a', 'README.txt'), 'utf8')).toMatch(/^SIMULATED DATA[\s\S]*模拟数据/);
    expect(readdirSync(sample.cellsDir).every((name) => name.startsWith('simulated-'))).toBe(true);
  });

  test('is the same for the same seed and another for another', async () => {
    const again = await generateSample(join(scratch, 'b'), { seed: 3, cells: 16, notes: 60 });
    const other = await generateSample(join(scratch, 'c'), { seed: 4, cells: 16, notes: 60 });
    expect(hashOf(again)).toBe(hashOf(sample));
    expect(hashOf(other)).not.toBe(hashOf(sample));
  });

  test('stops when it is cancelled', async () => {
    await expect(generateSample(join(scratch, 'd'), { cells: 4, signal: AbortSignal.abort() })).rejects.toThrow(
      'aborted',
    );
  });
});

describe('Simulated notes', () => {
  const notes = drawNotes(createRng(1).derive('notes'), 360);

  test('are whole sentences in English and Chinese without a hole in them', () => {
    const chinese = notes.filter(({ text }) => /\p{Script=Han}/u.test(text)).length;
    expect(chinese / notes.length).toBeGreaterThan(0.15);
    expect(chinese / notes.length).toBeLessThan(0.4);
    for (const { text } of notes) {
      expect(text).not.toMatch(/[{}]|undefined|NaN/);
      expect(text).toMatch(/[.。]$/);
    }
  });

  test('are nearly all different, and a patient has only one language', () => {
    expect(new Set(notes.map(({ text }) => text)).size).toBeGreaterThan(350);
    const languages = new Map<string, boolean>();
    for (const { patient, text } of notes) {
      const isChinese = /\p{Script=Han}/u.test(text);
      expect(languages.get(patient) ?? isChinese).toBe(isChinese);
      languages.set(patient, isChinese);
    }
  });

  test('name the same sign in more than one class, so that a word alone does not decide', () => {
    const classesWith = (sign: string) =>
      new Set(notes.filter(({ text }) => text.includes(sign)).map((n) => n.urgency));
    const ambiguous = ['slurred speech', 'rigid abdomen', 'cold sweats', 'shaking chills'].filter(
      (s) => classesWith(s).size > 1,
    );
    expect(ambiguous.length).toBeGreaterThanOrEqual(3);
    expect(new Set(notes.map((n) => n.urgency))).toEqual(new Set(URGENCIES));
  });
});

describe('Simulated cells', () => {
  test('differ in colour as their kinds do: the eosinophil is the reddest, and light stays within range', () => {
    const rng = createRng(5);
    const slide = drawSlide(rng.derive('slide'), 'slide');
    const redness = CELL_KINDS.map((kind) => {
      let sum = 0;
      for (let i = 0; i < 6; i++) {
        const pixels = drawCell(rng.derive(`${kind} ${i}`), kind, slide);
        for (let y = 60; y < 116; y++) {
          for (let x = 60; x < 116; x++) {
            const at = 3 * (y * SIDE + x);
            sum += pixels[at] - pixels[at + 2];
          }
        }
      }
      return sum;
    });
    expect(redness.indexOf(Math.max(...redness))).toBe(CELL_KINDS.indexOf('eosinophil'));
  });
});
