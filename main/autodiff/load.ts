/**
 * From an ONNX file to a graph for one batch: sizes fixed, weights to be trained turned into
 * inputs, constants folded. Operators that say the same in several ways, or that are made of
 * others, are written in one way here (axes as inputs, normalisations by their parts), and
 * what exporters take apart is put together again (layer normalisation, GELU), because ONNX
 * Runtime has one fast kernel for each and its derivative is shorter.
 */
import { EngineError } from '../domain/errors.ts';
import { type Attribute, dtypeOf, type DType, type OnnxModel, readModel, tensorData } from '../onnx/index.ts';
import { normaliseChannels } from './batch-norm.ts';
import { asProduct } from './conv-products.ts';
import { addDropout, type DropoutInput } from './dropout.ts';
import { Graph } from './graph.ts';
import { type Call, type Constant, given, int, ints, knownInts, real, sizeOf, unsupported, type Value } from './ir.ts';
import { recognise } from './recognise.ts';

type NodeProto = OnnxModel['graph']['node'][number];
type AttributeProto = NodeProto['attribute'][number];

export interface LoadOptions {
  /** Initializers to be trained; default: every float32 initializer of which a floating-point result depends. */
  readonly trainable?: readonly string[];
  /** Full shapes of inputs by name. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  /** Size of the first axis of inputs whose shape is not given. */
  readonly batch?: number;
  /** True for a graph that is to run elsewhere than on the processor: ONNX Runtime’s WebGPU cannot tell where a pool found its maximum. */
  readonly portable?: boolean;
  /** Channels in a block of ONNX Runtime's fast convolutions (`blockSize`); without it they are written plainly. Processor only. */
  readonly block?: number | null;
  /** Whether batch normalisations use the statistics of the batch, as in training; else those of the model, as in use. */
  readonly batchStatistics?: boolean;
  /** True for Dropout nodes that drop at their own rates, a number for this rate; else they do nothing, as in use. */
  readonly dropout?: boolean | number;
}

export interface Loaded {
  readonly graph: Graph;
  /** The model's own inputs, then outputs, by name. */
  readonly inputs: Map<string, Value>;
  readonly outputs: Map<string, Value>;
  /** What is trained, by name, with its present values. */
  readonly weights: Map<string, { value: Value; initial: Float32Array }>;
  /** With `batchStatistics`: mean and unbiased variance of the batch, by the names of the model's own. */
  readonly statistics: Map<string, Value>;
  /** With `dropout`: inputs that `drawDropout` draws. */
  readonly dropout: DropoutInput[];
  /** Every tensor of the file by its name, as far as it was needed. */
  readonly values: ReadonlyMap<string, Value>;
}

const NEWEST = 21;
const OLDEST = 13;

/** Reads a model. Errors: `encoder-invalid`, naming node, operator and what to do. */
export function loadGraph(bytes: Uint8Array, options: LoadOptions = {}): Loaded {
  const model = readModel(bytes);
  refuseVersions(model);
  const graph = new Graph({ block: options.block ?? null });
  const values = new Map<string, Value>();
  const inputs = new Map<string, Value>();
  const weights = new Map<string, { value: Value; initial: Float32Array }>();
  const statistics = new Map<string, Value>();
  const dropout: DropoutInput[] = [];
  for (const { name, dtype, dims } of model.inputs) {
    const shape = options.shapes?.[name] ?? dims.map((dim, axis) => sizeNow(name, dim, axis, options));
    if (dtype === 'other') throw badInput(name, 'has an element type that is not read here');
    inputs.set(name, graph.input(name, shape, dtype));
    values.set(name, inputs.get(name)!);
  }
  const wanted = options.trainable && new Set(options.trainable);
  for (const tensor of model.graph.initializer) {
    const data = tensorData(tensor);
    const shape = tensor.dims.map(Number);
    const trained = wanted ? wanted.has(tensor.name) : data instanceof Float32Array && isWeight(tensor.name, model);
    if (trained) {
      if (!(data instanceof Float32Array))
        throw badInput(tensor.name, 'is to be trained but does not hold float32 numbers');
      const value = graph.input(tensor.name, shape);
      weights.set(tensor.name, { value, initial: data });
      values.set(tensor.name, value);
    } else values.set(tensor.name, graph.constant({ dtype: dtypeOf(tensor.dataType) as DType, shape, data }));
  }
  for (const name of wanted ?? [])
    if (!weights.has(name)) throw badInput(name, 'is to be trained but is no initializer');
  for (const node of model.graph.node) {
    const produced = replay(graph, node, { values, options, statistics, dropout });
    node.output.forEach((name, i) => name !== '' && produced[i] && values.set(name, produced[i]));
  }
  const outputs = new Map(model.outputs.map(({ name }) => [name, values.get(name)!] as const));
  return { graph, inputs, outputs, weights, statistics, dropout, values };
}

