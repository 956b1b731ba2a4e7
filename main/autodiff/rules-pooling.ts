/**
 * Derivatives of pools: means hand their adjoint back in shares, maxima to where they were.
 */
import type { Graph } from './graph.ts';
import { given, int, type Node, sizeOf, type Value } from './ir.ts';
import { type Rule } from './rule.ts';
import { inputAdjoint, offsets, range } from './rules-convolution.ts';
import { type Window, windowOf } from './shapes.ts';

/** Every maximum's adjoint goes to where it was; ONNX Runtime's indices count through the whole tensor. */
const maxPool: Rule = ({ g, node, x, y, dy }) => {
  if (node.outputs.length === 1) return [maxPoolByComparing(g, node, x[0], y, dy)];
  const size = sizeOf(x[0].shape);
  const count = sizeOf(dy.shape);
  const empty = g.expand(g.scalar(0), [size]);
  const where = g.reshape(node.outputs[1], [count]);
  const summed = g.op('ScatterElements', [empty, where, g.reshape(dy, [count])], { axis: 0, reduction: 'add' });
  return [g.reshape(summed, x[0].shape)];
};

/** What padding is taken for: less than anything that could be a maximum. */
const LOWEST = -3e38;

/**
 * The same without indices, which not every device gives: all elements of each window side by
 * side, the first that equals the maximum marked, and adjoints put back by the transpose of
 * a convolution that would gather them.
 */
function maxPoolByComparing(g: Graph, node: Node, x: Value, y: Value, dy: Value): Value {
  const { kernel, strides, dilations, pads, out } = windowOf(node);
  const [n, channels, ...space] = x.shape;
  const d = space.length;
  const planes = n * channels;
  const taps = sizeOf(kernel);
  const reach = out.map((o, i) => (o - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1);
  const ends = reach.map((r, i) => Math.max(0, r - pads[i] - space[i]));
  const rim = [0, 0, ...pads.slice(0, d), 0, 0, ...ends];
  const padded = rim.every((p) => p === 0) ? x : g.op('Pad', [x, g.ints(rim), g.scalar(LOWEST)]);
  const axes = range(d).map((i) => i + 2);
  const columns = offsets(kernel).map((offset) => {
    const starts = offset.map((o, i) => o * dilations[i]);
    const stops = starts.map((start, i) => start + (out[i] - 1) * strides[i] + 1);
    return g.reshape(g.slice(padded, axes, starts, stops, [...strides]), [planes, 1, ...out]);
  });
  const flat = [planes, 1, ...out];
  const equal = g.op('Equal', [g.concat(columns, 1), g.reshape(y, flat)]);
  const order = g.floats(
    Float32Array.from({ length: taps }, (_, i) => taps - i),
    [taps, ...out.map(() => 1)],
  );
  const rank = g.where(equal, order, 0);
  const first = g.op('Equal', [rank, g.op('ReduceMax', [rank, g.ints([1])], { keepdims: 1 })]);
  const units = new Float32Array(taps * taps);
  for (let i = 0; i < taps; i++) units[i * taps + i] = 1;
  const put = g.op('ConvTranspose', [g.where(first, g.reshape(dy, flat), 0), g.floats(units, [taps, 1, ...kernel])], {
    kernel_shape: [...kernel],
    strides: [...strides],
    dilations: [...dilations],
  });
  const kept = g.slice(
    put,
    axes,
    pads.slice(0, d),
    space.map((size, i) => pads[i] + size),
  );
  const rest = space.map((size, i) => size - kept.shape[i + 2]);
  return g.reshape(g.pad(kept, [...range(d + 2).map(() => 0), 0, 0, ...rest]), x.shape);
}

/** Every input's share of each mean it was part of. */
const averagePool: Rule = ({ g, node, x, dy }) => {
  const window = windowOf(node);
  const [n, channels, ...space] = x[0].shape;
  const d = space.length;
  const shares = g.mul(dy, poolShares(g, node, window, space));
  const planes = g.reshape(shares, [n * channels, 1, ...window.out]);
  const ones = g.floats(new Float32Array(sizeOf(window.kernel)).fill(1), [1, 1, ...window.kernel]);
  const reached = window.out.map(
    (o, i) => (o - 1) * window.strides[i] + (window.kernel[i] - 1) * window.dilations[i] + 1,
  );
  const pads = [...window.pads.slice(0, d), ...reached.map((r, i) => r - window.pads[i] - space[i])];
  const rim = range(d).map((i) => Math.max(0, -pads[i + d]));
  const c = { ...window, pads: [...pads.slice(0, d), ...pads.slice(d).map((p) => Math.max(0, p))], group: 1 };
  const inner = space.map((s, i) => s - rim[i]);
  const spread = inputAdjoint(g, planes, ones, c, [n * channels, 1, ...inner]);
  const whole = g.pad(spread, [0, 0, ...space.map(() => 0), 0, 0, ...rim]);
  return [g.reshape(whole, x[0].shape)];
};

/** One over how many elements each window averages: [out…], or a scalar where all are equal. */
function poolShares(g: Graph, node: Node, window: Window, space: readonly number[]): Value {
  const counted = int(node, 'count_include_pad', 0) === 1;
  const d = space.length;
  const perAxis = space.map((size, i) => {
    const [begin, end] = counted ? [-window.pads[i], size + window.pads[i + d]] : [0, size];
    return range(window.out[i]).map((o) => {
      const at = range(window.kernel[i]).map((k) => o * window.strides[i] - window.pads[i] + k * window.dilations[i]);
      return at.filter((p) => p >= begin && p < end).length;
    });
  });
  const shares = offsets(window.out).map((o) => 1 / o.reduce((product, p, i) => product * perAxis[i][p], 1));
  if (shares.every((s) => s === shares[0])) return g.scalar(shares[0]);
  return g.floats(Float32Array.from(shares), [...window.out]);
}

const globalAveragePool: Rule = ({ g, node, x, dy }) => {
  const size = sizeOf(given(node, 0).shape.slice(2));
  return [g.expand(g.mul(dy, 1 / size), x[0].shape)];
};

export const POOL_RULES = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: globalAveragePool,
} satisfies Record<string, Rule>;
