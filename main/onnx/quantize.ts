/// <reference lib="esnext.float16" />
/**
 * Makes a model smaller: the weights of products, convolutions and tables become int8 with
 * a scale for each output, channel or row. Products are computed in integers, their input
 * quantised anew in each run over all of its values, so a row's result depends slightly on
 * the rows beside it. Convolutions and tables are int8 in the file only (decision 0008 says
 * why). Inputs, outputs and metadata stay, and so do constants inside control flow.
 */
import { create } from '@bufbuild/protobuf';
import { type NodeProto, NodeProtoSchema, type TensorProto } from 'onnx-buf';
import { EngineError } from '../domain/errors.ts';
import { type Attribute, makeNode } from './builder.ts';
import { metadataEntries, reachable, readModel, writeModel } from './model.ts';
import { dtypeCode, dtypeOf, makeTensor, tensorData } from './tensor.ts';

interface QuantizeOptions {
  /** Constants that stay as they are, by name. */
  keep?: readonly string[];
}

export interface Quantized {
  model: Uint8Array;
  /** Nodes whose weights became int8. */
  quantized: string[];
  /** Nodes with constant weights that stayed, and why. */
  kept: { node: string; why: 'asked' | 'small' | 'not-finite' | 'element-type' | 'form' }[];
}

type Why = Quantized['kept'][number]['why'];

/** Weights with fewer values stay: the nodes around them would cost more than they save. */
const SMALL = 1024;
/**
 * Largest int8 weight of a product. Processors without VNNI add two products of an unsigned
 * and a signed byte in 16 bits and saturate there: 2 · 255 · 64 still fits, 2 · 255 · 127
 * does not. So the file gives the same numbers on all of them.
 */
const PRODUCT_LIMIT = 64;
/** Largest int8 weight where it is only stored. */
const STORED_LIMIT = 127;
/** Products with fewer outputs stay float: to quantise their input takes longer than they do. */
const NARROW = 32;
const OLDEST_OPSET = 11;
const FLOAT = dtypeCode('float32');

/** A constant of float32. */
interface Weight {
  name: string;
  values: Float32Array;
  dims: number[];
}

/** Stores a model's weights as int8: same inputs, outputs and metadata, plus the entry `quantized`. Equal models give equal bytes. Errors: `encoder-invalid` for what is no model, or one older than opset 11. */
export function quantize(bytes: Uint8Array, options: QuantizeOptions = {}): Quantized {
  const { proto, graph, opset, metadata } = readModel(bytes);
  if (opset < OLDEST_OPSET) {
    throw new EngineError(
      'encoder-invalid',
      `The model is written in opset ${opset}, which has no integer products.`,
      'Export the model again in opset 13 or later.',
      { opset },
    );
  }
  const writer = new Rewriter(graph.node, graph.initializer, new Set(options.keep));
  const nodes = graph.node.flatMap((node) => writer.rewrite(node));
  graph.node = nodes;
  graph.initializer = [...graph.initializer, ...writer.added];
  const needed = reachable(
    graph,
    graph.output.map(({ name }) => name),
  );
  const unused = new Set(graph.initializer.map(({ name }) => name).filter((name) => !needed.names.has(name)));
  graph.node = needed.nodes;
  graph.initializer = graph.initializer.filter(({ name }) => !unused.has(name));
  graph.input = graph.input.filter(({ name }) => !unused.has(name));
  proto.metadataProps = metadataEntries({ ...metadata, quantized: 'int8' });
  if (proto.irVersion < 4n) proto.irVersion = 4n;
  return { model: writeModel(proto), quantized: writer.quantized, kept: writer.kept };
}

class Rewriter {
  readonly added: TensorProto[] = [];
  readonly quantized: string[] = [];
  readonly kept: Quantized['kept'] = [];
  readonly #keep: ReadonlySet<string>;
  readonly #constants: Map<string, TensorProto>;
  readonly #makers: Map<string, NodeProto>;
  readonly #taken: Set<string>;
  /** Quantised inputs and stored weights: what several nodes use is made once. */
  readonly #made = new Map<string, string[]>();
  #out: NodeProto[] = [];

  constructor(nodes: readonly NodeProto[], constants: readonly TensorProto[], keep: ReadonlySet<string>) {
    this.#keep = keep;
    this.#makers = new Map(nodes.flatMap((node) => node.output.map((name) => [name, node] as const)));
    this.#constants = new Map(constants.map((tensor) => [tensor.name, tensor]));
    this.#taken = new Set([...this.#constants.keys(), ...nodes.flatMap((node) => [...node.input, ...node.output])]);
  }

