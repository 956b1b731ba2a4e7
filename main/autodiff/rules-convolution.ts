/**
 * Derivatives of convolutions, in one, two or three dimensions, with strides,
 * dilations and groups. The adjoint of the input is a convolution with the flipped kernel;
 * that of the kernel is one matrix product per kernel element, of the output's adjoint with
 * the input shifted to where that element met it. Which form is used when was measured:
 * docs/decisions/0005-gradients-as-onnx-graphs.md.
 */
import type { Graph } from './graph.ts';
import { int, sizeOf, type Value } from './ir.ts';
import { type Rule } from './rule.ts';
import { dilate } from './rules-moving.ts';
import { transposedWindow, type Window, windowOf } from './shapes.ts';

/** A convolution: `w` is [out channels, in channels / group, kernel…]. */
interface Convolution extends Window {
  readonly group: number;
}

export const range = (n: number) => [...Array(n).keys()];

/** All offsets within a kernel, last axis fastest. */
export function offsets(kernel: readonly number[]): number[][] {
  return kernel.reduce<number[][]>((all, k) => all.flatMap((o) => range(k).map((i) => [...o, i])), [[]]);
}

/** What a convolution's output tells of its input, of shape `shape`: [n, channels, space…]. */
export function inputAdjoint(g: Graph, dy: Value, w: Value, c: Convolution, shape: readonly number[]): Value {
  const d = c.kernel.length;
  const space = range(d);
  // a large kernel takes longer to flip than its small map to convolve
  const heavy = c.group === 1 && sizeOf(c.kernel) > 1 && 4 * sizeOf(w.shape) >= sizeOf(dy.shape);
  const inBlocks = g.block !== null && d === 2;
  if (heavy || inBlocks || c.strides.some((s) => s > 1)) {
    // what no window reached at the end is output_padding, which must be less than the stride
    const reached = c.out.map((o, i) => (o - 1) * c.strides[i] + (c.kernel[i] - 1) * c.dilations[i] + 1);
    const rest = space.map((i) => shape[i + 2] - (reached[i] - c.pads[i] - c.pads[i + d]));
    if (rest.every((r, i) => r >= 0 && r < c.strides[i])) {
      const { kernel, strides, dilations, pads, group } = c;
      return g.op('ConvTranspose', [dy, w], {
        kernel_shape: [...kernel],
        strides: [...strides],
        dilations: [...dilations],
        pads: [...pads],
        output_padding: rest,
        group,
      });
    }
  }
  // reach of the kernel beyond its pad: what a full correlation must be padded with
  const reach = c.kernel.map((k, i) => (k - 1) * c.dilations[i]);
  const begins = reach.map((r, i) => r - c.pads[i]);
  let wide = dy;
  for (const i of space.toReversed()) wide = spread(g, wide, i + 2, c.strides[i]);
  const ends = space.map((i) => shape[i + 2] + reach[i] - begins[i] - wide.shape[i + 2]);
  const flipped = swapChannels(g, flipKernel(g, w, c.kernel), c.group);
  let pads = [...begins, ...ends];
  if (pads.some((p) => p < 0)) {
    wide = g.pad(wide, [0, 0, ...begins, 0, 0, ...ends]);
    pads = pads.map(() => 0);
  }
  return g.op('Conv', [wide, flipped], {
    kernel_shape: [...c.kernel],
    dilations: [...c.dilations],
    strides: space.map(() => 1),
    pads,
    group: c.group,
  });
}

/** `dilate`, but along the last axis by a product with a matrix of zeros and ones: moving single numbers is slow. */
function spread(g: Graph, v: Value, axis: number, step: number): Value {
  const n = v.shape[axis];
  if (axis !== v.shape.length - 1 || step === 1 || n === 1) return dilate(g, v, axis, step);
  const wide = (n - 1) * step + 1;
  const matrix = new Float32Array(n * wide);
  for (let i = 0; i < n; i++) matrix[i * wide + i * step] = 1;
  return g.op('MatMul', [v, g.floats(matrix, [n, wide])]);
}

function flipKernel(g: Graph, w: Value, kernel: readonly number[]): Value {
  const axes = range(kernel.length).filter((i) => kernel[i] > 1);
  if (axes.length === 0) return w;
  const last = axes.map(() => -1);
  return g.slice(
    w,
    axes.map((i) => i + 2),
    last,
    axes.map(() => -(2 ** 31)),
    last,
  );
}

