/**
 * Reverse-mode differentiation of a graph, by adding to it: from the loss back to what is
 * wanted, each node hands what its output contributes to the loss (its adjoint) on to its
 * inputs, by the rule of its operator; where a value is used several times the
 * contributions are summed. The derivatives are ordinary operators in the same graph, so
 * ONNX Runtime runs forward and backward as one, and shared parts are computed once.
 * (Griewank & Walther 2008, chapter 3.)
 */
import { assert } from '../domain/errors.ts';
import type { Graph } from './graph.ts';
import { type Node, sameShape, type Value } from './ir.ts';
import { RULES } from './rules.ts';
import type { Op } from './shapes.ts';

/** dLoss/d(each of `wanted`), in that order. `loss` is a scalar. */
export function gradients(g: Graph, loss: Value, wanted: readonly Value[]): Value[] {
  assert(loss.shape.length === 0, 'a scalar loss', loss.shape);
  const nodes = g.live([loss]);
  const active = reachedFrom(wanted, nodes);
  const contributions = new Map<Value, Value[]>([[loss, [g.scalar(1)]]]);
  const adjointOf = (value: Value): Value | null => {
    const parts = contributions.get(value);
    if (!parts) return null;
    const total = parts.length === 1 ? parts[0] : parts.length === 2 ? g.plus(parts[0], parts[1]) : g.op('Sum', parts);
    contributions.set(value, [total]);
    return total;
  };
  for (const node of nodes.toReversed()) {
    if (!node.outputs.some((output) => active.has(output))) continue;
    const dys = node.outputs.map(adjointOf);
    if (dys.every((dy) => dy === null)) continue;
    const needs = (i: number) => node.inputs[i] != null && active.has(node.inputs[i]);
    derive(g, node, dys, needs).forEach((contribution, i) => {
      const input = node.inputs[i];
      if (!contribution || !input || !active.has(input)) return;
      assert(
        sameShape(contribution.shape, input.shape),
        `${node.op} to give input ${i} [${input.shape.join()}]`,
        contribution.shape,
      );
      contributions.set(input, [...(contributions.get(input) ?? []), contribution]);
    });
  }
  return wanted.map((value) => adjointOf(value) ?? g.expand(g.scalar(0), value.shape));
}

function derive(g: Graph, node: Node, dys: readonly (Value | null)[], needs: (i: number) => boolean) {
  const rule = RULES[node.op as Op];
  if (rule === 'flat') return [];
  const dy = dys[0];
  // a rule reads the first output's adjoint, and may ask for the others
  return dy || node.op === 'Split'
    ? rule({ g, node, x: node.inputs as Value[], y: node.outputs[0], dy: dy!, dys, needs })
    : [];
}

/** Floating-point values that depend on one of `roots`. */
function reachedFrom(roots: readonly Value[], nodes: readonly Node[]): Set<Value> {
  const reached = new Set(roots);
  for (const node of nodes) {
    if (!node.inputs.some((input) => input && reached.has(input))) continue;
    for (const output of node.outputs) if (output.dtype.startsWith('float')) reached.add(output);
  }
  return reached;
}
