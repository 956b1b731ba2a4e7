/**
 * Dropout while training (Srivastava et al. 2014): each element is kept with probability
 * 1 − rate and scaled up by its inverse. What is kept is decided in the graph from a few
 * numbers that are fed with every step, one per row and one per column of the tensor, so that
 * no mask as large as an activation is drawn or copied, and the same on every device.
 *
 * Rows and columns carry odd numbers below 4096. The odd numbers are a group under
 * multiplication modulo 4096, so the products are uniform among them and any two elements are
 * independent; products below 2²⁴ and powers of two are exact in float32 everywhere.
 */
import type { Rng } from '../domain/rng.ts';
import type { Graph } from './graph.ts';
import { type Call, given, numbersOf, real, sizeOf, type Value } from './ir.ts';

const MODULUS = 4096;

/** What every step of a graph with dropout feeds besides. */
export interface DropoutInput {
  readonly name: string;
  readonly shape: readonly number[];
}

/** The output of a Dropout node that drops, at `rate` or its own, and what it is fed with: an input of the graph called `name`, if it drops at all. */
export function addDropout(
  g: Graph,
  call: Call,
  name: string,
  rate: number | null,
): { y: Value; fed: readonly DropoutInput[] } {
  const x = given(call, 0);
  const stated = call.inputs[1]?.constant;
  const p = rate ?? (stated ? numbersOf(stated)[0] : real(call, 'ratio', 0.5));
  if (p <= 0) return { y: x, fed: [] };
  const { shape } = x;
  // rows and columns as nearly as many as the axes allow
  const splits = shape.map((_, axis) => [sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis))] as const);
  const [rows, columns] = splits.reduce((best, split) => (split[0] + split[1] < best[0] + best[1] ? split : best));
  const fed = g.input(name, [rows + columns]);
  const down = g.reshape(g.slice(fed, [0], [0], [rows]), [rows, 1]);
  const along = g.mul(g.slice(fed, [0], [rows], [rows + columns]), 1 / MODULUS);
  const product = g.mul(down, along);
  const uniform = g.minus(product, g.op('Floor', [product]));
  const scale = g.where(g.op('Less', [uniform, g.scalar(p)]), 0, 1 / (1 - p));
  return { y: g.mul(x, g.reshape(scale, shape)), fed: [{ name, shape: fed.shape }] };
}

/** The numbers of one step for a graph's dropout inputs, by name. */
export function drawDropout(inputs: readonly DropoutInput[], rng: Rng): Record<string, Float32Array> {
  return Object.fromEntries(
    inputs.map(({ name, shape }) => [
      name,
      Float32Array.from({ length: sizeOf(shape) }, () => 2 * rng.int(MODULUS / 2) + 1),
    ]),
  );
}
