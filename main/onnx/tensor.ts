/// <reference lib="esnext.float16" />
/**
 * Element types of ONNX tensors and the typed arrays that carry them, both ways.
 * Covers what graphs made or joined here contain: floats of 16, 32 and 64 bits, integers,
 * booleans. Little-endian, as the format is; values are copied on the way in and out.
 */
import { create } from '@bufbuild/protobuf';
import { TensorProto_DataType as Code, TensorProtoSchema, type TensorProto } from 'onnx-buf';
import { assert, EngineError } from '../domain/errors.ts';

/** Element types by their ONNX Runtime names. */
export type DType = 'float32' | 'float16' | 'float64' | 'int64' | 'int32' | 'int8' | 'uint8' | 'bool';

/** What a constant may be made of; a `Float16Array` holds float16, a plain one keeps its own type. */
export type TensorData =
  Float32Array | Float16Array | Float64Array | BigInt64Array | Int32Array | Int8Array | Uint8Array;

/** A dimension: a size, a name ('n'), or null where the file does not say. */
export type Dim = number | string | null;

/** Name, element type and shape of a graph's input or output. */
export interface TensorInfo {
  name: string;
  dtype: DType | 'other';
  dims: Dim[];
}

const CODES: Record<DType, Code> = {
  float32: Code.FLOAT,
  float16: Code.FLOAT16,
  float64: Code.DOUBLE,
  int64: Code.INT64,
  int32: Code.INT32,
  int8: Code.INT8,
  uint8: Code.UINT8,
  bool: Code.BOOL,
};

/** The number that stands for a dtype in `Cast`'s `to` and in files. */
export function dtypeCode(dtype: DType): number {
  return CODES[dtype];
}

/** The dtype a file's number stands for, or 'other'. */
export function dtypeOf(code: number): DType | 'other' {
  return (Object.keys(CODES) as DType[]).find((dtype) => CODES[dtype] === code) ?? 'other';
}

function dtypeOfData(data: TensorData): DType {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Float16Array) return 'float16';
  if (data instanceof Float64Array) return 'float64';
  if (data instanceof BigInt64Array) return 'int64';
  if (data instanceof Int32Array) return 'int32';
  if (data instanceof Int8Array) return 'int8';
  return 'uint8';
}

/** An initializer or tensor attribute. `dims` default to one axis; their product must be the length. */
export function makeTensor(
  name: string,
  data: TensorData,
  dims: readonly number[] = [data.length],
  dtype?: DType,
): TensorProto {
  const size = dims.reduce((product, dim) => product * dim, 1);
  assert(size === data.length, `${size} values for [${dims.join(', ')}]`, data.length);
  const rawData = new Uint8Array(data.byteLength);
  rawData.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return create(TensorProtoSchema, {
    name,
    dataType: CODES[dtype ?? dtypeOfData(data)],
    dims: dims.map(BigInt),
    rawData,
  });
}

/** Values of an initializer or tensor attribute, whichever field they are stored in; booleans come as 0 and 1. Errors: `encoder-invalid` for element types that are not read here. */
export function tensorData(tensor: TensorProto): TensorData {
  const size = tensor.dims.reduce((product, dim) => product * Number(dim), 1);
  const raw = tensor.rawData;
  // A copy: a Buffer's slice would be a view of its whole pool, at any offset.
  const bytes = raw.length > 0 ? new Uint8Array(raw).buffer : null;
  switch (tensor.dataType) {
    case Code.FLOAT:
      return bytes ? new Float32Array(bytes) : Float32Array.from(tensor.floatData);
    case Code.DOUBLE:
      return bytes ? new Float64Array(bytes) : Float64Array.from(tensor.doubleData);
    case Code.INT64:
      return bytes ? new BigInt64Array(bytes) : BigInt64Array.from(tensor.int64Data);
    case Code.INT32:
      return bytes ? new Int32Array(bytes) : Int32Array.from(tensor.int32Data);
    case Code.INT8:
      return bytes ? new Int8Array(bytes) : Int8Array.from(tensor.int32Data);
    case Code.UINT8:
    case Code.BOOL:
      return bytes ? new Uint8Array(bytes) : Uint8Array.from(tensor.int32Data);
    case Code.FLOAT16:
      return new Float16Array(bytes ?? Uint16Array.from(tensor.int32Data).buffer);
    default:
      throw new EngineError(
        'encoder-invalid',
        `The tensor “${tensor.name}” (${size} values) has an element type that is not read here (${Code[tensor.dataType] ?? tensor.dataType}).`,
        'Choose a model with float32 weights, or convert this one to float32.',
        { tensor: tensor.name },
      );
  }
}