/** [group · a, b, …] to [group · b, a, …]. */
function swapChannels(g: Graph, w: Value, group: number): Value {
  const [out, inner, ...kernel] = w.shape;
  const apart = g.reshape(w, [group, out / group, inner, ...kernel]);
  const swapped = g.transpose(apart, [0, 2, 1, ...kernel.map((_, i) => i + 3)]);
  return g.reshape(swapped, [group * inner, out / group, ...kernel]);
}

/** What a convolution's output tells of its kernel, of shape `shape`. */
function kernelAdjoint(g: Graph, x: Value, dy: Value, c: Convolution, shape: readonly number[]): Value {
  const d = c.kernel.length;
  const tiles = c.kernel.every((k, i) => k === c.strides[i] && c.out[i] * k === x.shape[i + 2]);
  if (tiles && c.pads.every((p) => p === 0) && c.group === 1 && sizeOf(c.kernel) > 1) {
    return patchKernelAdjoint(g, x, dy, c, shape);
  }
  const channels = x.shape[1];
  const exchanged = g.block === null ? null : exchangedKernelAdjoint(g, g.block, x, dy, c, shape);
  if (exchanged) return exchanged;
  if (channels === c.group && dy.shape[1] === c.group && c.kernel[d - 1] > 1)
    return depthwiseKernelAdjoint(g, x, dy, c, shape);
  const perGroup = channels / c.group;
  const out = dy.shape[1];
  const { frames, frame, offset } = phases(g, x, c);
  const length = dy.shape[0] * sizeOf(frame) - Math.max(...offsets(c.kernel).map((o) => offset(o).shift));
  // the output's adjoint in frames of the same size, so that a shift of the input is an offset in memory
  const rims = [0, 0, ...frame.map((f, i) => f - c.out[i])];
  const framed = channelsFirst(g, g.pad(dy, [...rims.map(() => 0), ...rims]));
  const adjoints = g.slice(g.reshape(framed, [c.group, out / c.group, -1]), [2], [0], [length]);
  const columns = offsets(c.kernel).map((o) => {
    const { phase, shift } = offset(o);
    return g.slice(g.reshape(frames[phase], [c.group, perGroup, -1]), [2], [shift], [shift + length]);
  });
  const product = (columns: Value): Value => {
    const [left, right] = [adjoints, columns].map((v) => (c.group === 1 ? g.reshape(v, v.shape.slice(1)) : v));
    return c.group === 1 ? g.op('Gemm', [left, right], { transB: 1 }) : g.op('MatMul', [left, g.flip(right)]);
  };
  if (perGroup >= WIDE) {
    return g.reshape(
      g.concat(
        columns.map((v) => g.reshape(product(v), [out, perGroup, 1])),
        2,
      ),
      shape,
    );
  }
  const all = g.reshape(product(g.concat(columns, 1)), [out, columns.length, perGroup]);
  return g.reshape(g.transpose(all, [0, 2, 1]), shape);
}

/** So many numbers of the output's adjoint stay in a processor's second cache. */
const STRIP = 2 ** 17;

/**
 * The kernel's adjoint as a convolution by the output's adjoint, where ONNX Runtime's blocks
 * make that fast: with batch and channels exchanged, sums over channels are sums over images;
 * of one channel at a time, images are channels, and are summed afterwards.
 */
