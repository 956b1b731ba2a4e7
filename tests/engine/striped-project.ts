/**
 * Projects of small striped pictures for fine-tuning: upright or lying stripes under noise,
 * written as PNG files by sharp, all labelled at import.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { createRng } from '../../main/domain/rng.ts';
import { stripes } from '../tuning/textures.ts';

export const CLASSES = ['lying', 'upright'];
const SIDE = 32;

/** Writes `count` pictures into a folder for each class under `dir`. */
export async function writeStripes(dir: string, count: number, seed = 1): Promise<void> {
  const rng = createRng(seed);
  for (const name of CLASSES) mkdirSync(join(dir, name), { recursive: true });
  for (let i = 0; i < count; i++) {
    const kind = i % 2;
    const values = stripes(kind, rng, SIDE);
    const name = CLASSES[1 - kind];
    await sharp(Buffer.from(values), { raw: { width: SIDE, height: SIDE, channels: 1 } })
      .png()
      .toFile(join(dir, name, `${seed}-${i}.png`));
  }
}
