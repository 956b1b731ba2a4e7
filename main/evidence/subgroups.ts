/**
 * Whether a model is as good for everybody: columns of attributes become a few groups each
 * (categories as they are, numbers in bands), and differences in accuracy between the
 * groups of a column are told from chance. One permutation test covers every pair of every
 * column at once, so that looking at many columns raises no more false alarms than looking
 * at one: the largest studentised difference under shuffled answers (Westfall & Young
 * 1993). Answers are shuffled by component, since items of one patient belong together.
 */
import { assert } from '../domain/errors.ts';
import type { Rng } from '../domain/rng.ts';

/** A column as groups. */
export interface GroupedColumn {
  kind: 'category' | 'band';
  /** What the groups are called: in order of size, “other” last; bands ascending. */
  groups: string[];
  /** The group of each row; −1 where nothing is recorded. */
  of: Int32Array;
}

/** Values that fewer items have are joined. */
const LEAST_ITEMS = 5;
/** More groups than this are more than a person compares; the smallest are joined. */
const MOST_GROUPS = 12;
/** A column with fewer different numbers is a code, not a measurement. */
const LEAST_NUMBERS = 9;
const NUMERIC_SHARE = 0.95;
const BANDS = 4;

export const OTHER = 'other';

/** A column of the whole pool as groups: numbers in up to four bands at rounded quartiles, anything else as it is. Null where it has fewer than two groups, or looks like a name: most rows in “other”. */
export function groupColumn(values: readonly (string | number | null)[]): GroupedColumn | null {
  const recorded = values.filter((value) => value !== null && String(value).trim() !== '');
  const numbers = recorded.map(numberOf).filter((value) => value !== null);
  const isNumeric = numbers.length >= NUMERIC_SHARE * recorded.length && new Set(numbers).size >= LEAST_NUMBERS;
  const column = isNumeric ? inBands(values, numbers) : asCategories(values);
  if (column.groups.length < 2) return null;
  const others = column.groups.indexOf(OTHER);
  const joined = others < 0 ? 0 : column.of.reduce((n, group) => n + Number(group === others), 0);
  return joined > recorded.length / 2 ? null : column;
}

function numberOf(value: string | number | null): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (value === null || value.trim() === '') return null;
  const parsed = Number(value);
  return Number.isFinite(parsed) ? parsed : null;
}

function asCategories(values: readonly (string | number | null)[]): GroupedColumn {
  const names = values.map((value) => (value === null ? '' : String(value).trim()));
  const counts = new Map<string, number>();
  for (const name of names) if (name !== '') counts.set(name, (counts.get(name) ?? 0) + 1);
  const bySize = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  const own = bySize.filter(([, n]) => n >= LEAST_ITEMS).map(([name]) => name);
  const kept = own.length > MOST_GROUPS ? own.slice(0, MOST_GROUPS - 1) : own;
  const groups = kept.length < bySize.length ? [...kept.filter((name) => name !== OTHER), OTHER] : kept;
  const numberOfGroup = new Map(groups.map((name, i) => [name, i]));
  const rest = numberOfGroup.get(OTHER) ?? -1;
  return {
    kind: 'category',
    groups,
    of: Int32Array.from(names, (name) => (name === '' ? -1 : (numberOfGroup.get(name) ?? rest))),
  };
}

function inBands(values: readonly (string | number | null)[], numbers: readonly number[]): GroupedColumn {
  const sorted = Float64Array.from(numbers).sort();
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  const step = roundStep((at(0.75) - at(0.25)) / BANDS);
  const limits: number[] = [];
  for (let k = 1; k < BANDS; k++) {
    const limit = step === 0 ? at(k / BANDS) : Number((Math.round(at(k / BANDS) / step) * step).toPrecision(12));
    const inside = limit > sorted[0] && limit <= sorted[sorted.length - 1];
    if (inside && limit > (limits.at(-1) ?? -Infinity)) limits.push(limit);
  }
  const groups = [...limits, Infinity].map((limit, k) =>
    k === 0 ? `< ${limit}` : limit === Infinity ? `≥ ${limits[k - 1]}` : `${limits[k - 1]} – < ${limit}`,
  );
  const of = Int32Array.from(values, (value) => {
    const number = numberOf(value);
    return number === null ? -1 : limits.filter((limit) => number >= limit).length;
  });
  return { kind: 'band', groups: limits.length === 0 ? [] : groups, of };
}

/** The largest of 1, 2, 5, 10 … that is not above `width`. */
function roundStep(width: number): number {
  if (!(width > 0)) return 0;
  const power = 10 ** Math.floor(Math.log10(width));
  return power * [5, 2, 1].find((digit) => digit * power <= width * (1 + 1e-9))!;
}

/** A difference in accuracy that the numbers support. */
export interface Gap {
  /** Numbers of the two groups. */
  best: number;
  worst: number;
  /** Of the accuracies, best − worst; the interval holds for all pairs of all columns at once, with probability `level`. */
  difference: number;
  low: number;
  high: number;
  /** Items in the two groups. */
  n: number;
  /** Corrected for every pair of every column. */
  pValue: number;
}

export interface GapInput {
  /** The group of each measured item, one array a column; −1 = none. */
  columns: readonly ArrayLike<number>[];
  /** Whether the model is right about it. */
  correct: ArrayLike<number | boolean>;
  /** Items of equal number belong together; −1 = alone. */
  components: ArrayLike<number>;
  rng: Rng;
  level?: number;
  permutations?: number;
}

