/**
 * A graph in the making. Every node is shaped, folded and deduplicated as it is added, so
 * there are no passes: what is known becomes a constant, what was computed before is the
 * same value, what nobody asks for is never written. Writing gives an ordinary ONNX model.
 */
import { assert } from '../domain/errors.ts';
import type { Attribute, DType, TensorData } from '../onnx/index.ts';
import { ELEMENTWISE } from './blocked.ts';
import { evaluate, makeConstant } from './fold.ts';
import {
  axisOf,
  type Call,
  type Constant,
  type Form,
  type Node,
  numbersOf,
  sameShape,
  sizeOf,
  type Value,
} from './ir.ts';
import { infer, type Op } from './shapes.ts';
import { Writer } from './write.ts';

/** Opset that graphs are written in: the oldest that has every operator used here. */
export const TARGET_OPSET = 20;

type Attributes = Record<string, Attribute>;

/** Operators that only say the shape anew. */
const RESHAPING = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze']);

export class Graph {
  private readonly nodes: Node[] = [];
  private readonly inputs: Value[] = [];
  private readonly outputs: { name: string; value: Value }[] = [];
  private readonly known = new Map<string, readonly Value[]>();
  private readonly moves = new Map<string, Value | null>();
  private readonly statements = new Map<Value, (dy: Value) => readonly Value[]>();
  private counter = 0;
  /** Channels that lie together in ONNX Runtime's blocked layout on this processor; null for the plain layout. */
  readonly block: number | null;

  constructor(options: { block?: number | null } = {}) {
    this.block = options.block ?? null;
  }

  /** Declares an input, which keeps its name. */
  input(name: string, shape: readonly number[], dtype: DType = 'float32'): Value {
    const value = this.value({ shape, dtype }, null, null, name);
    this.inputs.push(value);
    return value;
  }

  /** Declares that `value` leaves the graph as `name`. */
  output(name: string, value: Value): void {
    this.outputs.push({ name, value });
  }

  /** A tensor that is known now. Small equal tensors are one. */
  constant(constant: Constant): Value {
    const make = () => this.value(constant, constant, null, null);
    if (sizeOf(constant.shape) > 64) return make();
    const key = `${constant.dtype}[${constant.shape.join()}]${Array.from(constant.data as ArrayLike<number>).join()}`;
    let same = this.known.get(key);
    if (!same) this.known.set(key, (same = [make()]));
    return same[0];
  }

  scalar(value: number, dtype: DType = 'float32'): Value {
    return this.constant(makeConstant([value], [], dtype));
  }

  ints(values: readonly number[]): Value {
    return this.constant(makeConstant(values, [values.length], 'int64'));
  }

  floats(data: TensorData, shape: readonly number[]): Value {
    return this.constant({ dtype: 'float32', shape, data });
  }

  /** Adds an operator with one output. */
  op(op: Op, inputs: readonly (Value | null)[], attributes: Attributes = {}, label?: string): Value {
    return this.ops(op, inputs, attributes, 1, label)[0];
  }

  /** Adds an operator and gives its outputs. Errors: `encoder-invalid` where it cannot be shaped. */
  ops(
    op: string,
    inputs: readonly (Value | null)[],
    attributes: Attributes,
    outputCount: number,
    label = `${op.toLowerCase()}_${this.nodes.length}`,
  ): readonly Value[] {
    const call: Call = { op, inputs, attributes, outputCount, label };
    const forms = infer(call);
    const same = unchanged(call, forms);
    if (same) return [same];
    const folded = evaluate(call, forms);
    if (folded) return folded.map((constant) => this.constant(constant));
    const key = `${op}(${inputs.map((v) => v?.id ?? '').join()})${JSON.stringify(attributes)}${outputCount}`;
    const before = this.known.get(key);
    if (before) return before;
    const outputs: Value[] = [];
    const node: Node = { ...call, outputs };
    for (const form of forms.slice(0, outputCount)) outputs.push(this.value(form, null, node, null));
    this.nodes.push(node);
    this.known.set(key, outputs);
    return outputs;
  }

