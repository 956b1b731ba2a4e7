/**
 * Archives and icons, read by other programs: the system's tar, Python's zipfile, sharp. Equal
 * contents give equal bytes, in whatever order and folder they were.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, describe, expect, test } from 'vitest';
import { writeTarGz, writeZip } from '../../packaging/archive.ts';
import { checksums, inOrder, type PackedFile } from '../../packaging/contents.ts';
import { drawIcons } from '../../packaging/icons.ts';
import { ROOT } from '../../packaging/platforms.ts';
import { keepToBudget, partSizes } from '../../packaging/sizes.ts';

const root = mkdtempSync(join(tmpdir(), 'marginalia-archive-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const says = (program: string) => spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout ?? '';
const long = `${'folder/'.repeat(14)}a file with a rather long name that ends here.txt`;
const files: PackedFile[] = [
  { path: 'start', source: Buffer.from('#!/bin/sh\n'), isExecutable: true },
  { path: long, source: Buffer.from('deep') },
  { path: 'empty', source: Buffer.alloc(0) },
  { path: 'Befund 報告.bin', source: Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * i) % 251)) },
];

describe('Archives', () => {
  test.skipIf(!says('tar').includes('GNU') || process.platform === 'win32')(
    'of the tar kind are read by the system’s tar, modes and long names included',
    async () => {
      const archive = join(root, 'a.tar.gz');
      await writeTarGz(files, 'top', archive);
      expect(spawnSync('tar', ['-xzf', archive, '-C', root]).status).toBe(0);
      for (const { path, source } of files)
        expect(readFileSync(join(root, 'top', path)).equals(source as Buffer)).toBe(true);
      expect(statSync(join(root, 'top/start')).mode & 0o777).toBe(0o755);
      expect(statSync(join(root, 'top/empty')).mode & 0o777).toBe(0o644);
      const listed = spawnSync('tar', ['-tvzf', archive, '--utc'], { encoding: 'utf8' }).stdout;
      expect(listed.match(/0\/0 .*2026-01-01 00:00/g)).toHaveLength(files.length);
    },
  );

  test.skipIf(!says('python3').includes('Python 3'))(
    'of the zip kind are read by Python’s zipfile, which checks every sum',
    () => {
      const archive = join(root, 'a.zip');
      writeZip(files, 'top', archive);
      const script = `import zipfile, sys, json
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
print(json.dumps([[i.filename, len(z.read(i)), i.external_attr >> 16, list(i.date_time)] for i in z.infolist()]))`;
      const { stdout, stderr } = spawnSync('python3', ['-c', script, archive], { encoding: 'utf8' });
      expect(stderr).toBe('');
      expect(JSON.parse(stdout)).toEqual(
        inOrder(files).map(({ path, source, isExecutable }) => [
          `top/${path}`,
          source.length,
          isExecutable ? 0o100755 : 0o100644,
          [2026, 1, 1, 0, 0, 0],
        ]),
      );
    },
  );

  test('of equal contents are equal, whatever the order and the files’ own times', async () => {
    const source = join(root, 'source.txt');
    writeFileSync(source, 'the same');
    const [first, second, other] = [join(root, '1'), join(root, '2'), join(root, '3')];
    const withFile = [...files, { path: 'source.txt', source }];
    await writeTarGz(withFile, 'top', first);
    utimesSync(source, 1, 1);
    await writeTarGz(withFile.toReversed(), 'top', second);
    expect(readFileSync(second).equals(readFileSync(first))).toBe(true);
    writeZip(withFile, 'top', first);
    writeZip(withFile.toReversed(), 'top', second);
    expect(readFileSync(second).equals(readFileSync(first))).toBe(true);
    writeZip([...files, { path: 'source.txt', source: Buffer.from('the sane') }], 'top', other);
    expect(readFileSync(other).equals(readFileSync(first))).toBe(false);
  });

  test('refuse two files of one name and a path that tar cannot hold', async () => {
    expect(() => inOrder([...files, files[0]])).toThrow('Two files want to be start');
    const endless = [{ path: 'x'.repeat(120), source: Buffer.alloc(1) }];
    await expect(writeTarGz(endless, 'top', join(root, 'x'))).rejects.toThrow('too long');
  });

  test('come with sums in the form that sha256sum reads', () => {
    expect(checksums([files[2]]).source.toString()).toBe(
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  empty\n',
    );
  });
});

describe('The budget', () => {
  test('stops a package that is over it and says by how much', () => {
    expect(() => keepToBudget('a package', 250e6)).not.toThrow();
    expect(() => keepToBudget('a package', 250e6 + 1)).toThrow('250.0 MB; it may take 250.0 MB');
  });

  test('is told by parts, the largest first', () => {
    const parts = partSizes([
      { path: 'app/out/main/cli.js', sizeBytes: 1 },
      { path: 'node/node', sizeBytes: 5 },
      { path: 'app/node_modules/onnxruntime-node/x', sizeBytes: 3 },
      { path: 'app/node_modules/onnxruntime-common/x', sizeBytes: 1 },
    ]);
    expect(parts.map(({ part, sizeBytes }) => [part, sizeBytes])).toEqual([
      ['Node', 5],
      ['ONNX Runtime', 4],
      ['engine', 1],
    ]);
  });
});

describe('The icons', () => {
  test('are what the drawing gives, in every size that the systems ask for', async () => {
    const drawn = await drawIcons();
    for (const [name, content] of Object.entries(drawn)) {
      const kept = readFileSync(join(ROOT, 'resources/icons', name));
      if (!name.endsWith('.png')) {
        expect(kept.length).toBeGreaterThan(10_000);
        continue;
      }
      const size = parseInt(name, 10);
      const [a, b] = await Promise.all(
        [kept, content].map((png) => sharp(png).ensureAlpha().raw().toBuffer({ resolveWithObject: true })),
      );
      expect([a.info.width, a.info.height]).toEqual([size, size]);
      // another version of the renderer may round differently, not draw differently
      const apart = a.data.reduce((most, value, i) => Math.max(most, Math.abs(value - b.data[i])), 0);
      expect(apart, name).toBeLessThan(32);
    }
  });

  test('for Windows and macOS hold PNG files of the sizes that their lists say', async () => {
    const ico = readFileSync(join(ROOT, 'resources/icons/marginalia.ico'));
    const count = ico.readUInt16LE(4);
    const widths: number[] = [];
    for (let i = 0; i < count; i++) {
      const entry = 6 + 16 * i;
      const at = ico.readUInt32LE(entry + 12);
      const { width, format } = await sharp(ico.subarray(at, at + ico.readUInt32LE(entry + 8))).metadata();
      expect(format).toBe('png');
      expect(ico[entry]).toBe(width % 256);
      widths.push(width);
    }
    expect(widths).toEqual([16, 24, 32, 48, 64, 128, 256]);

    const icns = readFileSync(join(ROOT, 'resources/icons/marginalia.icns'));
    expect(icns.readUInt32BE(4)).toBe(icns.length);
    const types: string[] = [];
    for (let at = 8; at < icns.length; at += icns.readUInt32BE(at + 4)) {
      types.push(icns.toString('latin1', at, at + 4));
      const png = icns.subarray(at + 8, at + icns.readUInt32BE(at + 4));
      expect((await sharp(png).metadata()).format).toBe('png');
    }
    expect(types).toContain('ic10');
    expect(types).toHaveLength(11);
  });
});
