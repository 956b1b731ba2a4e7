/**
 * What a derivative rule is: given a node and its output's adjoint, it adds the adjoints of
 * its inputs to the graph. And the one thing most rules need: taking a broadcast back.
 */
import type { Graph } from './graph.ts';
import { type Node, sameShape, type Value } from './ir.ts';

export interface Step {
  readonly g: Graph;
  readonly node: Node;
  /** The node's inputs; optional ones left out are null, which rules of such operators mind. */
  readonly x: readonly Value[];
  /** Its first output, that output's adjoint, and the adjoints of all outputs. */
  readonly y: Value;
  readonly dy: Value;
  readonly dys: readonly (Value | null)[];
  /** Whether anybody wants the adjoint of input `i`. */
  needs(i: number): boolean;
}

/** Adjoints of the inputs, null where there is none or nobody needs it. */
export type Rule = (step: Step) => readonly (Value | null)[];

/** Sums what broadcasting repeated, so that the result has `shape` again. */
export function unbroadcast(g: Graph, dy: Value, shape: readonly number[]): Value {
  if (sameShape(dy.shape, shape)) return dy;
  const lead = dy.shape.length - shape.length;
  const axes = dy.shape.flatMap((dim, i) => (i < lead || (shape[i - lead] === 1 && dim !== 1) ? [i] : []));
  return g.reshape(g.sum(dy, axes), shape);
}
