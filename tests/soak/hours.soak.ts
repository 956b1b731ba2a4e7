/**
 * Part `hours` of `npm run soak`: a bot works through the real API without a rest, for 30
 * minutes or `--minutes=N`: labels, takes back, imports, searches, trains (the loop does so
 * by itself), promotes, rolls back, backs up, checks, opens another project and comes
 * back. After the warm-up memory of engine and compute grows by 5 % at most, but for the pages
 * of the project that SQLite keeps; the number of open files stays, the write-ahead log stays below 64 MB, and at the end every
 * acknowledged act is there.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createRng } from '../../main/domain/rng.ts';
import { openReader } from '../../main/store/index.ts';
import { childrenOf, handles, memoryMb, startEngine } from './engine-at-work.ts';
import { flag, idle } from './parts.ts';

const MINUTES = flag('minutes', 30);
/** Share of the time after which everything has been used several times. */
const WARM_UP = 0.4;
/** From here on nothing is imported, no other project opened, and decisions are only changed: what grows in compute now is a leak. */
const STEADY = 0.5;
/** By then compute, begun anew at the last opening, has used everything again. */
const COMPUTE_WARM = 0.75;
const GROWTH = 0.05;
const WAL_BYTES = 64 << 20;
/** SQLite keeps this much of a project's pages (main/store/connection.ts): an engine grows by what the file grows, up to here. With 2 MB instead, the same engine was smaller by just that. */
const PAGES_MB = 64;
/** What memory is off by from one moment to the next, MB: a collector of garbage, and arenas that ONNX Runtime takes in one piece. */
const NOISE_MB = { engineMb: 8, computeMb: 25 };

if (process.platform !== 'linux') {
  console.log('needs /proc to read memory and open files');
  process.exit(77);
}

const CLASSES = ['fever', 'rash', 'cough', 'pain'];
const rng = createRng(5);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'marginalia-hours-'));
const truth = new Map<string, string>();
let notes = 0;

