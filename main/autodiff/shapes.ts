/**
 * The operators that the gradient engine knows, and what shape and type each gives: one flat
 * table, from the ONNX operator specification (versions 13 to 21). Everything here is about
 * fixed sizes. The table of derivatives has the same keys, by type.
 */
import type { DType } from '../onnx/index.ts';
import { type Call, axisOf, type Form, given, int, ints, knownInts, sizeOf, unsupported, word } from './ir.ts';

type ShapeRule = (call: Call) => Form[];

/** numpy's broadcasting of several shapes. */
export function broadcast(call: Call, ...shapes: (readonly number[])[]): number[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    let dim = 1;
    for (const shape of shapes) {
      const own = shape[axis - rank + shape.length] ?? 1;
      if (own !== 1 && dim !== 1 && own !== dim) {
        throw unsupported(call, `combines shapes that do not fit: ${shapes.map((s) => `[${s.join(', ')}]`).join(' ')}`);
      }
      if (own !== 1) dim = own;
    }
    return dim;
  });
}

/** Axes of a reduction, counted from the front; all of them where none are named. */
export function reducedAxes(call: Call): number[] {
  const rank = given(call, 0).shape.length;
  const named = ints(call, 'axes') ?? knownInts(call, 1);
  if (!named || named.length === 0) {
    return int(call, 'noop_with_empty_axes', 0) === 1 ? [] : Array.from({ length: rank }, (_, i) => i);
  }
  return named.map((axis) => axisOf(axis, rank));
}

/** Kernel, strides, dilations and explicit pads [begin…, end…] of a convolution or pool over `spatial` axes. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
  readonly out: readonly number[];
}

/** The window of a Conv or pool, with `auto_pad` resolved to numbers. */
export function windowOf(call: Call): Window {
  const x = given(call, 0).shape;
  const kernel = ints(call, 'kernel_shape') ?? given(call, 1).shape.slice(2);
  const axes = x.slice(2);
  const strides = ints(call, 'strides') ?? axes.map(() => 1);
  const dilations = ints(call, 'dilations') ?? axes.map(() => 1);
  const auto = word(call, 'auto_pad', 'NOTSET');
  const extent = kernel.map((k, i) => (k - 1) * dilations[i] + 1);
  let pads = ints(call, 'pads') ?? [...axes, ...axes].map(() => 0);
  if (auto === 'SAME_UPPER' || auto === 'SAME_LOWER') {
    const total = axes.map((n, i) => Math.max(0, (Math.ceil(n / strides[i]) - 1) * strides[i] + extent[i] - n));
    const small = total.map((p) => Math.floor(p / 2));
    const large = total.map((p, i) => p - small[i]);
    pads = auto === 'SAME_UPPER' ? [...small, ...large] : [...large, ...small];
  } else if (auto === 'VALID') pads = pads.map(() => 0);
  const ceil = int(call, 'ceil_mode', 0) === 1;
  const out = axes.map((n, i) => {
    const room = n + pads[i] + pads[i + axes.length] - extent[i];
    let count = (ceil ? Math.ceil(room / strides[i]) : Math.floor(room / strides[i])) + 1;
    // a window that would start in the padding at the end does not count
    if (ceil && (count - 1) * strides[i] >= n + pads[i]) count--;
    return count;
  });
  if (out.some((n) => n < 1)) throw unsupported(call, 'has a window larger than its input');
  return { kernel, strides, dilations, pads, out };
}

/** The window of a ConvTranspose: `pads` as they apply, and the size it gives. */
export function transposedWindow(call: Call): Window {
  const x = given(call, 0).shape.slice(2);
  const kernel = given(call, 1).shape.slice(2);
  const strides = ints(call, 'strides') ?? x.map(() => 1);
  const dilations = ints(call, 'dilations') ?? x.map(() => 1);
  const extra = ints(call, 'output_padding') ?? x.map(() => 0);
  const asked = ints(call, 'output_shape');
  const auto = word(call, 'auto_pad', 'NOTSET');
  const full = x.map((n, i) => (n - 1) * strides[i] + extra[i] + (kernel[i] - 1) * dilations[i] + 1);
  let pads = ints(call, 'pads') ?? [...x, ...x].map(() => 0);
  if (asked || auto.startsWith('SAME')) {
    const total = full.map((n, i) => Math.max(0, n - (asked?.slice(-x.length)[i] ?? x[i] * strides[i])));
    const half = total.map((p) => Math.floor(p / 2));
    const rest = total.map((p, i) => p - half[i]);
    pads = auto === 'SAME_UPPER' ? [...half, ...rest] : [...rest, ...half];
  }
  const out = full.map((n, i) => n - pads[i] - pads[i + x.length]);
  return { kernel, strides, dilations, pads, out };
}