function exchangedKernelAdjoint(
  g: Graph,
  block: number,
  x: Value,
  dy: Value,
  c: Convolution,
  shape: readonly number[],
): Value | null {
  const [n, channels, ...space] = x.shape;
  if (space.length !== 2) return null;
  // framed so that there are as many positions as the kernel has elements
  const reached = c.out.map((o, i) => (o - 1) * c.strides[i] + (c.kernel[i] - 1) * c.dilations[i] + 1);
  const rim = [0, 0, ...c.pads.slice(0, 2), 0, 0, ...reached.map((r, i) => r - space[i] - c.pads[i])];
  const window = { kernel_shape: [...c.out], strides: [...c.dilations], dilations: [...c.strides] };
  const missing = (block - (n % block)) % block;
  if (c.group === 1 && missing <= n) {
    // no images, where the last block of them is partly empty
    const filled = (v: Value) => g.pad(v, [0, 0, 0, 0, missing, 0, 0, 0]);
    const images = g.pad(g.transpose(filled(x), [1, 0, 2, 3]), rim);
    const adjoints = filled(dy);
    if (sizeOf(c.kernel) === 1 && sizeOf(c.strides) === 1 && rim.every((p) => p === 0)) {
      // one number per channel: channels side by side, a step of the stride apart
      const size = sizeOf(space);
      const row = g.reshape(filled(x), [1, n + missing, 1, channels * size]);
      const kernel = g.reshape(g.transpose(adjoints, [1, 0, 2, 3]), [dy.shape[1], n + missing, 1, size]);
      return g.reshape(g.op('Conv', [row, kernel], { kernel_shape: [1, size], strides: [1, size] }), shape);
    }
    const [height, width] = c.out;
    const rows = Math.max(1, Math.floor(STRIP / (width * block * Math.min(dy.shape[1], 4 * block))));
    const strips = range(Math.ceil(height / rows)).map((i) => {
      const [first, last] = [i * rows, Math.min(height, (i + 1) * rows)];
      const end = (last - 1) * c.strides[0] + (c.kernel[0] - 1) * c.dilations[0] + 1;
      const adjoint = g.transpose(g.slice(adjoints, [2], [first], [last]), [1, 0, 2, 3]);
      return g.op('Conv', [g.slice(images, [2], [first * c.strides[0]], [end]), adjoint], {
        ...window,
        kernel_shape: [last - first, width],
      });
    });
    return g.transpose(strips.length === 1 ? strips[0] : g.op('Sum', strips), [1, 0, 2, 3]);
  }
  if (c.group === channels && dy.shape[1] === channels && channels % block === 0) {
    const all = n * channels;
    const images = g.reshape(g.pad(x, rim), [1, all, ...reached]);
    const each = g.op('Conv', [images, g.reshape(dy, [all, 1, ...c.out])], { ...window, group: all });
    return g.reshape(g.sum(g.reshape(each, [n, channels * sizeOf(c.kernel)]), [0]), shape);
  }
  return null;
}

/** From this many input channels on, one product per kernel element is faster than one for all. */
const WIDE = 32;

const channelsFirst = (g: Graph, v: Value) => g.transpose(v, [1, 0, ...range(v.shape.length - 2).map((i) => i + 2)]);

/**
 * The padded input, channels first, cut into one frame per phase of the stride: element o of
 * the kernel met, for output p, element p + shift of its phase, in memory.
 */
function phases(g: Graph, x: Value, c: Convolution) {
  const d = c.kernel.length;
  const space = x.shape.slice(2);
  const frame = c.out.map((o, i) => o + Math.floor(((c.kernel[i] - 1) * c.dilations[i]) / c.strides[i]));
  const ends = frame.map((f, i) => f * c.strides[i] - space[i] - c.pads[i]);
  const framed = channelsFirst(g, g.pad(x, [0, 0, ...c.pads.slice(0, d), 0, 0, ...ends]));
  const axes = range(d).map((i) => i + 2);
  const frames = offsets(c.strides).map((starts) => {
    const ends = starts.map((start, i) => start + (frame[i] - 1) * c.strides[i] + 1);
    return g.slice(framed, axes, starts, ends, [...c.strides]);
  });
  const offset = (o: readonly number[]) => {
    let phase = 0;
    let shift = 0;
    for (const [i, at] of o.entries()) {
      const reach = at * c.dilations[i];
      phase = phase * c.strides[i] + (reach % c.strides[i]);
      shift = shift * frame[i] + Math.floor(reach / c.strides[i]);
    }
    return { phase, shift };
  };
  return { frames, frame, offset };
}

/**
 * One channel at a time there is no matrix product, but there is one of columns with columns:
 * for each row of the kernel, all products of an input column with an output column, summed
 * over images and rows; those that the kernel pairs are then added up.
 */
