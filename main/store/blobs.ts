/**
 * Blobs: files named by the SHA-256 of what is in them, written whole or not at all (to a
 * temporary name, to disk, renamed, the folder to disk), never overwritten, checked when
 * read. They need no database, so that compute may keep its checkpoints here as well.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { assert, EngineError } from '../domain/errors.ts';
import { translated } from './connection.ts';

export interface Blobs {
  /** Keeps the bytes and returns their SHA-256; on disk when it returns. */
  put(bytes: Uint8Array): string;
  /** The bytes, checked against their name. Errors: `project-damaged`. */
  read(sha256: string): Buffer;
  has(sha256: string): boolean;
  /** Where the blob lies, for a reader that wants a file; not checked. */
  pathOf(sha256: string): string;
  sizeOf(sha256: string): number;
  /** All blobs, by name. */
  list(): string[];
  /** Whether a blob's bytes still are what its name says, read in pieces. */
  isIntact(sha256: string): boolean;
  /** Removes what writers that died have left half-written. */
  sweep(): void;
}

const NAME = /^[0-9a-f]{64}$/;
const TEMPORARY = /^\.tmp-(\d+)-\d+$/;
let written = 0;

/** The blobs of a project's folder. */
export function openBlobs(projectDir: string): Blobs {
  const dir = path.join(projectDir, 'blobs');
  const pathOf = (sha256: string) => {
    assert(NAME.test(sha256), 'a SHA-256 in hex', sha256);
    return path.join(dir, sha256);
  };
  const blobs: Blobs = {
    put(bytes) {
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const file = pathOf(sha256);
      return translated({ file }, () => {
        if (fs.existsSync(file) && blobs.isIntact(sha256)) {
          // Whoever wrote it may have been stopped before this.
          syncFolder(dir);
          return sha256;
        }
        if (!fs.existsSync(dir)) makeFolder(dir);
        const temporary = path.join(dir, `.tmp-${process.pid}-${++written}`);
        try {
          const fd = fs.openSync(temporary, 'wx', 0o644);
          try {
            for (let at = 0; at < bytes.length;) at += fs.writeSync(fd, bytes, at);
            fs.fsyncSync(fd);
          } finally {
            fs.closeSync(fd);
          }
          fs.renameSync(temporary, file);
        } catch (error) {
          discard(temporary);
          throw error;
        }
        syncFolder(dir);
        return sha256;
      });
    },
    read(sha256) {
      const file = pathOf(sha256);
      const bytes = translated({ file }, () => {
        if (!fs.existsSync(file)) throw damaged(`The file ${sha256} is missing from the project.`, sha256);
        return fs.readFileSync(file);
      });
      if (createHash('sha256').update(bytes).digest('hex') !== sha256)
        throw damaged(`The file ${sha256} has changed since it was written.`, sha256);
      return bytes;
    },
    has: (sha256) => fs.existsSync(pathOf(sha256)),
    pathOf,
    sizeOf: (sha256) => translated({ file: pathOf(sha256) }, () => fs.statSync(pathOf(sha256)).size),
    list: () =>
      fs.existsSync(dir)
        ? fs
            .readdirSync(dir)
            .filter((name) => NAME.test(name))
            .sort()
        : [],
    isIntact: (sha256) => translated({ file: pathOf(sha256) }, () => hashFile(pathOf(sha256)) === sha256),
    sweep() {
      if (!fs.existsSync(dir)) return;
      for (const name of fs.readdirSync(dir)) {
        const pid = TEMPORARY.exec(name)?.[1];
        if (pid !== undefined && !isAlive(Number(pid))) removeFile(path.join(dir, name));
      }
    },
  };
  return blobs;
}

/** Removes a file where there is one. `rmSync` would not say what the system said. */
export function removeFile(file: string): void {
  try {
    fs.unlinkSync(file);
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOENT') throw error;
  }
}

/** Removes what an attempt that failed has left; its own error is the one to hear of. */
export function discard(...files: string[]): void {
  for (const file of files) {
    try {
      removeFile(file);
    } catch {
      // As above.
    }
  }
}

/** Makes a folder's entries (a rename, a new file) last; Windows does so by itself, and some file systems of other machines cannot. */
export function syncFolder(dir: string): void {
  if (process.platform === 'win32') return;
  const fd = fs.openSync(dir, 'r');
  try {
    fs.fsyncSync(fd);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== 'EINVAL' && code !== 'ENOTSUP') throw error;
  } finally {
    fs.closeSync(fd);
  }
}

/** What says that a path cannot be a folder's, whoever asks. */
const NO_FOLDER = new Set(['EEXIST', 'ENOTDIR', 'ENAMETOOLONG', 'EINVAL', 'ENOENT', 'ELOOP', 'ERR_INVALID_ARG_VALUE']);

/** Makes a folder, and those above it that are missing, and makes them last. Errors: `io-failed` where the path cannot be a folder's. */
export function makeFolder(dir: string): void {
  const last = path.resolve(dir);
  let first: string | undefined;
  try {
    first = fs.mkdirSync(last, { recursive: true });
  } catch (error) {
    const code = (error as { code?: string }).code ?? '';
    if (!NO_FOLDER.has(code)) throw error;
    const message = `There cannot be a folder at ${dir} (${code}).`;
    throw new EngineError(
      'io-failed',
      message,
      'Choose another folder, or move the file that is there.',
      { path: dir },
      error,
    );
  }
  if (first === undefined) return syncParent(last);
  for (let made = last; ; made = path.dirname(made)) {
    syncParent(made);
    if (made === first || made === path.dirname(made)) return;
  }
}

/** A folder above may not be ours to open; its owner made it last. */
function syncParent(dir: string): void {
  try {
    syncFolder(path.dirname(dir));
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
  }
}

/** Makes a file's bytes last. */
export function syncFile(file: string): void {
  const fd = fs.openSync(file, 'r+');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function hashFile(file: string): string {
  const digest = createHash('sha256');
  const fd = fs.openSync(file, 'r');
  try {
    const piece = Buffer.allocUnsafe(Math.min(1 << 20, fs.fstatSync(fd).size + 1));
    for (let read = fs.readSync(fd, piece); read > 0; read = fs.readSync(fd, piece))
      digest.update(piece.subarray(0, read));
  } finally {
    fs.closeSync(fd);
  }
  return digest.digest('hex');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM';
  }
}

const damaged = (message: string, sha256: string) =>
  new EngineError(
    'project-damaged',
    message,
    'Restore the project from its last backup, or roll back to another model version.',
    { blob: sha256 },
  );
