/**
 * Where one item of the queue stands: its score among those that the same version gives the
 * open pool, and the labelled items that are most like it. Strategies whose scores follow
 * from the batch or from chance have nothing to compare; then the distribution is empty.
 */
import { uncertainty, type Uncertainty } from './acquisition/index.ts';
import type { WhyFound, WhyQuestion } from './compute-api.ts';
import type { Matrix } from './domain/matrix.ts';
import { OPEN, POOL, rowsIn, type EmbeddedItems } from './embedded-items.ts';
import type { LearnerParts } from './learner.ts';
import { nearestLabelled } from './neighbours.ts';
import { predictPool, readHead, type VersionCard } from './training/index.ts';

/** Strategies whose score is a function of an item's own probabilities. */
const COMPARABLE: Readonly<Record<string, Uncertainty>> = {
  'least-confidence': 'least-confidence',
  margin: 'margin',
  'margin-diverse': 'margin',
  ratio: 'ratio',
  entropy: 'entropy',
};
const BINS = 24;
const NEAREST = 4;
/** A score that differs by more from what its strategy says of the item is not one of these scores. */
const TOLERANCE = 1e-5;

export async function whyAsked(parts: LearnerParts, question: WhyQuestion, signal?: AbortSignal): Promise<WhyFound> {
  const items = await parts.items(undefined, signal);
  const probabilities = await probabilitiesUnder(parts, items, question.modelVersion, signal);
  const kind = COMPARABLE[question.strategy];
  return {
    ...(probabilities && kind ? standing(items, probabilities, kind, question) : NOTHING_TO_COMPARE),
    nearest: nearestLabelled(items, question.item, NEAREST),
  };
}

const NOTHING_TO_COMPARE = { distribution: { edges: [], counts: [] }, shareAbove: null };

/** Of every item under the version that chose; null where it used another encoder than is in use. */
async function probabilitiesUnder(
  { reader, measuring }: LearnerParts,
  items: EmbeddedItems,
  version: number | null,
  signal?: AbortSignal,
): Promise<Matrix | null> {
  if (version === null) return null;
  const current = await measuring.probabilities(items, signal);
  if (current?.version === version) return current.probabilities;
  const record = reader.versions.get(version);
  if (!record || (record.card as VersionCard).encoder.sha256 !== items.space.encoder) return null;
  return predictPool(readHead(reader.blobs.read(record.blob)).head, items.space.embedding, { signal });
}

function standing(items: EmbeddedItems, probabilities: Matrix, kind: Uncertainty, { item, score }: WhyQuestion) {
  const { rows, schema } = items;
  const own = uncertainty(kind, probabilities, [rows.id.indexOf(item)], schema.task)[0];
  if (Math.abs(own - score) > TOLERANCE) return NOTHING_TO_COMPARE;
  const scores = uncertainty(kind, probabilities, rowsIn(items, POOL, OPEN), schema.task);
  if (scores.length === 0) return NOTHING_TO_COMPARE;
  const counts = new Array<number>(BINS).fill(0);
  for (const s of scores) counts[Math.min(BINS - 1, Math.max(0, Math.floor(s * BINS)))]++;
  return {
    distribution: { edges: Array.from({ length: BINS + 1 }, (_, i) => i / BINS), counts },
    shareAbove: scores.reduce((above, s) => above + Number(s > own), 0) / scores.length,
  };
}
