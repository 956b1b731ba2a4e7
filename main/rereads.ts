/**
 * Second readings: a few places of the queue ask for an item that is labelled already, so
 * that annotators can be compared with themselves and with each other. Whoever is asked is
 * not told: the item looks like one that measures the model, undecided and without
 * suggestion. The answer is on record and changes no label.
 */
import { existsSync } from 'node:fs';
import type { ItemViewData } from './api.ts';
import type { AnnotationDraft } from './domain/annotation.ts';
import type { ItemId } from './domain/item.ts';
import { createRng } from './domain/rng.ts';
import { IMPORTER, type ItemRecord, type ProjectStore, type QueueDraft, type SettingsReader } from './store/index.ts';

export interface ReadingSettings {
  /** Share of places in the queue for the annotator's own labels. */
  share: number;
  /** After how many more labels of theirs. */
  after: number;
  /** Share of places for labels of others. */
  otherShare: number;
}

const DEFAULTS: ReadingSettings = { share: 0.02, after: 50, otherShare: 0 };
/** How many acts are looked at for one that may be read again. */
const TRIED = 200;

export function readingSettings(settings: SettingsReader): ReadingSettings {
  return { ...DEFAULTS, ...(settings.get('readings') as Partial<ReadingSettings> | undefined) };
}

/** Calibrated probabilities of items under the live version. */
type Predict = (
  items: ItemId[],
) => Promise<{ modelVersion: number; items: { item: ItemId; probabilities: number[] }[] }>;

/** The drafts with second readings among them: for whoever labelled last. The same drafts come back where nothing may be read again. */
export async function withSecondReadings(
  store: ProjectStore,
  drafts: readonly QueueDraft[],
  { seed, modelVersion }: { seed: number; modelVersion: number | null },
  predict: Predict,
): Promise<QueueDraft[]> {
  const { share, after, otherShare } = readingSettings(store.settings);
  const [last] = store.annotations.latest({ limit: 1 });
  if (!last || last.annotator === IMPORTER || share + otherShare === 0) return [...drafts];
  const rng = createRng(seed).derive('second readings');
  const places = drafts.map(() => {
    const drawn = rng.next();
    return drawn < share ? 'own' : drawn < share + otherShare ? 'other' : null;
  });
  const clusters = new Set(drafts.map(({ item }) => store.items.get(item)?.cluster));
  const until = { own: store.readings.labelBefore(last.annotator, after), other: last.sequence };
  const chosen = places.map((whose) => {
    const end = whose === null ? null : until[whose];
    if (end === null) return null;
    for (const place of rng.sample(end, TRIED)) {
      const found = store.readings.repeatable(place + 1, last.annotator);
      if (!found || (found.annotator === last.annotator) !== (whose === 'own') || clusters.has(found.cluster)) continue;
      if (!isReadable(store, found.item)) continue;
      clusters.add(found.cluster);
      return found;
    }
    return null;
  });
  const items = chosen.flatMap((found) => (found ? [found.item] : []));
  const predicted = modelVersion !== null && items.length > 0 ? await predict(items) : null;
  return drafts.flatMap((draft, i): QueueDraft[] => {
    const found = chosen[i];
    if (!found) return [draft];
    const distribution = predicted?.items.find(({ item }) => item === found.item)?.probabilities ?? null;
    const { item, sequence: repeats } = found;
    return [
      { item, repeats, score: 0, strategy: 'audit', modelVersion, seed, why: { code: 'audit', distribution } },
      draft,
    ];
  });
}

/** Whether every image of an item is where it was at import. */
function isReadable({ items }: ProjectStore, item: ItemId): boolean {
  return items.get(item)!.parts.every((part) => part.kind !== 'image' || existsSync(part.path));
}

/** An item as it would look undecided: what a second reading shows of it. */
export function asUndecided(view: ItemViewData): ItemViewData {
  return { ...view, state: 'open', classes: null, comments: [] };
}

/** Whether what the model sees in an item is kept from the annotator until it is labelled. */
export function isBlind(store: ProjectStore, { id, role, state }: Pick<ItemRecord, 'id' | 'role' | 'state'>): boolean {
  return (role === 'audit' && state !== 'labelled') || store.queue.isSecondReading(id);
}

/** What an annotator handed in, as it is recorded: an answer to the queue about an item that is labelled by now repeats that label, whether it was asked for that or two people had it in front of them at once. */
export function recordedAs(store: ProjectStore, input: AnnotationDraft & { asked?: boolean }): AnnotationDraft {
  const { asked = false, ...draft } = input;
  if (!asked || draft.act === 'comment') return draft;
  const record = store.items.get(draft.item);
  return record?.state === 'labelled' ? { ...draft, repeats: record.by } : draft;
}