/** Groups with fewer measured items are not compared. */
const LEAST_MEASURED = 10;
const PERMUTATIONS = 1999;

/** The largest supported gap of each column, or null where none is. False alarms anywhere: at most 1 − `level`. */
export function supportedGaps(input: GapInput): (Gap | null)[] {
  const { columns, correct, components, rng, level = 0.95, permutations = PERMUTATIONS } = input;
  const n = correct.length;
  assert(components.length === n && columns.every((column) => column.length === n), `${n} items in every column`);
  const comparisons = columns.map(comparisonsOf);
  if (comparisons.every(({ pairs }) => pairs.length === 0)) return columns.map(() => null);

  const answers = Uint8Array.from({ length: n }, (_, i) => Number(correct[i]));
  const largest = (of: Uint8Array) =>
    Math.max(...comparisons.map((comparison) => Math.max(0, ...studentised(comparison, of).map(Math.abs))));
  const shuffle = blockShuffler(components, rng);
  const maxima = Float64Array.from({ length: permutations }, () => largest(shuffle(answers))).sort();
  // The largest value that at most a share 1 − level of the permutations, the observed one included, exceeds.
  const allowed = Math.floor((1 - level) * (permutations + 1) + 1e-9) - 1;
  const critical = allowed < 0 ? Infinity : maxima[permutations - 1 - allowed];

  return comparisons.map((comparison) => {
    const z = studentised(comparison, answers);
    const means = comparison.sizes.map((size, g) => comparison.sumOf(answers, g) / size);
    let found: Gap | null = null;
    comparison.pairs.forEach(([a, b], i) => {
      if (!(Math.abs(z[i]) > critical + 1e-12)) return;
      const [best, worst] = z[i] > 0 ? [a, b] : [b, a];
      const difference = means[best] - means[worst];
      if (found !== null && difference <= found.difference) return;
      const { centre, error } = adjusted(comparison, answers, best, worst);
      found = {
        best,
        worst,
        difference,
        low: Math.max(-1, centre - critical * error),
        high: Math.min(1, centre + critical * error),
        n: comparison.sizes[a] + comparison.sizes[b],
        pValue: (1 + maxima.filter((value) => value >= Math.abs(z[i]) - 1e-12).length) / (permutations + 1),
      };
    });
    return found;
  });
}

interface Comparison {
  column: ArrayLike<number>;
  sizes: number[];
  pairs: [number, number][];
  sumOf(answers: Uint8Array, group: number): number;
}

function comparisonsOf(column: ArrayLike<number>): Comparison {
  const members: number[][] = [];
  for (let i = 0; i < column.length; i++) if (column[i] >= 0) (members[column[i]] ??= []).push(i);
  const sizes = Array.from(members, (rows) => rows?.length ?? 0);
  const large = sizes.flatMap((size, g) => (size >= LEAST_MEASURED ? [g] : []));
  return {
    column,
    sizes,
    pairs: large.flatMap((a, k) => large.slice(k + 1).map((b): [number, number] => [a, b])),
    sumOf(answers, group) {
      let right = 0;
      for (const i of members[group] ?? []) right += answers[i];
      return right;
    },
  };
}

/** The difference and its standard error after adding a success and a failure to each side, which keeps them apart from 0 and 1 (Agresti & Caffo 2000). */
function adjusted({ sizes, sumOf }: Comparison, answers: Uint8Array, a: number, b: number, sums?: readonly number[]) {
  const [n, m] = [sizes[a] + 2, sizes[b] + 2];
  const p = ((sums?.[a] ?? sumOf(answers, a)) + 1) / n;
  const q = ((sums?.[b] ?? sumOf(answers, b)) + 1) / m;
  return { centre: p - q, error: Math.sqrt((p * (1 - p)) / n + (q * (1 - q)) / m) };
}

/** The difference of each pair in units of its standard error. */
function studentised(comparison: Comparison, answers: Uint8Array): number[] {
  const sums = comparison.sizes.map((_, g) => comparison.sumOf(answers, g));
  return comparison.pairs.map(([a, b]) => {
    const { centre, error } = adjusted(comparison, answers, a, b, sums);
    return centre / error;
  });
}

/** Hands out copies in which components of one size have exchanged their answers; one whose size nothing else has keeps its own. */
function blockShuffler(components: ArrayLike<number>, rng: Rng): (answers: Uint8Array) => Uint8Array {
  const blocks = new Map<number, number[]>();
  for (let i = 0; i < components.length; i++) {
    const key = components[i] < 0 ? -1 - i : components[i];
    const block = blocks.get(key);
    if (block) block.push(i);
    else blocks.set(key, [i]);
  }
  const bySize = new Map<number, number[][]>();
  for (const block of blocks.values()) {
    const alike = bySize.get(block.length);
    if (alike) alike.push(block);
    else bySize.set(block.length, [block]);
  }
  return (answers) => {
    const shuffled = new Uint8Array(answers.length);
    for (const alike of bySize.values()) {
      const from = rng.shuffle(alike.map((_, k) => k));
      alike.forEach((block, k) => block.forEach((i, place) => (shuffled[i] = answers[alike[from[k]][place]])));
    }
    return shuffled;
  };
}
