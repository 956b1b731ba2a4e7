/**
 * Whether the engine that lies beside Electron's archive is the one that was packed with it.
 * Electron checks the archive alone; the archive holds this list, so the check reaches
 * further: every script by its hash, and no file more or less. Native files are known by
 * name only: the system checks their signatures, and a library may be exchanged by right.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What may lie beside the archive: paths with SHA-256 (hex), or null for native files. */
export type Beside = Record<string, string | null>;

/** The folders that are looked through. */
const FOLDERS = ['engine', 'node'];

function filesIn(folder: string, path: string): string[] {
  return readdirSync(join(folder, path), { withFileTypes: true }).flatMap((entry) => {
    const inside = `${path}/${entry.name}`;
    if (entry.name === '.DS_Store') return []; // Finder's, and nobody loads it
    return entry.isDirectory() ? filesIn(folder, inside) : [inside];
  });
}

/** Files below Electron's folder of resources that are not as they were packed: changed, added, missing. Empty when all is well. */
export function changedFiles(resources: string, beside: Beside): string[] {
  const listed = new Set(Object.keys(beside));
  const found = FOLDERS.flatMap((folder) => filesIn(resources, folder));
  const changed = found.filter((path) => {
    if (!listed.delete(path)) return true;
    const hash = beside[path];
    return (
      hash !== null &&
      createHash('sha256')
        .update(readFileSync(join(resources, path)))
        .digest('hex') !== hash
    );
  });
  return [...changed, ...listed].sort();
}
