/**
 * Listing folders for hosts that have no native dialog. It shows names only, hides hidden
 * files and never follows a link to decide what something is.
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join, parse, resolve } from 'node:path';
import { EngineError } from './domain/errors.ts';

export interface Listing {
  dir: string;
  parent: string | null;
  entries: { name: string; path: string; kind: 'folder' | 'file'; project: boolean }[];
  truncated: boolean;
}

const MOST_ENTRIES = 2000;

/** Folders first, then files, each by name. Errors: `source-missing`, `source-unreadable`. */
export async function browse(path: string): Promise<Listing> {
  const dir = resolve(path);
  const found = await readdir(dir, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    const missing = error.code === 'ENOENT' || error.code === 'ENOTDIR';
    throw new EngineError(
      missing ? 'source-missing' : 'source-unreadable',
      missing ? `There is no folder ${dir}.` : `The folder ${dir} cannot be read.`,
      missing ? 'Check the path.' : 'Ask for permission to read it, or choose another folder.',
      { path: dir },
      error,
    );
  });
  const visible = found.filter((entry) => !entry.name.startsWith('.') && (entry.isDirectory() || entry.isFile()));
  const collator = new Intl.Collator(undefined, { numeric: true });
  visible.sort((a, b) => Number(b.isDirectory()) - Number(a.isDirectory()) || collator.compare(a.name, b.name));
  const entries = visible.slice(0, MOST_ENTRIES).map((entry) => {
    const full = join(dir, entry.name);
    const kind = entry.isDirectory() ? ('folder' as const) : ('file' as const);
    return {
      name: entry.name,
      path: full,
      kind,
      project: kind === 'folder' && existsSync(join(full, 'project.sqlite')),
    };
  });
  return {
    dir,
    parent: dir === parse(dir).root ? null : dirname(dir),
    entries,
    truncated: visible.length > MOST_ENTRIES,
  };
}
