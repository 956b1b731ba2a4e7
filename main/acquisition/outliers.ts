/**
 * Which items are unlike the rest of the pool: how far each is from its neighbours, and
 * from where on a measurement is unusual. Limits follow from the pool itself, by extending
 * its tail: about one in two hundred of a clean pool lies beyond (of very heavy tails three
 * times that), and up to a tenth of it may be anything without moving the limit much. What a
 * tenth or more of a pool has in common is not unusual. Nothing is decided here.
 */
import { takeRows, type Matrix } from '../domain/matrix.ts';
import { createPace } from './pace.ts';
import { distancesInBlocks, plainProducts, type Products } from './vectors.ts';

/** Neighbours whose distances are averaged. */
const NEIGHBOURS = 10;

export interface Surroundings {
  /** Rows whose distances are asked for. */
  rows: ArrayLike<number>;
  /** Rows that are the surroundings: a sample of the pool, a few thousand. */
  reference: ArrayLike<number>;
  /** Near-duplicate cluster of every item; −1 = none. An item is no neighbour of its copies. */
  duplicates?: Int32Array;
  products?: Products;
  signal?: AbortSignal;
}

/** Mean distance of each row to its ten nearest of the reference, itself and its copies left out; Infinity where nothing is left. `[n, d]`. Ramaswamy, Rastogi & Shim 2000; the mean after Angiulli & Pizzuti 2002. Cost rows × reference × d. Errors: `score-not-finite`. */
export async function neighbourDistances(vectors: Matrix, around: Surroundings): Promise<Float64Array> {
  const { rows, reference, duplicates, products = plainProducts, signal } = around;
  const pace = createPace(signal);
  const result = new Float64Array(rows.length);
  const others = takeRows(vectors, reference);
  await distancesInBlocks(vectors, rows, others, { products, pace }, (from, { data, rows: count, columns }) => {
    for (let i = 0; i < count; i++) {
      const item = rows[from + i];
      const nearest = new Nearest(NEIGHBOURS);
      for (let j = 0; j < columns; j++) {
        const squared = data[i * columns + j];
        if (squared >= nearest.furthest || reference[j] === item) continue;
        if (duplicates && duplicates[item] >= 0 && duplicates[item] === duplicates[reference[j]]) continue;
        nearest.add(squared);
      }
      result[from + i] = nearest.meanDistance();
    }
  });
  return result;
}

/** The smallest few squared distances seen, ascending. */
class Nearest {
  readonly #kept: number[] = [];
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  get furthest(): number {
    return this.#kept.length < this.#count ? Infinity : this.#kept[this.#count - 1];
  }

  add(squared: number): void {
    let at = this.#kept.length;
    while (at > 0 && this.#kept[at - 1] > squared) at--;
    this.#kept.splice(at, 0, squared);
    this.#kept.length = Math.min(this.#kept.length, this.#count);
  }

  meanDistance(): number {
    if (this.#kept.length === 0) return Infinity;
    return this.#kept.reduce((sum, squared) => sum + Math.sqrt(squared), 0) / this.#kept.length;
  }
}

/** Share of a clean pool that lies beyond a limit. */
const BEYOND = 0.005;
/** The tail is continued from these quantiles: by how often the distance between them, where it is a normal one and where it is an exponential one. */
const [INNER, OUTER] = [0.75, 0.9];
const NORMAL = (2.5758 - 1.2816) / (1.2816 - 0.6745);
const EXPONENTIAL = Math.log((1 - OUTER) / BEYOND) / Math.log((1 - INNER) / (1 - OUTER));
/** Fewer values than this say nothing about what is usual. */
const LEAST_POOL = 100;

export interface Unusual {
  /** Which values are unusual. */
  beyond: number[];
  /** The 1st and the 99th percentile of the others. */
  usual: { low: number; high: number };
}

/** What is unusual about a measurement of every item; NaN = not measured. `side`: what may be wrong with it; `least`: what it must be beyond the limit by, since smaller differences do not matter. Fewer than a hundred values give no limits. */
export function findUnusual(
  values: ArrayLike<number>,
  { side, least }: { side: 'high' | 'low' | 'both'; least: number },
): Unusual {
  const measured = Float64Array.from(Array.from(values).filter((value) => !Number.isNaN(value))).sort();
  if (measured.length < LEAST_POOL) return { beyond: [], usual: usualRange(measured) };
  const high = side === 'low' ? Infinity : upperLimit(measured) + least;
  const low = side === 'high' ? -Infinity : -upperLimit(measured.map((value) => -value).reverse()) - least;
  const beyond: number[] = [];
  for (let i = 0; i < values.length; i++) if (values[i] > high || values[i] < low) beyond.push(i);
  return { beyond, usual: usualRange(measured.filter((value) => value >= low && value <= high)) };
}

/** The 1st and the 99th percentile of sorted values; NaN of none. */
export function usualRange(sorted: Float64Array): { low: number; high: number } {
  return { low: quantile(sorted, 0.01), high: quantile(sorted, 0.99) };
}

/** Above which a measurement is unusually high for the pool: its 99.5th percentile, but no lower than a normal and no higher than an exponential tail through the 75th and the 90th would have it. So items that do not belong, up to a tenth of all, do not hide each other. */
function upperLimit(sorted: Float64Array): number {
  const outer = quantile(sorted, OUTER);
  const unit = outer - quantile(sorted, INNER);
  const own = quantile(sorted, 1 - BEYOND);
  return Math.max(outer + NORMAL * unit, Math.min(outer + EXPONENTIAL * unit, own));
}

/** Between the two values around it. */
function quantile(sorted: Float64Array, share: number): number {
  if (sorted.length === 0) return NaN;
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(sorted.length - 1, below + 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}