function writeNotes(count: number): string {
  const lines = Array.from({ length: count }, () => {
    const own = CLASSES[rng.int(CLASSES.length)];
    const words = Array.from({ length: 30 }, () =>
      rng.next() < 0.15 ? `${own}${rng.int(20)}` : `word${Math.floor(400 * rng.next() ** 2)}`,
    );
    const id = `t${notes++}`;
    truth.set(id, own);
    return JSON.stringify({ id, text: words.join(' ') });
  });
  const file = path.join(folder, `notes ${notes}.jsonl`);
  fs.writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

interface Sample {
  minute: number;
  /** Without the pages of the project that SQLite keeps. */
  engineMb: number;
  pagesMb: number;
  engineFiles: number;
  computeMb: number;
  computeFiles: number;
  walMb: number;
}

const engine = await startEngine(null);
const { client, pid } = engine;
const dir = path.join(folder, 'one');
const other = path.join(folder, 'two');
const problems: string[] = [];
const samples: Sample[] = [];
const done: Record<string, number> = {};
const acknowledged: string[] = [];
const began = performance.now();
const minute = () => (performance.now() - began) / 60_000;

/** What has no answer after this long has none: the bot cannot go on. */
const UNANSWERED_MS = 60_000;

async function did<T>(what: string, call: () => Promise<T>): Promise<T | null> {
  const waiting = setTimeout(() => {
    console.log(`  WRONG minute ${minute().toFixed(1)}: ${what} is not answered`);
    engine.kill();
    process.exit(1);
  }, UNANSWERED_MS);
  try {
    const result = await call();
    done[what] = (done[what] ?? 0) + 1;
    return result;
  } catch (error) {
    const code = (error as { data?: { code?: string } }).data?.code ?? String(error);
    // A bot that asks for what there is not yet hears so.
    if (!['nothing-to-undo', 'nothing-to-redo', 'version-unknown', 'labels-too-few'].includes(code))
      problems.push(`minute ${minute().toFixed(1)}, ${what}: ${code}`);
    return null;
  } finally {
    clearTimeout(waiting);
  }
}

const source = (file: string) => ({ sources: [file], mapping: { text: 'text', id: 'id' } });

const isSteady = () => minute() > STEADY * MINUTES;

/** When nothing is left to ask, decisions are changed. */
async function anyItem() {
  const page = await did('items.list', () =>
    client.items.list({ state: 'labelled', after: rng.int(Math.max(1, notes - 200)), limit: 1 }),
  );
  return page?.items[0];
}

async function labelOne(): Promise<void> {
  const [entry] = (await did('queue.next', () => client.queue.next({ count: 6 }))) ?? [];
  await did('status', () => client.status());
  // Compute keeps what the largest training took: where labels only change, it has seen the largest.
  const view = isSteady() ? await anyItem() : (entry?.view ?? (await anyItem()));
  if (!view) return pause(50);
  const own = truth.get(view.name) ?? CLASSES[0];
  const label = await did('annotations.add', () =>
    client.annotations.add({
      item: view.id,
      act: 'label',
      classes: [rng.next() < 0.05 ? CLASSES[rng.int(4)] : own],
      annotator: 'bot',
      durationMs: 400 + rng.int(900),
    }),
  );
  if (label) acknowledged.push(`${label.sequence}`);
}

async function sample(): Promise<void> {
  await idle(client);
  await pause(1500);
  const children = childrenOf(pid);
  const wal = path.join(dir, 'project.sqlite-wal');
  const pagesMb = Math.min(PAGES_MB, fs.statSync(path.join(dir, 'project.sqlite')).size / 2 ** 20);
  samples.push({
    minute: minute(),
    engineMb: memoryMb(pid) - pagesMb,
    pagesMb,
    engineFiles: handles(pid),
    computeMb: Math.max(0, ...children.map((child) => memoryMb(child))),
    computeFiles: Math.max(0, ...children.map(handles)),
    walMb: fs.existsSync(wal) ? fs.statSync(wal).size / 2 ** 20 : 0,
  });
  const last = samples[samples.length - 1];
  const shown = Object.entries(last).map(([name, value]) => `${name} ${value.toFixed(name.endsWith('Files') ? 0 : 1)}`);
  console.log(`  ${shown.join('  ')}`);
}

await client.desk.create({ dir: other, classes: CLASSES });
await client.desk.create({ dir, classes: CLASSES });
await did('imports.start', () => client.imports.start(source(writeNotes(600))));
await idle(client);

const SAMPLES = 18;
for (let round = 0; minute() < MINUTES; round++) {
  for (let i = 0; i < 40 && minute() < MINUTES; i++) {
    await labelOne();
    if (i % 9 === 8) {
      const undone = await did('annotations.undo', () => client.annotations.undo({ annotator: 'bot' }));
      if (undone) acknowledged.push(`${undone.sequence}`);
    }
  }
  await did('items.list', () => client.items.list({ search: `word${rng.int(400)}`, limit: 50 }));
  await did('annotations.history', () => client.annotations.history({ limit: 100 }));
  await did('versions.list', () => client.versions.list());
  await did('evidence.report', () => client.evidence.report());
  await did('looks.list', () => client.looks.list({}));
  const open = (await client.status()).open;
  const steady = isSteady();
  if (open < 150 && !steady) await did('imports.start', () => client.imports.start(source(writeNotes(120))));
  if (round % 4 === 1) await did('training.start', () => client.training.start());
  if (round % 6 === 3) await did('versions.rollback', () => client.versions.rollback());
  if (round % 6 === 4) {
    const versions = (await did('versions.list', () => client.versions.list())) ?? [];
    if (versions.length > 0)
      await did('versions.promote', () => client.versions.promote({ version: versions[0].version }));
  }
  if (round % 5 === 2) {
    await did('safekeeping.backup', () => client.safekeeping.backup({ file: path.join(folder, 'p.backup') }));
    await did('safekeeping.check', () => client.safekeeping.check());
  }
  if (round % 7 === 6 && !steady) {
    await did('desk.open', () => client.desk.open({ dir: other }));
    await did('desk.open', () => client.desk.open({ dir }));
  }
  if (minute() >= (samples.length * MINUTES) / SAMPLES) await sample();
}
await sample();

await engine.close();
const reader = openReader(dir);
const { problems: found } = reader.verify();
const last = reader.annotations.head().sequence;
reader.close();
fs.rmSync(folder, { recursive: true, force: true });
if (found.length > 0) problems.push(`verify: ${found[0].where}: ${found[0].message}`);
if (last < Math.max(...acknowledged.map(Number)))
  problems.push(`${acknowledged.length} acts acknowledged, ${last} there`);

const settled = samples.filter((each) => each.minute >= WARM_UP * MINUTES);
const steadily = samples.filter((each) => each.minute >= COMPUTE_WARM * MINUTES);
/** The middle value of the first and of the second half: one moment of a collector of garbage says nothing. */
function halves(name: keyof Sample): [from: number, to: number] {
  const list = (name.startsWith('compute') ? steadily : settled).map((each) => each[name]);
  const half = Math.ceil(list.length / 2);
  const middle = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1];
  return [middle(list.slice(0, half)), middle(list.slice(-half))];
}
for (const name of ['engineMb', 'computeMb'] as const) {
  const [from, to] = halves(name);
  const line = `${name}: ${from.toFixed(0)} → ${to.toFixed(0)} MB (${((100 * (to - from)) / from).toFixed(1)} %)`;
  console.log(`  ${line}`);
  if (to > from * (1 + GROWTH) && to - from > NOISE_MB[name]) problems.push(`grew: ${line}`);
}
for (const name of ['engineFiles', 'computeFiles'] as const) {
  const [from, to] = halves(name);
  console.log(`  ${name}: ${from} → ${to}`);
  if (to > from) problems.push(`${name} grew from ${from} to ${to}`);
}
const wal = Math.max(...samples.map(({ walMb }) => walMb));
console.log(`  write-ahead log at most ${wal.toFixed(1)} MB`);
if (wal * 2 ** 20 > WAL_BYTES) problems.push(`the write-ahead log reached ${wal.toFixed(0)} MB`);
console.log(
  `  done: ${Object.entries(done)
    .map(([what, n]) => `${what} ${n}`)
    .join(', ')}`,
);
for (const problem of problems.slice(0, 20)) console.log(`  WRONG ${problem}`);
process.exitCode = problems.length > 0 ? 1 : 0;
