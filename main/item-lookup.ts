/**
 * Items by what people call them: an id, the name its source gives it, or the place of one
 * of its parts. Each says what to do where there is no such item.
 */
import { EngineError } from './domain/errors.ts';
import type { ItemId } from './domain/item.ts';
import type { ItemRecord, ProjectReader } from './store/index.ts';

type Items = Pick<ProjectReader, 'items'>;

/** An item by its id, or by the name its source gives it where only one has that name. Errors: `item-unknown`. */
export function resolveItem({ items }: Items, reference: string): ItemId {
  if (items.seqOf(reference as ItemId) !== null) return reference as ItemId;
  const named = items.list({ search: reference, limit: 50 }).filter((item) => item.name === reference);
  if (named.length === 1) return named[0].id;
  throw new EngineError(
    'item-unknown',
    named.length === 0 ? `There is no item “${reference}”.` : `${named.length} items are called “${reference}”.`,
    'Use the item’s id, as the queue shows it.',
    { item: reference },
  );
}

/** Errors: `item-unknown`. */
export function recordOf({ items }: Items, id: ItemId): ItemRecord {
  const record = items.get(id);
  if (record) return record;
  throw new EngineError('item-unknown', `There is no item “${id}”.`, 'Use an id that the queue or the list shows.', {
    item: id,
  });
}

/** An item's image part, for whoever sends its pixels. Errors: `item-unknown`. */
export function imagePartOf(store: Items, id: ItemId, part: number): { path: string; format: string; sha256: string } {
  const found = recordOf(store, id).parts[part];
  if (found?.kind === 'image') return found;
  throw new EngineError(
    'item-unknown',
    `Item ${id} has no image as part ${part}.`,
    'Ask for a part that is an image.',
    { item: id, part },
  );
}
