/**
 * Derivatives of sums, means, extremes and norms over axes, of softmax, and of layer
 * normalisation. All of them give the adjoint back along the axes they ran over.
 */
import type { Graph } from './graph.ts';
import { axisOf, given, int, sizeOf, type Value } from './ir.ts';
import { type Rule, type Step } from './rule.ts';
import { reducedAxes } from './shapes.ts';

/** A reduction's output or adjoint with the reduced axes put back as ones. */
function kept({ g, node }: Step, v: Value): Value {
  const axes = reducedAxes(node);
  return g.reshape(
    v,
    given(node, 0).shape.map((dim, i) => (axes.includes(i) ? 1 : dim)),
  );
}

/** dy · f′, where f′ has the input's shape or one of its axes' (null: 1). */
const along =
  (slope: (s: Step, x: Value, y: Value) => Value | null): Rule =>
  (s) => {
    const [x] = s.x;
    const factor = slope(s, x, kept(s, s.y));
    const dy = kept(s, s.dy);
    return [s.g.expand(factor ? s.g.mul(dy, factor) : dy, x.shape)];
  };

const count = (s: Step) => sizeOf(s.x[0].shape) / sizeOf(s.y.shape);

/** The adjoint of a largest or smallest element, shared among equals as PyTorch's amax does. */
const extreme = along(({ g, node }, x, y) => {
  const won = g.cast(g.op('Equal', [x, y]), x.dtype);
  return g.over(won, g.sum(won, reducedAxes(node), true));
});

/** (dy − Σ dy·y)·y, along one axis. */
const softmax: Rule = ({ g, node, y, dy }) => {
  const axis = axisOf(int(node, 'axis', -1), y.shape.length);
  const weighted = g.mul(dy, y);
  return [g.minus(weighted, g.mul(y, g.sum(weighted, [axis], true)))];
};

const logSoftmax: Rule = ({ g, node, y, dy }) => {
  const axis = axisOf(int(node, 'axis', -1), y.shape.length);
  return [g.minus(dy, g.mul(g.op('Exp', [y]), g.sum(dy, [axis], true)))];
};

/** x̂ = (x − μ)·r, y = x̂·s + b; dx = r·(dx̂ − mean(dx̂) − x̂·mean(dx̂·x̂)) with dx̂ = dy·s (Ba, Kiros & Hinton 2016). */
const layerNormalization: Rule = ({ g, node, x: [x, scale, bias], dy, needs }) => {
  const [, mean, inverse] = node.outputs;
  const axis = axisOf(int(node, 'axis', -1), x.shape.length);
  const inner = x.shape.flatMap((_, i) => (i < axis ? [] : [i]));
  const outer = x.shape.flatMap((_, i) => (i < axis ? [i] : []));
  const unit = g.mul(g.minus(x, mean), inverse);
  const shaped = (v: Value, like: Value) => g.reshape(g.sum(v, outer), like.shape);
  const forX = () => {
    const d = g.mul(dy, scale);
    const centred = g.minus(g.minus(d, g.mean(d, inner, true)), g.mul(unit, g.mean(g.mul(d, unit), inner, true)));
    return g.mul(centred, inverse);
  };
  return [
    needs(0) ? forX() : null,
    needs(1) ? shaped(g.mul(dy, unit), scale) : null,
    bias && needs(2) ? shaped(dy, bias) : null,
  ];
};

/** The product of the others, along each reduced axis, by products of what is before and after: right also at zeros. */
const product: Rule = (s) => {
  const { g, node } = s;
  const axes = reducedAxes(node);
  const [x] = s.x;
  const rest = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const perm = [...rest, ...axes];
  const n = sizeOf(axes.map((i) => x.shape[i]));
  const flat = g.reshape(g.transpose(x, perm), [-1, n]);
  // in row i the i-th factor is replaced by one
  const own = Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
  const others = g.where(g.cast(g.floats(own, [n, n]), 'bool'), 1, g.reshape(flat, [-1, 1, n]));
  const partial = g.op('ReduceProd', [others, g.ints([2])], { keepdims: 0 });
  const back = g.reshape(
    partial,
    perm.map((i) => x.shape[i]),
  );
  const inverse = perm.map((_, i) => perm.indexOf(i));
  return [g.mul(g.transpose(back, inverse), kept(s, s.dy))];
};

/** A running sum's adjoint runs the other way. */
const cumSum: Rule = ({ g, node, x, dy }) => [
  g.op('CumSum', [dy, x[1]], { exclusive: int(node, 'exclusive', 0), reverse: 1 - int(node, 'reverse', 0) }),
];

/** x / ‖x‖ along an axis. */
export function normalised(g: Graph, x: Value, axis: number): Value {
  const norm = g.op('ReduceL2', [x, g.ints([axis])], { keepdims: 1 });
  return g.over(x, g.op('Max', [norm, g.scalar(1e-12)]));
}

const lpNormalization: Rule = (s) => {
  const { g, node, x, y, dy } = s;
  const axis = axisOf(int(node, 'axis', -1), y.shape.length);
  if (int(node, 'p', 2) === 1) {
    const norm = g.op('ReduceL1', [x[0], g.ints([axis])], { keepdims: 1 });
    return [g.over(g.minus(dy, g.mul(g.op('Sign', [x[0]]), g.sum(g.mul(dy, y), [axis], true))), norm)];
  }
  const norm = g.op('ReduceL2', [x[0], g.ints([axis])], { keepdims: 1 });
  return [g.over(g.minus(dy, g.mul(y, g.sum(g.mul(dy, y), [axis], true))), norm)];
};

export const REDUCING_RULES = {
  ReduceSum: along(() => null),
  ReduceMean: along((s) => s.g.scalar(1 / count(s))),
  ReduceMax: extreme,
  ReduceMin: extreme,
  ReduceProd: product,
  ReduceL1: along(({ g }, x) => g.op('Sign', [x])),
  ReduceL2: along(({ g }, x, y) => g.over(x, g.op('Max', [y, g.scalar(1e-30)]))),
  ReduceSumSquare: along(({ g }, x) => g.mul(x, 2)),
  ReduceLogSum: along(({ g, node }, x) => g.op('Reciprocal', [g.sum(x, reducedAxes(node), true)])),
  ReduceLogSumExp: along(({ g }, x, y) => g.op('Exp', [g.minus(x, y)])),
  ArgMax: 'flat',
  ArgMin: 'flat',
  Softmax: softmax,
  LogSoftmax: logSoftmax,
  LayerNormalization: layerNormalization,
  LpNormalization: lpNormalization,
  CumSum: cumSum,
} satisfies Record<string, Rule | 'flat'>;