function refuseVersions(model: OnnxModel): void {
  if (model.opset >= OLDEST && model.opset <= NEWEST) return;
  throw new EngineError(
    'encoder-invalid',
    `The model is written in opset ${model.opset}; it can be trained from ${OLDEST} to ${NEWEST}.`,
    `Export it again with an opset from ${OLDEST} to ${NEWEST}.`,
    { opset: model.opset },
  );
}

function badInput(name: string, why: string): EngineError {
  return new EngineError(
    'encoder-invalid',
    `“${name}” ${why}.`,
    'Choose other weights to train, or convert the model to float32.',
    {
      tensor: name,
    },
  );
}

function sizeNow(name: string, dim: number | string | null, axis: number, { batch }: LoadOptions): number {
  if (typeof dim === 'number' && dim > 0) return dim;
  if (axis === 0 && batch !== undefined) return batch;
  throw badInput(name, `has no fixed size along axis ${axis}, and none was given`);
}

/** Weights are what is multiplied, convolved, looked up, or scales and shifts: floats with at least one axis. */
export function isWeight(name: string, { graph }: OnnxModel): boolean {
  const learned: Record<string, readonly number[]> = {
    Conv: [1, 2],
    ConvTranspose: [1, 2],
    Gemm: [1, 2],
    MatMul: [0, 1],
    Gather: [0],
    Add: [0, 1],
    Mul: [0, 1],
    PRelu: [1],
    LayerNormalization: [1, 2],
    InstanceNormalization: [1, 2],
    GroupNormalization: [1, 2],
    BatchNormalization: [1, 2],
    Einsum: [0, 1],
    Expand: [0], // class tokens
    Identity: [0], // exporters share equal weights through it
  };
  const tensor = graph.initializer.find((t) => t.name === name)!;
  if (tensor.dims.length === 0) return false;
  return graph.node.some((node) => learned[node.opType]?.some((i) => node.input[i] === name));
}

interface Replaying extends Pick<Loaded, 'values' | 'statistics' | 'dropout'> {
  readonly options: LoadOptions;
}

function replay(
  g: Graph,
  node: NodeProto,
  { values, options, statistics, dropout }: Replaying,
): readonly (Value | null)[] {
  const label = node.name || node.output[0];
  const inputs = node.input.map((name) => {
    if (name === '') return null;
    const value = values.get(name);
    if (!value) throw unsupported({ op: node.opType, label }, `reads “${name}”, which no node before it makes`);
    return value;
  });
  while (inputs.at(-1) === null) inputs.pop();
  const attributes = Object.fromEntries(
    node.attribute.flatMap((a) => {
      const value = plain(a, node, label);
      return value === null ? [] : [[a.name, value] as const];
    }),
  );
  const call: Call = { op: node.opType, inputs, attributes, outputCount: node.output.length, label };
  if (node.domain !== '' && node.domain !== 'ai.onnx') {
    throw unsupported(call, `belongs to “${node.domain}”, not to the standard operators`);
  }
  if (node.opType === 'Constant') return [constantNode(g, node, call)];
  if (options.batchStatistics && call.op === 'BatchNormalization') {
    const { y, mean, variance } = normaliseBatch(g, call);
    statistics.set(node.input[3], mean).set(node.input[4], variance);
    return [y];
  }
  if (options.dropout && call.op === 'Dropout') {
    const rate = options.dropout === true ? null : options.dropout;
    const { y, fed } = addDropout(g, call, `dropout:${node.output[0]}`, rate);
    dropout.push(...fed);
    return [y];
  }
  if ((options.portable || g.block !== null) && call.op.endsWith('MaxPool')) return maxPool(g, call, 1);
  const rewrite = REWRITES[call.op];
  if (rewrite) return rewrite(g, call);
  return recognise(g, call) ?? g.ops(call.op, inputs, attributes, call.outputCount, label);
}

