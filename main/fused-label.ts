/**
 * What was said of one item and the model together. The model is the one that chose the
 * item: it had not seen the label. What an annotator tends to confuse is estimated from
 * every item that was read more than once. Shown beside the label; it replaces nothing.
 */
import type { Annotation } from './domain/annotation.ts';
import { estimateAnnotators, fuse } from './evidence/index.ts';
import type { ItemId } from './domain/item.ts';
import type { ProjectStore } from './store/index.ts';

/** Classes and how probable they are, of many classes the least certain answer; null where the item has no label, or the probabilities are not of today's classes. */
export function fusedLabel(
  store: ProjectStore,
  item: ItemId,
  probabilities: readonly number[] | null,
): { classes: string[]; probability: number } | null {
  const { task, classes } = store.schema.current();
  const by = store.readings.labelOf(item);
  const label = by === null ? null : store.annotations.get(by);
  if (!label || probabilities?.length !== classes.length) return null;
  const acts = [label, ...store.readings.pairs().flatMap(({ first, second }) => [first, second])];
  const readings = [...new Map(acts.map((act) => [act.sequence, act])).values()];
  if (task === 'classify') {
    const together = fused(readings, item, probabilities, (said) => classes.indexOf(said[0]));
    const best = together.indexOf(Math.max(...together));
    return { classes: [classes[best]], probability: together[best] };
  }
  const each = classes.map((name, j) => {
    const model = [1 - probabilities[j], probabilities[j]];
    return fused(readings, item, model, (said) => Number(said.includes(name)))[1];
  });
  return {
    classes: classes.filter((_, j) => each[j] > 0.5),
    probability: Math.min(...each.map((p) => Math.max(p, 1 - p))),
  };
}

/** Probabilities of the classes after all readings of an item; `classOf` may give −1 for an answer that is none of them. */
function fused(
  acts: readonly Annotation[],
  item: ItemId,
  model: readonly number[],
  classOf: (classes: readonly string[]) => number,
): number[] {
  const answers = acts
    .map((act) => ({ ...act, class: act.classes === null ? -1 : classOf(act.classes) }))
    .filter((answer) => answer.class >= 0);
  const items = numbered(answers.map((answer) => answer.item));
  const annotators = numbered(answers.map(({ annotator }) => annotator));
  const readings = answers.map((answer) => ({
    item: items.get(answer.item)!,
    annotator: annotators.get(answer.annotator)!,
    class: answer.class,
  }));
  const { confusions } = estimateAnnotators({
    readings,
    items: items.size,
    annotators: annotators.size,
    classCount: model.length,
  });
  const own = readings.filter((reading) => reading.item === items.get(item));
  return Array.from(
    fuse(
      own.map((reading) => ({ class: reading.class, confusion: confusions[reading.annotator] })),
      model,
    ),
  );
}

function numbered(names: readonly string[]): Map<string, number> {
  return new Map([...new Set(names)].map((name, i) => [name, i]));
}