  /** The nodes that stand for one of the model: itself, or its form with int8 weights. */
  rewrite(node: NodeProto): NodeProto[] {
    this.#out = [];
    const place = node.domain === '' || node.domain === 'ai.onnx' ? PLACE_OF_WEIGHT[node.opType] : undefined;
    const weight = place === undefined ? null : this.#constant(node.input[place]);
    if (!weight) return [node];
    const name = node.name || node.output[0];
    const why = this.#refusal(node, weight);
    if (why === null) {
      this.#convert(node, asWeight(weight));
      this.quantized.push(name);
      return this.#out;
    }
    // What Gather takes from is mostly a list of sizes or places, not a table of weights.
    if (node.opType !== 'Gather' || why === 'asked' || why === 'not-finite') this.kept.push({ node: name, why });
    return [node];
  }

  #refusal(node: NodeProto, weight: TensorProto): Why | null {
    const dims = weight.dims.map(Number);
    const size = dims.reduce((product, dim) => product * dim, 1);
    if (this.#keep.has(weight.name)) return 'asked';
    if (dtypeOf(weight.dataType) !== 'float32') return 'element-type';
    if (size < SMALL) return 'small';
    if (node.opType === 'Conv' ? dims.length < 3 : dims.length !== 2) return 'form';
    if (node.opType === 'Gemm' && intOf(node, 'transA', 0) !== 0) return 'form';
    if (node.opType === 'Gather' && intOf(node, 'axis', 0) !== 0) return 'form';
    return asWeight(weight).values.every(Number.isFinite) ? null : 'not-finite';
  }

  #convert(node: NodeProto, weight: Weight): void {
    const isProduct = node.opType === 'MatMul' || node.opType === 'Gemm';
    const outputs = isProduct && intOf(node, 'transB', 0) === 0 ? 1 : 0;
    if (isProduct && weight.dims[outputs] >= NARROW) this.#product(node, weight, outputs);
    else this.#stored(node, weight, outputs);
  }

  /** x·W as integers: q(x)·q(W) · (scale of x · scales of W). In the order that ONNX Runtime makes one operator of. */
  #product(node: NodeProto, weight: Weight, outputs: 0 | 1): void {
    const [data, scales] = this.#once(`product ${weight.name} ${outputs}`, () => {
      const { values, scales: each } = rounded(weight, outputs, PRODUCT_LIMIT);
      const [n, k] = [weight.dims[outputs], weight.dims[1 - outputs]];
      const columns = outputs === 1 ? values : swapped(values, n, k);
      return [
        this.#constantOf(`${weight.name}/int8`, columns, [k, n]),
        this.#constantOf(`${weight.name}/scale`, each, [n]),
      ];
    });
    const [input, , addend = ''] = node.input;
    const [x, scale, zero] = this.#once(`input ${input}`, () => this.#nodes('DynamicQuantizeLinear', [input], 3));
    const factor = this.#node('Mul', [scale, scales]);
    let y = this.#node('Mul', [this.#cast(this.#node('MatMulInteger', [x, data, zero])), factor]);
    if (node.opType === 'Gemm') {
      y = this.#times(y, floatOf(node, 'alpha', 1));
      if (addend !== '') y = this.#node('Add', [y, this.#times(addend, floatOf(node, 'beta', 1))]);
    }
    this.#last(y, node.output[0]);
  }

  /** The weights from int8 to float: ONNX Runtime does it once, on loading. */
  #stored(node: NodeProto, weight: Weight, outputs: 0 | 1): void {
    const [stored] = this.#once(`stored ${weight.name} ${outputs}`, () => {
      const { values, scales } = rounded(weight, outputs, STORED_LIMIT);
      const shape = weight.dims.map((dim, axis) => (axis === outputs ? dim : 1));
      const data = this.#constantOf(`${weight.name}/int8`, values, weight.dims);
      return [this.#node('Mul', [this.#cast(data), this.#constantOf(`${weight.name}/scale`, scales, shape)])];
    });
    this.#out.push(create(NodeProtoSchema, { ...node, input: node.input.with(PLACE_OF_WEIGHT[node.opType]!, stored) }));
  }

  /** A constant by a tensor's name, also a float16 one that is only cast to float32 after it. */
  #constant(name: string): TensorProto | null {
    const known = this.#constants.get(name);
    const maker = this.#makers.get(name);
    if (known || !maker) return known ?? null;
    if (maker.opType === 'Constant') return maker.attribute.find(({ name: key }) => key === 'value')?.t ?? null;
    if (maker.opType !== 'Cast' || intOf(maker, 'to', 0) !== FLOAT) return null;
    const half = this.#constant(maker.input[0]);
    if (!half || dtypeOf(half.dataType) !== 'float16') return null;
    return makeTensor(half.name, Float32Array.from(tensorData(half) as Float16Array), half.dims.map(Number));
  }

  #once(key: string, make: () => string[]): string[] {
    let made = this.#made.get(key);
    if (!made) this.#made.set(key, (made = make()));
    return made;
  }

  #times(x: string, factor: number): string {
    return factor === 1 ? x : this.#node('Mul', [x, this.#constantOf('factor', Float32Array.of(factor), [])]);
  }

  #cast(x: string): string {
    return this.#node('Cast', [x], { to: FLOAT });
  }

  #node(opType: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}): string {
    return this.#nodes(opType, inputs, 1, attributes)[0];
  }

  #nodes(opType: string, inputs: readonly string[], count: number, attributes: Record<string, Attribute> = {}) {
    const outputs = Array.from({ length: count }, () => this.#fresh(`int8/${opType.toLowerCase()}`));
    this.#out.push(makeNode(opType, inputs, outputs, attributes));
    return outputs;
  }

  /** The tensor `from` under the name that the rest of the graph knows. */
  #last(from: string, name: string): void {
    const maker = this.#out.find(({ output }) => output.includes(from));
    if (maker) maker.output = maker.output.map((output) => (output === from ? name : output));
  }

  #constantOf(stem: string, data: Float32Array | Int8Array, dims: readonly number[]): string {
    const name = this.#fresh(stem);
    this.added.push(makeTensor(name, data, dims));
    return name;
  }

  #fresh(stem: string): string {
    let name = stem;
    for (let i = 1; this.#taken.has(name); i++) name = `${stem}_${i}`;
    this.#taken.add(name);
    return name;
  }
}

