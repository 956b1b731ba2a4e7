/**
 * `node packaging/icons.ts`: draws the icon files of every system from the one drawing,
 * `resources/icons/marginalia.svg`: PNG in the sizes that Linux asks for, .ico for Windows
 * and .icns for macOS, both of which are lists of PNG files here. The results are committed;
 * a test draws them again.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { ROOT } from './platforms.ts';

const FOLDER = join(ROOT, 'resources/icons');
const PNG_SIZES = [16, 24, 32, 48, 64, 128, 256, 512, 1024] as const;
const ICO_SIZES = [16, 24, 32, 48, 64, 128, 256] as const;
/** Types of icns entries that hold PNG, with their width; the last five are for screens of twice the density. */
const ICNS_TYPES = {
  ...{ icp4: 16, icp5: 32, icp6: 64, ic07: 128, ic08: 256, ic09: 512 },
  ...{ ic11: 32, ic12: 64, ic13: 256, ic14: 512, ic10: 1024 },
} as const;

type Drawn = Record<number, Buffer>;

function ico(pngs: Drawn): Buffer {
  const header = Buffer.alloc(6);
  header.writeUInt16LE(1, 2);
  header.writeUInt16LE(ICO_SIZES.length, 4);
  let offset = 6 + 16 * ICO_SIZES.length;
  const entries = ICO_SIZES.map((size) => {
    const entry = Buffer.alloc(16);
    entry.writeUInt8(size % 256, 0); // 0 stands for 256
    entry.writeUInt8(size % 256, 1);
    entry.writeUInt16LE(1, 4);
    entry.writeUInt16LE(32, 6);
    entry.writeUInt32LE(pngs[size].length, 8);
    entry.writeUInt32LE(offset, 12);
    offset += pngs[size].length;
    return entry;
  });
  return Buffer.concat([header, ...entries, ...ICO_SIZES.map((size) => pngs[size])]);
}

function icns(pngs: Drawn): Buffer {
  const entries = Object.entries(ICNS_TYPES).map(([type, size]) => {
    const head = Buffer.from(`${type}\0\0\0\0`, 'latin1');
    head.writeUInt32BE(8 + pngs[size].length, 4);
    return Buffer.concat([head, pngs[size]]);
  });
  const head = Buffer.from('icns\0\0\0\0', 'latin1');
  head.writeUInt32BE(8 + entries.reduce((sum, { length }) => sum + length, 0), 4);
  return Buffer.concat([head, ...entries]);
}

/** Every icon file by its name. */
export async function drawIcons(): Promise<Record<string, Buffer>> {
  const svg = readFileSync(join(FOLDER, 'marginalia.svg'));
  const pngs: Drawn = {};
  for (const size of PNG_SIZES) {
    pngs[size] = await sharp(svg, { density: (72 * size) / 1024 })
      .resize(size, size)
      .png({ compressionLevel: 9 })
      .toBuffer();
  }
  const named = Object.entries(pngs).map(([size, png]) => [`${size}x${size}.png`, png] as const);
  return { ...Object.fromEntries(named), 'marginalia.ico': ico(pngs), 'marginalia.icns': icns(pngs) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(FOLDER, { recursive: true });
  for (const [name, content] of Object.entries(await drawIcons())) writeFileSync(join(FOLDER, name), content);
}
