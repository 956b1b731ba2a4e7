/**
 * Puts a project through everything that has to last, from a seed, and says on the standard
 * output what is on disk once it is: `node workload.child.ts ROOT SEED SESSIONS STEPS
 * [NORMAL|OFF]`. The last word plants a defect: the driver is told not to wait for the
 * disk, and lies about it when asked.
 */
import fs from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { createRng } from '../../main/domain/rng.ts';
import { exportLabels } from '../../main/labels-out.ts';
import { createProject, openProject, restoreBackup, type ProjectStore } from '../../main/store/index.ts';
import { candidates, NEW_PROJECT, sha256Of, type Ack } from './workload.ts';

const [root, seed, sessions, steps, planted] = process.argv.slice(2);
const rng = createRng(Number(seed));
let now = 1_000_000;
const clock = () => now++;
const say = (ack: Ack) => void fs.writeSync(1, `${JSON.stringify(ack)}\n`);

if (planted !== undefined) {
  const { pragma } = Database.prototype as { pragma: (source: string, options?: object) => unknown };
  Object.assign(Database.prototype, {
    pragma(this: object, source: string, options?: object) {
      if (source === 'synchronous') return 2;
      const isWait = /^synchronous\s*=/.test(source);
      return pragma.call(this, isWait ? `synchronous = ${planted}` : source, options);
    },
  });
}

let imported = 0;
let files = 0;
const dir = path.join(root, 'project');

const act = ({ sequence, hash }: { sequence: number; hash: string }) => say({ kind: 'act', sequence, hash });

function importSome(store: ProjectStore, count: number): void {
  const job = store.jobs.start(store.jobs.enqueue('import', {}).id).id;
  store.items.addCandidates(candidates(imported, count, true), { job, cursor: imported, labels: 'given' });
  imported += count;
  say({ kind: 'import', items: imported, ...store.annotations.head() });
  store.jobs.finish(job);
}

function label(store: ProjectStore): void {
  const list = store.items.list({ after: rng.int(imported), limit: 1 });
  const item = list[0] ?? store.items.list({ limit: 1 })[0];
  const { classes } = store.schema.current();
  act(
    store.annotations.append({
      item: item.id,
      act: 'label',
      classes: [classes[rng.int(classes.length)]],
      annotator: 'kim',
      durationMs: 5,
    }),
  );
}

function saveVersion(store: ProjectStore): void {
  const model = Buffer.alloc(2000 + rng.int(9000), `model ${rng.next()}`);
  const blob = store.blobs.put(model);
  const snapshot = store.versions.addSnapshot({ upTo: store.annotations.head().sequence });
  const { run } = store.versions.addRun({ snapshot, seed: 1, config: {}, outcome: {} });
  const version = store.versions.add({ blob, encoder: null, run, card: {}, metrics: {} });
  say({ kind: 'version', version, blob });
  if (rng.next() < 0.7) {
    store.versions.promote(version, { who: 'kim', reason: null });
    say({ kind: 'live', version });
  }
}

function checkpoint(store: ProjectStore): void {
  const { id: job } = store.jobs.start(store.jobs.enqueue('tune', {}).id);
  for (let cursor = 1; cursor <= 3; cursor++) {
    const blob = store.blobs.put(Buffer.alloc(3000, `weights ${rng.next()}`));
    store.jobs.checkpoint(job, cursor, { done: cursor, total: 3 });
    say({ kind: 'checkpoint', job, cursor, blob });
  }
  store.jobs.finish(job);
}

function written(name: string, write: (file: string) => void): void {
  const file = path.join(root, name);
  write(file);
  const sha256 = sha256Of(fs.readFileSync(file));
  say({ kind: 'file', name, sha256 });
}

function backup(store: ProjectStore): void {
  const name = `out/backup-${files++ % 3}`;
  written(name, (file) => store.backup(file));
  if (rng.next() < 0.5) return;
  const restored = `out/restored-${files}`;
  restoreBackup(path.join(root, name), path.join(root, restored));
  say({ kind: 'restored', name: restored, ...store.annotations.head() });
}

/** How often each happens, of 100. */
const OFTEN: [number, (store: ProjectStore) => void][] = [
  [62, label],
  [12, (store) => act(store.annotations.undo({ annotator: 'kim' }))],
  [6, (store) => importSome(store, 1 + rng.int(20))],
  [6, saveVersion],
  [4, checkpoint],
  [4, (store) => written(`out/labels-${files++ % 2}.json`, (file) => exportLabels(store, 'jsonl', file))],
  [3, backup],
  [
    3,
    (store) => {
      const name = `class ${now}`;
      store.schema.addClass(name);
      say({ kind: 'class', name });
    },
  ],
];

function step(store: ProjectStore): void {
  let at = rng.int(100);
  const found = OFTEN.find(([often]) => (at -= often) < 0);
  if (found) found[1](store);
}

fs.mkdirSync(path.join(root, 'out'));
const top = fs.openSync(root, 'r');
fs.fsyncSync(top);
fs.closeSync(top);
for (let session = 0; session < Number(sessions); session++) {
  const store = session === 0 ? createProject(dir, { ...NEW_PROJECT, clock }) : openProject(dir, { clock });
  if (session === 0) {
    say({ kind: 'created' });
    importSome(store, 12);
    for (let i = 0; i < 4; i++) label(store);
  }
  for (let i = 0; i < Number(steps); i++) step(store);
  store.close();
}
