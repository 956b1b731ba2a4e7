/**
 * Disks of many sizes, each full after a while: what was acknowledged is there, everything
 * can still be read and saved elsewhere, and when there is space again the work goes on. A
 * disk is a tmpfs, so this needs root on Linux.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { EngineError } from '../../main/domain/errors.ts';
import { itemIdOf, type Candidate } from '../../main/domain/item.ts';
import { exportLabels } from '../../main/labels-out.ts';
import { createProject, openProject, restoreBackup, type ProjectStore } from '../../main/store/index.ts';
import { readCheckpoint, writeCheckpoint } from '../../main/tuning/index.ts';

export const CAN_MOUNT = process.platform === 'linux' && process.getuid?.() === 0;

const clock = () => Date.now();
const noise = (n: number) => Array.from({ length: n }, (_, i) => String.fromCharCode(97 + ((i * 7919) % 26))).join('');

function candidate(i: number, text: string): Candidate {
  const parts = [{ kind: 'text' as const, text: `${i} ${text}`, sha256: i.toString(16).padStart(64, '0'), path: null }];
  return {
    id: itemIdOf(parts, null),
    name: `row ${i}`,
    parts,
    group: null,
    label: null,
    fingerprint: null,
    source: 'x',
  };
}

/** What one operation does on the small disk. `step` does it once more; what it gives is acknowledged. `kept` reads back what is there. */
interface Operation {
  step(i: number): unknown;
  kept(store: ProjectStore): unknown[];
}

const OPERATIONS: Record<string, (store: ProjectStore, disk: string) => Operation> = {
  label: (store) => ({
    step: (i) => {
      const [item] = store.items.list({ limit: 1 });
      const text = noise(1500);
      return store.annotations.append({
        item: item.id,
        act: 'comment',
        text: `${i} ${text}`,
        annotator: 'kim',
        durationMs: 1,
      }).hash;
    },
    kept: (reopened) => [...reopened.annotations.all()].filter(({ act }) => act === 'comment').map(({ hash }) => hash),
  }),
  undo: (store) => ({
    step: () => store.annotations.undo({ annotator: 'kim' }).hash,
    kept: (reopened) => [...reopened.annotations.all()].filter(({ act }) => act === 'retract').map(({ hash }) => hash),
  }),
  import(store) {
    let job = '';
    return {
      step(i) {
        job ||= store.jobs.enqueue('import', {}).id;
        const batch = Array.from({ length: 20 }, (_, n) => candidate(1000 + 20 * i + n, noise(400)));
        return store.items.addCandidates(batch, { job, cursor: i }).added;
      },
      kept: (reopened) => Array.from({ length: (reopened.counts().items - FIRST_ITEMS) / 20 }, () => 20),
    };
  },
  export: (store, disk) => ({
    step: (i) => {
      const file = path.join(disk, `labels ${i}.jsonl`);
      exportLabels(store, 'jsonl', file);
      return fs.statSync(file).size;
    },
    kept: () =>
      fs
        .readdirSync(disk)
        .filter((name) => name.startsWith('labels'))
        .map((name) => fs.statSync(path.join(disk, name)).size),
  }),
  'save a version': (store) => ({
    step(i) {
      const blob = store.blobs.put(Buffer.from(`${i} ${noise(60_000)}`));
      return store.versions.add({ blob, encoder: null, run: null, card: { i }, metrics: {} });
    },
    kept: (reopened) => reopened.versions.list().map(({ version }) => version),
  }),
  backup: (store, disk) => ({
    step(i) {
      store.backup(path.join(disk, `copy ${i}`));
      return i;
    },
    kept: () =>
      fs
        .readdirSync(disk)
        .filter((name) => name.startsWith('copy'))
        .map((name, n) => {
          restoreBackup(path.join(disk, name), path.join(elsewhereOf(disk), `restored ${n}`));
          return n;
        }),
  }),
  checkpoint(_, disk) {
    const file = path.join(disk, 'project', 'runs', 'run');
    return {
      step(i) {
        writeCheckpoint(file, { state: { i }, tensors: { w: new Float32Array(8_000 * (i + 1)).fill(i) } });
        return i;
      },
      kept: () => {
        const { i } = (readCheckpoint(file)?.state ?? { i: -1 }) as { i: number };
        return Array.from({ length: i + 1 }, (_each, n) => n);
      },
    };
  },
};

