/**
 * The engine's side of drift: which imports are to be compared with which pool, and the
 * reports on them. An import that came after the first training is compared once, when it
 * is embedded, with what had come before the live version was trained.
 */
import type { DriftData } from './api-evidence.ts';
import type { DriftFound, DriftQuestion } from './compute-api.ts';
import type { ItemId } from './domain/item.ts';
import type { DeskParts } from './evidence-desk.ts';
import type { JobControl } from './jobs.ts';
import type { ImportCounts, JobRecord, ProjectStore } from './store/index.ts';
import { itemView } from './views.ts';

const REPORT = 'drift';
/** Fewer items say nothing about where they came from. */
const LEAST = 20;

interface DriftBody extends Omit<DriftFound, 'modelVersion'> {
  job: string;
  source: string;
  cameAt: number;
}

/** Every import that was compared, latest first. */
export function driftReports({ reports, items, annotations }: ProjectStore): DriftData[] {
  return reports.all(REPORT).map(({ body, version, seed }) => {
    const { job, source, cameAt, examples, ...found } = body as DriftBody;
    const views = examples.flatMap((id: ItemId) => {
      const record = items.get(id);
      return record ? [itemView(record, annotations.ofItem(id))] : [];
    });
    return { job, source, at: cameAt, modelVersion: version ?? 0, seed, ...found, examples: views };
  });
}

/** Compares the imports that have not been compared yet, within the job that embedded them. */
export async function compareImports(parts: DeskParts, control: JobControl): Promise<void> {
  const { store, compute, changed } = parts;
  for (const { job, question } of dueImports(store)) {
    control.signal.throwIfAborted();
    const seed = parts.seed(`drift ${job.id}`);
    const asked: DriftQuestion = { ...question, seed };
    const found = await compute.call((client, call) => client.drift(asked, call), control.signal);
    if (!found) continue;
    const { modelVersion: version, ...rest } = found;
    const body: DriftBody = { job: job.id, source: sourceOf(job), cameAt: job.createdAt, ...rest };
    store.reports.add({ kind: REPORT, version, sequence: store.annotations.head().sequence, seed, body });
    changed('project');
  }
}

/** Imports without a report, with the numbers of their items and of the last item that the live version's training knew. */
function dueImports({ jobs, versions, reports }: ProjectStore) {
  const live = versions.live();
  const firstTraining = versions.list().at(0)?.at;
  if (!live || firstTraining === undefined) return [];
  const reported = new Set(reports.all(REPORT).map(({ body }) => (body as DriftBody).job));
  const due: { job: JobRecord; question: Omit<DriftQuestion, 'seed'> }[] = [];
  let last = 0;
  let before = 0;
  // Imports run one after another and items are never removed, so counts give numbers.
  for (const job of jobs.list({ kind: 'import', limit: 1_000_000 }).reverse()) {
    const first = last + 1;
    last += (job.result as ImportCounts | null)?.added ?? 0;
    const isOver = job.state !== 'running' && job.state !== 'queued';
    const isNew = job.createdAt > firstTraining && job.createdAt > live.at;
    if (isNew && isOver && last - first + 1 >= LEAST && before > 0 && !reported.has(job.id)) {
      due.push({ job, question: { first, last, before } });
    }
    if (job.createdAt <= live.at) before = last;
  }
  return due;
}

function sourceOf({ params }: JobRecord): string {
  const { sources } = params as { sources: string[] };
  return sources.join(', ');
}
