/**
 * Derivatives of matrix products. A weight matrix meets many rows at once, so its products
 * are two-dimensional Gemms, which transpose as they read; batches of small matrices
 * (attention) stay MatMuls, whose transposes ONNX Runtime fuses into them.
 */
import { einsumTerms } from './shapes.ts';
import { type Rule, unbroadcast } from './rule.ts';
import { int, real, sizeOf, type Value } from './ir.ts';
import type { Graph } from './graph.ts';

/** A vector as the matrix that MatMul takes it for. */
function asMatrix(g: Graph, v: Value, side: 'row' | 'column'): Value {
  if (v.shape.length > 1) return v;
  return g.reshape(v, side === 'row' ? [1, v.shape[0]] : [v.shape[0], 1]);
}

const rows = (g: Graph, v: Value) => g.reshape(v, [sizeOf(v.shape.slice(0, -1)), v.shape.at(-1)!]);

const matMul: Rule = ({ g, x, dy: given, needs }) => {
  const a = asMatrix(g, x[0], 'row');
  const b = asMatrix(g, x[1], 'column');
  const outer = given.shape.slice(
    0,
    given.shape.length - (x[0].shape.length > 1 ? 1 : 0) - (x[1].shape.length > 1 ? 1 : 0),
  );
  const dy = g.reshape(given, [...outer, a.shape.at(-2)!, b.shape.at(-1)!]);
  if (b.shape.length === 2) {
    const flat = rows(g, dy);
    return [
      needs(0) ? g.reshape(g.op('Gemm', [flat, b], { transB: 1 }), x[0].shape) : null,
      needs(1) ? g.reshape(g.op('Gemm', [rows(g, a), flat], { transA: 1 }), x[1].shape) : null,
    ];
  }
  return [
    needs(0) ? g.reshape(unbroadcast(g, g.op('MatMul', [dy, g.flip(b)]), a.shape), x[0].shape) : null,
    needs(1) ? g.reshape(unbroadcast(g, g.op('MatMul', [g.flip(a), dy]), b.shape), x[1].shape) : null,
  ];
};

/** y = α·A′·B′ + β·C, where ′ may transpose. */
const gemm: Rule = ({ g, node, x: [a, b, c], dy, needs }) => {
  const transA = int(node, 'transA', 0);
  const transB = int(node, 'transB', 0);
  const alpha = { alpha: { float: real(node, 'alpha', 1) } };
  const beta = real(node, 'beta', 1);
  const forA = () =>
    transA === 1
      ? g.op('Gemm', [b, dy], { transA: transB, transB: 1, ...alpha })
      : g.op('Gemm', [dy, b], { transB: 1 - transB, ...alpha });
  const forB = () =>
    transB === 1
      ? g.op('Gemm', [dy, a], { transA: 1, transB: transA, ...alpha })
      : g.op('Gemm', [a, dy], { transA: 1 - transA, ...alpha });
  return [
    needs(0) ? forA() : null,
    needs(1) ? forB() : null,
    c && needs(2) ? g.mul(unbroadcast(g, dy, c.shape), beta) : null,
  ];
};

/** The adjoint of each operand is an Einsum of the result's adjoint with the other operands. */
const einsum: Rule = ({ g, node, x, dy, needs }) => {
  const { terms, result } = einsumTerms(node);
  return x.map((v, i) => {
    if (!needs(i)) return null;
    const others = terms.flatMap((term, j) => (j === i ? [] : [{ term, value: x[j] }]));
    const reach = new Set([...result, ...others.flatMap(({ term }) => [...term])]);
    const found = [...terms[i]].filter((letter) => reach.has(letter)).join('');
    const equation = [result, ...others.map(({ term }) => term)].join(',');
    const product = g.op('Einsum', [dy, ...others.map(({ value }) => value)], { equation: `${equation}->${found}` });
    // a letter that only this operand has was summed over: its adjoint is the same along it
    const spread = g.reshape(
      product,
      v.shape.map((dim, axis) => (reach.has(terms[i][axis]) ? dim : 1)),
    );
    return g.expand(spread, v.shape);
  });
};

export const LINEAR_RULES = { MatMul: matMul, Gemm: gemm, Einsum: einsum } satisfies Record<string, Rule>;