/** Which input holds the weights. */
const PLACE_OF_WEIGHT: Partial<Record<string, number>> = { MatMul: 1, Gemm: 1, Conv: 1, Gather: 0 };

function asWeight(tensor: TensorProto): Weight {
  return { name: tensor.name, values: tensorData(tensor) as Float32Array, dims: tensor.dims.map(Number) };
}

/**
 * Weights as int8 of at most `limit`, with a scale for each index of the axis `outputs`, that
 * takes its largest weight there. Those that were nearest to the other side are rounded that
 * way until the sum is right too: a filter that sees no brightness stays one, and an input's
 * mean does not come through as an error (Guo et al. 2022, SQuant).
 */
function rounded({ values, dims }: Weight, outputs: 0 | 1, limit: number) {
  const count = dims[outputs];
  const width = values.length / count;
  const scales = new Float32Array(count);
  const small = new Int8Array(values.length);
  for (let i = 0; i < count; i++) {
    const places = Array.from({ length: width }, (_, j) => (outputs === 0 ? i * width + j : j * count + i));
    scales[i] = places.reduce((most, at) => Math.max(most, Math.abs(values[at])), 0) / limit || 1;
    // Clamped for scales so small that they lost digits.
    const near = (x: number) => Math.max(-limit, Math.min(limit, x));
    const left = places.map((at) => values[at] / scales[i] - (small[at] = near(Math.round(values[at] / scales[i]))));
    const missing = Math.round(left.reduce((sum, e) => sum + e, 0));
    const side = Math.sign(missing);
    const order = places.map((_, j) => j).sort((a, b) => side * (left[b] - left[a]) || a - b);
    for (const j of order.slice(0, Math.abs(missing))) small[places[j]] = near(small[places[j]] + side);
  }
  return { values: small, scales };
}

/** `[a, b]` → `[b, a]`. */
function swapped(values: Int8Array, a: number, b: number): Int8Array {
  const out = new Int8Array(values.length);
  for (let i = 0; i < a; i++) for (let j = 0; j < b; j++) out[j * a + i] = values[i * b + j];
  return out;
}

function intOf(node: NodeProto, name: string, otherwise: number): number {
  const found = node.attribute.find((attribute) => attribute.name === name);
  return found ? Number(found.i) : otherwise;
}

function floatOf(node: NodeProto, name: string, otherwise: number): number {
  return node.attribute.find((attribute) => attribute.name === name)?.f ?? otherwise;
}
