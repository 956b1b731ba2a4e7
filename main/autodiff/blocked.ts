/**
 * Writing a graph in ONNX Runtime's blocked layout. Its fastest convolutions on a processor
 * read and write [n, channels / b, h, w, b], b being 8 or 16 by the processor, and it changes
 * to them by itself only where weights are constant. Here the same operators (domain
 * com.microsoft.nchwc) are written outright, so that trained weights have them too.
 *
 * One idea: a value of the graph may be had in several layouts, each made at most once and
 * only when somebody asks. A convolution asks for blocks and gives blocks, what works element
 * by element keeps them, everything else asks for the plain tensor; so a run of convolutions
 * stays in blocks. The mathematics of the graph does not change. Blocked tensors are declared
 * as [n, channels, h, w], channels rounded up to blocks; what lies beyond the last channel is
 * finite, and meets weights that are zero.
 */
import type { Attribute } from '../onnx/index.ts';
import { int, ints, type Node, sameShape, sizeOf, type Value, word } from './ir.ts';
import { padsOf, reducedAxes, sliceOf, transposedWindow, type Window, windowOf } from './shapes.ts';

/** What blocks are written with: the model in the making, and the plain tensor of a value. */
export interface Plain {
  op(op: string, inputs: readonly string[], attributes?: Record<string, Attribute>, domain?: string): string;
  ints(values: readonly number[]): string;
  floats(values: Float32Array, shape: readonly number[]): string;
  /** The name of the plain tensor, which is written now if it was not yet. */
  plain(value: Value): string;
  /** Whether the plain tensor is there. */
  has(value: Value): boolean;
}

/** Operators that do the same to every element, wherever it lies. */
export const ELEMENTWISE = new Set(
  (
    'Abs Add And Cast Celu Clip Div Elu Equal Erf Exp Gelu Greater HardSigmoid HardSwish LeakyRelu Less Log Max Min ' +
    'Mish Mul Neg Not Or Pow Reciprocal Relu Selu Sigmoid Sign Softplus Softsign Sqrt Sub Sum Tanh Where'
  ).split(' '),
);

const DOMAIN = 'com.microsoft.nchwc';

/** Of these, zero gives what is not finite: not where a last block is partly empty. */
const SINGULAR = new Set(['Div', 'Log', 'Pow', 'Reciprocal']);

const BATCH_AS_CHANNELS = [1, 0, 2, 3];

export class Blocks {
  private readonly blocks = new Map<Value, string>();
  private readonly out: Plain;
  private readonly b: number;

  constructor(out: Plain, b: number) {
    this.out = out;
    this.b = b;
  }

  /** Whether blocks of a value are there, or are what it was put together from. */
  has(value: Value): boolean {
    return this.blocks.has(value) || (!this.out.has(value) && writtenFrom(value) !== null);
  }

  /** Writes a node in blocks; false where it has none. */
  write(node: Node): boolean {
    const name = this.written(node);
    if (name === null) return false;
    this.blocks.set(node.outputs[0], name);
    return true;
  }

  /** Takes `value` for `other`, if that is in blocks. */
  same(value: Value, other: Value): boolean {
    if (this.has(other)) this.blocks.set(value, this.of(other));
    return this.has(other);
  }

  /** The plain tensor of a value that is there in blocks. */
  unblocked(value: Value): string {
    return this.nchwc('ReorderOutput', [this.of(value)], { channels: value.shape[1] });
  }

  /** The plain sum over images and positions, or mean over positions, of a value in blocks; null where `node` is neither. */
  reduced(node: Node): string | null {
    const [x] = node.inputs;
    if (!x || !this.has(x) || !node.op.startsWith('Reduce') || x.dtype !== 'float32') return null;
    const { out } = this;
    const axes = reducedAxes(node).join();
    const [n, channels, h, w] = x.shape;
    const wide = this.rounded(channels);
    const cut = (name: string) =>
      wide === channels ? name : out.op('Slice', [name, out.ints([0]), out.ints([channels]), out.ints([1])]);
    const shape = node.outputs[0].shape;
    if (node.op === 'ReduceMean' && axes === '2,3')
      return this.reshape(cut(this.reshape(this.nchwc('GlobalAveragePool', [this.of(x)]), [n, wide])), shape);
    if (node.op !== 'ReduceSum' || axes !== '0,2,3') return null;
    const means = this.reshape(this.nchwc('GlobalAveragePool', [this.of(x)]), [n, wide]);
    const sums = out.op('MatMul', [out.floats(new Float32Array(n).fill(h * w), [1, n]), means]);
    return this.reshape(cut(sums), shape);
  }

