/**
 * Which labelled items are most like a given one, by the cosine of their reduced vectors.
 */
import type { ItemId } from './domain/item.ts';
import { row } from './domain/matrix.ts';
import { LABELLED, rowsWhere, type EmbeddedItems } from './embedded-items.ts';

/** Up to `count`, most similar first, ties by id; similarity in [−1, 1]. None for an item that has no vector. */
export function nearestLabelled(
  items: EmbeddedItems,
  item: ItemId,
  count: number,
): { item: ItemId; similarity: number }[] {
  const { rows, space } = items;
  const at = rows.id.indexOf(item);
  if (at < 0 || space.present[at] === 0) return [];
  const own = row(space.reduced, at);
  const isNear = (i: number) => i !== at && rows.state[i] === LABELLED && space.present[i] === 1;
  const near = rowsWhere(items, isNear).map((i) => ({
    item: rows.id[i],
    similarity: cosine(own, row(space.reduced, i)),
  }));
  return near.sort((a, b) => b.similarity - a.similarity || (a.item < b.item ? -1 : 1)).slice(0, count);
}

function cosine(a: Float32Array, b: Float32Array): number {
  let dot = 0;
  let aa = 0;
  let bb = 0;
  for (let j = 0; j < a.length; j++) {
    dot += a[j] * b[j];
    aa += a[j] * a[j];
    bb += b[j] * b[j];
  }
  return aa === 0 || bb === 0 ? 0 : dot / Math.sqrt(aa * bb);
}
