/**
 * The operations whose system calls are made to fail: what each does, which files it
 * touches, and what may be found afterwards. Whatever fails, an operation that says it went
 * well is there in full, one that reports an error is there in full or not at all, and
 * nothing that was there before is gone.
 */
import fs from 'node:fs';
import path from 'node:path';
import { EngineError } from '../../main/domain/errors.ts';
import { exportLabels } from '../../main/labels-out.ts';
import { createProject, openProject, restoreBackup, type ProjectStore } from '../../main/store/index.ts';
import { candidates, NEW_PROJECT, sha256Of } from './workload.ts';

/** What the process that fails takes itself for. */
export const PID = 4_194_000;

export interface FailingCase {
  operation: OperationName;
  dir: string;
  /** The system call that fails, and how often it is called idly before the operation. */
  call: string;
  idle: number;
}

export interface FailingOutcome {
  /** `ok`, an EngineError's code, or what else happened. */
  outcome: string;
  /** The error's own words. */
  message: string;
  /** What became of a label after an operation that failed; null where none was tried. */
  second: string | null;
}

/** How much of an operation is found afterwards. */
export type Extent = 'all' | 'none' | 'half';

const MODEL = Buffer.alloc(9000, 'a model');
const WEIGHTS = Buffer.alloc(5000, 'weights');
const OTHER_MODEL = Buffer.alloc(4000, 'another model');
const ITEMS = 40;
const LABELS = 12;
const OLD = 'what was there before\n';

let now = 5_000_000;
const clock = () => now++;

const label = (store: ProjectStore) =>
  store.annotations.append({
    item: store.items.list({ limit: 1 })[0].id,
    act: 'label',
    classes: ['odd'],
    annotator: 'kim',
    durationMs: 5,
  });

interface Operation {
  /** Everything that fails happens in here. */
  run(store: ProjectStore, dir: string): unknown;
  extent(store: ProjectStore, dir: string): Extent;
}

const atHead = (store: ProjectStore, more: number): Extent => {
  const { sequence } = store.annotations.head();
  return sequence === LABELS ? 'none' : sequence === LABELS + more ? 'all' : 'half';
};

const undo = (store: ProjectStore) => store.annotations.undo({ annotator: 'kim' });

export const OPERATIONS = {
  label: { run: label, extent: (store) => atHead(store, 1) },
  undo: { run: undo, extent: (store) => atHead(store, 1) },
  'import 50': {
    run(store) {
      const { id: job } = store.jobs.enqueue('import', {});
      store.items.addCandidates(candidates(ITEMS, 50, true), { job, cursor: 50, labels: 'given' });
    },
    extent(store) {
      const added = store.counts().items - ITEMS;
      const extent = atHead(store, 50);
      return added === 0 && extent === 'none' ? 'none' : added === 50 && extent === 'all' ? 'all' : 'half';
    },
  },
  export: {
    run: (store, dir) => exportLabels(store, 'jsonl', path.join(dir, 'labels.jsonl')),
    extent(store, dir) {
      const text = fs.readFileSync(path.join(dir, 'labels.jsonl'), 'utf8');
      if (text === OLD) return 'none';
      exportLabels(store, 'jsonl', path.join(dir, 'again.jsonl'));
      return text === fs.readFileSync(path.join(dir, 'again.jsonl'), 'utf8') ? 'all' : 'half';
    },
  },
  'save a version': {
    run(store) {
      const blob = store.blobs.put(MODEL);
      const snapshot = store.versions.addSnapshot({ upTo: store.annotations.head().sequence });
      const { run } = store.versions.addRun({ snapshot, seed: 1, config: {}, outcome: {} });
      const version = store.versions.add({ blob, encoder: null, run, card: {}, metrics: {} });
      store.versions.promote(version, { who: 'kim', reason: null });
    },
    extent(store) {
      const made = store.versions.list().find(({ blob }) => blob === sha256Of(MODEL));
      return made === undefined ? 'none' : store.blobs.isIntact(made.blob) ? 'all' : 'half';
    },
  },
  checkpoint: {
    run(store) {
      const { id: job } = store.jobs.start(store.jobs.enqueue('tune', {}).id);
      const blob = store.blobs.put(WEIGHTS);
      store.jobs.checkpoint(job, { blob }, { done: 1, total: 2 });
    },
    extent(store) {
      const job = store.jobs.list({ kind: 'tune' }).find(({ cursor }) => cursor !== null);
      const blob = (job?.cursor as { blob: string } | undefined)?.blob;
      return blob === undefined ? 'none' : store.blobs.has(blob) && store.blobs.isIntact(blob) ? 'all' : 'half';
    },
  },
  backup: {
    run: (store, dir) => store.backup(path.join(dir, 'backup')),
    extent(store, dir) {
      restoreBackup(path.join(dir, 'backup'), path.join(dir, 'restored'));
      const restored = openProject(path.join(dir, 'restored'), { clock });
      try {
        const { sequence } = restored.annotations.head();
        const isWhole = restored.verify().ok && restored.blobs.list().length === (sequence === LABELS ? 1 : 0);
        return !isWhole ? 'half' : sequence === store.annotations.head().sequence ? 'all' : 'none';
      } finally {
        restored.close();
      }
    },
  },
  /** Closing empties the write-ahead log into the project's file. */
  close: {
    run(store) {
      label(store);
      store.close();
    },
    extent: (store) => atHead(store, 1),
  },
  /** Opening an older project. */
  migrate: { run: () => undefined, extent: () => 'all' },
  /** Opening what a power loss has left, and going on. */
  reopen: {
    run: (store) => (store.items.list({ limit: 1 }).length > 0 ? label(store) : null),
    extent: () => 'all',
  },
  /** The planted defect: an error is swallowed. Every check must find it. */
  'label and hide': {
    run(store) {
      try {
        label(store);
      } catch {
        // Nobody hears of it.
      }
    },
    extent: (store) => atHead(store, 1),
  },
} satisfies Record<string, Operation>;

