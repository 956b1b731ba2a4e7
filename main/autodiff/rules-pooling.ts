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

/**
 * The same without indices, which are slow on a processor and not to be had elsewhere. A
 * maximum over a window is one over its rows of one over their elements, so each axis is
 * taken back by itself: first to the first row that has the maximum, then to its first element.
 */
function maxPoolByComparing(g: Graph, node: Node, x: Value, y: Value, dy: Value): Value {
  const window = windowOf(node);
  const d = window.kernel.length;
  const axes = range(d).filter((i) => window.kernel[i] > 1 || window.strides[i] > 1);
  // the pools by one axis after another, last axis first
  const stages = [x];
  for (const axis of axes.slice(1).toReversed()) {
    const alone = (values: readonly number[], other: number) => values.map((v, i) => (i % d === axis ? v : other));
    stages.unshift(
      g.op('MaxPool', [stages[0]], {
        kernel_shape: alone(window.kernel, 1),
        strides: alone(window.strides, 1),
        dilations: alone(window.dilations, 1),
        pads: alone(window.pads, 0),
        ceil_mode: int(node, 'ceil_mode', 0),
      }),
    );
  }
  return axes.reduce(
    (adjoint, axis, i) => axisAdjoint(g, stages[i], i === 0 ? y : stages[i - 1], adjoint, axis, window),
    dy,
  );
}

/** What padding is taken for: less than anything that could be a maximum. */
const LOWEST = -3e38;

/** The adjoint of a maximum pool by one axis: each element of the window in turn takes what is left where it is the maximum. */
function axisAdjoint(g: Graph, x: Value, y: Value, dy: Value, axis: number, window: Window): Value {
  const [kernel, stride, dilation, begin, out] = [
    window.kernel,
    window.strides,
    window.dilations,
    window.pads,
    window.out,
  ].map((values) => values[axis]);
  const size = x.shape[axis + 2];
  const [rows, maxima, adjoints] = [x, y, dy].map((v) => alongAxis(g, v, axis));
  const [outer, , inner] = rows.shape;
  // strides side by side: element k of window o is number (k % stride) of stride o + k / stride
  const strides = Math.max(out + Math.floor(((kernel - 1) * dilation) / stride), Math.ceil((begin + size) / stride));
  const rim = [0, begin, 0, 0, strides * stride - size - begin, 0];
  const framed = rim.every((p) => p === 0) ? rows : g.op('Pad', [rows, g.ints(rim), g.scalar(LOWEST)]);
  const frame = g.reshape(framed, [outer, strides, stride, inner]);
  const phases: Value[][] = range(stride).map(() => []);
  let left = adjoints;
  for (const k of range(kernel)) {
    const [first, phase] = [Math.floor((k * dilation) / stride), (k * dilation) % stride];
    const element = g.slice(frame, [1, 2], [first, phase], [first + out, phase + 1]);
    // it must have been the last if it was none before
    const won = g.op('Equal', [g.reshape(element, [outer, out, inner]), maxima]);
    const taken = k === kernel - 1 ? left : g.mul(left, g.cast(won, 'float32'));
    if (k < kernel - 1) left = g.minus(left, taken);
    phases[phase].push(g.pad(taken, [0, first, 0, 0, strides - out - first, 0]));
  }
  const none = g.expand(g.scalar(0), [outer, strides, inner]);
  const parts = phases.map((taps) =>
    g.reshape(taps.length === 0 ? none : g.op('Sum', taps), [outer, strides, 1, inner]),
  );
  const whole = g.reshape(g.concat(parts, 2), [outer, strides * stride, inner]);
  return fromAxis(g, g.slice(whole, [1], [begin], [begin + size]), x.shape);
}

/** How blocks lie in memory (see blocked.ts): of all that runs along an axis, as much as possible together. */
function blocked(g: Graph, shape: readonly number[]): number {
  return g.block !== null && shape.length === 4 && shape[1] % g.block === 0 ? g.block : 1;
}

/** [what is outside, the axis, what is inside]. */
function alongAxis(g: Graph, v: Value, axis: number): Value {
  const [n, channels, ...space] = v.shape;
  const b = blocked(g, v.shape);
  const apart = b === 1 ? v : g.transpose(g.reshape(v, [n, channels / b, b, ...space]), [0, 1, 3, 4, 2]);
  return g.reshape(apart, [
    (n * channels * sizeOf(space.slice(0, axis))) / b,
    space[axis],
    b * sizeOf(space.slice(axis + 1)),
  ]);
}

function fromAxis(g: Graph, v: Value, shape: readonly number[]): Value {
  const [n, channels, ...space] = shape;
  const b = blocked(g, shape);
  if (b === 1) return g.reshape(v, shape);
  return g.reshape(g.transpose(g.reshape(v, [n, channels / b, ...space, b]), [0, 1, 4, 2, 3]), shape);
}

/** Every input's share of each mean it was part of. */
const averagePool: Rule = ({ g, node, x, dy }) => {
  const window = windowOf(node);
  const [n, channels, ...space] = x[0].shape;
  const d = space.length;
  const shares = g.mul(dy, poolShares(g, node, window, space));
  // channel by channel in blocks, else as so many images
  const group = g.block === null ? 1 : channels;
  const planes = g.reshape(shares, [(n * channels) / group, group, ...window.out]);
  const ones = g.floats(new Float32Array(group * sizeOf(window.kernel)).fill(1), [group, 1, ...window.kernel]);
  const reached = window.out.map(
    (o, i) => (o - 1) * window.strides[i] + (window.kernel[i] - 1) * window.dilations[i] + 1,
  );
  const pads = [...window.pads.slice(0, d), ...reached.map((r, i) => r - window.pads[i] - space[i])];
  const rim = range(d).map((i) => Math.max(0, -pads[i + d]));
  const c = { ...window, pads: [...pads.slice(0, d), ...pads.slice(d).map((p) => Math.max(0, p))], group };
  const inner = space.map((s, i) => s - rim[i]);
  const spread = inputAdjoint(g, planes, ones, c, [(n * channels) / group, group, ...inner]);
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
