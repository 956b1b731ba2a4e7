/**
 * How well annotators agree with themselves and with each other, from the second readings on
 * record, and their pace. What was answered with the model's suggestion in sight, or right
 * after the first time, says nothing about agreement and is not counted.
 */
import type { ConsistencyData } from './api-looks.ts';
import type { LabelSchema } from './domain/schema.ts';
import {
  classKappas,
  clopperPearson,
  cohenKappa,
  estimateAnnotators,
  fleissKappa,
  krippendorffAlpha,
  paceAt,
  pairTable,
  sessionsOf,
  type Kappa,
} from './evidence/index.ts';
import type { ReadingPair, ReadingReader } from './store/index.ts';

type Agreement = Pick<ConsistencyData['annotators'][number], 'pairs' | 'agreement' | 'kappa'>;
type Between = NonNullable<ConsistencyData['between']>;

/** Acts that must lie between two readings by the same person. */
const LEAST_APART = 5;
/** Labels that the pace is read from. */
const TIMED = 2000;
/** Ends of the windows of a session, in minutes. */
const WINDOWS = [20, 40, 60, 120, 240, 1440];

/** Everything but the settings. Cost: one pass over second readings and over each annotator's latest labels. */
export function consistencyOf(
  readings: ReadingReader,
  schema: LabelSchema,
  now: number,
): Omit<ConsistencyData, 'readings'> {
  const counted = readings
    .pairs()
    .filter(
      ({ first, second }) =>
        second.classes !== null &&
        !second.suggestionVisible &&
        (first.annotator !== second.annotator || second.sequence - first.sequence > LEAST_APART),
    );
  const annotators = readings.annotators().map(({ annotator, labels }) => {
    const own = counted.filter(({ first, second }) => first.annotator === annotator && second.annotator === annotator);
    const timed = readings.timed(annotator, TIMED);
    const { recentSeconds, usualSeconds, suggestBreak } = paceAt(timed, now);
    return {
      annotator,
      labels,
      ...agreementOf(own, schema),
      drift: driftOf(own, timed, schema),
      pace: { recentSeconds, usualSeconds, suggestBreak },
    };
  });
  return { annotators, between: betweenOf(counted, schema) };
}

function agreementOf(pairs: readonly ReadingPair[], schema: LabelSchema): Agreement {
  const numbers = (classes: readonly string[] | null) => (classes ?? []).map((name) => schema.classes.indexOf(name));
  const answers = pairs.map(({ first, second }) => [numbers(first.classes), numbers(second.classes)] as const);
  if (schema.task === 'classify') {
    const table = pairTable(
      answers.map(([[a], [b]]) => [a, b] as const),
      schema.classes.length,
    );
    return measured(cohenKappa(table), pairs.length);
  }
  // On an item one agrees with the whole set or not; beyond chance, class by class.
  const same = answers.filter(([a, b]) => String(a) === String(b)).length;
  const perClass = classKappas(answers, schema.classes.length).filter(({ value }) => value !== null);
  const mean = (of: (kappa: Kappa) => number) => perClass.reduce((sum, kappa) => sum + of(kappa), 0) / perClass.length;
  const kappa =
    perClass.length === 0
      ? { value: null, low: -1, high: 1 }
      : { value: mean(({ value }) => value ?? 0), low: mean(({ low }) => low), high: mean(({ high }) => high) };
  return measured({ ...kappa, agreement: clopperPearson(same, pairs.length) }, pairs.length);
}

function measured({ value, low, high, agreement }: Omit<Kappa, 'n' | 'expected'>, n: number): Agreement {
  return {
    pairs: n,
    agreement: { n, value: n === 0 ? null : agreement.value, low: agreement.low, high: agreement.high },
    kappa: { n, value, low, high },
  };
}

/** Agreement by how long the session had lasted at the second reading. */
function driftOf(own: readonly ReadingPair[], timed: { at: number; durationMs: number }[], schema: LabelSchema) {
  const sessions = sessionsOf(timed);
  const minutes = own.map(({ second }) => {
    const session = sessions.findLast(({ startedAt }) => startedAt <= second.at);
    return session ? (second.at - session.startedAt) / 60_000 : Infinity;
  });
  return WINDOWS.flatMap((toMinute, w) => {
    const fromMinute = w === 0 ? 0 : WINDOWS[w - 1];
    const within = own.filter((_, i) => minutes[i] >= fromMinute && minutes[i] < toMinute);
    return within.length === 0 ? [] : [{ fromMinute, toMinute, ...agreementOf(within, schema) }];
  });
}

/** Agreement between people; null where no item was read by two of them. */
function betweenOf(counted: readonly ReadingPair[], schema: LabelSchema): ConsistencyData['between'] {
  const between = counted.filter(({ first, second }) => first.annotator !== second.annotator);
  if (between.length === 0) return null;
  const byPair = new Map<string, ReadingPair[]>();
  for (const pair of between) {
    const [a, b] = [pair.first, pair.second].toSorted((x, y) => (x.annotator < y.annotator ? -1 : 1));
    const key = JSON.stringify([a.annotator, b.annotator]);
    byPair.set(key, [...(byPair.get(key) ?? []), { ...pair, first: a, second: b }]);
  }
  const inOrder = [...byPair].toSorted(([x], [y]) => (x < y ? -1 : 1));
  const pairs = inOrder.map(([key, own]) => {
    const [a, b] = JSON.parse(key) as [string, string];
    return { a, b, ...agreementOf(own, schema) };
  });
  const items = new Set(between.map(({ first }) => first.item)).size;
  const none = { items, pairs, fleiss: null, alpha: null, confusion: [] };
  return schema.task === 'classify' ? { ...none, ...ofSeveral(between, schema) } : none;
}

/** What is said of more than two at once: for one class per item only. */
function ofSeveral(between: readonly ReadingPair[], { classes }: LabelSchema): Omit<Between, 'items' | 'pairs'> {
  const names = [...new Set(between.flatMap(({ first, second }) => [first.annotator, second.annotator]))].toSorted();
  const byLabel = Map.groupBy(between, ({ first }) => first.sequence);
  const table = Array.from(byLabel.values(), (own) => {
    const said = new Map([own[0].first, ...own.map(({ second }) => second)].map((act) => [act.annotator, act]));
    return names.map((name) => {
      const given = said.get(name)?.classes;
      return given ? classes.indexOf(given[0]) : null;
    });
  });
  const counts = table.map((row) => classes.map((_, j) => row.filter((given) => given === j).length));
  const sizes = new Set(table.map((row) => row.filter((given) => given !== null).length));
  const { confusions } = estimateAnnotators({
    readings: table.flatMap((row, item) =>
      row.flatMap((given, annotator) => (given === null ? [] : [{ item, annotator, class: given }])),
    ),
    items: table.length,
    annotators: names.length,
    classCount: classes.length,
  });
  const c = classes.length;
  const bare = ({ n, value, low, high }: { n: number; value: number | null; low: number; high: number }) => ({
    n,
    value,
    low,
    high,
  });
  return {
    fleiss: sizes.size === 1 ? bare(fleissKappa(counts)) : null,
    alpha: bare(krippendorffAlpha(table, c)),
    confusion: names.map((annotator, a) => ({
      annotator,
      matrix: classes.map((_, j) => [...confusions[a].subarray(j * c, (j + 1) * c)]),
    })),
  };
}
