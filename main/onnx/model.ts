/**
 * Reading and writing ONNX files: what a model takes and gives, its metadata, its opset.
 * A model is only ever its own bytes, and they are looked through (`scan.ts`) before they
 * are parsed: one that points to data in other files is refused, among much else.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  StringStringEntryProtoSchema,
  type ValueInfoProto,
} from 'onnx-buf';
import { assert, EngineError } from '../domain/errors.ts';
import { scanModel } from './scan.ts';
import { type Dim, dtypeCode, dtypeOf, makeTensor, type TensorInfo } from './tensor.ts';

/** A parsed ONNX file. `inputs` are those a caller must feed: initializers are not among them. */
export interface OnnxModel {
  proto: ModelProto;
  graph: GraphProto;
  inputs: TensorInfo[];
  outputs: TensorInfo[];
  /** Version of the standard operators. */
  opset: number;
  metadata: Record<string, string>;
}

/** Parses an ONNX file. Errors: `encoder-invalid` for bytes that are no model, or one that `scanModel` refuses. */
export function readModel(bytes: Uint8Array): OnnxModel {
  scanModel(bytes, { own: true });
  let proto: ModelProto;
  try {
    proto = fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw notAModel(cause);
  }
  const graph = proto.graph;
  if (!graph || graph.node.length + graph.initializer.length === 0 || graph.output.length === 0) throw notAModel();
  const constants = new Set(graph.initializer.map((tensor) => tensor.name));
  const standard = proto.opsetImport.find((entry) => entry.domain === '' || entry.domain === 'ai.onnx');
  return {
    proto,
    graph,
    inputs: graph.input.filter((value) => !constants.has(value.name)).map(tensorInfo),
    outputs: graph.output.map(tensorInfo),
    opset: Number(standard?.version ?? 1n),
    metadata: Object.fromEntries(proto.metadataProps.map((entry) => [entry.key, entry.value])),
  };
}

/** The file of a model: bytes that `readModel` reads back. */
export function writeModel(proto: ModelProto): Uint8Array {
  return toBinary(ModelProtoSchema, proto);
}

/** The same model with these metadata entries added or replaced. */
export function withMetadata(bytes: Uint8Array, metadata: Record<string, string>): Uint8Array {
  const { proto, metadata: before } = readModel(bytes);
  proto.metadataProps = metadataEntries({ ...before, ...metadata });
  return writeModel(proto);
}

/** Metadata as the file holds it, sorted by key so that equal models have equal bytes. */
export function metadataEntries(metadata: Record<string, string>): ModelProto['metadataProps'] {
  return Object.keys(metadata)
    .sort()
    .map((key) => create(StringStringEntryProtoSchema, { key, value: metadata[key] }));
}

function tensorInfo(value: ValueInfoProto): TensorInfo {
  const type = value.type?.value;
  if (type?.case !== 'tensorType') return { name: value.name, dtype: 'other', dims: [] };
  const dims = (type.value.shape?.dim ?? []).map((dim): Dim => {
    if (dim.value.case === 'dimValue') return Number(dim.value.value);
    return dim.value.case === 'dimParam' && dim.value.value !== '' ? dim.value.value : null;
  });
  return { name: value.name, dtype: dtypeOf(type.value.elemType), dims };
}

function notAModel(cause?: unknown): EngineError {
  return new EngineError(
    'encoder-invalid',
    'This file is not a readable ONNX model.',
    'Choose a file that was exported as ONNX, and copy it again if it may be damaged.',
    {},
    cause,
  );
}

/** The same model with other values in some float32 constants; nothing else changes. A name that it has no such constant for is a bug and asserts. */
export function withConstants(bytes: Uint8Array, values: Readonly<Record<string, Float32Array>>): Uint8Array {
  const { proto, graph } = readModel(bytes);
  const changed = new Map(Object.entries(values));
  graph.initializer = graph.initializer.map((tensor) => {
    const data = changed.get(tensor.name);
    if (!data) return tensor;
    changed.delete(tensor.name);
    const dims = tensor.dims.map(Number);
    assert(
      tensor.dataType === dtypeCode('float32') && dims.reduce((a, b) => a * b, 1) === data.length,
      `${data.length} float32 numbers in “${tensor.name}”`,
      dims,
    );
    return makeTensor(tensor.name, data, dims);
  });
  assert(changed.size === 0, 'constants of these names', [...changed.keys()]);
  return writeModel(proto);
}

/** The same model with only some of its outputs, and only what they need. A name that it has no such output for is a bug and asserts. */
export function withOutputs(bytes: Uint8Array, names: readonly string[]): Uint8Array {
  const { proto, graph } = readModel(bytes);
  graph.output = names.map((name) => {
    const output = graph.output.find((o) => o.name === name);
    assert(output !== undefined, 'an output of this name', name);
    return output;
  });
  const needed = reachable(graph, names);
  graph.node = needed.nodes;
  graph.initializer = graph.initializer.filter(({ name }) => needed.names.has(name));
  graph.input = graph.input.filter(({ name }) => needed.names.has(name));
  return writeModel(proto);
}

/** The nodes that the wanted outputs need, in file order, and every name they touch, subgraphs included. */
export function reachable(graph: GraphProto, wanted: readonly string[]): { nodes: NodeProto[]; names: Set<string> } {
  const names = new Set(wanted);
  const addInputs = (node: NodeProto): void => {
    node.input.forEach((name) => names.add(name));
    for (const attribute of node.attribute) {
      for (const sub of [attribute.g, ...attribute.graphs]) {
        sub?.node.forEach(addInputs);
        sub?.output.forEach((value) => names.add(value.name));
      }
    }
  };
  const nodes: NodeProto[] = [];
  for (let i = graph.node.length - 1; i >= 0; i--) {
    const node = graph.node[i];
    if (!node.output.some((name) => name !== '' && names.has(name))) continue;
    addInputs(node);
    nodes.push(node);
  }
  return { nodes: nodes.reverse(), names };
}
