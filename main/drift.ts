/**
 * One import against the pool that the live version was trained in: are the items like
 * those, and does the model predict the same classes as often? At most one item of a
 * component is looked at on each side, drawn at random, since items of one patient resemble
 * each other whatever the site. The items are compared by features that nobody fitted to the
 * pool; docs/decisions/0016 says why. Same items, version and seed, same answer.
 */
import type { DriftFound, DriftQuestion } from './compute-api.ts';
import { takeRows } from './domain/matrix.ts';
import { createRng, type Rng } from './domain/rng.ts';
import { rowsWhere, type EmbeddedItems } from './embedded-items.ts';
import { embeddingShift, predictionShift } from './evidence/index.ts';
import type { LearnerParts } from './learner.ts';
import { plainFeatures } from './plain-features.ts';
import { suggestions } from './training/index.ts';

/** Items looked at on each side. */
const MOST = 1000;
/** Fewer say nothing. */
const LEAST = 20;
/** An alert where either test is at half of this: so many imports without any drift raise one. */
const LEVEL = 0.01;
const EXAMPLES = 6;

/** Null where there is no live version, or there are fewer than twenty independent items on a side. */
export async function compareImport(
  parts: LearnerParts,
  { first, last, before, seed }: DriftQuestion,
  signal?: AbortSignal,
): Promise<DriftFound | null> {
  const items = await parts.items(undefined, signal);
  const current = await parts.measuring.probabilities(items, signal);
  if (!current) return null;
  const { rows, space, schema } = items;
  const rng = createRng(seed);
  const isWithin = (i: number, from: number, to: number) => rows.seq[i] >= from && rows.seq[i] <= to;
  const independent = (from: number, to: number, name: string) =>
    oneOfEach(
      items,
      rowsWhere(items, (i) => isWithin(i, from, to) && space.present[i] === 1),
      rng.derive(name),
    );
  const old = independent(1, before, 'before');
  const fresh = independent(first, last, 'after');
  if (old.length < LEAST || fresh.length < LEAST) return null;

  const shown = parts.reader.items.partsOf([...old, ...fresh].map((i) => rows.seq[i]));
  const features = await plainFeatures(shown, signal);
  const sides = [old, fresh].map((side, k) =>
    takeRows(
      features,
      side.map((_, at) => k * old.length + at),
    ),
  );
  const embedding = await embeddingShift(sides[0], sides[1], { rng: rng.derive('embedding'), signal });
  const numbers = new Map<string, number>();
  const predicted = [old, fresh].map((side) => {
    const { classes } = suggestions(takeRows(current.probabilities, side), unlabelled(side), schema.task);
    return classes.map((own) => {
      const key = own.join(' ');
      const number = numbers.get(key) ?? numbers.size;
      numbers.set(key, number);
      return number;
    });
  });
  const prediction = predictionShift(predicted[0], predicted[1], { rng: rng.derive('prediction') });
  const order = [...fresh.keys()].sort((a, b) => embedding.witness[b] - embedding.witness[a]);
  return {
    modelVersion: current.version,
    items: fresh.length,
    pValue: embedding.pValue,
    distance: embedding.distance,
    predictionShift: prediction.distance,
    predictionPValue: prediction.pValue,
    alert: Math.min(embedding.pValue, prediction.pValue) <= LEVEL / 2,
    examples: order.slice(0, EXAMPLES).map((k) => rows.id[fresh[k]]),
  };
}

const unlabelled = (side: readonly number[]) => side.map((): number[] => []);

/** Up to a thousand of the rows, no two of one component. */
function oneOfEach({ rows }: EmbeddedItems, among: number[], rng: Rng): number[] {
  const met = new Set<number>();
  const kept: number[] = [];
  for (const i of rng.shuffle(among)) {
    if (met.has(rows.component[i])) continue;
    met.add(rows.component[i]);
    kept.push(i);
    if (kept.length === MOST) break;
  }
  return kept;
}
