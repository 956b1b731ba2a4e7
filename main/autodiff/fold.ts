/**
 * Evaluates operators on known tensors, so that the arithmetic on shapes that exporters
 * write (Shape, Gather, Concat, Reshape …) vanishes from the graph. Exact for integers up to
 * 2⁵³; float32 results are rounded once. Large results are left to ONNX Runtime, which folds
 * them itself when the graph is opened.
 */
import type { DType, TensorData } from '../onnx/index.ts';
import { axisOf, type Call, type Constant, type Form, given, int, ints, numbersOf, sizeOf, word } from './ir.ts';
import { reducedAxes, sliceOf } from './shapes.ts';

/** Beyond this many elements a tensor is not worth storing. */
const LARGEST = 4096;

export function makeConstant(values: readonly number[], shape: readonly number[], dtype: DType): Constant {
  return { dtype, shape, data: typed(values, dtype) };
}

function typed(values: readonly number[], dtype: DType): TensorData {
  switch (dtype) {
    case 'int64':
      return BigInt64Array.from(values, (v) => BigInt(Math.trunc(Math.min(Math.max(v, -(2 ** 62)), 2 ** 62))));
    case 'int32':
      return Int32Array.from(values);
    case 'int8':
      return Int8Array.from(values);
    case 'float64':
      return Float64Array.from(values);
    case 'float16':
      return Float16Array.from(values);
    case 'bool':
      return Uint8Array.from(values, (v) => (v ? 1 : 0));
    case 'uint8':
      return Uint8Array.from(values);
    default:
      return Float32Array.from(values);
  }
}

