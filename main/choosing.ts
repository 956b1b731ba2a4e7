/**
 * The next batch: who may be asked, which strategy asks, and why each item is asked, in the
 * words of the contract. Settled items and those about to be seen are left out; skipped
 * ones come back when nothing else is left. Audit items are drawn by chance alone, one of
 * each component while there are others. No batch holds two near duplicates, nor an item
 * whose original cannot be read.
 */
import {
  drawAudit,
  needsOf,
  possible,
  selectBatch,
  strategyNamed,
  type Committee,
  type Pick as PickedRow,
} from './acquisition/index.ts';
import type { ProjectWishes } from './choosing-wishes.ts';
import type { Chosen, Pick } from './compute-api.ts';
import type { ItemId } from './domain/item.ts';
import { row } from './domain/matrix.ts';
import { createRng } from './domain/rng.ts';
import { AUDIT, LABELLED, OPEN, POOL, rowsIn, rowsWhere, SKIPPED, type EmbeddedItems } from './embedded-items.ts';
import type { PoolProbabilities } from './measuring.ts';
import { products, type VersionCard } from './training/index.ts';

export interface ChoiceOptions {
  count: number;
  auditCount: number;
  strategy: string;
  seed: number;
  /** Items that keep their places at the head of the queue. */
  keep: readonly ItemId[];
}

interface Known {
  /** Under the live version, or null before there is one. */
  current: PoolProbabilities | null;
  /** Open pool rows that need no eyes. */
  settled: ReadonlySet<number> | null;
  /** The live version's card. */
  card: VersionCard | null;
  /** What the project's settings ask of a batch. */
  wishes: ProjectWishes;
  /** Makes the heads that some strategies ask; null where there are too few labels for any. */
  committee: () => Promise<Committee | null>;
  /** `seq` of what waits in the tray because it is unusual. It holds no audit items. */
  held: ReadonlySet<number>;
  /** Rows whose original cannot be read just now: nobody could look at them. */
  unreadable: ReadonlySet<number>;
}

/** Same items, labels and seed, same choice. Errors: `usage` for an unknown strategy, `score-not-finite`. */
export async function chooseItems(
  items: EmbeddedItems,
  options: ChoiceOptions,
  known: Known,
  signal?: AbortSignal,
): Promise<Chosen> {
  const { current, settled, card, unreadable, held, wishes } = known;
  const { rows, space, schema } = items;
  const { count, auditCount, seed } = options;
  const kept = new Set(options.keep);
  // A near duplicate of what is about to be seen waits for the next choice.
  const keptClusters = new Set(Array.from(rows.cluster).filter((_, i) => kept.has(rows.id[i])));
  const askable = (role: number, state: number) =>
    rowsIn(items, role, state).filter(
      (i) => !keptClusters.has(rows.cluster[i]) && !unreadable.has(i) && (role !== POOL || !held.has(rows.seq[i])),
    );
  const open = askable(POOL, OPEN).filter((i) => !settled?.has(i));
  const asked = strategyNamed(options.strategy);
  const input = {
    candidates: open.length > 0 ? open : askable(POOL, SKIPPED),
    labelled: rowsWhere(items, (i) => rows.state[i] === LABELLED || kept.has(rows.id[i])),
    batch: count,
    seed,
    task: schema.task,
    probabilities: current?.probabilities,
    reduced: space.reduced,
    embedding: space.embedding,
    committee: needsOf(asked).includes('committee') ? ((await known.committee()) ?? undefined) : undefined,
    products,
    duplicates: rows.cluster,
    groups: rows.component,
    maxPerGroup: wishes.maxPerGroup,
    asked: wishes.asked,
    soFar: soFar(items, card),
    signal,
  };
  const picks = await selectBatch(possible(asked, input), input, wishes);
  const distribution = (i: number) => (current ? Array.from(row(current.probabilities, i)) : null);
  const isAudited = (i: number) => rows.role[i] === AUDIT && (rows.state[i] === LABELLED || kept.has(rows.id[i]));
  const drawn = drawAudit({
    candidates: askable(AUDIT, OPEN),
    component: rows.component,
    audited: new Set(rowsWhere(items, isAudited).map((i) => rows.component[i])),
    count: auditCount,
    seed: createRng(seed).derive('audit draw').seed,
  });
  return {
    kind: 'chosen',
    picks: picks.map((pick) => explain(pick, items, distribution(pick.index), wishes.seconds?.[pick.index])),
    audit: drawn.map((index) => ({
      item: rows.id[index],
      score: 0,
      strategy: 'audit',
      why: { code: 'audit' },
      probabilities: distribution(index),
    })),
    missing: rowsWhere(items, (i) => rows.state[i] === OPEN && (space.present[i] === 0 || unreadable.has(i))).map(
      (i) => rows.id[i],
    ),
    policy: policyOf(picks, options.strategy),
    modelVersion: current?.version ?? null,
    seed,
  };
}

function explain(
  pick: PickedRow,
  { rows, schema }: EmbeddedItems,
  probabilities: number[] | null,
  seconds: number | undefined,
): Pick {
  const { classes: pair, probabilities: pairProbabilities, closer, nearest, phase: _phase, ...why } = pick.why;
  return {
    item: rows.id[pick.index],
    score: pick.score,
    strategy: pick.strategy,
    why: {
      ...why,
      code: pick.strategy,
      ...(closer !== undefined && { shareCloser: closer }),
      ...(seconds !== undefined && { expectedSeconds: seconds }),
      ...(nearest !== undefined && { nearest: rows.id[nearest] }),
      ...(pair &&
        pairProbabilities && {
          contenders: pair.map((j, k) => ({ class: schema.classes[j], probability: pairProbabilities[k] })),
        }),
    },
    probabilities,
  };
}

/** What the policy decides by: labels per class, and how well they were predicted when held out. */
function soFar({ rows, schema }: EmbeddedItems, card: VersionCard | null) {
  const counts = new Array<number>(schema.classes.length).fill(0);
  for (let i = 0; i < rows.count; i++) {
    if (rows.state[i] !== LABELLED || rows.role[i] !== POOL) continue;
    for (const name of rows.classes[i] ?? []) counts[schema.classes.indexOf(name)]++;
  }
  const tested = card?.crossValidation;
  return { counts, correct: tested ? Math.round(tested.accuracy.value * tested.n) : 0, tested: tested?.n ?? 0 };
}

function policyOf(picks: readonly PickedRow[], asked: string): Chosen['policy'] {
  // Items of the random share say nothing of the policy.
  const first = picks.find(({ why }) => why.phase) ?? picks[0];
  const phase = first?.why.phase;
  return phase
    ? { ...phase }
    : { strategy: first?.strategy ?? asked, code: picks.length === 0 ? 'nothing-left' : 'chosen-by-hand' };
}