function depthwiseKernelAdjoint(g: Graph, x: Value, dy: Value, c: Convolution, shape: readonly number[]): Value {
  const d = c.kernel.length;
  const channels = x.shape[1];
  const padded = channelsFirst(g, g.pad(x, [0, 0, ...c.pads.slice(0, d), 0, 0, ...c.pads.slice(d)]));
  const [width, wide, kernel] = [c.out[d - 1], padded.shape[d + 1], c.kernel[d - 1]];
  const adjoints = g.flip(g.reshape(channelsFirst(g, dy), [channels, -1, width]));
  const pairs = new Float32Array(width * wide * kernel);
  for (let w = 0; w < width; w++) {
    for (let k = 0; k < kernel; k++) pairs[(w * wide + w * c.strides[d - 1] + k * c.dilations[d - 1]) * kernel + k] = 1;
  }
  const chosen = g.floats(pairs, [width * wide, kernel]);
  const axes = range(d - 1);
  const rows = offsets(c.kernel.slice(0, -1)).map((o) => {
    const starts = axes.map((i) => o[i] * c.dilations[i]);
    const ends = axes.map((i) => starts[i] + (c.out[i] - 1) * c.strides[i] + 1);
    const picked =
      axes.length === 0
        ? padded
        : g.slice(
            padded,
            axes.map((i) => i + 2),
            starts,
            ends,
            c.strides.slice(0, -1),
          );
    const products = g.op('MatMul', [adjoints, g.reshape(picked, [channels, -1, wide])]);
    return g.op('MatMul', [g.reshape(products, [channels, width * wide]), chosen]);
  });
  return g.reshape(g.concat(rows, 1), shape);
}

/** Kernels that tile the input (patches of a vision transformer): one product over all patches. */
function patchKernelAdjoint(g: Graph, x: Value, dy: Value, c: Convolution, shape: readonly number[]): Value {
  const d = c.kernel.length;
  const [n, channels] = x.shape;
  const tiles = g.reshape(x, [n, channels, ...c.kernel.flatMap((k, i) => [c.out[i], k])]);
  const order = [0, ...range(d).map((i) => 2 + 2 * i), 1, ...range(d).map((i) => 3 + 2 * i)];
  const rows = g.reshape(g.transpose(tiles, order), [n * sizeOf(c.out), channels * sizeOf(c.kernel)]);
  const outer = g.transpose(dy, [0, ...range(d).map((i) => i + 2), 1]);
  const adjoints = g.reshape(outer, [n * sizeOf(c.out), dy.shape[1]]);
  return g.reshape(g.op('Gemm', [adjoints, rows], { transA: 1 }), shape);
}

const perChannel = (g: Graph, dy: Value) => g.sum(dy, [0, ...range(dy.shape.length - 2).map((i) => i + 2)]);

const conv: Rule = ({ g, node, x, dy, needs }) => {
  const c = { ...windowOf(node), group: int(node, 'group', 1) };
  return [
    needs(0) ? inputAdjoint(g, dy, x[1], c, x[0].shape) : null,
    needs(1) ? kernelAdjoint(g, x[0], dy, c, x[1].shape) : null,
    needs(2) ? perChannel(g, dy) : null,
  ];
};

/** A transposed convolution is the input's adjoint of a convolution from its output to its input. */
const convTranspose: Rule = ({ g, node, x, dy, needs }) => {
  const window = transposedWindow(node);
  const group = int(node, 'group', 1);
  const d = window.kernel.length;
  // output_padding may leave a rim that no window reaches
  const out = x[0].shape.slice(2);
  const used = out.map((n, i) => (n - 1) * window.strides[i] + (window.kernel[i] - 1) * window.dilations[i] + 1);
  const pads = [...window.pads.slice(0, d), ...used.map((u, i) => u - dy.shape[i + 2] - window.pads[i])];
  const needed = pads.map((p) => Math.max(0, p));
  const cut = pads.some((p) => p < 0)
    ? g.slice(
        dy,
        range(d).map((i) => i + 2),
        pads.slice(0, d).map((p) => Math.max(0, -p)),
        range(d).map((i) => dy.shape[i + 2] - Math.max(0, -pads[i + d])),
      )
    : dy;
  const c = { ...window, pads: needed, out, group };
  const attributes = {
    kernel_shape: [...c.kernel],
    dilations: [...c.dilations],
    strides: [...c.strides],
    pads: needed,
    group,
  };
  return [
    needs(0) ? g.op('Conv', [cut, x[1]], attributes) : null,
    needs(1) ? kernelAdjoint(g, cut, x[0], c, x[1].shape) : null,
    needs(2) ? perChannel(g, dy) : null,
  ];
};

export const CONVOLUTION_RULES = {
  Conv: conv,
  ConvTranspose: convTranspose,
} satisfies Record<string, Rule>;
