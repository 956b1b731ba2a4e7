/**
 * A disk as POSIX promises it and no better: what a recorded program did to one folder is
 * replayed, and at any moment the power may fail. Then a file holds what it held at its
 * last fsync, and of everything since an arbitrary part: calls lost, reordered (a later one
 * there, an earlier one not), torn at sectors, a longer file with zeros or rubbish in it. A
 * folder's entries (made, renamed, linked, removed) last only once the folder itself was
 * synced; each single one is atomic.
 *
 * What it takes for granted, as SQLite does: fsync does what it says, and writing a byte
 * does not harm its neighbours.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Rng } from '../../main/domain/rng.ts';
import type { Call } from './strace.ts';

type Change = { at: number; bytes: Buffer } | { size: number };

interface FileNode {
  kind: 'file';
  /** As on disk at the last sync. */
  synced: Content;
  /** As the program sees it. */
  seen: Content;
  since: Change[];
}

interface FolderNode {
  kind: 'folder';
  synced: Map<string, Node>;
  seen: Map<string, Node>;
  /** Each entry changes together or not at all. */
  since: [name: string, node: Node | null][][];
}

type Node = FileNode | FolderNode;

/** How the power failed: nothing since the last sync is there; any of it; any sector of it; a beginning of it; all of it, as after a kill. */
export const FAILURES = ['dropped', 'reordered', 'torn', 'cut', 'kept'] as const;
export type Failure = (typeof FAILURES)[number];

/** A file's bytes, which grow cheaply. */
class Content {
  #room: Buffer;
  size: number;

  constructor(bytes: Buffer = Buffer.alloc(0)) {
    this.#room = Buffer.from(bytes);
    this.size = bytes.length;
  }

  get bytes(): Buffer {
    return this.#room.subarray(0, this.size);
  }