function plain(a: AttributeProto, node: NodeProto, label: string): Attribute | null {
  if (a.g || a.graphs.length > 0) {
    throw unsupported(
      { op: node.opType, label },
      'chooses between graphs while it runs',
      'Export the model in evaluation mode, without branches or loops.',
    );
  }
  switch (a.type) {
    case 1: // a float
      return { float: a.f };
    case 2: // an integer
      return Number(a.i);
    case 3: // a string
      return new TextDecoder().decode(a.s);
    case 4: // a tensor
      return a.t ?? null;
    case 6:
      return { float: [...a.floats] };
    case 7:
      return a.ints.map(Number);
    default:
      return null;
  }
}

function constantNode(g: Graph, node: NodeProto, call: Call): Value {
  const { value, value_float: one, value_int: whole, value_ints: list, value_floats: reals } = call.attributes;
  if (typeof whole === 'number') return g.scalar(whole, 'int64');
  if (Array.isArray(list)) return g.ints(list as number[]);
  if (typeof one === 'object' && 'float' in one) return g.scalar(Number(one.float));
  if (typeof reals === 'object' && 'float' in reals) {
    const numbers = Float32Array.from(reals.float as number[]);
    return g.floats(numbers, [numbers.length]);
  }
  if (typeof value === 'object' && 'dataType' in value) return g.constant(tensorConstant(value));
  throw unsupported(call, `holds no tensor that is read here (${node.attribute.map((a) => a.name).join(', ')})`);
}

function tensorConstant(tensor: Extract<Attribute, { dataType: number }>): Constant {
  return { dtype: dtypeOf(tensor.dataType) as DType, shape: tensor.dims.map(Number), data: tensorData(tensor) };
}

/** Operators that are written otherwise: older spellings and compositions. */
const REWRITES: Record<string, (g: Graph, call: Call) => readonly (Value | null)[]> = {
  Identity: (_, c) => [c.inputs[0]],
  Dropout: (_, c) => [c.inputs[0]], // it does nothing in evaluation
  Cast: (g, c) => [g.cast(given(c, 0), dtypeOf(int(c, 'to', 1)) as DType)],
  CastLike: (g, c) => [g.cast(given(c, 0), given(c, 1).dtype)],
  ConstantOfShape: (g, c) => {
    const { value } = c.attributes;
    const fill = typeof value === 'object' && 'dataType' in value ? tensorConstant(value) : null;
    return [g.expand(fill ? g.reshape(g.constant(fill), []) : g.scalar(0), knownInts(c, 0)!)];
  },
  Transpose: (g, c) => {
    const x = given(c, 0);
    return [g.transpose(x, ints(c, 'perm') ?? x.shape.map((_, i) => x.shape.length - 1 - i))];
  },
  Split: (g, c) => {
    const { split, num_outputs: _, ...rest } = c.attributes;
    const inputs = Array.isArray(split) ? [c.inputs[0], g.ints(split as number[])] : c.inputs;
    if (inputs.length > 1) return g.ops('Split', inputs, rest, c.outputCount, c.label);
    return g.ops('Split', inputs, { ...rest, num_outputs: c.outputCount }, c.outputCount, c.label);
  },
  Conv: (g, c) => [asProduct(g, c) ?? g.op('Conv', c.inputs, c.attributes, c.label)],
  MaxPool: (g, c) => maxPool(g, c, 2), // where each maximum was is needed backwards
  GlobalMaxPool: (g, c) => maxPool(g, c, 2),
  LayerNormalization: (g, c) => g.ops('LayerNormalization', c.inputs, c.attributes, 3, c.label),
  BatchNormalization: batchNormalization,
  InstanceNormalization: (g, c) => [normaliseGroups(g, c, given(c, 0).shape[1])],
  GroupNormalization: (g, c) => [normaliseGroups(g, c, int(c, 'num_groups', 1))],
  ...Object.fromEntries(
    'L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare'.split(' ').map((kind) => [
      `Reduce${kind}`,
      (g: Graph, c: Call) => {
        const { axes, ...rest } = c.attributes;
        const inputs = Array.isArray(axes) ? [c.inputs[0], g.ints(axes as number[])] : c.inputs;
        return g.ops(c.op, inputs, rest, 1, c.label);
      },
    ]),
  ),
};

