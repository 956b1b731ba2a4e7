/**
 * A batch as the project wants it, whichever strategy fills it: a small share drawn by
 * chance, so that the saving over chance can be measured; classes or subgroups evened out;
 * items that take longer worth more or left for later. With no wish it is the strategy's
 * own batch. Pure: same input, wishes and seed, same batch.
 */
import { createRng } from '../domain/rng.ts';
import { select } from './strategies.ts';
import type { Pick, SelectionInput, StrategyName } from './strategy.ts';

export interface Wishes {
  /** Each place is drawn by chance with this probability; such picks have the strategy `random`. */
  randomShare?: number;
  /** What is evened out: the key of every item (−1 = none) and how many labels each key has. */
  balance?: { keys: Int32Array; labels: readonly number[] };
  /** Seconds that each item is expected to take: score per second decides among several times the batch. */
  seconds?: Float64Array;
}

/** From how many times the batch the ones worth their time are taken. */
const CHOICE = 3;

/** Picks the next batch under the wishes; errors as `select`. */
export async function selectBatch(name: StrategyName, input: SelectionInput, wishes: Wishes = {}): Promise<Pick[]> {
  const { randomShare = 0, balance } = wishes;
  const { batch, seed } = input;
  const rng = createRng(seed).derive('random share');
  const places =
    name === 'random' ? [] : Array.from({ length: batch }, (_, i) => i).filter(() => rng.next() < randomShare);
  const drawn = await select('random', { ...input, batch: places.length, seed: rng.derive('draw').seed });
  const rest = { ...input, batch: batch - drawn.length, taken: drawn.map(({ index }) => index) };
  const picks = balance
    ? await balanced(name, rest, { ...wishes, balance })
    : await worthTheirTime(name, rest, wishes.seconds);
  // Chance picks keep the places they were drawn for, so that they come no sooner and no later than others.
  drawn.forEach((pick, i) => picks.splice(Math.min(places[i], picks.length), 0, pick));
  return picks;
}

/** The strategy's batch; where seconds are known, the best per second of a larger one. */
async function worthTheirTime(name: StrategyName, input: SelectionInput, seconds?: Float64Array): Promise<Pick[]> {
  if (!seconds || name === 'random') return select(name, input);
  const picks = await select(name, { ...input, batch: CHOICE * input.batch });
  const worth = ({ index, score }: Pick) => score / seconds[index];
  return picks.toSorted((a, b) => worth(b) - worth(a) || a.index - b.index).slice(0, input.batch);
}

/** A part of the batch from each key, so that labels come out as even as the candidates allow; highest scores first. */
async function balanced(
  name: StrategyName,
  input: SelectionInput,
  { balance, seconds }: Wishes & { balance: NonNullable<Wishes['balance']> },
): Promise<Pick[]> {
  const byKey = balance.labels.map((): number[] => []);
  for (let i = 0; i < input.candidates.length; i++) byKey[balance.keys[input.candidates[i]]]?.push(input.candidates[i]);
  const parts = evenParts(
    balance.labels,
    byKey.map(({ length }) => length),
    input.batch,
  );
  const taken = Array.from(input.taken ?? []);
  const picks: Pick[] = [];
  const add = (more: readonly Pick[]) => {
    picks.push(...more);
    taken.push(...more.map(({ index }) => index));
  };
  for (const [key, part] of parts.entries()) {
    if (part > 0) add(await worthTheirTime(name, { ...input, candidates: byKey[key], batch: part, taken }, seconds));
  }
  // Items without a key, and what a key could not fill.
  if (picks.length < input.batch) {
    add(await worthTheirTime(name, { ...input, batch: input.batch - picks.length, taken }, seconds));
  }
  return picks.toSorted((a, b) => b.score - a.score || a.index - b.index);
}

/** How many of `batch` go to each key: always one more to the key with the fewest labels that has candidates left; ties to the first. */
export function evenParts(labels: readonly number[], candidates: readonly number[], batch: number): number[] {
  const parts = labels.map(() => 0);
  for (let place = 0; place < batch; place++) {
    let best = -1;
    for (let key = 0; key < labels.length; key++) {
      if (parts[key] >= candidates[key]) continue;
      if (best < 0 || labels[key] + parts[key] < labels[best] + parts[best]) best = key;
    }
    if (best < 0) break;
    parts[best]++;
  }
  return parts;
}