  apply(change: Change): void {
    const size = 'size' in change ? change.size : Math.max(this.size, change.at + change.bytes.length);
    if (size > this.#room.length) this.#room = Buffer.concat([this.bytes], size * 2);
    if (size < this.size) this.#room.fill(0, size, this.size);
    this.size = size;
    if ('bytes' in change) change.bytes.copy(this.#room, change.at);
  }
}

const newFile = (): FileNode => ({ kind: 'file', synced: new Content(), seen: new Content(), since: [] });
const newFolder = (): FolderNode => ({ kind: 'folder', synced: new Map(), seen: new Map(), since: [] });

/** Files that are shared memory only: SQLite makes them anew. */
const isMemory = (path: string) => path.endsWith('-shm');

export class Disk {
  readonly #root: string;
  readonly #top = newFolder();
  readonly #open = new Map<number, { node: Node; at: number }>();
  /** How many calls changed or synced something here. */
  changes = 0;

  /** A disk on which there is only the folder `root`, empty and lasting. */
  constructor(root: string) {
    this.#root = root;
  }

  /** Replays one call; true where it was about this disk's state. */
  apply({ name, args, result }: Call): boolean {
    const before = this.changes;
    switch (name) {
      case 'open':
      case 'creat':
        this.#openFile(args[0], String(args[1]), result);
        break;
      case 'openat':
        this.#openFile(args[1], String(args[2]), result);
        break;
      case 'close':
        this.#open.delete(Number(args[0]));
        break;
      case 'dup':
      case 'dup2':
      case 'dup3': {
        const from = this.#open.get(Number(args[0]));
        if (from) throw new Error('A file on this disk was opened twice by dup.');
        this.#open.delete(result);
        break;
      }
      case 'lseek': {
        const open = this.#open.get(Number(args[0]));
        if (open) open.at = result;
        break;
      }
      case 'pwrite64':
        this.#write(Number(args[0]), (args[1] as Buffer).subarray(0, result), Number(args[3]));
        break;
      case 'write':
        this.#write(Number(args[0]), (args[1] as Buffer).subarray(0, result), null);
        break;
      case 'ftruncate':
        this.#truncate(Number(args[0]), Number(args[1]));
        break;
      case 'fsync':
      case 'fdatasync':
        this.#sync(Number(args[0]));
        break;
      case 'copy_file_range':
        this.#copy(Number(args[0]), Number(args[2]), result);
        break;
      case 'sendfile':
        this.#copy(Number(args[1]), Number(args[0]), result);
        break;
      case 'rename':
        this.#rename(args[0], args[1]);
        break;
      case 'renameat':
      case 'renameat2':
        this.#rename(args[1], args[3]);
        break;
      case 'link':
        this.#link(args[0], args[1]);
        break;
      case 'unlink':
      case 'rmdir':
        this.#remove(args[0]);
        break;
      case 'unlinkat':
        this.#remove(args[1]);
        break;
      case 'mkdir':
        this.#add(args[0], newFolder());
        break;
      case 'mkdirat':
        this.#add(args[1], newFolder());
        break;
      default:
        // Vectored and rarer calls: none is expected here.
        if (typeof args[0] === 'number' && this.#open.has(args[0])) throw new Error(`${name} is not replayed.`);
    }
    return this.changes > before;
  }

  #inside(path: unknown): string[] | null {
    const text = Buffer.isBuffer(path) ? path.toString() : '';
    if (text === this.#root) return [];
    if (!text.startsWith(`${this.#root}/`) || isMemory(text)) return null;
    return text.slice(this.#root.length + 1).split('/');
  }

  #folderOf(path: string[]): { folder: FolderNode; name: string } {
    let folder = this.#top;
    for (const name of path.slice(0, -1)) {
      const next = folder.seen.get(name);
      if (next?.kind !== 'folder') throw new Error(`There is no folder ${path.join('/')}.`);
      folder = next;
    }
    return { folder, name: path[path.length - 1] };
  }

  #enter(folder: FolderNode, entries: [string, Node | null][]): void {
    folder.since.push(entries);
    put(folder.seen, entries);
    this.changes++;
  }

  #openFile(path: unknown, flags: string, fd: number): void {
    const inside = this.#inside(path);
    if (inside === null) {
      this.#open.delete(fd);
      return;
    }
    if (inside.length === 0) {
      this.#open.set(fd, { node: this.#top, at: 0 });
      return;
    }
    const { folder, name } = this.#folderOf(inside);
    let node = folder.seen.get(name);
    if (!node) {
      node = newFile();
      this.#enter(folder, [[name, node]]);
    }
    if (node.kind === 'file' && flags.includes('O_TRUNC')) this.#change(node, { size: 0 });
    if (flags.includes('O_APPEND')) throw new Error('Appending is not replayed.');
    this.#open.set(fd, { node, at: 0 });
  }

  #change(node: FileNode, change: Change): void {
    node.since.push(change);
    node.seen.apply(change);
    this.changes++;
  }

