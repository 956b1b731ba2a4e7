/**
 * Archives whose bytes depend on the contents alone: files by name, one fixed time, no
 * owner, modes 644 and 755. tar (ustar) through gzip for Linux and macOS, zip for Windows.
 * Written straight from the list of files, one at a time. No links, no files over 4 GB.
 * Sources: POSIX.1-2017 pax(1), “ustar Interchange Format”; PKWARE APPNOTE 6.3.3.
 */
import { once } from 'node:events';
import { closeSync, createWriteStream, openSync, writeSync } from 'node:fs';
import { crc32, createGzip, deflateRawSync } from 'node:zlib';
import { contentOf, inOrder, type PackedFile } from './contents.ts';
import { PackagingTrouble } from './platforms.ts';

/** Seconds since 1970: what SOURCE_DATE_EPOCH asks for (reproducible-builds.org), else a date that says nothing. */
export const builtAt = (): number => Number(process.env.SOURCE_DATE_EPOCH ?? Date.UTC(2026, 0, 1) / 1000);

function tarHeader(path: string, size: number, mode: number): Buffer {
  const header = Buffer.alloc(512);
  const bytes = Buffer.from(path);
  // a name of up to 100 bytes, and before it a folder of up to 155
  const cut = bytes.length <= 100 ? -1 : path.indexOf('/', Math.max(0, path.length - 101));
  const name = path.slice(cut + 1);
  const prefix = cut < 0 ? '' : path.slice(0, cut);
  if (Buffer.byteLength(name) > 100 || Buffer.byteLength(prefix) > 155) {
    throw new PackagingTrouble(`The path ${path} is too long for a tar archive.`);
  }
  const octal = (value: number, at: number, length: number) =>
    header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
  header.write(name, 0);
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(builtAt(), 136, 12);
  header.write('        0', 148, 'latin1'); // the checksum counts as spaces; then the type: a file
  header.write('ustar\x0000', 257, 'latin1');
  octal(0, 329, 8);
  octal(0, 337, 8);
  header.write(prefix, 345);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

/** Writes `files` below `folder` into a tar.gz. */
export async function writeTarGz(
  files: readonly PackedFile[],
  folder: string,
  target: string,
  level = 9,
): Promise<void> {
  const gzip = createGzip({ level });
  const output = createWriteStream(target);
  const finished = once(output, 'close');
  gzip.on('error', (error) => output.destroy(error));
  gzip.pipe(output);
  const write = async (chunk: Buffer) => {
    if (!gzip.write(chunk)) await once(gzip, 'drain');
  };
  for (const file of inOrder(files)) {
    const content = contentOf(file);
    await write(tarHeader(`${folder}/${file.path}`, content.length, file.isExecutable ? 0o755 : 0o644));
    await write(content);
    await write(Buffer.alloc((512 - (content.length % 512)) % 512));
  }
  gzip.end(Buffer.alloc(1024));
  await finished;
}

/** DOS date and time, in UTC. */
function dosTime(): number {
  const at = new Date(builtAt() * 1000);
  const date = ((at.getUTCFullYear() - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate();
  const time = (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1);
  return ((date << 16) | time) >>> 0;
}

const UTF8_NAMES = 0x0800;
const DEFLATED = 8;

/** Writes `files` below `folder` into a zip. */
export function writeZip(files: readonly PackedFile[], folder: string, target: string, level = 9): void {
  const file = openSync(target, 'w');
  const directory: Buffer[] = [];
  let offset = 0;
  const write = (...parts: Buffer[]) => {
    for (const part of parts) offset += writeSync(file, part);
  };
  try {
    for (const entry of inOrder(files)) {
      const name = Buffer.from(`${folder}/${entry.path}`);
      const content = contentOf(entry);
      const packed = deflateRawSync(content, { level });
      const shared = Buffer.alloc(26);
      shared.writeUInt16LE(20, 0);
      shared.writeUInt16LE(UTF8_NAMES, 2);
      shared.writeUInt16LE(DEFLATED, 4);
      shared.writeUInt32LE(dosTime(), 6);
      shared.writeUInt32LE(crc32(content), 10);
      shared.writeUInt32LE(packed.length, 14);
      shared.writeUInt32LE(content.length, 18);
      shared.writeUInt16LE(name.length, 22);
      const rest = Buffer.alloc(14);
      rest.writeUInt32LE(((entry.isExecutable ? 0o100755 : 0o100644) << 16) >>> 0, 6); // modes, as Unix keeps them
      rest.writeUInt32LE(offset, 10);
      directory.push(Buffer.from('PK\x01\x02\x14\x03', 'latin1'), shared, rest, name);
      write(Buffer.from('PK\x03\x04', 'latin1'), shared, name, packed);
    }
    const start = offset;
    write(...directory);
    const end = Buffer.alloc(22);
    end.write('PK\x05\x06', 0, 'latin1');
    end.writeUInt16LE(files.length, 8);
    end.writeUInt16LE(files.length, 10);
    end.writeUInt32LE(offset - start, 12);
    end.writeUInt32LE(start, 16);
    write(end);
  } finally {
    closeSync(file);
  }
}