export type OperationName = keyof typeof OPERATIONS;

/** Every file an operation may touch, for strace to look at. */
export function pathsOf(dir: string): string[] {
  const beside = (name: string) => [name, `${name}-wal`, `${name}-shm`, `${name}-journal`];
  const blobs = [MODEL, WEIGHTS, OTHER_MODEL].map((bytes) => `blobs/${sha256Of(bytes)}`);
  const names = [
    ...['', 'blobs', 'dummy', 'dummys', 'begin', 'end'],
    ...beside('project.sqlite'),
    ...beside('project.lock'),
    ...['project.lock.json', `project.lock.json.${PID}`, 'project.head', 'project.head.new'],
    ...blobs,
    ...Array.from({ length: 4 }, (_, i) => `blobs/.tmp-${PID}-${i + 1}`),
    ...['labels.jsonl', 'labels.jsonl.part', 'backup', ...beside(`backup.partial-${PID}`)],
    ...[1, 2].flatMap((format) =>
      ['', '.partial'].flatMap((end) => beside(`project.sqlite.format-${format}.backup${end}`)),
    ),
  ];
  return names.map((name) => path.join(dir, name));
}

/** Makes the project that `operation` begins with; `old` is a real file of the first format. */
export function prepare(operation: OperationName, dir: string, old: string): void {
  fs.mkdirSync(dir, { recursive: true });
  if (operation === 'migrate') {
    fs.mkdirSync(path.join(dir, 'blobs'));
    fs.copyFileSync(old, path.join(dir, 'project.sqlite'));
  } else {
    const store = createProject(dir, { ...NEW_PROJECT, clock });
    const { id: job } = store.jobs.enqueue('import', {});
    store.items.addCandidates(candidates(0, ITEMS), { job, cursor: ITEMS });
    for (let i = 1; i < LABELS; i++) label(store);
    store.backup(path.join(dir, 'backup'));
    label(store);
    store.blobs.put(OTHER_MODEL);
    store.close();
    fs.writeFileSync(path.join(dir, 'labels.jsonl'), OLD);
  }
  fs.writeFileSync(path.join(dir, 'dummy'), 'x');
}

const codeOf = (error: unknown): string => (error instanceof EngineError ? error.code : `bug: ${String(error)}`);

/** A file that is not there, which shows in a recording. */
function mark(dir: string, name: string): void {
  try {
    fs.closeSync(fs.openSync(path.join(dir, name), 'r'));
  } catch {
    // It is never there.
  }
}

/** Does the operation, and a label after one that failed, and closes. */
export function attempt({ operation, dir }: FailingCase, idle: () => void): FailingOutcome {
  const { run } = OPERATIONS[operation] as Operation;
  let store: ProjectStore | null = null;
  let outcome = 'ok';
  let message = '';
  let second: string | null = null;
  const opensItself = operation === 'migrate' || operation === 'reopen';
  if (!opensItself) store = openProject(dir, { clock });
  idle();
  mark(dir, 'begin');
  try {
    store ??= openProject(dir, { clock });
    run(store, dir);
  } catch (error) {
    outcome = codeOf(error);
    message = error instanceof EngineError ? error.message : '';
  }
  mark(dir, 'end');
  if (store && outcome !== 'ok' && operation !== 'close') {
    try {
      second = `ok ${label(store).hash}`;
    } catch (error) {
      second = codeOf(error);
    }
  }
  try {
    store?.close();
  } catch (error) {
    if (outcome === 'ok') outcome = `bug: closing, ${String(error)}`;
  }
  return { outcome, message, second };
}