const FIRST_ITEMS = 60;
const elsewhereOf = (disk: string) => `${disk} elsewhere`;

/** A project with labels, in a folder that every disk gets a copy of. */
export function prepared(folder: string): string {
  const dir = path.join(folder, 'prepared');
  const store = createProject(dir, { name: 'p', task: 'classify', classes: ['a', 'b'], seed: 1, clock });
  const job = store.jobs.enqueue('import', {}).id;
  const batch = Array.from({ length: FIRST_ITEMS }, (_, i) => candidate(i, 'short'));
  store.items.addCandidates(batch, { job, cursor: null });
  for (const { id } of batch)
    store.annotations.append({ item: id, act: 'label', classes: ['a'], annotator: 'kim', durationMs: 1 });
  store.close();
  return dir;
}

export interface Filled {
  /** Whether the disk was full before the operation had been done as often as it was to be. */
  full: boolean;
  done: number;
  problems: string[];
}

function attempt(problems: string[], what: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    problems.push(`${what}: ${String(error)}`);
  }
}

/** Does one operation on a disk of `sizeBytes` until it is full, at most `times`, then looks what is there. `spoil` plants a defect: acknowledged what is not. */
export function fillDisk(
  from: string,
  disk: string,
  operation: string,
  sizeBytes: number,
  times: number,
  spoil = false,
): Filled {
  const result: Filled = { full: false, done: 0, problems: [] };
  fs.mkdirSync(disk, { recursive: true });
  fs.mkdirSync(elsewhereOf(disk), { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${Math.ceil(sizeBytes / 4096) * 4096}`, 'tmpfs', disk]);
  try {
    const dir = path.join(disk, 'project');
    fs.cpSync(from, dir, { recursive: true });
    if (operation === 'migrate') migrateOn(dir, result);
    else if (operation === 'open') openOn(dir, disk, result);
    else work(dir, disk, operation, times, spoil, result);
  } catch (error) {
    result.problems.push(`not foreseen: ${error instanceof Error ? error.stack : String(error)}`);
  } finally {
    execFileSync('umount', ['-l', disk]);
    fs.rmSync(elsewhereOf(disk), { recursive: true, force: true });
  }
  return result;
}

function isFull(error: unknown): boolean {
  const asEngine = error instanceof EngineError && error.code === 'disk-full' && /^[A-Z]/.test(error.hint);
  // A checkpoint is written in the compute process, where the error is put into words by whoever runs it.
  return asEngine || (error as NodeJS.ErrnoException).code === 'ENOSPC';
}

const spelled = (list: readonly unknown[]) =>
  list
    .map(String)
    .toSorted((a, b) => a.localeCompare(b))
    .join(' ');

function work(dir: string, disk: string, name: string, times: number, spoil: boolean, result: Filled): void {
  const { problems } = result;
  // Room that is there again later; opening needs some as well.
  const ballast = path.join(disk, 'ballast');
  fs.writeFileSync(ballast, Buffer.alloc(96 << 10));
  let store: ProjectStore;
  try {
    store = openProject(dir, { clock });
  } catch (error) {
    if (!isFull(error)) problems.push(`opening: ${String(error)}`);
    result.full = true;
    return;
  }
  const before = [...store.annotations.all()].map(({ hash }) => hash);
  const acknowledged: unknown[] = [];
  const operation = OPERATIONS[name](store, disk);
  try {
    for (let i = 0; i < times; i++) acknowledged.push(operation.step(i));
  } catch (error) {
    result.full = true;
    if (!isFull(error)) problems.push(`${name}: ${String(error)}`);
  }
  result.done = acknowledged.length;
  if (spoil) acknowledged.push('what nobody wrote');
  const kept = (from: ProjectStore) => spelled(operation.kept(from));
  const wanted = spelled(acknowledged);
  attempt(problems, 'reading on the full disk', () => {
    if (store.items.list({ limit: 100 }).length < FIRST_ITEMS) problems.push('items are not to be read');
    if (kept(store) !== wanted) problems.push('what was acknowledged is not there');
  });
  attempt(problems, 'exporting elsewhere', () =>
    exportLabels(store, 'csv', path.join(elsewhereOf(disk), 'labels.csv')),
  );
  attempt(problems, 'a backup elsewhere', () => void store.backup(path.join(elsewhereOf(disk), 'p.backup')));
  const strays = fs.readdirSync(disk, { recursive: true }).filter((each) => /partial|\.tmp/.test(String(each)));
  if (strays.length > 0) problems.push(`left behind: ${strays.join(', ')}`);
  fs.rmSync(ballast);
  fs.rmSync(path.join(elsewhereOf(disk), 'restored 0'), { recursive: true, force: true });
  attempt(problems, 'labelling when there is space again', () => {
    const [item] = store.items.list({ limit: 1 });
    store.annotations.append({ item: item.id, act: 'flag', annotator: 'lee', durationMs: 1 });
  });
  store.close();
  for (const each of fs.readdirSync(elsewhereOf(disk)))
    if (each.startsWith('restored')) fs.rmSync(path.join(elsewhereOf(disk), each), { recursive: true });
  const again = openProject(dir, { clock });
  try {
    if (kept(again) !== wanted) problems.push('what was acknowledged is not there after reopening');
    const hashes = new Set([...again.annotations.all()].map(({ hash }) => hash));
    if (!before.every((hash) => hashes.has(hash))) problems.push('labels from before are lost');
    for (const { where, message, code } of again.verify().problems)
      if (!(name === 'save a version' && code === 'blob-missing')) problems.push(`${where}: ${message}`);
  } finally {
    again.close();
  }
}

/** Opens and closes a project, and notes how that went. */
function tryOpening(dir: string, result: Filled): void {
  try {
    openProject(dir, { clock }).close();
    result.done = 1;
  } catch (error) {
    result.full = true;
    if (!isFull(error)) result.problems.push(`opening: ${String(error)}`);
  }
}

/** Opens a project of an older format on the disk: it is brought up whole, or stays as it was. */
function migrateOn(dir: string, result: Filled): void {
  const old = fs.readFileSync(new URL('../migrations/format-1.sqlite', import.meta.url));
  for (const name of fs.readdirSync(dir)) fs.rmSync(path.join(dir, name), { recursive: true });
  const file = path.join(dir, 'project.sqlite');
  try {
    fs.writeFileSync(file, old);
  } catch {
    result.full = true;
    return;
  }
  tryOpening(dir, result);
  const strays = fs.readdirSync(dir).filter((name) => name.includes('partial'));
  if (strays.length > 0) result.problems.push(`left behind: ${strays.join(', ')}`);
  // On a larger disk it goes on from whatever is there.
  const larger = path.join(elsewhereOf(path.dirname(dir)), 'project');
  fs.cpSync(dir, larger, { recursive: true });
  const store = openProject(larger, { clock });
  if (store.annotations.head().sequence !== 6 || !store.verify().ok) result.problems.push('the project is not whole');
  store.close();
}

/** Opens a project on a disk without a byte left. */
function openOn(dir: string, disk: string, result: Filled): void {
  const ballast = fs.openSync(path.join(disk, 'ballast'), 'w');
  try {
    for (;;) fs.writeSync(ballast, Buffer.alloc(4096));
  } catch {
    fs.closeSync(ballast);
  }
  tryOpening(dir, result);
  fs.rmSync(path.join(disk, 'ballast'));
  const store = openProject(dir, { clock });
  if (store.annotations.head().sequence !== FIRST_ITEMS || !store.verify().ok) result.problems.push('not whole');
  store.close();
}

/** What is done on every disk. */
export const ON_FULL_DISKS = [...Object.keys(OPERATIONS), 'migrate', 'open'] as const;

/** Sizes from just larger than the project to one that takes most operations to their end. */
export function sizes(projectBytes: number, count: number): number[] {
  const smallest = projectBytes + (96 << 10) + (8 << 10);
  const largest = projectBytes + (6 << 20);
  return Array.from({ length: count }, (_, i) => Math.round(smallest + (largest - smallest) * (i / (count - 1)) ** 3));
}

/** All bytes of a folder. */
export function bytesIn(dir: string): number {
  return fs
    .readdirSync(dir, { recursive: true })
    .map((name) => fs.statSync(path.join(dir, String(name))))
    .reduce((sum, stat) => sum + (stat.isFile() ? Math.ceil(stat.size / 4096) * 4096 : 4096), 0);
}
