/**
 * The report on the version in use, made in compute: metrics, the learning curve with its
 * forecast, labels saved, advice to stop. Metrics count every audit item by its weight; curves
 * are measured on the base, drawn by chance before anything was known, without spot checks.
 * The same project, version and seed give the same report. It takes seconds,
 * hands the event loop its turns between two heads, and can be cancelled there. What a
 * report before it measured on the same acts and version is not measured again.
 */
import type { EvidenceReportData, ForecastData } from './api-evidence.ts';
import { auditWeights } from './audit-sample.ts';
import type { ReportBody, Reported, ReportOptions } from './compute-api.ts';
import type { ItemId } from './domain/item.ts';
import { row, takeRows } from './domain/matrix.ts';
import { createRng } from './domain/rng.ts';
import type { Task } from './domain/schema.ts';
import { AUDIT, LABELLED, labelledItems, OPEN, POOL, rowsIn, type EmbeddedItems } from './embedded-items.ts';
import {
  adviseStopping,
  auditMetrics,
  fitCurve,
  forecast,
  measureSaving,
  type Bounded,
  type CurveMeasurement,
  type CurvePosterior,
} from './evidence/index.ts';
import type { LearnerParts, Report } from './learner.ts';
import { widened } from './measuring.ts';
import { learningCurve, randomCurve, type ShadowInput } from './shadow-heads.ts';
import { IMPORTER, type VersionRecord } from './store/index.ts';
import { suggestions, type VersionCard } from './training/index.ts';

/** Open items on which versions are compared, and how many versions. */
const STOP_SET = 500;
const COMPARED = 4;
/** The report as things stand; null without a version that can be measured. Cancelling rejects with the signal's reason. */
export async function makeReport(
  parts: LearnerParts,
  { seed, target }: ReportOptions,
  report: Report,
  signal?: AbortSignal,
): Promise<Reported> {
  const { reader, measuring } = parts;
  const sequence = reader.annotations.head().sequence;
  const items = await parts.items(report, signal);
  const live = reader.versions.live();
  const spotChecks = new Set(reader.reports.auditDraws().map(({ item }) => item));
  const auditing = rowsIn(items, AUDIT, LABELLED);
  const measured = live && (await measuring.onAudit(live, items, auditing));
  if (!live || !measured) return { kind: 'reported', body: null };

  const { rows, schema } = items;
  const classes = widened((live.card as VersionCard).classes, schema.classes);
  const training = inOrder(parts, items, seed);
  const isBase = auditing.map((i) => !spotChecks.has(rows.id[i]));
  const audit = auditing.filter((_, at) => isBase[at]);
  const right = measured.correct.filter((_, at) => isBase[at]);
  const known = reader.reports.newest('evidence')?.body as ReportBody | undefined;
  const isKnown = known?.modelVersion === live.version && known.sequence === sequence && known.seed === seed;
  const input: ShadowInput = {
    embedding: items.space.embedding,
    classesOf: (i) => (rows.classes[i] ?? []).map((name) => schema.classes.indexOf(name)),
    task: schema.task,
    classCount: schema.classes.length,
    component: rows.component,
    prior: await parts.prior(items),
    strength: (live.card as VersionCard).head.strength,
    seed,
    signal,
    onProgress: (done, total) => report('measuring', done, total),
  };
  const points = isKnown ? known.points : await learningCurve(input, training, audit);
  const posterior = fitCurve(points);
  const saved = isKnown ? known.saved : await savedBy(parts, input, live, { audit, training, ids: rows.id }, right);
  const given = auditing.map((i) => (rows.classes[i] ?? []).map((name) => classes.indexOf(name)));
  const metrics = auditMetrics({
    probabilities: measured.probabilities,
    labels: given,
    suggested: suggestions(measured.probabilities, given, schema.task),
    classCount: classes.length,
    component: auditing.map((i) => rows.component[i]),
    weights: auditWeights(reader, items, auditing),
    seed,
  });
  const { accuracy, balancedAccuracy, macroF1, auroc, ece } = metrics;
  const body: ReportBody = {
    modelVersion: live.version,
    seed,
    sequence,
    audit: { n: metrics.n, components: metrics.components, weighted: metrics.weighted },
    metrics: { accuracy, balancedAccuracy, macroF1, auroc, ece },
    perClass: metrics.perClass.map((own, j) => ({ class: classes[j], ...own })),
    forecast: forecastOf(parts, posterior, points, { target, labels: training.length }),
    saved,
    stopping: await stoppingAt(parts, items, posterior, signal),
    points,
  };
  return { kind: 'reported', body };
}

