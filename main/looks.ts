/**
 * Second looks, compute's part: every label of the pool against models that have not seen
 * it. Out-of-fold probabilities come from the same procedure as a version's head, on the
 * labels as they are now. Audit items are left out: corrected only where the model disagrees,
 * they would flatter it (docs/decisions/0014). What people said differently is not decided
 * here but on record.
 */
import type { LooksFound } from './compute-api.ts';
import type { ItemId } from './domain/item.ts';
import { takeRows } from './domain/matrix.ts';
import { LABELLED, labelledItems, POOL, rowsIn } from './embedded-items.ts';
import { judgeLabels, type Answer } from './evidence/index.ts';
import type { LearnerParts } from './learner.ts';
import { fitHead, groupNumbers } from './training/index.ts';

/** Before there are so many labels, a model that has not seen one of them knows too little. */
const LEAST_LABELS = 30;
/** No longer list is kept. */
const KEPT = 500;

/** Labels worth a second look under the live version, the most useful first; null where there is none, or too few labels. Cost: one fit of a head with cross-validation. */
export async function findLooks(parts: LearnerParts, seed: number, signal?: AbortSignal): Promise<LooksFound | null> {
  const { reader } = parts;
  const live = reader.versions.live();
  if (!live) return null;
  const { sequence } = reader.annotations.head();
  const items = await parts.items(undefined, signal);
  const { schema, space, rows } = items;
  const training = rowsIn(items, POOL, LABELLED);
  const found: LooksFound = { modelVersion: live.version, seed, sequence, looks: [] };
  if (training.length < LEAST_LABELS) return found;
  const labelled = labelledItems(items, training);
  const numberOf = new Map(schema.classes.map((name, j) => [name, j]));
  const numbers = (classes: readonly string[]) => classes.map((name) => numberOf.get(name)!);
  const given = labelled.map(({ classes }) => numbers(classes));
  if (schema.task === 'classify' && new Set(given.flat()).size < 2) return found;
  const { crossValidation } = await fitHead({
    embedding: takeRows(space.embedding, training),
    labels: given,
    task: schema.task,
    classCount: schema.classes.length,
    groups: groupNumbers(labelled.map(({ group }) => group)),
    prior: await parts.prior(items),
    seed,
    signal,
  });
  if (!crossValidation) return found;
  const { readings, annotators, decidedBy } = readingsOf(
    reader,
    training.map((i) => rows.id[i]),
    sequence,
  );
  const judged = judgeLabels({
    task: schema.task,
    model: crossValidation.probabilities,
    given,
    readings: readings.map(({ item, annotator, classes }) => ({ item, annotator, classes: numbers(classes) })),
    annotators,
  });
  const named = ({ classes, probability }: Answer) => ({ classes: classes.map((j) => schema.classes[j]), probability });
  const disputed = new Set(
    readings.filter(({ item, classes }) => !isSame(numbers(classes), given[item])).map(({ item }) => item),
  );
  training.forEach((row, i) => {
    const by = decidedBy[i];
    const isThird = !isSame(judged.fused[i].classes, given[i]);
    const isNew = (judged.suspected[i] || isThird) && !reader.readings.isReconsidered(rows.id[row]);
    if (by === null || !(isNew || disputed.has(i))) return;
    found.looks.push({
      item: rows.id[row],
      sequence: by,
      reason: isThird ? 'third-opinion' : 'noise',
      suggested: named(judged.model[i]),
      fused: named(judged.fused[i]),
      score: 1 - judged.right[i],
    });
  });
  found.looks.sort((a, b) => b.score - a.score || (a.item < b.item ? -1 : 1));
  found.looks.length = Math.min(found.looks.length, KEPT);
  return found;
}

/** What was said of each item: the label in force, and second readings of it. */
function readingsOf({ annotations, readings }: LearnerParts['reader'], ids: readonly ItemId[], upTo: number) {
  const numberOf = new Map<string, number>();
  const annotatorNumber = (name: string) => {
    if (!numberOf.has(name)) numberOf.set(name, numberOf.size);
    return numberOf.get(name)!;
  };
  const said: { item: number; annotator: number; classes: readonly string[] }[] = [];
  const place = new Map<number, number>();
  const decidedBy = ids.map((id, item) => {
    const by = readings.labelOf(id);
    const label = by === null ? null : annotations.get(by);
    // What was decided meanwhile is judged the next time.
    if (!label?.classes || label.sequence > upTo) return null;
    place.set(label.sequence, item);
    said.push({ item, annotator: annotatorNumber(label.annotator), classes: label.classes });
    return by;
  });
  for (const { first, second } of readings.pairs()) {
    const item = place.get(first.sequence);
    if (item !== undefined && second.classes)
      said.push({ item, annotator: annotatorNumber(second.annotator), classes: second.classes });
  }
  return { readings: said, annotators: numberOf.size, decidedBy };
}

const isSame = (a: readonly number[], b: readonly number[]) => a.length === b.length && a.every((j) => b.includes(j));
