/**
 * How far readings of the same items agree, beyond what chance would give: Cohen's kappa of
 * two readings, Fleiss' kappa of equally many, Krippendorff's alpha of any number with some
 * missing, and for items of many classes one kappa per class. A kappa is null where it is
 * not defined: no items, or only one class was ever given, so that nothing could disagree.
 */
import { assert } from '../domain/errors.ts';
import { createRng } from '../domain/rng.ts';
import { clopperPearson, type Interval } from './binomial.ts';

/** Counts of items by first reading (row) and second reading (column), `[c][c]`. */
export type PairTable = readonly (readonly number[])[];

export interface Kappa {
  /** 1 = always agree, 0 = as chance would; null where it is not defined. */
  value: number | null;
  low: number;
  high: number;
  n: number;
  /** Share of items on which both readings agree, with its exact interval. */
  agreement: Interval;
  /** The share that independent readings with these frequencies would agree on. */
  expected: number;
}

const Z95 = 1.959963984540054;

/** Pairs of class numbers as a table. */
export function pairTable(pairs: Iterable<readonly [number, number]>, classCount: number): number[][] {
  const table = Array.from({ length: classCount }, () => new Array<number>(classCount).fill(0));
  for (const [first, second] of pairs) {
    assert(first < classCount && second < classCount, `classes below ${classCount}`, [first, second]);
    table[first][second]++;
  }
  return table;
}

/** Agreement of two readings. The interval moves the agreement within its exact 95 % limits while the expected agreement stays (Cohen 1960): the only one of three that does not claim certainty after ten agreements (docs/decisions/0014). */
export function cohenKappa(table: PairTable): Kappa {
  const { n, observed, expected } = margins(table);
  const agreement = clopperPearson(Math.round(observed * n), n);
  if (n === 0 || expected === 1) return { value: null, low: -1, high: 1, n, agreement, expected };
  const kappa = (share: number) => (share - expected) / (1 - expected);
  return {
    value: kappa(observed),
    low: Math.max(-1, kappa(agreement.low)),
    high: kappa(agreement.high),
    n,
    agreement,
    expected,
  };
}

function margins(table: PairTable) {
  const c = table.length;
  const n = table.reduce((sum, row) => sum + row.reduce((a, b) => a + b, 0), 0);
  const rows = table.map((row) => (n === 0 ? 0 : row.reduce((a, b) => a + b, 0) / n));
  const columns = Array.from({ length: c }, (_, j) => (n === 0 ? 0 : table.reduce((sum, row) => sum + row[j], 0) / n));
  let observed = 0;
  let expected = 0;
  for (let j = 0; j < c; j++) {
    observed += n === 0 ? 0 : table[j][j] / n;
    expected += rows[j] * columns[j];
  }
  return { n, rows, columns, observed, expected };
}

/** The standard error of Cohen's kappa in large samples (Fleiss, Cohen & Everitt 1969); null where kappa is not defined. */
export function kappaStandardError(table: PairTable): number | null {
  const { n, rows, columns, observed, expected } = margins(table);
  if (n === 0 || expected === 1) return null;
  const disagree = (1 - observed) / (1 - expected);
  const kappa = 1 - disagree;
  let sum = -((kappa - expected * disagree) ** 2);
  for (let i = 0; i < table.length; i++) {
    for (let j = 0; j < table.length; j++) {
      const share = table[i][j] / n;
      if (i === j) sum += share * (1 - (rows[i] + columns[i]) * disagree) ** 2;
      else sum += share * disagree ** 2 * (columns[i] + rows[j]) ** 2;
    }
  }
  return Math.sqrt(Math.max(0, sum) / n) / (1 - expected);
}

/** The 95 % large-sample interval: for comparing with other programs. */
export function largeSampleKappa(table: PairTable): { low: number; high: number } | null {
  const { value } = cohenKappa(table);
  const error = kappaStandardError(table);
  return value === null || error === null ? null : { low: value - Z95 * error, high: value + Z95 * error };
}

