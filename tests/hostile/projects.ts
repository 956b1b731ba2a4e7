/**
 * A project's file and its backup as others may hand them over: a small one with some of
 * everything, mutants of it by pages, and everything that opening leads to.
 */
import { createHash } from 'node:crypto';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { itemIdOf, type Candidate, type TextPart } from '../../main/domain/item.ts';
import type { Rng } from '../../main/domain/rng.ts';
import { createProject, openProject, restoreBackup } from '../../main/store/index.ts';
import type { Door } from './kinds.ts';
import { mutateBytes } from './mutate.ts';

export const clock = (): number => 1_700_000_000_000;

function candidate(text: string): Candidate {
  const sha256 = createHash('sha256').update(text).digest('hex');
  const parts: TextPart[] = [{ kind: 'text', text, sha256, path: null }];
  return { id: itemIdOf(parts, null), name: text, parts, group: null, label: null, fingerprint: null, source: text };
}

/** Makes the project in `folder`/made and its backup in `folder`/one.backup. */
export function makeProject(folder: string): { dir: string; backup: string } {
  const dir = join(folder, 'made');
  const store = createProject(dir, { name: 'p', task: 'classify', classes: ['a', 'b'], seed: 1, clock });
  const candidates = Array.from({ length: 30 }, (_, i) => candidate(`item ${i}`));
  store.items.addCandidates(candidates, { job: store.jobs.enqueue('import', {}).id, cursor: null });
  for (const { id } of candidates.slice(0, 10)) {
    store.annotations.append(labelOf(id));
  }
  store.settings.set('imported', {});
  store.blobs.put(Buffer.from('a blob'));
  const backup = join(folder, 'one.backup');
  store.backup(backup);
  store.close();
  return { dir, backup };
}

const labelOf = (item: Candidate['id']) => ({
  ...{ item, act: 'label' as const, classes: ['a'], annotator: 'anna', durationMs: 5 },
});

/** What a person does first with a project that somebody sent. */
export function useProject(dir: string): void {
  const store = openProject(dir, { clock });
  try {
    store.counts();
    const rows = store.items.poolRows();
    store.items.partsOf(rows.seq.subarray(0, 5));
    store.annotations.head();
    store.queue.next(5);
    store.versions.live();
    store.versions.encoders();
    store.settings.get('imported');
    store.jobs.enqueue('queue', {});
    if (rows.count > 0) store.annotations.append(labelOf(rows.id[rows.count - 1]));
    store.annotations.undo({ annotator: 'anna' });
    store.verify();
  } finally {
    store.close();
  }
}

const PAGE = 4096;

/** A mutant of a database: of its header, within a page, of whole pages, of its length. */
function mutateDatabase(file: Uint8Array, rng: Rng): Uint8Array {
  const bytes = Buffer.from(file);
  const pages = bytes.length / PAGE;
  for (let changes = 1 + rng.int(3); changes > 0; changes--) {
    // the first pages hold the schema; a page's head says how it is read
    const at = PAGE * (rng.int(3) === 0 ? rng.int(3) : rng.int(pages));
    const kind = rng.int(6);
    if (kind === 0) bytes[rng.int(100)] = rng.int(256);
    else if (kind === 1) bytes[at + rng.int(16)] = rng.int(256);
    else if (kind === 2) bytes.copyWithin(at, PAGE * rng.int(pages), PAGE * (1 + rng.int(pages)));
    else {
      const from = at + rng.int(PAGE - 64);
      Buffer.from(mutateBytes(bytes.subarray(from, from + 64), rng)).copy(bytes, from, 0, 64);
    }
  }
  return rng.int(12) === 0 ? bytes.subarray(0, rng.int(bytes.length)) : bytes;
}

export function projectDoor(folder: string): Door {
  const { dir } = makeProject(folder);
  const file = readFileSync(join(dir, 'project.sqlite'));
  const mutant = join(folder, 'mutant');
  const use = (bytes: Uint8Array) => {
    rmSync(mutant, { recursive: true, force: true });
    cpSync(dir, mutant, { recursive: true });
    writeFileSync(join(mutant, 'project.sqlite'), bytes);
    useProject(mutant);
    return Promise.resolve();
  };
  return { whole: () => use(file), mutant: (rng) => use(mutateDatabase(file, rng)) };
}

export function backupDoor(folder: string): Door {
  const file = readFileSync(makeProject(folder).backup);
  const restored = join(folder, 'restored');
  const use = (bytes: Uint8Array) => {
    rmSync(restored, { recursive: true, force: true });
    writeFileSync(join(folder, 'mutant.backup'), bytes);
    restoreBackup(join(folder, 'mutant.backup'), restored);
    useProject(restored);
    return Promise.resolve();
  };
  return { whole: () => use(file), mutant: (rng) => use(mutateDatabase(file, rng)) };
}