  #write(fd: number, bytes: Buffer, at: number | null): void {
    const open = this.#open.get(fd);
    if (open?.node.kind !== 'file') return;
    this.#change(open.node, { at: at ?? open.at, bytes });
    if (at === null) open.at += bytes.length;
  }

  #truncate(fd: number, size: number): void {
    const node = this.#open.get(fd)?.node;
    if (node?.kind === 'file') this.#change(node, { size });
  }

  #copy(from: number, to: number, length: number): void {
    const source = this.#open.get(from);
    const target = this.#open.get(to);
    if (target?.node.kind !== 'file') return;
    if (source?.node.kind !== 'file') throw new Error('A copy from another disk is not replayed.');
    this.#change(target.node, {
      at: target.at,
      bytes: Buffer.from(source.node.seen.bytes.subarray(source.at, source.at + length)),
    });
    source.at += length;
    target.at += length;
  }

  #sync(fd: number): void {
    const node = this.#open.get(fd)?.node;
    if (!node) return;
    if (node.kind === 'file') for (const change of node.since) node.synced.apply(change);
    else node.synced = new Map(node.seen);
    node.since = [];
    this.changes++;
  }

  #rename(from: unknown, to: unknown): void {
    const [a, b] = [this.#inside(from), this.#inside(to)];
    if (a === null && b === null) return;
    if (a === null || b === null) throw new Error('A rename to another disk is not replayed.');
    const source = this.#folderOf(a);
    const target = this.#folderOf(b);
    if (source.folder !== target.folder) throw new Error('A rename between folders is not replayed.');
    const node = source.folder.seen.get(source.name) ?? null;
    this.#enter(source.folder, [
      [source.name, null],
      [target.name, node],
    ]);
  }

  #link(from: unknown, to: unknown): void {
    const a = this.#inside(from);
    if (a === null) return;
    const { folder, name } = this.#folderOf(a);
    const node = folder.seen.get(name);
    if (node) this.#add(to, node);
  }

  #add(path: unknown, node: Node): void {
    const inside = this.#inside(path);
    if (inside === null || inside.length === 0) return;
    const { folder, name } = this.#folderOf(inside);
    this.#enter(folder, [[name, node]]);
  }

  #remove(path: unknown): void {
    const inside = this.#inside(path);
    if (inside === null) return;
    const { folder, name } = this.#folderOf(inside);
    this.#enter(folder, [[name, null]]);
  }

  /** Every file, by its path, that has bytes which were not synced. */
  unsynced(): string[] {
    const found: string[] = [];
    const walk = (folder: FolderNode, at: string) => {
      for (const [name, node] of folder.seen) {
        if (node.kind === 'folder') walk(node, join(at, name));
        else if (node.since.length > 0) found.push(join(at, name));
      }
    };
    walk(this.#top, '');
    return found;
  }

  /** Where an open file lies, or null. */
  pathOf(fd: number): string | null {
    const wanted = this.#open.get(fd)?.node;
    const find = (folder: FolderNode, at: string): string | null => {
      for (const [name, node] of folder.seen) {
        const path = join(at, name);
        const found = node === wanted ? path : node.kind === 'folder' ? find(node, path) : null;
        if (found !== null) return found;
      }
      return null;
    };
    return wanted ? find(this.#top, '') : null;
  }

  /** Writes what is on disk when the power fails now into the folder `target`. */
  fail(failure: Failure, rng: Rng, target: string): void {
    mkdirSync(target, { recursive: true });
    const seen = new Map<FileNode, Buffer>();
    const walk = (folder: FolderNode, to: string) => {
      const entries = new Map(folder.synced);
      for (const change of survivors(folder.since, failure, rng)) put(entries, change);
      for (const [name, node] of entries) {
        const path = join(to, name);
        if (node.kind === 'folder') {
          mkdirSync(path);
          walk(node, path);
        } else {
          let bytes = seen.get(node);
          if (!bytes) seen.set(node, (bytes = contentAfter(node, failure, rng)));
          writeFileSync(path, bytes);
        }
      }
    };
    walk(this.#top, target);
  }
}

function put(entries: Map<string, Node>, changes: [string, Node | null][]): void {
  for (const [name, node] of changes) {
    if (node) entries.set(name, node);
    else entries.delete(name);
  }
}

/** Which of the changes since the last sync are on disk. */
function survivors<T>(since: readonly T[], failure: Failure, rng: Rng): readonly T[] {
  if (failure === 'dropped' || since.length === 0) return [];
  if (failure === 'kept') return since;
  if (failure === 'cut') return since.slice(0, rng.int(since.length + 1));
  return since.filter(() => rng.next() < 0.5);
}

function contentAfter(node: FileNode, failure: Failure, rng: Rng): Buffer {
  if (node.since.length === 0) return node.synced.bytes;
  const content = new Content(node.synced.bytes);
  if (failure === 'torn') tear(content, node.since, rng);
  else for (const change of survivors(node.since, failure, rng)) content.apply(change);
  return content.bytes;
}

/** Applies any sectors of the changes. Where a file grew and its new sector was never written, it may hold what was there before. */
function tear(content: Content, since: readonly Change[], rng: Rng): void {
  const sector = rng.next() < 0.5 ? 512 : 4096;
  const hasRubbish = rng.next() < 0.25;
  for (const change of since) {
    if ('size' in change) {
      if (rng.next() < 0.5) content.apply(change);
      continue;
    }
    const end = change.at + change.bytes.length;
    for (let at = change.at, next = 0; at < end; at = next) {
      next = Math.min(end, (Math.floor(at / sector) + 1) * sector);
      const fresh = Math.max(at, content.size);
      if (rng.next() < 0.5) content.apply({ at, bytes: change.bytes.subarray(at - change.at, next - change.at) });
      else if (hasRubbish && next > fresh)
        content.apply({ at: fresh, bytes: Buffer.from(Array.from({ length: next - fresh }, () => rng.int(256))) });
    }
  }
}
