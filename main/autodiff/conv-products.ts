/**
 * Convolutions that are better written as matrix products, channels first, when their weights
 * are trained: 1 × 1 kernels as one product for the whole batch, and depthwise convolutions of
 * small maps as one matrix per channel. ONNX Runtime runs a convolution whose weights may
 * change as one tiny product per image (and channel), which on small maps is mostly overhead.
 * Their derivatives follow (docs/decisions/0005-gradients-as-onnx-graphs.md).
 */
import type { Graph } from './graph.ts';
import { type Call, given, int, sizeOf, type Value } from './ir.ts';
import { windowOf } from './shapes.ts';

/** Input times output positions up to which it pays. */
const SMALL = 64 * 64;

/** The output of a convolution that is one of these; else null. */
export function asProduct(g: Graph, call: Call): Value | null {
  if (given(call, 1).constant || g.block !== null) return null;
  return pointwise(g, call) ?? smallDepthwise(g, call);
}

function pointwise(g: Graph, call: Call): Value | null {
  const [x, w] = [given(call, 0), given(call, 1)];
  const { kernel, strides, pads } = windowOf(call);
  if (![...kernel, ...strides].every((k) => k === 1) || pads.some((p) => p !== 0) || int(call, 'group', 1) !== 1)
    return null;
  const [n, channels, ...space] = x.shape;
  const out = w.shape[0];
  const swap = [1, 0, ...space.map((_, i) => i + 2)];
  const columns = g.reshape(g.transpose(x, swap), [channels, n * sizeOf(space)]);
  const bias = call.inputs[2];
  const factors = [g.reshape(w, [out, channels]), columns];
  const product = g.op('Gemm', bias ? [...factors, g.reshape(bias, [out, 1])] : factors, {}, call.label);
  return g.transpose(g.reshape(product, [out, n, ...space]), swap);
}

function smallDepthwise(g: Graph, call: Call): Value | null {
  const [x, w] = [given(call, 0), given(call, 1)];
  const [n, channels, ...space] = x.shape;
  const window = windowOf(call);
  const [inside, outside, taps] = [space, window.out, window.kernel].map(sizeOf);
  const depthwise = int(call, 'group', 1) === channels && w.shape[0] === channels && channels > 1;
  if (!depthwise || taps === 1 || inside * outside > SMALL) return null;
  // which tap carries which input to which output
  const carries = new Float32Array(taps * inside * outside);
  const visit = (axis: number, tap: number, from: number, to: number): void => {
    if (axis === space.length) {
      carries[(tap * inside + from) * outside + to] = 1;
      return;
    }
    for (let k = 0; k < window.kernel[axis]; k++) {
      for (let o = 0; o < window.out[axis]; o++) {
        const at = o * window.strides[axis] + k * window.dilations[axis] - window.pads[axis];
        if (at < 0 || at >= space[axis]) continue;
        visit(axis + 1, tap * window.kernel[axis] + k, from * space[axis] + at, to * window.out[axis] + o);
      }
    }
  };
  visit(0, 0, 0, 0);
  const table = g.floats(carries, [taps, inside * outside]);
  const matrices = g.op('MatMul', [g.reshape(w, [channels, taps]), table]);
  const swap = [1, 0, ...space.map((_, i) => i + 2)];
  const rows = g.reshape(g.transpose(x, swap), [channels, n, inside]);
  const product = g.op('MatMul', [rows, g.reshape(matrices, [channels, inside, outside])], {}, call.label);
  const bias = call.inputs[2];
  const y = bias ? g.plus(product, g.reshape(bias, [channels, 1, 1])) : product;
  return g.transpose(g.reshape(y, [channels, n, ...window.out]), swap);
}