  /** `y`, a function of `inputs` whose derivative is stated: from y's adjoint those of `inputs`. */
  stated(y: Value, inputs: readonly Value[], adjoints: (dy: Value) => readonly Value[]): Value {
    const value = this.op('Stated', [y, ...inputs]);
    this.statements.set(value, adjoints);
    return value;
  }

  /** What was stated of `value`. */
  statement(value: Value): (dy: Value) => readonly Value[] {
    return this.statements.get(value)!;
  }

  mul(a: Value | number, b: Value | number): Value {
    return this.op('Mul', [this.lift(a), this.lift(b)]);
  }

  plus(a: Value | number, b: Value | number): Value {
    return this.op('Add', [this.lift(a), this.lift(b)]);
  }

  minus(a: Value | number, b: Value | number): Value {
    return this.op('Sub', [this.lift(a), this.lift(b)]);
  }

  over(a: Value | number, b: Value | number): Value {
    return this.op('Div', [this.lift(a), this.lift(b)]);
  }

  /** `yes` where `condition`, else `no`. */
  where(condition: Value, yes: Value | number, no: Value | number): Value {
    return this.op('Where', [condition, this.lift(yes), this.lift(no)]);
  }

  sum(x: Value, axes: readonly number[], keepdims = false): Value {
    if (axes.length === 0) return x;
    const perm = x.from?.op === 'Transpose' ? (x.from.attributes.perm as number[]) : null;
    // where one axis remains, the order of the others does not matter
    if (perm && !keepdims && axes.length >= x.shape.length - 1) {
      return this.sum(
        x.from!.inputs[0]!,
        axes.map((axis) => perm[axisOf(axis, perm.length)]),
      );
    }
    return this.op('ReduceSum', [x, this.ints(axes)], { keepdims: keepdims ? 1 : 0 });
  }

  mean(x: Value, axes: readonly number[], keepdims = false): Value {
    return this.op('ReduceMean', [x, this.ints(axes)], { keepdims: keepdims ? 1 : 0 });
  }

  reshape(x: Value, shape: readonly number[]): Value {
    // of two reshapes in a row only the last matters
    if (x.from && RESHAPING.has(x.from.op) && !shape.includes(0)) return this.reshape(x.from.inputs[0]!, shape);
    return this.op('Reshape', [x, this.ints(shape)], shape.includes(0) ? { allowzero: 1 } : {});
  }

  expand(x: Value, shape: readonly number[]): Value {
    return this.op('Expand', [x, this.ints(shape)]);
  }

  transpose(x: Value, perm: readonly number[]): Value {
    const moved = this.moved(x, perm);
    if (moved) return moved;
    // two transposes in a row are one
    const before = x.from?.op === 'Transpose' ? (x.from.attributes.perm as number[] | undefined) : undefined;
    if (before) return this.op('Transpose', [x.from!.inputs[0]], { perm: perm.map((axis) => before[axis]) });
    return this.op('Transpose', [x], { perm: [...perm] });
  }

  /**
   * `x` transposed without a Transpose, where it is an elementwise function of what was
   * transposed the other way; else null. So a run of operators stays in the layout that suits it.
   */
  private moved(x: Value, perm: readonly number[]): Value | null {
    const key = `${x.id}:${perm.join()}`;
    const before = this.moves.get(key);
    if (before !== undefined) return before;
    this.moves.set(key, null);
    const result = this.move(x, perm);
    this.moves.set(key, result);
    return result;
  }

  private move(x: Value, perm: readonly number[]): Value | null {
    const { from } = x;
    if (!from || from.outputs.length !== 1) return null;
    if (from.op === 'Transpose') {
      const before = from.attributes.perm as number[];
      return perm.every((axis, i) => before[axis] === i) ? from.inputs[0] : null;
    }
    if (!ELEMENTWISE.has(from.op)) return null;
    let any = false;
    const inputs: (Value | null)[] = [];
    for (const input of from.inputs) {
      const small = !input || sizeOf(input.shape) * 8 <= sizeOf(x.shape);
      if (!input || sizeOf(input.shape) === 1) inputs.push(input);
      else if (input.shape.length !== perm.length) return null;
      else {
        const inner = this.moved(input, perm);
        if (!inner && !small) return null;
        any ||= inner !== null && !small;
        inputs.push(inner ?? this.transpose(input, perm));
      }
    }
    return any ? this.op(from.op as Op, inputs, from.attributes) : null;
  }