/** Training rows in the order in which they were labelled. What came with files came at once: in random order, before the rest. */
function inOrder({ reader }: LearnerParts, items: EmbeddedItems, seed: number): number[] {
  const first = new Map<string, number>();
  for (const { act, item, annotator, sequence } of reader.annotations.all()) {
    if (act === 'label' && !first.has(item)) first.set(item, annotator === IMPORTER ? 0 : sequence);
  }
  const training = createRng(seed)
    .derive('order')
    .shuffle(rowsIn(items, POOL, LABELLED));
  const at = (i: number) => first.get(items.rows.id[i]) ?? 0;
  return training.sort((a, b) => at(a) - at(b));
}

/** Labels saved, from audit items and those of the pool that the queue drew at random on purpose. */
async function savedBy(
  { reader }: LearnerParts,
  input: ShadowInput,
  version: VersionRecord,
  { audit, training, ids }: { audit: readonly number[]; training: readonly number[]; ids: readonly ItemId[] },
  correct: readonly boolean[],
): Promise<EvidenceReportData['saved']> {
  const live = correct.map(Number);
  const drawn = training.filter((i) => reader.queue.entryOf(ids[i])?.strategy === 'random');
  const { points, likeness } = await randomCurve(input, drawn, audit, live);
  const right = live.reduce((sum, one) => sum + one, 0);
  const { total } = (version.card as VersionCard).labels;
  return measureSaving({ random: points, live: { correct: right, n: audit.length }, likeness, labels: total });
}

/** The forecast with what it comes to for a person: audit labels go along, and each takes its time. */
function forecastOf(
  { reader }: LearnerParts,
  posterior: CurvePosterior | null,
  points: readonly CurveMeasurement[],
  on: { target: number; labels: number },
): ForecastData {
  const found = forecast(posterior, points, on);
  const perTrainingLabel = 1 / (1 - reader.facts.auditShare);
  const labelsLeft = scaled(found.labelsAtTarget, (at) => Math.ceil(Math.max(0, at - on.labels) * perTrainingLabel));
  const { medianMs } = reader.annotations.pace(0);
  return {
    ...found,
    labelsAtTarget: scaled(found.labelsAtTarget, Math.round),
    labelsLeft,
    hoursLeft: medianMs === null ? null : scaled(labelsLeft, (labels) => (labels * medianMs) / 3_600_000),
  };
}

function scaled(bounded: Bounded | null, by: (value: number) => number): Bounded | null {
  if (!bounded) return null;
  const { value, low, high } = bounded;
  return { value: value === null ? null : by(value), low: by(low), high: high === null ? null : by(high) };
}

/** Every rule's advice. Versions are compared on one random stop set of open items, as far as they share the encoder in use. */
async function stoppingAt(
  { reader, measuring }: LearnerParts,
  items: EmbeddedItems,
  posterior: CurvePosterior | null,
  signal?: AbortSignal,
): Promise<EvidenceReportData['stopping']> {
  const { rows, space, schema } = items;
  const open = rowsIn(items, POOL, OPEN);
  const rng = createRng(reader.facts.seed).derive('stop set');
  const stopSet = rng.sample(open.length, STOP_SET).map((at) => open[at]);
  const versions = reader.versions
    .list()
    .filter(({ card }) => (card as VersionCard).encoder.sha256 === space.encoder)
    .sort((a, b) => a.version - b.version)
    .slice(-COMPARED);
  const codes = new Map<string, number>();
  const codeOf = (own: readonly number[]) => {
    const name = own.join();
    if (!codes.has(name)) codes.set(name, codes.size);
    return codes.get(name)!;
  };
  const unlabelled = labelledItems(items, stopSet).map((item) => ({ ...item, classes: [] }));
  const of = { items: unlabelled, seqs: stopSet.map((i) => rows.seq[i]) };
  const suggested: number[][] = [];
  for (const version of versions) {
    signal?.throwIfAborted();
    const measured = await measuring.ofItems(version, of, schema, takeRows(space.embedding, stopSet));
    if (!measured) continue;
    const none = stopSet.map((): number[] => []);
    suggested.push(suggestions(measured.probabilities, none, schema.task).classes.map(codeOf));
  }
  const current = await measuring.probabilities(items, signal);
  const settled = measuring.settledRows(items);
  const { medianMs } = reader.annotations.pace(0);
  return adviseStopping({
    suggestions: suggested,
    posterior,
    secondsPerLabel: medianMs === null ? null : medianMs / 1000,
    open: open.length,
    settled: open.filter((i) => settled?.has(i)).length,
    probabilities: current ? stopSet.map((i) => distribution(row(current.probabilities, i), schema.task)) : [],
  });
}

/** Of one class among all; where an item may have many, that of its least certain class. */
function distribution(probabilities: ArrayLike<number>, task: Task): ArrayLike<number> {
  if (task === 'classify') return probabilities;
  const nearest = Array.from(probabilities).reduce((a, b) => (Math.abs(b - 0.5) < Math.abs(a - 0.5) ? b : a));
  return [nearest, 1 - nearest];
}