/** A rectified image has its maxima where the image has them; rectified afterwards there is less to do. */
function maxPool(g: Graph, c: Call, outputs: number): readonly Value[] {
  const x = given(c, 0);
  const relu = x.from?.op === 'Relu' ? x.from : null;
  const attributes = c.op === 'MaxPool' ? c.attributes : { kernel_shape: [...x.shape.slice(2)] };
  const [y] = g.ops('MaxPool', [relu ? relu.inputs[0] : x], attributes, outputs, c.label);
  return [relu ? g.op('Relu', [y]) : y];
}

/** Inference: y = (x − mean) / √(var + ε) · scale + bias. Folded into the convolution before it where there is one. */
function batchNormalization(g: Graph, c: Call): readonly Value[] {
  if (int(c, 'training_mode', 0) === 1) {
    throw unsupported(c, 'is in training mode', 'Export the model in evaluation mode.');
  }
  const [x, scale, bias, mean, variance] = [0, 1, 2, 3, 4].map((i) => given(c, i));
  const s = g.over(scale, g.op('Sqrt', [g.plus(variance, real(c, 'epsilon', 1e-5))]));
  const t = g.minus(bias, g.mul(mean, s));
  const conv = x.from?.op === 'Conv' ? x.from : null;
  if (conv) {
    const [input, w, b] = conv.inputs;
    const folded = g.mul(w!, g.reshape(s, [s.shape[0], ...w!.shape.slice(1).map(() => 1)]));
    return [g.op('Conv', [input, folded, b ? g.plus(g.mul(b, s), t) : t], conv.attributes, c.label)];
  }
  const wide = (v: Value) => g.reshape(v, [v.shape[0], ...x.shape.slice(2).map(() => 1)]);
  return [g.plus(g.mul(x, wide(s)), wide(t))];
}

/** Training: each channel to mean 0 and variance 1 over the batch, by layer normalisation with channels first; then scale and bias (Ioffe & Szegedy 2015). */
function normaliseBatch(g: Graph, c: Call): { y: Value; mean: Value; variance: Value } {
  const [x, scale, bias] = [0, 1, 2].map((i) => given(c, i));
  const [n, channels, ...space] = x.shape;
  const size = n * sizeOf(space);
  const unbiased = size / Math.max(1, size - 1);
  if (g.block !== null && space.length === 2) {
    const { y, mean, variance } = normaliseChannels(g, x, scale, bias, real(c, 'epsilon', 1e-5));
    return { y, mean, variance: g.mul(variance, unbiased) };
  }
  const swap = [1, 0, ...space.map((_, i) => i + 2)];
  const epsilon = real(c, 'epsilon', 1e-5);
  const ones = g.floats(new Float32Array(size).fill(1), [size]);
  const rows = g.reshape(g.transpose(x, swap), [channels, size]);
  const [flat, mean, inverse] = g.ops(
    'LayerNormalization',
    [rows, ones],
    { axis: -1, epsilon: { float: epsilon } },
    3,
    c.label,
  );
  const back = g.transpose(g.reshape(flat, [channels, n, ...space]), swap);
  const wide = (v: Value) => g.reshape(v, [channels, ...space.map(() => 1)]);
  const biased = g.minus(g.over(1, g.mul(inverse, inverse)), epsilon);
  return {
    y: g.plus(g.mul(back, wide(scale)), wide(bias)),
    mean: g.reshape(mean, [channels]),
    variance: g.reshape(g.mul(biased, unbiased), [channels]),
  };
}

/** Each group of channels to mean 0 and variance 1 by layer normalisation, then scale and bias by channel. */
function normaliseGroups(g: Graph, c: Call, groups: number): Value {
  const [x, scale, bias] = [0, 1, 2].map((i) => given(c, i));
  const [n, channels] = x.shape;
  const size = sizeOf(x.shape) / (n * groups);
  const ones = g.floats(new Float32Array(size).fill(1), [size]);
  const epsilon = { float: real(c, 'epsilon', 1e-5) };
  const [flat] = g.ops(
    'LayerNormalization',
    [g.reshape(x, [n, groups, size]), ones],
    { axis: -1, epsilon },
    3,
    c.label,
  );
  // opset 18 to 20 scaled by group, 21 scales by channel
  const each = (v: Value) => {
    const rest = x.shape.slice(2).map(() => 1);
    if (v.shape[0] === channels) return g.reshape(v, [channels, ...rest]);
    const repeated = g.expand(g.reshape(v, [groups, 1]), [groups, channels / groups]);
    return g.reshape(repeated, [channels, ...rest]);
  };
  return g.plus(g.mul(g.reshape(flat, x.shape), each(scale)), each(bias));
}
