/**
 * Builds ONNX graphs node by node, and joins whole models into one: an encoder and a head
 * become one self-contained file. Tensors are named by strings; every name that a node
 * reads must exist when the node is added, so the nodes are in order by construction.
 * Shapes are not inferred and operators not checked: ONNX Runtime does both on loading.
 */
import { create } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProto_AttributeType as Kind,
  AttributeProtoSchema,
  GraphProtoSchema,
  type GraphProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import { assert, EngineError } from '../domain/errors.ts';
import { metadataEntries, reachable, readModel, writeModel } from './model.ts';
import { type Dim, type DType, dtypeCode, makeTensor, type TensorData } from './tensor.ts';

/** An attribute value. Plain numbers are integers; floats are marked by `float` so that 1 is never ambiguous. */
export type Attribute =
  number | readonly number[] | string | { readonly float: number | readonly number[] } | TensorProto;

/** Marks an attribute as a float or a list of floats, e.g. `alpha: float(1)`. */
export function float(value: number | readonly number[]): { float: number | readonly number[] } {
  return { float: value };
}

/**
 * Operators whose definitions agree for float32 from opset 13 to 22: a graph made only of
 * them means the same under each of these versions, so it may join a model of another.
 * From the change tables of the ONNX operator specification.
 */
const STEADY = new Set(
  (
    'Abs Add ArgMax AveragePool Cast Clip Concat Constant Conv Div Equal Exp Expand Flatten Gather Gemm ' +
    'GlobalAveragePool Greater Identity InstanceNormalization LeakyRelu Less Log LogSoftmax MatMul MaxPool Mul Neg Not Pow Reciprocal ' +
    'ReduceSum Relu Reshape Shape Sigmoid Sign Slice Softmax Sqrt Squeeze Sub Tanh Transpose Unsqueeze Where'
  ).split(' '),
);

/** Opset that graphs made here are written in. */
export const OPSET = 17;

/**
 * A graph in the making.
 *
 * ```ts
 * const g = new GraphBuilder();
 * const x = g.input('x', 'float32', ['n', 4]);
 * const y = g.node('Gemm', [x, g.constant(weights, [3, 4]), g.constant(bias)], { transB: 1 });
 * g.output('probabilities', 'float32', ['n', 3], g.node('Softmax', [y], { axis: -1 }));
 * const bytes = g.toModel({ classes: JSON.stringify(names) });
 * ```
 */
export class GraphBuilder {
  readonly name: string;
  readonly opset: number;
  private readonly taken = new Set<string>();
  private readonly nodes: NodeProto[] = [];
  private readonly constants: TensorProto[] = [];
  private readonly inputs: ValueInfoProto[] = [];
  private readonly outputs: ValueInfoProto[] = [];
  private readonly domains = new Map<string, bigint>();
  /** Large constants of models that were spliced in, by type and shape. */
  private readonly large = new Map<string, TensorProto[]>();
  private irVersion = 8n;
  private counter = 0;

  constructor(name = 'graph', options: { opset?: number } = {}) {
    this.name = name;
    this.opset = options.opset ?? OPSET;
  }

  /** Declares an input; returns its name. */
  input(name: string, dtype: DType, dims: readonly Dim[]): string {
    this.inputs.push(makeValueInfo(name, dtype, dims));
    return this.claim(name);
  }

  /** Adds an initializer; `dims` default to one axis, `[]` makes a scalar; `dtype` 'bool' makes booleans of bytes. Returns its name. */
  constant(data: TensorData, dims?: readonly number[], name?: string, dtype?: DType): string {
    const claimed = this.claim(name ?? this.fresh('constant'));
    this.constants.push(makeTensor(claimed, data, dims, dtype));
    return claimed;
  }

  /** A float32 scalar. */
  scalar(value: number): string {
    return this.constant(Float32Array.of(value), []);
  }

  /** An int64 vector: shapes, axes, starts. */
  ints(...values: number[]): string {
    return this.constant(BigInt64Array.from(values, BigInt));
  }

