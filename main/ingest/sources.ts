/**
 * What there is to read: sources (files and folders) become a sorted list of entries, each
 * an image, a text or a table. The order depends on names alone, so that a resumed import
 * meets the same entries in the same order. Hidden files are passed over, links followed,
 * and a folder that was visited already (a link to a parent, say) is not entered again.
 * Files that are not read are counted by extension, one problem each, never one per file.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, extname, join, resolve, sep } from 'node:path';
import { EngineError } from '../domain/errors.ts';
import type { ImportProblem } from '../domain/item.ts';
import { isImageFile, unreadable } from '../imaging/index.ts';

export type EntryKind = 'image' | 'text' | 'table';

/** One file to read. */
export interface Entry {
  kind: EntryKind;
  /** Absolute. */
  path: string;
  /** The source it was found under, absolute: itself, when it was named itself. */
  source: string;
  /** Relative to the source with `/` between folders; the file's own name when it was named itself. */
  name: string;
}

const KIND_OF: Readonly<Record<string, EntryKind>> = {
  '.png': 'image', '.jpg': 'image', '.jpeg': 'image', '.jpe': 'image', '.jfif': 'image', '.webp': 'image',
  '.tif': 'image', '.tiff': 'image', '.gif': 'image', '.bmp': 'image', '.dib': 'image',
  '.txt': 'text', '.text': 'text', '.md': 'text', '.markdown': 'text',
  '.csv': 'table', '.tsv': 'table', '.tab': 'table', '.jsonl': 'table', '.ndjson': 'table',
}; // prettier-ignore

/** The extensions that folders are searched for. */
export const EXTENSIONS: readonly string[] = Object.keys(KIND_OF);

const SYSTEM_FILES = new Set(['thumbs.db', 'desktop.ini', '__macosx', '$recycle.bin', 'system volume information']);

export interface Listing {
  entries: Entry[];
  problems: ImportProblem[];
}

/** Compares names by UTF-16 units, the same on every machine. */
export function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Compares two paths folder by folder, in the order in which folders are walked. */
export function byPath(a: string, b: string): number {
  const left = a.split(sep);
  const right = b.split(sep);
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const order = byName(left[i], right[i]);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

/**
 * Everything in the sources, sorted. With `tablesFirst` (a mapping was given, so that tables say what an item is) a folder's tables
 * are read and its loose images and texts are not; otherwise its tables only when it has nothing else. `limit` stops early, for a preview.
 * Errors: `source-missing`, `source-empty`.
 */
export async function listSources(
  sources: readonly string[],
  tablesFirst: boolean,
  limit = Infinity,
): Promise<Listing> {
  const roots = [...new Set(sources.map((source) => resolve(source)))].sort(byPath);
  if (roots.length === 0)
    throw new EngineError('source-missing', 'No source was named.', 'Name a file or a folder to import.');
  const listing: Listing = { entries: [], problems: [] };
  const visited = new Set<string>();
  for (const source of roots) {
    const stats = await stat(source).catch((cause) => {
      const code = (cause as NodeJS.ErrnoException).code;
      if (code === 'ENOENT' || code === 'ENOTDIR') {
        throw new EngineError(
          'source-missing',
          `There is nothing at ${source}.`,
          'Check the path; it may have been moved or renamed.',
          { path: source },
        );
      }
      throw unreadable(source, cause);
    });
    if (!stats.isDirectory()) {
      listing.entries.push({ kind: await kindOfNamedFile(source), path: source, source, name: basename(source) });
      continue;
    }
    const before = { entries: listing.entries.length, problems: listing.problems.length };
    const found = {
      loose: [] as Entry[],
      tables: [] as Entry[],
      unread: new Map<string, number>(),
      problems: listing.problems,
    };
    await walk(source, source, '', visited, found, limit);
    const tablesOnly = found.tables.length > 0 && (tablesFirst || found.loose.length === 0);
    for (const entry of tablesOnly ? found.tables : found.loose) listing.entries.push(entry);
    if (
      listing.entries.length === before.entries &&
      listing.problems.length === before.problems &&
      !wasVisitedThroughAnother(roots, source)
    ) {
      throw new EngineError(
        'source-empty',
        `There is nothing to import in ${source}.`,
        `Choose a folder with files that end in ${EXTENSIONS.join(', ')}.`,
        { path: source, extensions: [...EXTENSIONS], unread: [...found.unread.keys()] },
      );
    }
    for (const entry of tablesOnly ? [] : found.tables) {
      listing.problems.push({
        source: entry.path,
        code: 'file-unsupported',
        message: `The table ${entry.name} lies among images or texts and was not read.`,
        hint: 'Import the table by its own name, or say which of its columns to use.',
      });
    }
    for (const [extension, count] of [...found.unread].sort((a, b) => byName(a[0], b[0]))) {
      listing.problems.push({
        source,
        code: 'file-unsupported',
        message: `${count} ${count === 1 ? 'file' : 'files'} ${extension === '' ? 'without an extension' : `ending in ${extension}`} ${count === 1 ? 'was' : 'were'} not read.`,
        hint: `Convert them to one of ${EXTENSIONS.join(', ')}, or leave them.`,
      });
    }
  }
  return listing;
}

interface Found {
  loose: Entry[];
  tables: Entry[];
  unread: Map<string, number>;
  problems: ImportProblem[];
}

async function walk(
  source: string,
  folder: string,
  prefix: string,
  visited: Set<string>,
  found: Found,
  limit: number,
): Promise<void> {
  const identity = await stat(folder, { bigint: true });
  const key = `${identity.dev}:${identity.ino}`;
  if (visited.has(key)) return;
  visited.add(key);
  const children = await readdir(folder, { withFileTypes: true }).catch((cause) => {
    const { code, message, hint } = unreadable(folder, cause);
    found.problems.push({ source: folder, code, message, hint });
    return [];
  });
  for (const child of children.sort((a, b) => byName(a.name, b.name))) {
    if (found.loose.length + found.tables.length >= limit) return;
    if (child.name.startsWith('.') || SYSTEM_FILES.has(child.name.toLowerCase())) continue;
    const path = join(folder, child.name);
    const name = prefix + child.name;
    let target: { isDirectory(): boolean; isFile(): boolean } = child;
    if (child.isSymbolicLink()) {
      try {
        target = await stat(path);
      } catch (cause) {
        const { code, message, hint } = unreadable(path, cause);
        found.problems.push({ source: path, code, message, hint });
        continue;
      }
    }
    if (target.isDirectory()) {
      await walk(source, path, `${name}/`, visited, found, limit);
    } else if (target.isFile()) {
      const extension = extname(child.name).toLowerCase();
      const kind = Object.hasOwn(KIND_OF, extension) ? KIND_OF[extension] : null;
      if (kind === null) found.unread.set(extension, (found.unread.get(extension) ?? 0) + 1);
      else (kind === 'table' ? found.tables : found.loose).push({ kind, path, source, name });
    }
  }
}

/** A folder inside another source was walked with that one and may add nothing itself. */
function wasVisitedThroughAnother(roots: readonly string[], source: string): boolean {
  return roots.some((root) => root !== source && source.startsWith(root.endsWith(sep) ? root : root + sep));
}

/** A file named by a person is what its extension says, or else what its first bytes say. */
async function kindOfNamedFile(path: string): Promise<EntryKind> {
  const extension = extname(path).toLowerCase();
  if (Object.hasOwn(KIND_OF, extension)) return KIND_OF[extension];
  // Of what cannot be read, the reader of texts will say why.
  return (await isImageFile(path)) ? 'image' : 'text';
}
