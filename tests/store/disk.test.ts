/** Backups, the cache, and disks that are full or fail. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { EngineError } from '../../main/domain/errors.ts';
import { createGuard, fromJson, troubleOf } from '../../main/store/connection.ts';
import { openCache, openProject, openReader, restoreBackup } from '../../main/store/index.ts';
import { closing, codeOf, fill, newProject, temporaryFolder, tickingClock } from './projects.ts';

const clock = tickingClock();
const isRootOnLinux = process.platform === 'linux' && process.getuid?.() === 0;

describe('a backup', () => {
  it('holds everything in one file, made while the project is open, and comes back as it was', () => {
    const store = newProject();
    const [item] = fill(store, 3);
    const a = store.annotations.append({ item, act: 'label', classes: ['odd'], annotator: 'kim', durationMs: 1 });
    const large = Buffer.alloc((8 << 20) + 5, 'model');
    const shas = [store.blobs.put(large), store.blobs.put(Buffer.alloc(0))];
    const file = path.join(temporaryFolder(), 'cells.backup');
    store.backup(file); // an older one
    expect(store.backup(file)).toMatchObject({ file, blobs: 2 });
    store.annotations.undo({ annotator: 'kim' });
    const dir = path.join(temporaryFolder(), 'restored');
    restoreBackup(file, dir);
    const restored = closing(openProject(dir, { clock }));
    expect([...restored.annotations.all()]).toEqual([a]);
    expect(restored.facts).toEqual(store.facts);
    expect(restored.blobs.list()).toEqual(shas.toSorted());
    expect(restored.blobs.read(shas[0]).equals(large)).toBe(true);
    expect(restored.verify()).toEqual({ ok: true, problems: [] });
    expect(fs.readdirSync(path.dirname(file))).toEqual(['cells.backup']);
  });

  it('is refused where a project is, and only a backup is restored', () => {
    const store = newProject();
    const dir = temporaryFolder();
    const file = path.join(dir, 'b');
    closing(openReader(store.dir)).backup(file);
    expect(codeOf(() => restoreBackup(file, store.dir))).toBe('project-exists');
    store.close();
    expect(codeOf(() => restoreBackup(file, store.dir))).toBe('project-exists');
    const empty = path.join(dir, 'empty');
    expect(codeOf(() => restoreBackup(path.join(dir, 'none'), empty))).toBe('project-not-found');
    expect(codeOf(() => restoreBackup(path.join(store.dir, 'project.sqlite'), empty))).toBe('project-not-found');
    fs.writeFileSync(file, 'not a database at all, nor anything like it');
    expect(codeOf(() => restoreBackup(file, empty))).toBe('project-damaged');
    expect(fs.existsSync(path.join(empty, 'project.sqlite'))).toBe(false);
    expect(codeOf(() => openProject(path.dirname(file), { clock }))).toBe('project-not-found');
  });

  it('is not made of a project whose blob has changed', () => {
    const store = newProject();
    fs.writeFileSync(store.blobs.pathOf(store.blobs.put(Buffer.from('model'))), 'mode1');
    const dir = temporaryFolder();
    expect(codeOf(() => store.backup(path.join(dir, 'b')))).toBe('project-damaged');
    expect(fs.readdirSync(dir)).toEqual([]);
  });
});

describe('the cache', () => {
  it('keeps bytes by kind, version and item, and forgets versions', () => {
    const file = path.join(temporaryFolder(), 'cache.sqlite');
    const cache = closing(openCache(file));
    const [one, two] = ['1', '2'].map((version) => ({ kind: 'embedding', version }));
    cache.write(one, [
      [5, Buffer.from('five')],
      [2, Buffer.from('two')],
    ]);
    cache.write(one, [[5, Buffer.from('FIVE')]]);
    cache.write(two, [[9, Buffer.from('nine')]]);
    expect(cache.read(one, [5, 9, 2]).map((bytes) => bytes?.toString() ?? null)).toEqual(['FIVE', null, 'two']);
    expect([...cache.seqsOf(one)]).toEqual([2, 5]);
    cache.keepOnly('embedding', ['2']);
    cache.close();
    const again = closing(openCache(file));
    expect([[...again.seqsOf(one)], [...again.seqsOf(two)]]).toEqual([[], [9]]);
  });

  it('begins anew when its file is damaged or of another kind', () => {
    const key = { kind: 'k', version: '1' };
    const file = path.join(temporaryFolder(), 'cache.sqlite');
    fs.writeFileSync(file, Buffer.alloc(5000, 'z'));
    const cache = closing(openCache(file));
    cache.write(
      key,
      Array.from({ length: 400 }, (_, i) => [i, Buffer.alloc(100, i)] as const),
    );
    cache.close();
    const bytes = fs.readFileSync(file);
    bytes.fill(0xff, 8192, 20_000);
    fs.writeFileSync(file, bytes);
    const again = closing(openCache(file));
    expect([...again.seqsOf(key)]).toEqual([]);
    again.close();
    const other = new Database(file);
    other.exec('PRAGMA application_id = 5');
    other.close();
    expect([...closing(openCache(file)).seqsOf(key)]).toEqual([]);
  });
});

describe('a row that this program never writes', () => {
  it('is called damage', () => {
    const store = newProject();
    fill(store, 3);
    store.close();
    const db = new Database(path.join(store.dir, 'project.sqlite'));
    db.exec("UPDATE counters SET role = 'pools' WHERE role = 'pool'");
    db.close();
    const again = closing(openProject(store.dir, { clock }));
    expect(codeOf(() => again.counts())).toBe('project-damaged');
    // Files above the size that is checked whole when they are opened get so far.
    expect(codeOf(() => fromJson('[1,'))).toBe('project-damaged');
  });
});

describe('trouble with the disk', () => {
  it('has one code for each sort of failure', () => {
    const of = (code: string) => troubleOf(Object.assign(new Error('x'), { code }), { file: 'f' })?.code ?? null;
    expect(
      [
        'SQLITE_FULL',
        'ENOSPC',
        'SQLITE_IOERR_FSYNC',
        'EIO',
        'SQLITE_CORRUPT_INDEX',
        'SQLITE_NOTADB',
        'SQLITE_CONSTRAINT',
      ].map(of),
    ).toEqual(['disk-full', 'disk-full', 'io-failed', 'io-failed', 'project-damaged', 'project-damaged', null]);
  });

  it('ends the trust in a connection, but for a full disk', () => {
    const failing = (code: string) => {
      const guard = createGuard('f');
      let calls = 0;
      const { work } = guard.wrap({
        work: () => {
          calls++;
          throw Object.assign(new Error('x'), { code });
        },
      });
      const codes = [codeOf(work), codeOf(work)];
      return { codes, calls, distrust: guard.distrust instanceof EngineError };
    };
    expect(failing('SQLITE_IOERR_FSYNC')).toEqual({ codes: ['io-failed', 'io-failed'], calls: 1, distrust: true });
    expect(failing('SQLITE_FULL')).toEqual({ codes: ['disk-full', 'disk-full'], calls: 2, distrust: false });
  });

  it.skipIf(!isRootOnLinux)(
    'says that the disk is full, loses nothing that was acknowledged, and goes on when there is space (needs root on Linux)',
    () => {
      const disk = temporaryFolder();
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', disk]);
      try {
        fillDisk(disk);
      } finally {
        // Lazily, so that a failing test shows its failure and not a busy disk.
        execFileSync('umount', ['-l', disk]);
      }
    },
  );
});

/** Writes until the disk is full, makes space and goes on. */
function fillDisk(disk: string): void {
  const store = newProject({}, path.join(disk, 'project'));
  const [item] = fill(store, 1);
  const ballast = path.join(disk, 'ballast');
  fs.writeFileSync(ballast, Buffer.alloc(1 << 20));
  const acknowledged: string[] = [];
  const label = () =>
    store.annotations.append({ item, act: 'comment', text: 'x'.repeat(2000), annotator: 'kim', durationMs: 1 });
  let code = 'nothing thrown';
  while (code === 'nothing thrown') code = codeOf(() => acknowledged.push(label().hash));
  expect(code).toBe('disk-full');
  expect(codeOf(() => store.blobs.put(Buffer.alloc(4 << 20)))).toBe('disk-full');
  expect(codeOf(() => store.backup(path.join(disk, 'b')))).toBe('disk-full');
  expect(codeOf(() => fill(store, 2000, 10))).toBe('disk-full');
  expect([...store.annotations.all()].map(({ hash }) => hash)).toEqual(acknowledged);
  fs.rmSync(ballast);
  acknowledged.push(label().hash);
  expect(fs.readdirSync(path.join(disk, 'project', 'blobs'))).toEqual([]);
  store.close();
  const reopened = openProject(store.dir, { clock });
  expect([...reopened.annotations.all()].map(({ hash }) => hash)).toEqual(acknowledged);
  expect(reopened.verify()).toEqual({ ok: true, problems: [] });
  reopened.close();
}
