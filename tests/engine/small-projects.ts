/**
 * Small whole projects for the engine's tests: made through the facade, with the real
 * compute process, SQLite and ONNX Runtime, in a folder that is gone afterwards. The truth
 * is what the material's maker had in mind; `labelNext` answers with it as an expert would.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, vi } from 'vitest';
import type { ImportOptionsData, JobData, QueueEntry } from '../../main/api.ts';
import type { ItemId } from '../../main/domain/item.ts';
import { createRng } from '../../main/domain/rng.ts';
import { Project, type CreateOptions, type OpenOptions } from '../../main/project.ts';
import { openReader, type ProjectReader } from '../../main/store/index.ts';

/** Each test runs a whole engine; on a busy machine that takes several times as long. */
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const work = mkdtempSync(join(tmpdir(), 'marginalia-engine-'));
const open = new Set<Project>();
let made = 0;

afterAll(async () => {
  for (const project of open) await project.close();
  rmSync(work, { recursive: true, force: true });
});

/** A new folder, removed after the file's last test. */
export function newFolder(): string {
  const folder = join(work, String(++made));
  mkdirSync(folder);
  return folder;
}

/** A new project in a folder of its own, closed after the last test. Nothing starts by itself unless `resume`. */
export async function newProject(
  options: CreateOptions,
  how: OpenOptions = { resume: false },
  dir = join(newFolder(), 'project'),
): Promise<Project> {
  const project = await Project.create(dir, { seed: 1, ...options }, how);
  open.add(project);
  return project;
}

export async function reopened(dir: string, how: OpenOptions): Promise<Project> {
  const project = await Project.open(dir, how);
  open.add(project);
  return project;
}

export async function closed(project: Project): Promise<void> {
  open.delete(project);
  await project.close();
}

/** Imports and waits for the end, whatever it is. */
export function importing(project: Project, options: Partial<ImportOptionsData>) {
  return project.startImport({ sources: [], mapping: {}, labelsFromFolders: false, labels: 'none', ...options });
}

/** Imports, and fails the test unless that went well. */
export async function imported(project: Project, options: Partial<ImportOptionsData>): Promise<JobData> {
  return done(await importing(project, options).finished);
}

/** The job as it was, or a failed test. */
export function done(job: JobData): JobData {
  expect(job.error, `job ${job.id} (${job.kind})`).toBeNull();
  expect(job.state).toBe('done');
  return job;
}

/** Labels an item; `asked` where it answers the queue. */
export function label(project: Project, item: ItemId, classes: string[], asked = false): void {
  const told = { annotator: 'expert', durationMs: 1000, suggestionVisible: false, asked };
  project.annotate({ item, act: 'label', classes, ...told });
}

/** The classes of an item, by the name its source gives it. */
export type Truth = ReadonlyMap<string, string[]>;

/** Labels the next `count` items of the queue truly; returns their entries as they were shown. */
export async function labelNext(project: Project, truth: Truth, count: number): Promise<QueueEntry[]> {
  const shown: QueueEntry[] = [];
  while (shown.length < count) {
    const entries = await project.queue(Math.min(10, count - shown.length));
    if (entries.length === 0) break;
    for (const entry of entries) {
      label(project, entry.item, truthOf(truth, entry.view.name), true);
      shown.push(entry);
    }
  }
  return shown;
}

export function truthOf(truth: Truth, name: string): string[] {
  const classes = truth.get(name);
  if (!classes) throw new Error(`Expected a truth for “${name}”`);
  return classes;
}

/** Waits until `holds`, looking every 10 ms; fails after a minute or more, saying what was waited for. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 6000; i++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect.fail(`waited in vain until ${what}`);
}

/** Waits until no job has run for a moment. */
export async function idle(project: Project): Promise<void> {
  let quiet = 0;
  await until('every job has ended', () => {
    quiet = project.jobs.active().length === 0 ? quiet + 1 : 0;
    return quiet > 10;
  });
}

/** Share of the unlabelled items whose suggestion is the truth. */
export async function accuracyOnOpen(project: Project, truth: Truth): Promise<number> {
  const { classes, items } = await project.predict();
  const rest = items.map(({ item, probabilities }) => ({ view: project.item(item), probabilities }));
  const asked = rest.filter(({ view }) => view.state === 'open');
  const right = asked.filter(
    ({ view, probabilities }) =>
      classes[probabilities.indexOf(Math.max(...probabilities))] === truthOf(truth, view.name)[0],
  );
  return right.length / asked.length;
}

/** Every item the project has. */
export function itemsOf(project: Project) {
  return project.items({ limit: 1_000_000 }).items;
}

/** Looks into the project's files beside whoever has it open. */
export function reading<T>(project: Project, look: (reader: ProjectReader) => T): T {
  const reader = openReader(project.dir);
  try {
    return look(reader);
  } finally {
    reader.close();
  }
}

/** Only Linux tells a process its children. */
export const canFindProcesses = existsSync('/proc/self/task');

/** The processes that compute for the project in `dir` on behalf of this one. */
export function computeProcesses(dir: string): number[] {
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim().split(/\s+/);
  return children
    .filter(Boolean)
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(dir);
      } catch {
        return false;
      }
    });
}

export interface Notes {
  file: string;
  truth: Map<string, string[]>;
}

const WORDS: Record<string, string[]> = {
  fever: ['fever', 'high temperature', 'chills', 'febrile since Monday', 'sweats at night', 'hot to the touch'],
  rash: ['itching rash', 'red spots on the arm', 'eczema', 'blisters on the skin', 'hives', 'dry scaling skin'],
  cough: ['cough', 'wheezing', 'short of breath', 'green sputum', 'hoarse voice', 'crackles at the lung base'],
};
const FILLER = [
  'seen today',
  'no allergies',
  'lives alone',
  'asks for a letter',
  'review in a week',
  'came with a relative',
  'blood taken',
  'no other complaints',
];
export const COMPLAINTS = Object.keys(WORDS);

/** Short notes as JSONL with id, text and classes, written to a new file. With `many`, each has any number of complaints, also none; else one. */
export function writeNotes(count: number, options: { seed?: number; many?: boolean; from?: number } = {}): Notes {
  const { seed = 1, many = false, from = 0 } = options;
  const rng = createRng(seed);
  const pick = (list: string[]) => list[rng.int(list.length)];
  const truth = new Map<string, string[]>();
  const lines: string[] = [];
  for (let i = from; i < from + count; i++) {
    const own = many ? COMPLAINTS.filter(() => rng.next() < 0.4) : [COMPLAINTS[rng.int(3)]];
    const said = own.flatMap((name) => rng.sample(6, 2).map((j) => WORDS[name][j]));
    const parts = rng.shuffle([...said, ...Array.from({ length: 3 }, () => pick(FILLER)), `age ${20 + rng.int(70)}`]);
    const id = `note-${i}`;
    truth.set(id, own);
    lines.push(JSON.stringify({ id, text: `${parts.join(', ')}. Ref ${i}.`, classes: own }));
  }
  const file = join(newFolder(), 'notes.jsonl');
  writeFileSync(file, `${lines.join('\n')}\n`);
  return { file, truth };
}