  /** Adds a node with one output and returns that. An empty input name leaves out an optional input. */
  node(opType: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}): string {
    return this.nodeWith(opType, inputs, attributes, 1)[0];
  }

  /** Adds a node with several outputs. `domain` is for operators beyond the standard, e.g. 'com.microsoft'. */
  nodeWith(
    opType: string,
    inputs: readonly string[],
    attributes: Record<string, Attribute>,
    outputCount: number,
    domain = '',
  ): string[] {
    for (const name of inputs) assert(name === '' || this.taken.has(name), `input of ${opType} to exist`, name);
    const stem = opType.toLowerCase();
    const outputs = Array.from({ length: outputCount }, () => this.claim(this.fresh(stem)));
    if (domain !== '' && !this.domains.has(domain)) this.domains.set(domain, 1n);
    this.nodes.push(makeNode(opType, inputs, outputs, attributes, domain));
    return outputs;
  }

  /** Declares an output called `name` that carries the tensor `from`. */
  output(name: string, dtype: DType, dims: readonly Dim[], from: string): void {
    assert(this.taken.has(from), 'output to be made from an existing tensor', from);
    if (from !== name) {
      this.claim(name);
      const node = makeNode('Identity', [from], [name]);
      node.name = `${name}/out`;
      this.nodes.push(node);
    }
    this.outputs.push(makeValueInfo(name, dtype, dims));
  }

  /** The finished file. Equal graphs and metadata give equal bytes. */
  toModel(metadata: Record<string, string> = {}): Uint8Array {
    assert(this.outputs.length > 0, 'a graph with outputs', 0);
    const domains = [...this.domains].sort(([a], [b]) => (a < b ? -1 : 1));
    return writeModel(
      create(ModelProtoSchema, {
        irVersion: this.irVersion,
        producerName: 'marginalia',
        opsetImport: [['', BigInt(this.opset)] as const, ...domains].map(([domain, version]) =>
          create(OperatorSetIdProtoSchema, { domain, version }),
        ),
        metadataProps: metadataEntries(metadata),
        graph: create(GraphProtoSchema, {
          name: this.name,
          node: this.nodes,
          initializer: this.constants,
          input: this.inputs,
          output: this.outputs,
        }),
      }),
    );
  }

  /**
   * Splices another model into this graph: its inputs become the tensors named in `feeds`,
   * everything else gets names of its own. Only what the wanted outputs need is taken
   * (default: all), and large constants that an earlier model brought along are not written
   * again. Returns output name → tensor in this graph.
   * Errors: `encoder-invalid` where the two cannot be one graph.
   */
  inline(model: Uint8Array, feeds: Record<string, string>, wanted?: readonly string[]): Record<string, string> {
    const { proto, graph, inputs, outputs, opset } = readModel(model);
    const prefix = `${this.fresh('m')}/`;
    refuseUnjoinable(proto.functions.length, graph, opset, this.opset);
    for (const { name } of inputs) {
      assert(
        Object.hasOwn(feeds, name) && this.taken.has(feeds[name]),
        `a tensor for the input “${name}”`,
        feeds[name],
      );
    }
    const same = new Map<string, string>();
    const rename = (name: string) => {
      // the file chooses its names, “constructor” among them
      if (name === '' || Object.hasOwn(feeds, name)) return feeds[name] ?? '';
      return same.get(name) ?? prefix + name;
    };
    const asked = wanted ?? outputs.map((output) => output.name);
    const { nodes, names } = reachable(graph, asked);
    const added: TensorProto[] = [];
    for (const tensor of graph.initializer) {
      if (!names.has(tensor.name)) continue;
      const equal = this.large
        .get(kindOf(tensor))
        ?.find(({ rawData }) => Buffer.compare(rawData, tensor.rawData) === 0);
      if (equal) same.set(tensor.name, equal.name);
      else added.push(create(TensorProtoSchema, { ...tensor, name: this.claim(prefix + tensor.name) }));
    }
    this.constants.push(...added);
    // Only now: what one model keeps apart stays apart.
    for (const tensor of added) {
      if (tensor.rawData.length < LARGE_BYTES) continue;
      this.large.set(kindOf(tensor), [...(this.large.get(kindOf(tensor)) ?? []), tensor]);
    }
    assert(graph.sparseInitializer.length === 0, 'no sparse initializers', graph.sparseInitializer.length);
    for (const node of nodes) {
      const copy = renameNode(node, rename, prefix);
      for (const name of copy.output) if (name !== '') this.claim(name);
      this.nodes.push(copy);
    }
    for (const { domain, version } of proto.opsetImport) {
      if (domain === '' || domain === 'ai.onnx') continue;
      const ours = this.domains.get(domain);
      this.domains.set(domain, ours !== undefined && ours > version ? ours : version);
    }
    if (proto.irVersion > this.irVersion) this.irVersion = proto.irVersion;
    return Object.fromEntries(asked.map((name) => [name, rename(name)]));
  }

  private fresh(stem: string): string {
    let name: string;
    do name = `${stem}_${this.counter++}`;
    while (this.taken.has(name));
    return name;
  }

  private claim(name: string): string {
    assert(name !== '' && !this.taken.has(name), 'a tensor name that is still free', name);
    this.taken.add(name);
    return name;
  }
}

