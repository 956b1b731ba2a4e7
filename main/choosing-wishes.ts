/**
 * What the project's settings ask of a batch, as numbers for every item: what is to be
 * evened out and how many labels it has, how long each item will take. Compute's side of
 * `choosing-settings.ts`; it reads and decides nothing.
 */
import { expectedSeconds, fitTimeModel, type Asked, type TimeFeatures, type Wishes } from './acquisition/index.ts';
import { choosingSettings } from './choosing-settings.ts';
import type { Part } from './domain/item.ts';
import { AUDIT, LABELLED, rowsWhere, type EmbeddedItems } from './embedded-items.ts';
import type { PoolProbabilities } from './measuring.ts';
import type { ProjectReader } from './store/index.ts';
import { attributeGroups } from './subgroups.ts';
import { suggestions } from './training/index.ts';

export interface ProjectWishes extends Wishes {
  /** At most so many of a group in one batch. */
  maxPerGroup?: number;
  /** What the bandit over strategies asked and whether the suggestion was right; empty unless it is in use. */
  asked: Asked[];
}

/** Labels whose durations are looked at: the latest, since people become quicker. */
const RECORDS = 500;
/** A longer pause begins another sitting. */
const PAUSE_MS = 10 * 60_000;
/** How far into a sitting an item is thought of when its time is foreseen. */
const USUAL_POSITION = 20;
/** Items whose parts are in memory at once. */
const READ_CHUNK = 512;

export function wishesOf(
  reader: ProjectReader,
  items: EmbeddedItems,
  current: PoolProbabilities | null,
): ProjectWishes {
  const { strategy, randomShare, perGroup, balance, perMinute } = choosingSettings(reader.settings);
  return {
    asked: strategy === 'albl' ? askedByBandit(reader, items) : [],
    randomShare,
    maxPerGroup: perGroup ?? undefined,
    balance:
      balance === null
        ? undefined
        : balance.by === 'class'
          ? byClass(items, current)
          : byAttribute(reader, items, balance.name),
    seconds: perMinute ? secondsOf(reader, items, current) : undefined,
  };
}

/** In order of the labels. What nothing was suggested for teaches nothing. */
function askedByBandit(reader: ProjectReader, items: EmbeddedItems): Asked[] {
  const { rows } = items;
  const labelled = rowsWhere(items, (i) => rows.state[i] === LABELLED && rows.role[i] !== AUDIT);
  return labelled
    .toSorted((a, b) => rows.by[a] - rows.by[b])
    .flatMap((i): Asked[] => {
      const { bandit } = (reader.queue.entryOf(rows.id[i])?.why ?? {}) as { bandit?: Omit<Asked, 'correct'> };
      const suggestion = bandit && reader.annotations.get(rows.by[i])?.suggestion;
      if (!suggestion) return [];
      const given = rows.classes[i] ?? [];
      const { classes } = suggestion;
      return [{ ...bandit, correct: given.length === classes.length && given.every((name) => classes.includes(name)) }];
    });
}

/** Predicted classes against labels; nothing to even out before there is a model, or where an item has many classes. */
function byClass({ rows, schema }: EmbeddedItems, current: PoolProbabilities | null): Wishes['balance'] {
  if (!current || schema.task !== 'classify') return undefined;
  const labels = schema.classes.map(() => 0);
  for (let i = 0; i < rows.count; i++) {
    if (rows.role[i] !== AUDIT) for (const name of rows.classes[i] ?? []) labels[schema.classes.indexOf(name)]++;
  }
  const none = Array.from({ length: rows.count }, () => []);
  const { classes } = suggestions(current.probabilities, none, schema.task);
  return { keys: Int32Array.from(classes, ([first]) => first), labels };
}

function byAttribute(reader: ProjectReader, items: EmbeddedItems, name: string): Wishes['balance'] {
  const column = attributeGroups(reader, items, name);
  if (!column) return undefined;
  const { rows } = items;
  const labels = column.groups.map(() => 0);
  for (const i of rowsWhere(items, (row) => rows.state[row] === LABELLED && rows.role[row] !== AUDIT)) {
    if (column.of[i] >= 0) labels[column.of[i]]++;
  }
  return { keys: Int32Array.from(column.of), labels };
}

/** Expected seconds of every item; undefined while too few durations are recorded. */
function secondsOf(
  reader: ProjectReader,
  { rows, schema }: EmbeddedItems,
  current: PoolProbabilities | null,
): Float64Array | undefined {
  const acts = reader.annotations.latest({ limit: RECORDS }).toReversed();
  const rowOf = new Map(rows.id.map((id, i) => [id, i]));
  const records: { features: TimeFeatures; seconds: number }[] = [];
  let position = 0;
  let before = -Infinity;
  for (const { item, act, annotator, at, durationMs, suggestion } of acts) {
    position = at - before > PAUSE_MS ? 0 : position + 1;
    before = at;
    const row = rowOf.get(item);
    if (row === undefined || act !== 'label' || annotator === 'import' || durationMs <= 0) continue;
    const [parts] = reader.items.partsOf([rows.seq[row]]);
    const features = { ...shapeOf(parts), certainty: suggestion?.probability ?? null, position };
    records.push({ features, seconds: durationMs / 1000 });
  }
  const model = fitTimeModel(records);
  if (!model) return undefined;
  const none = Array.from({ length: rows.count }, () => []);
  const confidence = current && suggestions(current.probabilities, none, schema.task).confidence;
  const seconds = new Float64Array(rows.count);
  for (let start = 0; start < rows.count; start += READ_CHUNK) {
    const chunk = rows.seq.subarray(start, Math.min(rows.count, start + READ_CHUNK));
    reader.items.partsOf(chunk).forEach((parts, k) => {
      const certainty = confidence ? confidence[start + k] : null;
      seconds[start + k] = expectedSeconds(model, { ...shapeOf(parts), certainty, position: USUAL_POSITION });
    });
  }
  return seconds;
}

function shapeOf(parts: readonly Part[]): Pick<TimeFeatures, 'letters' | 'hasImage'> {
  let letters = 0;
  for (const part of parts) if (part.kind === 'text') letters += part.text.length;
  return { letters, hasImage: parts.some(({ kind }) => kind === 'image') };
}