/** Starts, ends, axes and steps of a Slice, clamped to its input. */
export function sliceOf(call: Call): { axis: number; start: number; step: number; count: number }[] {
  const { shape } = given(call, 0);
  const starts = knownInts(call, 1) ?? [];
  const ends = knownInts(call, 2) ?? [];
  const axes = knownInts(call, 3) ?? starts.map((_, i) => i);
  const steps = knownInts(call, 4) ?? starts.map(() => 1);
  return axes.map((named, i) => {
    const axis = axisOf(named, shape.length);
    const n = shape[axis];
    const step = steps[i];
    const clamp = (at: number) => {
      const counted = at < 0 ? at + n : at;
      return step > 0 ? Math.min(Math.max(counted, 0), n) : Math.min(Math.max(counted, -1), n - 1);
    };
    const start = clamp(starts[i]);
    return { axis, start, step, count: Math.max(0, Math.ceil((clamp(ends[i]) - start) / step)) };
  });
}

/** Terms of an Einsum, without spaces, an ellipsis as letters of its own, the result spelled out. */
export function einsumTerms(call: Call): { terms: string[]; result: string } {
  const [left, right] = word(call, 'equation', '').replaceAll(' ', '').split('->');
  const written = left.split(',');
  const free = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'.split('').filter((letter) => !left.includes(letter));
  const hidden = written.map((term, i) => (term.includes('...') ? given(call, i).shape.length - (term.length - 3) : 0));
  const dots = free.slice(0, Math.max(0, ...hidden));
  const spelled = (term: string, count: number) => term.replace('...', dots.slice(dots.length - count).join(''));
  const terms = written.map((term, i) => spelled(term, hidden[i]));
  if (right !== undefined) return { terms, result: spelled(right, dots.length) };
  const letters = [...terms.join('')].filter((letter) => !dots.includes(letter));
  const once = letters.filter((letter) => letters.filter((other) => other === letter).length === 1);
  return { terms, result: dots.join('') + once.toSorted().join('') };
}

const form = (shape: readonly number[], dtype: DType): Form => ({ shape, dtype });
const like: ShapeRule = (c) => [form(given(c, 0).shape, given(c, 0).dtype)];
const many: ShapeRule = (c) => [form(broadcast(c, ...c.inputs.map((v) => v!.shape)), given(c, 0).dtype)];
const truth: ShapeRule = (c) => [form(broadcast(c, ...c.inputs.map((v) => v!.shape)), 'bool')];
const reduce: ShapeRule = (c) => [form(withoutAxes(c, reducedAxes(c)), given(c, 0).dtype)];
const arg: ShapeRule = (c) => [form(withoutAxes(c, [axisOf(int(c, 'axis', 0), given(c, 0).shape.length)]), 'int64')];
const globalPool: ShapeRule = (c) => {
  const { shape, dtype } = given(c, 0);
  return [
    form(
      shape.map((dim, i) => (i < 2 ? dim : 1)),
      dtype,
    ),
  ];
};
const pool: ShapeRule = (c) => {
  const { shape, dtype } = given(c, 0);
  const out = form([shape[0], shape[1], ...windowOf(c).out], dtype);
  return [out, form(out.shape, 'int64')].slice(0, c.outputCount);
};

function withoutAxes(call: Call, axes: readonly number[]): number[] {
  const { shape } = given(call, 0);
  const kept = shape.map((dim, i) => (axes.includes(i) ? 1 : dim));
  return int(call, 'keepdims', 1) === 1 ? kept : kept.filter((_, i) => !axes.includes(i));
}

type Words<S extends string> = S extends `${infer First} ${infer Rest}` ? First | Words<Rest> : S;

/** The same rule for several operators, named in one string. */
function each<const S extends string>(rule: ShapeRule, names: S): Record<Words<S>, ShapeRule> {
  return Object.fromEntries(names.split(' ').map((name) => [name, rule])) as Record<Words<S>, ShapeRule>;
}