  /** The last two axes exchanged. */
  flip(x: Value): Value {
    const rank = x.shape.length;
    return this.transpose(x, [...Array(rank - 2).keys(), rank - 1, rank - 2]);
  }

  slice(
    x: Value,
    axes: readonly number[],
    starts: readonly number[],
    ends: readonly number[],
    steps?: readonly number[],
  ): Value {
    const inputs = [x, this.ints(starts), this.ints(ends), this.ints(axes)];
    return this.op('Slice', steps ? [...inputs, this.ints(steps)] : inputs);
  }

  concat(parts: readonly Value[], axis: number): Value {
    return this.op('Concat', parts, { axis });
  }

  cast(x: Value, dtype: DType): Value {
    return this.op('Cast', [x], { dtype });
  }

  /** Zeros around `x`: begins of all axes, then ends. */
  pad(x: Value, pads: readonly number[]): Value {
    return pads.every((p) => p === 0) ? x : this.op('Pad', [x, this.ints(pads)]);
  }

  private lift(value: Value | number): Value {
    return typeof value === 'number' ? this.scalar(value) : value;
  }

  /** Nodes that the outputs need, or that `values` need, in order of execution. */
  live(values: readonly Value[] = this.outputs.map(({ value }) => value)): Node[] {
    const needed = new Set<Node>();
    const visit = values.flatMap(({ from }) => from ?? []);
    for (let node = visit.pop(); node; node = visit.pop()) {
      if (needed.has(node)) continue;
      needed.add(node);
      for (const input of node.inputs) if (input?.from) visit.push(input.from);
    }
    return this.nodes.filter((node) => needed.has(node));
  }

  /** The graph as an ONNX model: only what its outputs need, every input declared. */
  toModel(): Uint8Array {
    const writer = new Writer(TARGET_OPSET, this.block);
    for (const { name, value } of this.outputs)
      if (!value.from) assert(value.name !== name, 'an output to be computed', name);
    for (const input of this.inputs) writer.input(input);
    for (const node of this.live()) writer.node(node);
    for (const { name, value } of this.outputs) writer.output(name, value);
    return writer.toModel();
  }

  private value(form: Form, constant: Constant | null, from: Node | null, name: string | null): Value {
    return { id: this.counter++, shape: form.shape, dtype: form.dtype, constant, from, name };
  }
}

/** The input itself where the operator does nothing to it. */
function unchanged(call: Call, [form]: readonly Form[]): Value | null {
  const [x] = call.inputs;
  if (!x || call.outputCount !== 1 || x.dtype !== form.dtype || !sameShape(x.shape, form.shape)) return null;
  switch (call.op) {
    case 'Cast':
    case 'Reshape':
    case 'Flatten':
    case 'Squeeze':
    case 'Unsqueeze':
    case 'Expand':
    case 'Concat':
    case 'Sum':
    case 'Mean':
    case 'Max':
    case 'Min':
    case 'Tile':
      return call.inputs.length === 1 || !['Concat', 'Sum', 'Mean', 'Max', 'Min'].includes(call.op) ? x : null;
    case 'Transpose':
      return (call.attributes.perm as number[] | undefined)?.every((axis, i) => axis === i) ? x : null;
    case 'Slice':
      return call.inputs[4]?.constant && numbersOf(call.inputs[4].constant).some((step) => step < 0) ? null : x;
    case 'Mul':
      return isAll(call.inputs[1], 1) ? x : null;
    case 'Add':
    case 'Sub':
      return isAll(call.inputs[1], 0) ? x : null;
    default:
      return null;
  }
}

function isAll(value: Value | null | undefined, number: number): boolean {
  const constant = value?.constant;
  if (!constant || sizeOf(constant.shape) > 1) return false;
  return Number(constant.data[0]) === number;
}