/** The 95 % percentile interval over `draws` resamplings of the pairs; those without a kappa are left out. */
export function bootstrapKappa(table: PairTable, seed: number, draws = 1000): { low: number; high: number } | null {
  const c = table.length;
  const pairs = table.flatMap((row, i) => row.flatMap((count, j) => new Array<number>(count).fill(i * c + j)));
  const rng = createRng(seed);
  const values: number[] = [];
  for (let d = 0; d < draws; d++) {
    const drawn = Array.from({ length: c }, () => new Array<number>(c).fill(0));
    for (let i = 0; i < pairs.length; i++) {
      const cell = pairs[rng.int(pairs.length)];
      drawn[Math.floor(cell / c)][cell % c]++;
    }
    const { n, observed, expected } = margins(drawn);
    if (n > 0 && expected < 1) values.push((observed - expected) / (1 - expected));
  }
  if (values.length === 0) return null;
  values.sort((a, b) => a - b);
  const at = (share: number) => values[Math.min(values.length - 1, Math.floor(share * values.length))];
  return { low: at(0.025), high: at(0.975) };
}

/** A coefficient of agreement over items, with an interval made like that of `cohenKappa`. */
export interface Coefficient {
  value: number | null;
  low: number;
  high: number;
  /** Items it rests on. */
  n: number;
}

const UNDEFINED = { value: null, low: -1, high: 1 };

/** 1 − observed / expected disagreement. Disagreements per item lie in [0, 1], and no mean of such varies more than a share does. */
function coefficient(observed: number, expected: number, n: number): Coefficient {
  const { low, high } = clopperPearson(Math.max(0, Math.min(n, observed * n)), n);
  return {
    value: 1 - observed / expected,
    low: Math.max(-1, 1 - high / expected),
    high: 1 - low / expected,
    n,
  };
}

/** Agreement of equally many readings of each item, from counts `[n][c]` of who gave which class (Fleiss 1971); the standard error is the one for testing “no agreement beyond chance” (Fleiss, Nee & Landis 1979). */
export function fleissKappa(counts: PairTable): Coefficient & { standardError: number | null } {
  const n = counts.length;
  const readings = n === 0 ? 0 : counts[0].reduce((a, b) => a + b, 0);
  const c = n === 0 ? 0 : counts[0].length;
  const shares = new Float64Array(c);
  let agreeing = 0;
  for (const row of counts) {
    const own = row.reduce((a, b) => a + b, 0);
    assert(own === readings && own > 1, `${readings} readings of each item, at least two`, own);
    let same = 0;
    row.forEach((count, j) => {
      shares[j] += count / (n * readings);
      same += count * (count - 1);
    });
    agreeing += same / (readings * (readings - 1) * n);
  }
  let expected = 0;
  let spread = 0;
  let skew = 0;
  for (const p of shares) {
    expected += p * p;
    spread += p * (1 - p);
    skew += p * (1 - p) * (1 - 2 * p);
  }
  if (n === 0 || spread === 0) return { ...UNDEFINED, n, standardError: null };
  return {
    ...coefficient(1 - agreeing, 1 - expected, n),
    standardError: Math.sqrt(((2 / (n * readings * (readings - 1))) * (spread * spread - skew)) / (spread * spread)),
  };
}

/** Krippendorff's alpha for nominal classes (Krippendorff 2011): rows are items, columns annotators, null = not read. Items with fewer than two readings say nothing. */
export function krippendorffAlpha(items: readonly (readonly (number | null)[])[], classCount: number): Coefficient {
  const totals = new Float64Array(classCount);
  let n = 0;
  let paired = 0;
  let disagreements = 0;
  for (const item of items) {
    const counts = new Float64Array(classCount);
    let readings = 0;
    for (const given of item) {
      if (given === null) continue;
      counts[given]++;
      readings++;
    }
    if (readings < 2) continue;
    n++;
    paired += readings;
    let same = 0;
    counts.forEach((count, j) => {
      totals[j] += count;
      same += count * (count - 1);
    });
    disagreements += (readings * (readings - 1) - same) / (readings - 1);
  }
  let possible = paired * paired;
  for (const total of totals) possible -= total * total;
  if (possible === 0) return { ...UNDEFINED, n };
  return coefficient(disagreements / paired, possible / (paired * (paired - 1)), n);
}

/** One kappa per class, of “has it or not”. Chosen over one distance between sets (MASI, Passonneau 2006) because each class is a question of its own, and the answer says which question is read differently. */
export function classKappas(
  pairs: readonly (readonly [readonly number[], readonly number[]])[],
  classCount: number,
): Kappa[] {
  return Array.from({ length: classCount }, (_, j) =>
    cohenKappa(
      pairTable(
        pairs.map(([a, b]) => [a.includes(j) ? 1 : 0, b.includes(j) ? 1 : 0] as const),
        2,
      ),
    ),
  );
}