  private written(node: Node): string | null {
    const [x] = node.inputs;
    if (!x || x.shape.length !== 4 || node.outputs.length !== 1) return null;
    switch (node.op) {
      case 'Conv':
        return this.conv(node);
      case 'ConvTranspose':
        return this.convTranspose(node);
      case 'MaxPool':
      case 'AveragePool':
        return this.has(x) ? this.pool(node, x) : null;
      case 'Concat':
        return int(node, 'axis', 0) === 1 ? this.concat(node.inputs as readonly Value[]) : null;
      case 'GlobalAveragePool':
        return this.has(x) ? this.nchwc('GlobalAveragePool', [this.of(x)]) : null;
      case 'Pad':
        return this.has(x) || this.isSwapped(x) ? this.pad(node, x) : null;
      case 'Slice':
        return this.has(x) ? this.slice(node, x) : null;
      default:
        return ELEMENTWISE.has(node.op) ? this.elementwise(node) : null;
    }
  }

  /** The blocks of a value. */
  private of(value: Value): string {
    let name = this.blocks.get(value);
    if (name === undefined) this.blocks.set(value, (name = this.made(value)));
    return name;
  }

  private made(value: Value): string {
    const { b, out } = this;
    const { from, shape } = value;
    const source = from?.inputs[0];
    if (from && source && !out.has(value)) {
      // batch as channels: what follows lies together already
      if (this.isSwapped(value)) {
        const [channels, n, h, w] = shape;
        const rows = out.op('Reshape', [out.plain(source), out.ints([n / b, b, 1, channels * h * w])]);
        const columns = this.reshape(this.nchwc('ReorderInput', [rows]), [n / b, channels, h * w * b]);
        if (n === b) return this.reshape(columns, shape);
        return this.reshape(out.op('Transpose', [columns], { perm: [1, 0, 2] }), shape);
      }
      // images as channels: nothing moves
      if (from.op === 'Reshape' && this.has(source) && this.joinsChannels(value, source))
        return this.reshape(this.of(source), shape);
      const written = writtenFrom(value);
      if (written) return this.reshape(out.plain(written), shape);
      if (from.op === 'Expand' && source.shape.length === 4 && sameShape(source.shape, [...shape.slice(0, 2), 1, 1]))
        return this.nchwc('Upsample', [this.of(source)], { scales: [1, 1, ...shape.slice(2)] });
    }
    return this.reordered(out.plain(value), shape[1]);
  }

  /** The plain tensor of blocks written out, where they are there; else null. */
  writtenOut(node: Node): string | null {
    const apart = node.op === 'Transpose' && isPerm(node, [0, 1, 3, 4, 2]) ? node.inputs[0]?.from : null;
    const source = apart?.op === 'Reshape' ? apart.inputs[0]! : null;
    if (!source || !this.has(source) || source.shape[1] % this.b !== 0 || node.outputs[0].shape[4] !== this.b)
      return null;
    return this.reshape(this.of(source), node.outputs[0].shape);
  }

  private isSwapped({ from, shape }: Value): boolean {
    return from?.op === 'Transpose' && isPerm(from, BATCH_AS_CHANNELS) && shape[1] % this.b === 0;
  }

  /** [n, c, h, w] as [1, n · c, h, w] or [n · c, 1, h, w]. */
  private joinsChannels({ shape }: Value, { shape: before }: Value): boolean {
    const joined = before.length === 4 && sameShape(shape.slice(2), before.slice(2));
    return joined && before[1] % this.b === 0 && shape.length === 4 && shape.includes(before[0] * before[1]);
  }

  private conv(node: Node): string | null {
    const [x, w, bias] = node.inputs as readonly Value[];
    const layout = this.layoutOf(x, w.shape[0], int(node, 'group', 1));
    if (!layout) return null;
    const filter = layout.depthwise ? this.channelFilter(w) : this.filter(w, layout.deep);
    return this.convolution(layout.x(), filter, bias, windowOf(node), layout.group);
  }