export function stridesOf(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

/** Elements of `values` walked with one stride per axis of `shape`: transposing, slicing and broadcasting are all this. */
function walk(values: readonly number[], shape: readonly number[], strides: readonly number[], offset = 0): number[] {
  const out: number[] = [];
  const visit = (axis: number, at: number): void => {
    if (axis === shape.length) out.push(values[at]);
    else for (let i = 0; i < shape[axis]; i++) visit(axis + 1, at + i * strides[axis]);
  };
  visit(0, offset);
  return out;
}

function spread(constant: Constant, shape: readonly number[]): number[] {
  const own = stridesOf(constant.shape);
  const lead = shape.length - constant.shape.length;
  const strides = shape.map((_, i) => (i < lead || constant.shape[i - lead] === 1 ? 0 : own[i - lead]));
  return walk(numbersOf(constant), shape, strides);
}

type Arithmetic = (...values: number[]) => number;

const divide = (whole: boolean) => (a: number, b: number) => (whole ? Math.trunc(a / b) : a / b);
const yes = (truth: boolean) => (truth ? 1 : 0);
const evenRound = (v: number) => {
  const r = Math.round(v);
  return Math.abs(v % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r;
};

/** Element by element, after broadcasting. */
const POINTWISE: Record<string, (call: Call) => Arithmetic> = {
  Add: () => (a, b) => a + b,
  Sub: () => (a, b) => a - b,
  Mul: () => (a, b) => a * b,
  Div: (c) => divide(given(c, 0).dtype.startsWith('int')),
  Pow: () => (a, b) => a ** b,
  Mod: (c) => (a, b) => (int(c, 'fmod', 0) === 1 ? a % b : a - b * Math.floor(a / b)),
  Min: () => Math.min,
  Max: () => Math.max,
  Sum:
    () =>
    (...all) =>
      all.reduce((sum, v) => sum + v, 0),
  Equal: () => (a, b) => yes(a === b),
  Greater: () => (a, b) => yes(a > b),
  GreaterOrEqual: () => (a, b) => yes(a >= b),
  Less: () => (a, b) => yes(a < b),
  LessOrEqual: () => (a, b) => yes(a <= b),
  And: () => (a, b) => yes(a !== 0 && b !== 0),
  Or: () => (a, b) => yes(a !== 0 || b !== 0),
  Xor: () => (a, b) => yes((a !== 0) !== (b !== 0)),
  Not: () => (a) => yes(a === 0),
  Where: () => (condition, a, b) => (condition ? a : b),
  Neg: () => (a) => -a,
  Abs: () => Math.abs,
  Sqrt: () => Math.sqrt,
  Exp: () => Math.exp,
  Log: () => Math.log,
  Sign: () => Math.sign,
  Reciprocal: () => (a) => 1 / a,
  Floor: () => Math.floor,
  Ceil: () => Math.ceil,
  Round: () => evenRound,
  Sin: () => Math.sin,
  Cos: () => Math.cos,
  Cast: (c) => (a) => (word(c, 'dtype', '').startsWith('int') ? Math.trunc(a) : a),
};

const REDUCING: Record<string, (a: number, b: number) => number> = {
  ReduceSum: (a, b) => a + b,
  ReduceMean: (a, b) => a + b,
  ReduceProd: (a, b) => a * b,
  ReduceMax: Math.max,
  ReduceMin: Math.min,
};

const MOVING: Record<string, (call: Call, inputs: readonly (Constant | null)[], out: Form) => number[]> = {
  Reshape: (_, [x]) => numbersOf(x!),
  Flatten: (_, [x]) => numbersOf(x!),
  Squeeze: (_, [x]) => numbersOf(x!),
  Unsqueeze: (_, [x]) => numbersOf(x!),
  Expand: (_, [x], out) => spread(x!, out.shape),
  Transpose: (c, [x], out) => {
    const strides = stridesOf(x!.shape);
    const perm = ints(c, 'perm') ?? x!.shape.map((_, i) => x!.shape.length - 1 - i);
    return walk(
      numbersOf(x!),
      out.shape,
      perm.map((axis) => strides[axis]),
    );
  },
  Slice: (c, [x], out) => {
    const strides = stridesOf(x!.shape);
    let offset = 0;
    for (const { axis, start, step } of sliceOf(c)) {
      offset += start * strides[axis];
      strides[axis] *= step;
    }
    return walk(numbersOf(x!), out.shape, strides, offset);
  },
  Gather: (c, [x, indices]) => {
    const axis = axisOf(int(c, 'axis', 0), x!.shape.length);
    const inner = sizeOf(x!.shape.slice(axis + 1));
    const outer = sizeOf(x!.shape.slice(0, axis));
    const n = x!.shape[axis];
    const values = numbersOf(x!);
    const picks = numbersOf(indices!).map((at) => axisOf(at, n));
    return Array.from({ length: outer }, (_, o) =>
      picks.flatMap((at) => values.slice((o * n + at) * inner, (o * n + at + 1) * inner)),
    ).flat();
  },
  Concat: (c, inputs) => {
    const axis = axisOf(int(c, 'axis', 0), inputs[0]!.shape.length);
    const outer = sizeOf(inputs[0]!.shape.slice(0, axis));
    const pieces = inputs.map((x) => ({ values: numbersOf(x!), run: sizeOf(x!.shape.slice(axis)) }));
    return Array.from({ length: outer }, (_, o) =>
      pieces.flatMap(({ values, run }) => values.slice(o * run, (o + 1) * run)),
    ).flat();
  },
  Range: (_, [start, , delta], out) =>
    Array.from({ length: out.shape[0] }, (_v, i) => numbersOf(start!)[0] + i * numbersOf(delta!)[0]),
};

/** The outputs of `call` where they are known now and small enough to keep, else null. */
export function evaluate(call: Call, forms: readonly Form[]): Constant[] | null {
  const { op } = call;
  if (op === 'Shape') {
    const { shape } = given(call, 0);
    return [makeConstant(shape.slice(int(call, 'start', 0), int(call, 'end', shape.length)), forms[0].shape, 'int64')];
  }
  if (op === 'Size') return [makeConstant([sizeOf(given(call, 0).shape)], [], 'int64')];
  if (call.inputs.some((v) => v && !v.constant) || forms.some(({ shape }) => sizeOf(shape) > LARGEST)) return null;
  const inputs = call.inputs.map((v) => v?.constant ?? null);
  // a large table may be read from, but is not copied piece by piece
  if (inputs.some((x) => x && sizeOf(x.shape) > 16 * LARGEST)) return null;
  const [out] = forms;
  if (op in POINTWISE) {
    const compute = POINTWISE[op](call);
    const columns = inputs.map((x) => spread(x!, out.shape));
    const values = Array.from({ length: sizeOf(out.shape) }, (_, i) => compute(...columns.map((column) => column[i])));
    return [makeConstant(values, out.shape, out.dtype)];
  }
  if (op in REDUCING) return [reduceConstant(call, inputs[0]!, out)];
  if (op === 'Split') return splitConstant(call, inputs[0]!, forms);
  if (op in MOVING) return [makeConstant(MOVING[op](call, inputs, out), out.shape, out.dtype)];
  return null;
}

function reduceConstant(call: Call, x: Constant, out: Form): Constant {
  const axes = reducedAxes(call);
  const kept = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const strides = stridesOf(x.shape);
  const order = [...kept, ...axes];
  const values = walk(
    numbersOf(x),
    order.map((i) => x.shape[i]),
    order.map((i) => strides[i]),
  );
  const run = sizeOf(axes.map((i) => x.shape[i]));
  const combine = REDUCING[call.op];
  const reduced = Array.from({ length: sizeOf(kept.map((i) => x.shape[i])) }, (_, o) => {
    const total = values.slice(o * run, (o + 1) * run).reduce(combine);
    return call.op === 'ReduceMean' ? total / run : total;
  });
  return makeConstant(reduced, out.shape, out.dtype);
}

function splitConstant(call: Call, x: Constant, forms: readonly Form[]): Constant[] {
  const axis = axisOf(int(call, 'axis', 0), x.shape.length);
  const strides = stridesOf(x.shape);
  let start = 0;
  return forms.map((form) => {
    const values = walk(numbersOf(x), form.shape, strides, start * strides[axis]);
    start += form.shape[axis];
    return makeConstant(values, form.shape, form.dtype);
  });
}
