/**
 * The words of the gradient engine: a value knows its shape, its type and the node it came
 * from; a node is one ONNX operator. Shapes are always numbers: a graph is made for one batch.
 * Also the readers of attributes, and the one error that names node, operator and remedy.
 */
import { EngineError } from '../domain/errors.ts';
import type { Attribute, DType, TensorData } from '../onnx/index.ts';

/** A tensor known while the graph is built. Row-major. */
export interface Constant {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** A tensor of the graph. `constant` where its elements are known; `from` is null for inputs and constants. */
export interface Value {
  readonly id: number;
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly constant: Constant | null;
  readonly from: Node | null;
  /** Set for inputs of the graph, which keep their name. */
  readonly name: string | null;
}

/** What an operator is applied to; `null` stands for an optional input left out. */
export interface Call {
  readonly op: string;
  readonly inputs: readonly (Value | null)[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly outputCount: number;
  /** The name that a person finds in a viewer of the model. */
  readonly label: string;
}

export interface Node extends Call {
  readonly outputs: readonly Value[];
}

/** Shape and element type of a tensor. */
export interface Form {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

export function int(call: Call, name: string, otherwise: number): number {
  const value = call.attributes[name];
  return typeof value === 'number' ? value : otherwise;
}

export function ints(call: Call, name: string): readonly number[] | null {
  const value = call.attributes[name];
  return Array.isArray(value) ? (value as number[]) : null;
}

export function real(call: Call, name: string, otherwise: number): number {
  const value = call.attributes[name];
  if (typeof value !== 'object' || !('float' in value)) return otherwise;
  return typeof value.float === 'number' ? value.float : otherwise;
}

export function word(call: Call, name: string, otherwise: string): string {
  const value = call.attributes[name];
  return typeof value === 'string' && value !== '' ? value : otherwise;
}

/** The input at `i`, which the operator requires. */
export function given(call: Call, i: number): Value {
  const value = call.inputs[i];
  if (!value) throw unsupported(call, `lacks its input ${i}`);
  return value;
}

/** Elements of a constant as plain numbers; booleans are 0 and 1. */
export function numbersOf(constant: Constant): number[] {
  return Array.from(constant.data as ArrayLike<number | bigint>, Number);
}

/** The integers of an input that must be known when the graph is built; null where it is left out. */
export function knownInts(call: Call, i: number): number[] | null {
  const value = call.inputs[i];
  if (!value) return null;
  if (!value.constant) {
    throw unsupported(
      call,
      `takes a shape or an index (its input ${i}) that depends on the data`,
      'Export the model with fixed sizes except for the batch, or choose another model.',
    );
  }
  return numbersOf(value.constant);
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/** `axis` counted from the front. */
export function axisOf(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

/** A node that cannot be read, shaped or differentiated: `encoder-invalid`, naming it. */
export function unsupported(call: Pick<Call, 'op' | 'label'>, why: string, hint?: string): EngineError {
  return new EngineError(
    'encoder-invalid',
    `The node “${call.label}” (${call.op}) ${why}.`,
    hint ?? 'Export the model again with standard operators, or choose a model without this operator.',
    { node: call.label, operator: call.op },
  );
}

/** Whether a reduction runs over exactly this one axis and keeps it. */
export function reducedOver(call: Call, axis: number): boolean {
  const axes = call.inputs[1]?.constant ? numbersOf(call.inputs[1].constant) : [];
  return axes.length === 1 && axisOf(axes[0], given(call, 0).shape.length) === axis && int(call, 'keepdims', 1) === 1;
}
