/**
 * The committee that some strategies ask: heads fitted to today's training labels under
 * other weights, beside the live version's head and with its penalty and temperature. It is
 * made when it is asked for and not kept; the same labels and seed give the same one.
 */
import type { Committee } from './acquisition/index.ts';
import { takeRows } from './domain/matrix.ts';
import { LABELLED, labelledItems, POOL, rowsIn, type EmbeddedItems } from './embedded-items.ts';
import type { LearnerParts } from './learner.ts';
import { fitCommittee, groupNumbers, type VersionCard } from './training/index.ts';

/** null where there is no version to stand beside, or fewer than two classes have a label. */
export async function committeeBeside(
  { prior }: LearnerParts,
  items: EmbeddedItems,
  card: VersionCard | null,
  seed: number,
  signal?: AbortSignal,
): Promise<Committee | null> {
  const { space, schema } = items;
  const training = rowsIn(items, POOL, LABELLED);
  const labelled = labelledItems(items, training);
  const labels = labelled.map(({ classes }) => classes.map((name) => schema.classes.indexOf(name)));
  if (!card || new Set(labels.flat()).size < (schema.task === 'classify' ? 2 : 1)) return null;
  return fitCommittee(
    {
      embedding: takeRows(space.embedding, training),
      labels,
      task: schema.task,
      classCount: schema.classes.length,
      groups: groupNumbers(labelled.map(({ group }) => group)),
      prior: await prior(items),
      seed,
      signal,
    },
    card.head,
    space.embedding,
  );
}