  /** How a convolution of `x` to `outputs` channels is done in blocks; null where it is not. */
  private layoutOf(x: Value, outputs: number, group: number) {
    const { b } = this;
    const channels = x.shape[1];
    const depthwise = group > 1 && group === channels && outputs === channels;
    if (!depthwise && group > 1 && ((channels / group) % b !== 0 || (outputs / group) % b !== 0)) return null;
    // few channels are read from the plain image
    const shallow = group === 1 && channels < b && !this.has(x) && !this.isSwapped(x);
    return {
      depthwise,
      group: depthwise ? this.rounded(channels) : group,
      /** Input channels of the filter, of each group. */
      deep: shallow ? channels : group === 1 ? this.rounded(channels) : channels / group,
      x: () => (shallow ? this.out.plain(x) : this.of(x)),
    };
  }

  private convolution(x: string, filter: string, bias: Value | null, window: Window, group: number): string {
    const inputs = [x, filter];
    if (bias) inputs.push(this.padded(this.out.plain(bias), [0], [this.rounded(bias.shape[0]) - bias.shape[0]]));
    const { kernel, strides, dilations, pads } = window;
    return this.nchwc('Conv', inputs, {
      kernel_shape: [...kernel],
      strides: [...strides],
      dilations: [...dilations],
      pads: [...pads],
      group,
    });
  }

  /** Weights [out, in, kernel…] as [out / b, in / b, kernel…, in b, out b], or [out / b, in, kernel…, out b] of few channels. */
  private filter(w: Value, deep: number): string {
    const { b, out } = this;
    const [outputs, channels, ...kernel] = w.shape;
    const taps = sizeOf(kernel);
    const wide = this.rounded(outputs);
    const shape = [wide, deep, ...kernel];
    // of batch as channels, rows joined or not
    const swapped = w.from?.op === 'Reshape' && w.from.inputs[0]!.shape[1] === channels ? w.from.inputs[0]! : w;
    const source = swapped.from?.inputs[0];
    if (source && this.isSwapped(swapped) && this.has(source) && !out.has(w)) {
      const apart = this.reshape(this.of(source), [deep / b, b, wide / b, taps, b]);
      return this.reshape(out.op('Transpose', [apart], { perm: [2, 0, 3, 1, 4] }), shape);
    }
    const padded = this.padded(out.plain(w), [0, 0, 0, 0], [0, deep - channels, 0, 0]);
    const rows = this.reorder(padded, [1, outputs, 1, deep * taps]);
    if (deep < b || taps === 1) return this.reshape(rows, shape);
    const apart = this.reshape(rows, [wide / b, deep / b, b, taps, b]);
    return this.reshape(out.op('Transpose', [apart], { perm: [0, 1, 3, 2, 4] }), shape);
  }

  /** Weights [channels, 1, kernel…] as [channels / b, kernel…, b]. */
  private channelFilter(w: Value): string {
    const [channels, , ...kernel] = w.shape;
    const source = w.from?.inputs[0];
    if (source && w.from?.op === 'Reshape' && this.has(source) && !this.out.has(w) && this.joinsChannels(w, source))
      return this.reshape(this.of(source), w.shape);
    const rows = this.reorder(this.out.plain(w), [1, channels, 1, sizeOf(kernel)]);
    return this.reshape(rows, [this.rounded(channels), 1, ...kernel]);
  }

