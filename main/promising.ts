/**
 * What can be promised of the pool under the live version: previews at any level, overall,
 * per suggested class and for many α at once, and the look that makes a claim, of which the
 * items are kept as a blob. Compute's side; nothing here decides when a look is due.
 */
import type { ClassGuaranteeData, GuaranteeData } from './api-evidence.ts';
import { auditRows, baseAudit } from './audit-sample.ts';
import { claimBytes } from './claimed.ts';
import type { BlobWritten } from './compute-api.ts';
import { OPEN, POOL, rowsIn } from './embedded-items.ts';
import {
  findGuarantee,
  guaranteesAt,
  guaranteesByClass,
  PREVIEWED_ALPHAS,
  type GuaranteeSample,
  type Level,
} from './evidence/index.ts';
import type { LearnerParts } from './learner.ts';
import { widened, type PoolProbabilities } from './measuring.ts';
import { suggestions, type VersionCard } from './training/index.ts';

export type Preview = GuaranteeData & { perClass: ClassGuaranteeData[] };

/** What a look found, to be put on record whatever it is: the look has spent its part. */
export interface LookFound {
  modelVersion: number;
  /** The last annotation that it knows of. */
  sequence: number;
  auditSize: number;
  guarantee: GuaranteeData;
  /** The claimed items; null where nothing can be claimed. */
  claimed: BlobWritten | null;
}

/** The guarantee now, overall and per class; null without a version to go by. */
export async function previewed(parts: LearnerParts, level: Level): Promise<Preview | null> {
  const sample = await sampled(parts);
  if (!sample) return null;
  const { each, together } = guaranteesByClass(sample.byClass, level);
  const perClass = sample.classes.flatMap((name, j) => [
    { class: name, allAtOnce: false, ...each[j] },
    { class: name, allAtOnce: true, ...together[j] },
  ]);
  return { ...findGuarantee({ ...sample.all, ...level }), perClass };
}

/** The guarantee now at many α, smallest first; none without a version. */
export async function previewedAtMany(parts: LearnerParts, delta: number): Promise<GuaranteeData[]> {
  const sample = await sampled(parts);
  return sample ? guaranteesAt(sample.all, PREVIEWED_ALPHAS, delta) : [];
}

/** Makes the look: `delta` is what it may spend. Null without a version. */
export async function look(parts: LearnerParts, level: Level): Promise<LookFound | null> {
  const { sequence } = parts.reader.annotations.head();
  const sample = await sampled(parts);
  if (!sample) return null;
  const { items, current, confidence, suggested, classes, pool, audit } = sample;
  const guarantee = findGuarantee({ ...sample.all, ...level });
  const found = { modelVersion: current.version, sequence, auditSize: audit.length, guarantee };
  const { threshold } = guarantee;
  if (threshold === null) return { ...found, claimed: null };
  const sure = (rows: readonly number[]) => rows.filter((i) => confidence[i] >= threshold);
  const settled = sure(pool);
  const bytes = claimBytes({
    classes,
    items: settled.map((i) => items.rows.seq[i]),
    suggested: settled.map((i) => suggested[i]),
    audit: sure(auditRows(items)).map((i) => items.rows.seq[i]),
  });
  return { ...found, claimed: { sha256: parts.reader.blobs.put(bytes), sizeBytes: bytes.length } };
}

/** The base audit set and the open pool under the live version. */
async function sampled(parts: LearnerParts) {
  const items = await parts.items();
  const current = await parts.measuring.probabilities(items);
  const version = current && parts.reader.versions.get(current.version);
  if (!version) return null;
  const { rows, schema } = items;
  const classes = (version.card as VersionCard).classes;
  const audit = baseAudit(items, parts.reader.reports.auditDraws());
  // What waits in the tray is to be looked at, however sure the model is; the audit set has no tray.
  const held = parts.reader.tray.held();
  const pool = rowsIn(items, POOL, OPEN).filter((i) => !held.has(rows.seq[i]));
  const known = widened(classes, schema.classes);
  const labels = rows.classes.map((own) => (own ?? []).map((name) => known.indexOf(name)));
  const { confidence, classes: suggested, correct } = suggestions(current.probabilities, labels, schema.task);
  const sampleOf = (auditing: readonly number[], open: readonly number[]): GuaranteeSample => ({
    auditConfidence: auditing.map((i) => confidence[i]),
    auditCorrect: auditing.map((i) => correct[i]),
    poolConfidence: open.map((i) => confidence[i]),
  });
  const byClass = classes.map((_, j) => {
    if (schema.task === 'classify-many') return sampleOfLabel(current, j, { audit, pool, labels });
    const isSuggested = (i: number) => suggested[i][0] === j;
    return sampleOf(audit.filter(isSuggested), pool.filter(isSuggested));
  });
  return { items, current, classes, audit, pool, confidence, suggested, all: sampleOf(audit, pool), byClass };
}

/** One label of several: whether it applies is decided for every item, with the probability of that decision. */
function sampleOfLabel(
  { probabilities }: PoolProbabilities,
  j: number,
  on: { audit: readonly number[]; pool: readonly number[]; labels: readonly (readonly number[])[] },
): GuaranteeSample {
  const p = (i: number) => probabilities.data[i * probabilities.columns + j];
  const sure = (i: number) => Math.max(p(i), 1 - p(i));
  return {
    auditConfidence: on.audit.map(sure),
    auditCorrect: on.audit.map((i) => p(i) > 0.5 === on.labels[i].includes(j)),
    poolConfidence: on.pool.map(sure),
  };
}