/** What each operator gives. */
export const SHAPES = {
  ...each(
    like,
    'Abs Acos Asin Atan Ceil Celu Clip Cos Elu Erf Exp Floor Gelu HardSigmoid HardSwish LeakyRelu Log LogSoftmax LpNormalization Mish Neg Not PRelu Reciprocal Relu Round Selu Sigmoid Sign Sin Softmax Softplus Softsign Sqrt Tan Tanh ThresholdedRelu Trilu CumSum ScatterElements ScatterND',
  ),
  ...each(many, 'Add Div Max Mean Min Mod Mul Pow Sub Sum'),
  ...each(truth, 'And Equal Greater GreaterOrEqual Less LessOrEqual Or Xor'),
  ...each(
    reduce,
    'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare',
  ),
  Stated: like, // no operator: its first input, with a derivative of its own
  ArgMax: arg,
  ArgMin: arg,
  AveragePool: pool,
  MaxPool: pool,
  GlobalAveragePool: globalPool,
  Where: (c) => [form(broadcast(c, given(c, 0).shape, given(c, 1).shape, given(c, 2).shape), given(c, 1).dtype)],
  Cast: (c) => [form(given(c, 0).shape, word(c, 'dtype', 'float32') as DType)],
  LayerNormalization: (c) => {
    const { shape, dtype } = given(c, 0);
    const axis = axisOf(int(c, 'axis', -1), shape.length);
    const outer = form(
      shape.map((dim, i) => (i < axis ? dim : 1)),
      dtype,
    );
    return [form(shape, dtype), outer, outer].slice(0, c.outputCount);
  },
  MatMul: (c) => {
    const [a, b] = [given(c, 0), given(c, 1)];
    const left = a.shape.length === 1 ? [1, ...a.shape] : a.shape;
    const right = b.shape.length === 1 ? [...b.shape, 1] : b.shape;
    if (left.at(-1) !== right.at(-2))
      throw unsupported(c, `multiplies [${a.shape.join(', ')}] by [${b.shape.join(', ')}]`);
    const outer = broadcast(c, left.slice(0, -2), right.slice(0, -2));
    const rows = a.shape.length === 1 ? [] : [left.at(-2)!];
    const columns = b.shape.length === 1 ? [] : [right.at(-1)!];
    return [form([...outer, ...rows, ...columns], a.dtype)];
  },
  Gemm: (c) => {
    const [a, b] = [given(c, 0), given(c, 1)];
    return [form([a.shape[int(c, 'transA', 0)], b.shape[1 - int(c, 'transB', 0)]], a.dtype)];
  },
  Einsum: (c) => {
    const { terms, result } = einsumTerms(c);
    const dims = new Map<string, number>();
    terms.forEach((term, i) => [...term].forEach((letter, axis) => dims.set(letter, given(c, i).shape[axis])));
    return [
      form(
        [...result].map((letter) => dims.get(letter)!),
        given(c, 0).dtype,
      ),
    ];
  },
  Conv: (c) => {
    const [x, w] = [given(c, 0), given(c, 1)];
    return [form([x.shape[0], w.shape[0], ...windowOf(c).out], x.dtype)];
  },
  ConvTranspose: (c) => {
    const [x, w] = [given(c, 0), given(c, 1)];
    return [form([x.shape[0], w.shape[1] * int(c, 'group', 1), ...transposedWindow(c).out], x.dtype)];
  },
  Shape: (c) => {
    const rank = given(c, 0).shape.length;
    return [form([Array.from({ length: rank }).slice(int(c, 'start', 0), int(c, 'end', rank)).length], 'int64')];
  },
  Size: () => [form([], 'int64')],
  Reshape: (c) => {
    const { shape, dtype } = given(c, 0);
    const keepZero = int(c, 'allowzero', 0) === 1;
    const asked = knownInts(c, 1)!.map((dim, i) => (dim === 0 && !keepZero ? shape[i] : dim));
    const known = asked.reduce((product, dim) => (dim === -1 ? product : product * dim), 1);
    return [
      form(
        asked.map((dim) => (dim === -1 ? (known === 0 ? 0 : sizeOf(shape) / known) : dim)),
        dtype,
      ),
    ];
  },
  Flatten: (c) => {
    const { shape, dtype } = given(c, 0);
    const axis = axisOf(int(c, 'axis', 1), shape.length);
    return [form([sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis))], dtype)];
  },
  Squeeze: (c) => {
    const { shape, dtype } = given(c, 0);
    const axes = knownInts(c, 1)?.map((axis) => axisOf(axis, shape.length));
    return [
      form(
        shape.filter((dim, i) => (axes ? !axes.includes(i) : dim !== 1)),
        dtype,
      ),
    ];
  },
  Unsqueeze: (c) => {
    const { shape, dtype } = given(c, 0);
    const named = knownInts(c, 1)!;
    const rank = shape.length + named.length;
    const axes = new Set(named.map((axis) => axisOf(axis, rank)));
    const rest = [...shape];
    return [
      form(
        Array.from({ length: rank }, (_, i) => (axes.has(i) ? 1 : rest.shift()!)),
        dtype,
      ),
    ];
  },
  Transpose: (c) => {
    const { shape, dtype } = given(c, 0);
    const perm = ints(c, 'perm') ?? shape.map((_, i) => shape.length - 1 - i);
    return [
      form(
        perm.map((axis) => shape[axis]),
        dtype,
      ),
    ];
  },
  Expand: (c) => [form(broadcast(c, given(c, 0).shape, knownInts(c, 1)!), given(c, 0).dtype)],
  Range: (c) => {
    const [start, limit, delta] = [0, 1, 2].map((i) => knownInts(c, i)![0]);
    return [form([Math.max(0, Math.ceil((limit - start) / delta))], given(c, 0).dtype)];
  },
  Tile: (c) => {
    const repeats = knownInts(c, 1)!;
    return [
      form(
        given(c, 0).shape.map((dim, i) => dim * repeats[i]),
        given(c, 0).dtype,
      ),
    ];
  },
  Slice: (c) => {
    const shape = [...given(c, 0).shape];
    for (const { axis, count } of sliceOf(c)) shape[axis] = count;
    return [form(shape, given(c, 0).dtype)];
  },
  Split: (c) => {
    const { shape, dtype } = given(c, 0);
    const axis = axisOf(int(c, 'axis', 0), shape.length);
    const each = Math.ceil(shape[axis] / c.outputCount);
    const sizes =
      knownInts(c, 1) ?? Array.from({ length: c.outputCount }, (_, i) => Math.min(each, shape[axis] - i * each));
    return sizes.map((size) =>
      form(
        shape.map((dim, i) => (i === axis ? size : dim)),
        dtype,
      ),
    );
  },
  Concat: (c) => {
    const { shape, dtype } = given(c, 0);
    const axis = axisOf(int(c, 'axis', 0), shape.length);
    const total = c.inputs.reduce((sum, v) => sum + v!.shape[axis], 0);
    return [
      form(
        shape.map((dim, i) => (i === axis ? total : dim)),
        dtype,
      ),
    ];
  },
  Pad: (c) => {
    const { shape, dtype } = given(c, 0);
    const pads = padsOf(c);
    return [
      form(
        shape.map((dim, i) => dim + pads[i] + pads[i + shape.length]),
        dtype,
      ),
    ];
  },
  Gather: (c) => {
    const [x, indices] = [given(c, 0), given(c, 1)];
    const axis = axisOf(int(c, 'axis', 0), x.shape.length);
    return [form([...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)], x.dtype)];
  },
  GatherElements: (c) => [form(given(c, 1).shape, given(c, 0).dtype)],
  GatherND: (c) => {
    const [x, indices] = [given(c, 0), given(c, 1)];
    const batch = int(c, 'batch_dims', 0);
    return [form([...indices.shape.slice(0, -1), ...x.shape.slice(batch + indices.shape.at(-1)!)], x.dtype)];
  },
  OneHot: (c) => {
    const { shape } = given(c, 0);
    const axis = axisOf(int(c, 'axis', -1), shape.length + 1);
    return [form([...shape.slice(0, axis), knownInts(c, 1)![0], ...shape.slice(axis)], given(c, 2).dtype)];
  },
  Resize: (c) => {
    const { shape, dtype } = given(c, 0);
    if (ints(c, 'axes')) throw unsupported(c, 'resizes chosen axes only');
    const sizes = knownInts(c, 3);
    const scales = c.inputs[2]?.constant ? knownInts(c, 2) : null;
    return [form(sizes?.length ? sizes : shape.map((dim, i) => Math.floor(dim * scales![i])), dtype)];
  },
  DepthToSpace: (c) => {
    const { shape, dtype } = given(c, 0);
    const b = int(c, 'blocksize', 1);
    return [form([shape[0], shape[1] / (b * b), shape[2] * b, shape[3] * b], dtype)];
  },
  SpaceToDepth: (c) => {
    const { shape, dtype } = given(c, 0);
    const b = int(c, 'blocksize', 1);
    return [form([shape[0], shape[1] * b * b, shape[2] / b, shape[3] / b], dtype)];
  },
} satisfies Record<string, ShapeRule>;

/** The operators that can be in a graph. */
export type Op = keyof typeof SHAPES;

/** Begin and end of every axis, from Pad's inputs. */
export function padsOf(call: Call): number[] {
  const rank = given(call, 0).shape.length;
  const pads = knownInts(call, 1)!;
  const axes = knownInts(call, 3)?.map((axis) => axisOf(axis, rank)) ?? Array.from({ length: rank }, (_, i) => i);
  const all = Array.from({ length: 2 * rank }, () => 0);
  axes.forEach((axis, i) => {
    all[axis] = pads[i];
    all[axis + rank] = pads[i + axes.length];
  });
  return all;
}

/** Shapes and types of a call's outputs. Errors: `encoder-invalid`. */
export function infer(call: Call): Form[] {
  const rule = (SHAPES as Record<string, ShapeRule>)[call.op];
  if (!rule) throw unsupported(call, 'is not an operator that can be trained here');
  return rule(call);
}
