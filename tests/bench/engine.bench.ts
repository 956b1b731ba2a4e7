/**
 * Whether the engine answers within 50 ms whatever it is at: a project of N texts (20,000
 * unless given as the first argument), the desk's calls again and again while it imports,
 * looks at the pool, trains and chooses. Per call the median, 99th percentile and worst, and
 * the most processor time, which a busy machine does not add to (it counts all threads);
 * and the longest time its event loop stood still (`monitorEventLoopDelay`).
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { createRng } from '../../main/domain/rng.ts';
import { Project } from '../../main/project.ts';

const COUNT = Number(process.argv[2] ?? 20_000);
const CLASSES = ['fever', 'rash', 'cough', 'pain'];
const WORDS = 400;
const ROUNDS = 4;

const folder = mkdtempSync(join(tmpdir(), 'marginalia-bench-'));
const rng = createRng(1);
const truth = new Map<string, string>();

function writeTexts(): string {
  const lines: string[] = [];
  for (let i = 0; i < COUNT; i++) {
    const own = rng.int(CLASSES.length);
    const words = Array.from({ length: 40 }, () =>
      rng.next() < 0.15 ? `${CLASSES[own]}${rng.int(20)}` : `word${Math.floor(WORDS * rng.next() ** 2)}`,
    );
    truth.set(`t${i}`, CLASSES[own]);
    lines.push(JSON.stringify({ id: `t${i}`, text: words.join(' ') }));
  }
  const file = join(folder, 'texts.jsonl');
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

const delay = monitorEventLoopDelay({ resolution: 1 });
interface Taken {
  wallMs: number;
  cpuMs: number;
}
const taken = new Map<string, Taken[]>();

function timed<T>(name: string, call: () => T): T {
  const start = performance.now();
  const cpu = process.cpuUsage();
  const result = call();
  const { user, system } = process.cpuUsage(cpu);
  const times = taken.get(name) ?? [];
  times.push({ wallMs: performance.now() - start, cpuMs: (user + system) / 1000 });
  taken.set(name, times);
  return result;
}

function report(phase: string, since: number): void {
  const seconds = ((performance.now() - since) / 1000).toFixed(1);
  console.log(`${phase} (${seconds} s): event loop stood still ${(delay.max / 1e6).toFixed(0)} ms at most`);
  for (const [name, times] of taken) {
    const sorted = times.map(({ wallMs }) => wallMs).toSorted((a, b) => a - b);
    const cpu = Math.max(...times.map(({ cpuMs }) => cpuMs)).toFixed(1);
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(2);
    console.log(
      `  ${name.padEnd(10)} median ${at(0.5)}  99 % ${at(0.99)}  worst ${at(1)} ms, of processor ${cpu}  (${sorted.length} calls)`,
    );
  }
  taken.clear();
  delay.reset();
}

const project = await Project.create(join(folder, 'project'), { classes: CLASSES, seed: 1 });

/** What the desk does between two decisions; with `label`, one decision too. */
function use(label: boolean): void {
  timed('status', () => project.status());
  const [entry] = timed('next', () => project.next(6));
  timed('versions', () => project.versions());
  if (!label || !entry) return;
  const { item, view } = entry;
  const classes = [truth.get(view.name)!];
  timed('annotate', () =>
    project.annotate({ item, act: 'label', classes, annotator: 'bench', durationMs: 1, suggestionVisible: false }),
  );
}

async function whileActive(label: boolean): Promise<void> {
  for (let quiet = 0; quiet < 10;) {
    use(label);
    quiet = project.jobs.active().length === 0 ? quiet + 1 : 0;
    await pause(10);
  }
}

const file = writeTexts();
delay.enable();
let since = performance.now();
const job = project.startImport({
  sources: [file],
  mapping: { text: 'text', id: 'id' },
  labelsFromFolders: false,
  labels: 'none',
});
let imported = false;
void job.finished.then(() => (imported = true));
while (!imported) {
  use(false);
  await pause(10);
}
report('import', since);

since = performance.now();
await whileActive(false);
report('look at the pool', since);

since = performance.now();
for (let i = 0; i < 150 * ROUNDS; i++) {
  use(true);
  await pause(20);
}
report(`label ${150 * ROUNDS} while it trains and chooses`, since);
console.log(`  ${project.versions().length} versions, audit ${JSON.stringify(project.status().audit)}`);

await whileActive(false);
since = performance.now();
const training = project.train();
await whileActive(true);
console.log(`one training with its choice: ${(await training.finished).state}`);
report('train by hand', since);

await project.close();
rmSync(folder, { recursive: true, force: true });