  /**
   * A transposed convolution is a convolution by the kernel turned round, to stride² as many
   * channels: all pixels that one step of the stride brings. These are then put side by side.
   * (Shi et al. 2016.)
   */
  private convTranspose(node: Node): string | null {
    const { b, out } = this;
    const [x, w, bias] = node.inputs as readonly Value[];
    const group = int(node, 'group', 1);
    const [n, channels, ...small] = x.shape;
    const outputs = w.shape[1] * group;
    const { kernel, strides, dilations, pads, out: size } = transposedWindow(node);
    const phases = sizeOf(strides);
    if (bias || small.length !== 2 || (phases > 1 && dilations.some((d) => d > 1))) return null;
    const layout = this.layoutOf(x, outputs, group);
    if (!layout || (group > 1 && !layout.depthwise)) return null;
    const { depthwise, deep } = layout;
    // rows of zeros before the kernel let steps begin where the output does
    const axes = [0, 1];
    const before = axes.map((i) => (strides[i] - (pads[i] % strides[i])) % strides[i]);
    const taps = axes.map((i) => Math.ceil((kernel[i] + before[i]) / strides[i]));
    const after = axes.map((i) => taps[i] * strides[i] - kernel[i] - before[i]);
    const steps = axes.map((i) => Math.ceil(size[i] / strides[i]));
    const begins = axes.map((i) => (taps[i] - 1) * dilations[i] - (pads[i] + before[i]) / strides[i]);
    const ends = axes.map((i) => steps[i] + (taps[i] - 1) * dilations[i] - small[i] - begins[i]);
    if ([...begins, ...ends].some((p) => p < 0)) return null;
    const wide = this.rounded(outputs);
    const rows = this.reorder(out.plain(w), [depthwise ? 1 : channels, outputs, 1, sizeOf(kernel)]);
    const rest = [depthwise ? 0 : deep - channels, 0, ...after, 0];
    const fits = [...before, ...rest].every((p) => p === 0);
    const blocks = fits ? rows : this.reshape(rows, [depthwise ? 1 : channels, wide / b, ...kernel, b]);
    const whole = this.padded(blocks, [0, 0, ...before, 0], rest);
    // [in, in b, out, tap, stride, tap, stride, out b] with the taps turned round
    const inner = depthwise ? [1, 1] : deep < b ? [deep, 1] : [deep / b, b];
    const apart = this.reshape(whole, [...inner, wide / b, taps[0], strides[0], taps[1], strides[1], b]);
    const single = sizeOf(taps) === 1;
    const turned = single
      ? apart
      : out.op('Slice', [apart, out.ints([-1, -1]), out.ints([-100, -100]), out.ints([3, 5]), out.ints([-1, -1])]);
    const order = out.op('Transpose', [turned], { perm: [4, 6, 2, 0, 3, 5, 1, 7] });
    const filter = this.reshape(order, [phases * wide, depthwise ? 1 : deep, ...taps]);
    const window = { kernel: taps, strides: [1, 1], dilations, pads: [...begins, ...ends], out: steps };
    let image = layout.x();
    if (depthwise && phases > 1) image = out.op('Concat', Array<string>(phases).fill(image), { axis: 1 });
    const y = this.convolution(image, filter, null, window, depthwise ? phases * wide : 1);
    if (phases === 1) return y;
    const reached = axes.map((i) => steps[i] * strides[i]);
    const pixels = out.op('Transpose', [this.reshape(y, [n, ...strides, wide / b, ...steps, b])], {
      perm: [0, 3, 4, 1, 5, 2, 6],
    });
    if (sameShape(reached, size)) return this.reshape(pixels, [n, wide, ...size]);
    const cut = [
      this.reshape(pixels, [n, wide / b, ...reached, b]),
      out.ints([0, 0]),
      out.ints(size),
      out.ints([2, 3]),
    ];
    return this.reshape(out.op('Slice', cut), [n, wide, ...size]);
  }

  private pool(node: Node, x: Value): string {
    const { kernel, strides, dilations, pads } = windowOf(node);
    const attributes: Record<string, Attribute> = {
      kernel_shape: [...kernel],
      strides: [...strides],
      dilations: [...dilations],
      pads: [...pads],
      ceil_mode: int(node, 'ceil_mode', 0),
    };
    if (node.op === 'AveragePool') attributes.count_include_pad = int(node, 'count_include_pad', 0);
    return this.nchwc(node.op, [this.of(x)], attributes);
  }

  /** Channels one after another, where each part fills its blocks. */
  private concat(parts: readonly Value[]): string | null {
    if (!parts.every((v) => this.has(v) && v.shape[1] % this.b === 0)) return null;
    return this.out.op(
      'Concat',
      parts.map((v) => this.of(v)),
      { axis: 1 },
    );
  }

