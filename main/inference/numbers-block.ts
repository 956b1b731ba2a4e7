/**
 * The numbers block: measurements standardised, a missing one replaced by the mean and
 * marked by a column of its own, categories one-hot; all in the graph. Statistics are
 * gathered in one pass over the pool, whatever its size.
 */
import type { NumbersPart } from '../domain/item.ts';
import { GraphBuilder } from '../onnx/index.ts';
import { type Block, type Column, inputsOf, type NumbersPreparation } from './block.ts';

/** Categories per column, at most; the rarest beyond that count as missing. */
const MOST_CATEGORIES = 50;
/** Standard deviations beyond which a measurement does not pull further: a slip of the unit must not outweigh everything else. */
const FURTHEST = 6;

interface Tally {
  numbers: number;
  mean: number;
  /** Sum of squared deviations (Welford 1962). */
  spread: number;
  categories: Map<string, number>;
}

/** Gathers what `fit` needs, one part after the other. */
export class NumbersStatistics {
  private readonly tallies = new Map<string, Tally>();
  private seen = 0;

  add(part: NumbersPart): void {
    this.seen++;
    for (const [name, value] of Object.entries(part.values)) {
      let tally = this.tallies.get(name);
      if (!tally) this.tallies.set(name, (tally = { numbers: 0, mean: 0, spread: 0, categories: new Map() }));
      if (typeof value === 'number' && Number.isFinite(value)) {
        tally.numbers++;
        const step = value - tally.mean;
        tally.mean += step / tally.numbers;
        tally.spread += step * (value - tally.mean);
      } else if (typeof value === 'string' && tally.categories.size < 10_000) {
        tally.categories.set(value, (tally.categories.get(value) ?? 0) + 1);
      }
    }
  }

  /** The block, or null where no column says anything. */
  fit(): Block | null {
    const columns: Column[] = [];
    for (const [name, { numbers, categories }] of this.tallies) {
      const strings = [...categories.values()].reduce((sum, count) => sum + count, 0);
      if (numbers + strings === 0) continue;
      columns.push({ name, categories: strings > numbers ? mostFrequent(categories) : null });
    }
    if (columns.length === 0) return null;
    const preparation: NumbersPreparation = { kind: 'numbers', columns };
    const g = new GraphBuilder('numbers');
    const [input] = inputsOf(preparation).map(({ name, dtype, dims }) => g.input(name, dtype, dims));
    const known = g.node('Equal', [input, input]);
    const missing = g.node('Sub', [g.scalar(1), g.node('Cast', [known], { to: 1 })]);
    const parts: string[] = [];
    let dims = 0;
    let squaredNorm = 0;
    const take = (from: string, indices: number[]) => g.node('Gather', [from, g.ints(...indices)], { axis: 1 });

    const measured = columns.flatMap((column, i) => (column.categories ? [] : [i]));
    if (measured.length > 0) {
      const stats = measured.map((i) => this.tallies.get(columns[i].name)!);
      const shape = [1, measured.length];
      const mean = g.constant(
        Float32Array.from(stats, (t) => t.mean),
        shape,
      );
      const deviation = stats.map((t) => Math.sqrt(t.spread / t.numbers));
      const factor = g.constant(
        Float32Array.from(deviation, (d) => (d > 0 ? 1 / d : 0)),
        shape,
      );
      const filled = g.node('Where', [take(known, measured), take(input, measured), mean]);
      const scaled = g.node('Mul', [g.node('Sub', [filled, mean]), factor]);
      parts.push(g.node('Clip', [scaled, g.scalar(-FURTHEST), g.scalar(FURTHEST)]));
      dims += measured.length;
      stats.forEach((t, i) => (squaredNorm += deviation[i] > 0 ? t.numbers / this.seen : 0));
    }
    const shares = columns.map(({ name, categories }) => {
      const tally = this.tallies.get(name)!;
      const present = categories ? categories.reduce((sum, c) => sum + tally.categories.get(c)!, 0) : tally.numbers;
      return 1 - present / this.seen;
    });
    const incomplete = columns.flatMap((_, i) => (shares[i] > 0 ? [i] : []));
    if (incomplete.length > 0) {
      parts.push(take(missing, incomplete));
      dims += incomplete.length;
      incomplete.forEach((i) => (squaredNorm += shares[i]));
    }
    columns.forEach(({ categories }, i) => {
      if (!categories) return;
      const places = g.constant(
        Float32Array.from(categories, (_, place) => place),
        [1, categories.length],
      );
      parts.push(g.node('Cast', [g.node('Equal', [take(input, [i]), places])], { to: 1 }));
      dims += categories.length;
      squaredNorm += 1 - shares[i];
    });
    const together = parts.length === 1 ? parts[0] : g.node('Concat', parts, { axis: 1 });
    const features = g.node('Mul', [together, g.scalar(1 / Math.sqrt(squaredNorm || 1))]);
    g.output('features', 'float32', ['n', dims], features);
    return { kind: 'numbers', model: g.toModel(), preparation, dims, fittedOn: this.seen, features: null };
  }
}

function mostFrequent(categories: Map<string, number>): string[] {
  return [...categories]
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .slice(0, MOST_CATEGORIES)
    .map(([name]) => name);
}

/** One row of the tensor `numbers`: NaN where missing or not among the known categories. */
export function numbersRow(columns: readonly Column[], values: NumbersPart['values']): Float32Array {
  return Float32Array.from(columns, ({ name, categories }) => {
    const value = values[name];
    if (value === null || value === undefined) return NaN;
    if (!categories) return typeof value === 'number' ? value : NaN;
    const place = categories.indexOf(String(value));
    return place < 0 ? NaN : place;
  });
}