/** From this size on a constant is worth looking for. */
const LARGE_BYTES = 4096;

const kindOf = ({ dataType, dims }: TensorProto) => `${dataType} ${dims.join(' ')}`;

function makeAttribute(name: string, value: Attribute): AttributeProto {
  if (typeof value === 'number') {
    assert(Number.isInteger(value), `“${name}” to be an integer, or marked by float()`, value);
    return create(AttributeProtoSchema, { name, type: Kind.INT, i: BigInt(value) });
  }
  if (typeof value === 'string') {
    return create(AttributeProtoSchema, { name, type: Kind.STRING, s: new TextEncoder().encode(value) });
  }
  if ('float' in value) {
    return typeof value.float === 'number'
      ? create(AttributeProtoSchema, { name, type: Kind.FLOAT, f: value.float })
      : create(AttributeProtoSchema, { name, type: Kind.FLOATS, floats: [...value.float] });
  }
  if ('dataType' in value) return create(AttributeProtoSchema, { name, type: Kind.TENSOR, t: value });
  return create(AttributeProtoSchema, { name, type: Kind.INTS, ints: value.map(BigInt) });
}

/** A node on its own, named after its first output: for changing a model that was read. */
export function makeNode(
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Record<string, Attribute> = {},
  domain = '',
): NodeProto {
  return create(NodeProtoSchema, {
    name: outputs[0],
    opType,
    domain,
    input: [...inputs],
    output: [...outputs],
    attribute: Object.entries(attributes).map(([name, value]) => makeAttribute(name, value)),
  });
}

/** What a graph says of an input or output: name, element type, shape. */
export function makeValueInfo(name: string, dtype: DType, dims: readonly Dim[]): ValueInfoProto {
  const dim = dims.map((d) => {
    if (typeof d === 'number') return { value: { case: 'dimValue' as const, value: BigInt(d) } };
    return d === null ? {} : { value: { case: 'dimParam' as const, value: d } };
  });
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: 'tensorType', value: { elemType: dtypeCode(dtype), shape: { dim } } } },
  });
}

function refuseUnjoinable(functions: number, graph: GraphProto, theirs: number, ours: number): void {
  if (functions > 0) {
    throw new EngineError(
      'encoder-invalid',
      `The model defines ${functions} functions of its own, which cannot be joined to a head.`,
      'Inline the functions of the model (onnx.inliner) and import it again.',
      { functions },
    );
  }
  if (theirs === ours) return;
  const other = graph.node.find((node) => !STEADY.has(node.opType) || node.attribute.some((a) => a.g));
  if (!other && theirs >= 13 && theirs <= 22 && ours >= 13 && ours <= 22) return;
  throw new EngineError(
    'encoder-invalid',
    `The model is written in opset ${theirs}, the graph it should join in opset ${ours}.`,
    `Export the model again in opset ${ours}.`,
    { theirs, ours, operator: other?.opType ?? null },
  );
}

function renameNode(node: NodeProto, rename: (name: string) => string, prefix: string): NodeProto {
  const renameGraph = (graph: GraphProto): GraphProto =>
    create(GraphProtoSchema, {
      name: graph.name,
      node: graph.node.map((inner) => renameNode(inner, rename, prefix)),
      initializer: graph.initializer.map((t) => create(TensorProtoSchema, { ...t, name: rename(t.name) })),
      input: graph.input.map((v) => create(ValueInfoProtoSchema, { ...v, name: rename(v.name) })),
      output: graph.output.map((v) => create(ValueInfoProtoSchema, { ...v, name: rename(v.name) })),
    });
  return create(NodeProtoSchema, {
    name: prefix + node.name,
    opType: node.opType,
    domain: node.domain,
    input: node.input.map(rename),
    output: node.output.map(rename),
    attribute: node.attribute.map((a) => {
      if (!a.g && a.graphs.length === 0) return a;
      return create(AttributeProtoSchema, { ...a, g: a.g && renameGraph(a.g), graphs: a.graphs.map(renameGraph) });
    }),
  });
}