  /** Zeros around every image. */
  private pad(node: Node, x: Value): string | null {
    const pads = padsOf(node);
    const [begins, ends] = [pads.slice(0, 4), pads.slice(4)];
    if (begins[1] !== 0 || ends[1] !== 0 || node.inputs[2] || word(node, 'mode', 'constant') !== 'constant')
      return null;
    const [n, channels, ...space] = x.shape;
    const wide = this.rounded(channels);
    const blocks = this.reshape(this.of(x), [n, wide / this.b, ...space, this.b]);
    const [all, , ...size] = node.outputs[0].shape;
    return this.reshape(this.padded(blocks, [...begins, 0], [...ends, 0]), [all, wide, ...size]);
  }

  private slice(node: Node, x: Value): string | null {
    const cuts = sliceOf(node);
    if (cuts.some(({ axis, step }) => axis < 2 || step !== 1)) return null;
    const { out, b } = this;
    const [n, channels, ...space] = x.shape;
    const wide = this.rounded(channels);
    const blocks = this.reshape(this.of(x), [n, wide / b, ...space, b]);
    const [starts, ends, axes] = [
      cuts.map(({ start }) => start),
      cuts.map(({ start, count }) => start + count),
      cuts.map(({ axis }) => axis),
    ].map((values) => out.ints(values));
    return this.reshape(out.op('Slice', [blocks, starts, ends, axes]), [n, wide, ...node.outputs[0].shape.slice(2)]);
  }

  private elementwise(node: Node): string | null {
    const { shape } = node.outputs[0];
    const large = node.inputs.filter((v) => v && sizeOf(v.shape) > 1) as Value[];
    if (!large.some((v) => this.has(v)) || !large.every((v) => sameShape(v.shape, shape))) return null;
    // only floats can be put into blocks
    if (!large.every((v) => this.has(v) || v.dtype === 'float32')) return null;
    if (shape[1] % this.b !== 0 && SINGULAR.has(node.op)) return null;
    const inputs = node.inputs.map((v) => (!v ? '' : sizeOf(v.shape) > 1 ? this.of(v) : this.out.plain(v)));
    // zeros by a product: choosing takes twice as long
    if (node.op === 'Where' && isZero(node.inputs[2]!))
      return this.out.op('Mul', [inputs[1], this.out.op('Cast', [inputs[0]], { dtype: 'float32' })]);
    return this.out.op(node.op, inputs, node.attributes);
  }

  /** A tensor reshaped to [n, c, h, w], and that put into blocks. */
  private reorder(name: string, shape: readonly number[]): string {
    return this.reordered(this.reshape(name, shape), shape[1]);
  }

  /** [n, c, h, w] as [n, c / b, h, w, b], the last block filled up with zeros. */
  private reordered(name: string, channels: number): string {
    // ONNX Runtime itself fills up by fours
    const odd = channels % 4 === 0 ? 0 : this.rounded(channels) - channels;
    return this.nchwc('ReorderInput', [this.padded(name, [0, 0, 0, 0], [0, odd, 0, 0])]);
  }

  private padded(name: string, begins: readonly number[], ends: readonly number[]): string {
    const pads = [...begins, ...ends];
    return pads.every((p) => p === 0) ? name : this.out.op('Pad', [name, this.out.ints(pads)]);
  }

  private rounded(channels: number): number {
    return Math.ceil(channels / this.b) * this.b;
  }

  private nchwc(op: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}): string {
    return this.out.op(op, inputs, attributes, DOMAIN);
  }

  private reshape(name: string, shape: readonly number[]): string {
    return this.out.op('Reshape', [name, this.out.ints(shape)]);
  }
}

/** [n, c / b, h, w, b] of which `value` is the plain tensor, or null. */
function writtenFrom({ from }: Value): Value | null {
  const transposed = from?.op === 'Reshape' ? from.inputs[0]!.from : null;
  return transposed?.op === 'Transpose' && isPerm(transposed, [0, 1, 4, 2, 3]) ? transposed.inputs[0] : null;
}

function isZero({ constant, shape }: Value): boolean {
  return constant !== null && sizeOf(shape) === 1 && Number(constant.data[0]) === 0;
}

function isPerm(transpose: Node, perm: readonly number[]): boolean {
  return sameShape(ints(transpose, 'perm') ?? [], perm);
}
