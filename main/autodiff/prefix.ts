/**
 * The frozen prefix: everything in a model that does not depend on a trained weight gives the
 * same for an item in every epoch. `cut` divides a model there into two, so that the prefix
 * runs once for each item, its outputs are kept, and every later step runs the suffix alone.
 * `weightsOf` tells what there is to freeze. Nothing here runs a model.
 *
 * Where to cut: as late as products with weights go, for these are the cost; between them and
 * the first trained weight at the fewest bytes per item, recomputing what is cheap.
 */
import { EngineError } from '../domain/errors.ts';
import {
  type DType,
  makeNode,
  makeTensor,
  makeValueInfo,
  type OnnxModel,
  readModel,
  writeModel,
} from '../onnx/index.ts';
import { type Constant, numbersOf, sameShape, sizeOf, type Value } from './ir.ts';
import { isWeight, loadGraph } from './load.ts';
import { narrowest } from './narrowest.ts';

type GraphProto = OnnxModel['graph'];
type NodeProto = GraphProto['node'][number];

/** Operators that a model's time goes into. */
const PRODUCTS = new Set(['Conv', 'ConvTranspose', 'Einsum', 'Gemm', 'MatMul']);

export interface WeightInfo {
  readonly name: string;
  readonly shape: readonly number[];
  /** Numbers in it. */
  readonly size: number;
  /** 0 for those of the first product with a weight, 1 for those of the last; a weight between two is as deep as the one before it. */
  readonly depth: number;
}

/** The weights that can be trained, in the order in which the model uses them. */
export function weightsOf(bytes: Uint8Array): WeightInfo[] {
  const model = readModel(bytes);
  const tensors = new Map(
    model.graph.initializer
      .filter(({ name, dataType }) => dataType === FLOAT && isWeight(name, model))
      .map((tensor) => [tensor.name, tensor.dims.map(Number)]),
  );
  // copies that exporters make of shared weights
  const weightOf = new Map([...tensors.keys()].map((name) => [name, name]));
  const layerOf = new Map<string, number>();
  let layers = 0;
  for (const node of model.graph.node) {
    const read = node.input.flatMap((name) => weightOf.get(name) ?? []);
    if (node.opType === 'Identity') read.forEach((name) => weightOf.set(node.output[0], name));
    else {
      if (read.length > 0 && PRODUCTS.has(node.opType)) layers++;
      for (const name of read) if (!layerOf.has(name)) layerOf.set(name, Math.max(0, layers - 1));
    }
  }
  return [...layerOf].map(([name, layer]) => {
    const shape = tensors.get(name)!;
    return { name, shape, size: sizeOf(shape), depth: layers > 1 ? layer / (layers - 1) : 1 };
  });
}

export interface CutOptions {
  /** Initializers to be trained. */
  readonly trainable: readonly string[];
  /** The output that counts; default: all. */
  readonly output?: string;
  /** Full shapes of inputs whose axes beside the first the model leaves open; what is cut is for these. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
}

/** What passes from the prefix to the suffix: an output of one, an input of the other. */
export interface CutTensor {
  readonly name: string;
  readonly dtype: DType;
  /** Of one item: without the batch, which is the first axis. */
  readonly shape: readonly number[];
  /** Of one item. */
  readonly sizeBytes: number;
}

export interface Cut {
  /** From the model's inputs to `tensors`, for any batch. */
  readonly prefix: Uint8Array;
  /** From `tensors` alone to the model's outputs, for any batch, with the trained weights by their names. */
  readonly suffix: Uint8Array;
  readonly tensors: readonly CutTensor[];
}

/**
 * Divides a model before its first trained weight. Null where no product is frozen, or where
 * what would have to be kept cannot be told apart by item. Takes it that items do not depend on
 * each other, and that frozen parts compute as in use (no dropout, the model's own statistics).
 * Errors: `encoder-invalid`, as reading a model for training.
 */
export function cut(bytes: Uint8Array, options: CutOptions): Cut | null {
  const model = readModel(bytes);
  const { graph } = model;
  const wanted = model.outputs.filter(({ name }) => options.output === undefined || options.output === name);
  if (wanted.length === 0) {
    throw new EngineError(
      'encoder-invalid',
      `The model has no output “${options.output}”.`,
      `Choose one of: ${model.outputs.map(({ name }) => name).join(', ')}.`,
    );
  }
  const facts = survey(bytes, model, options);
  const makers = new Map(graph.node.flatMap((node) => node.output.map((name) => [name, node] as const)));
  const initial = new Set(graph.initializer.map(({ name }) => name));
  const isKnown = (name: string) => initial.has(name) || facts.get(name)?.known != null;
  const isTrained = dependents(graph, options.trainable, isKnown);
  const inputsOf = (node: NodeProto) => node.input.filter((name) => name !== '' && !isKnown(name));

  const outputs = wanted.map(({ name }) => name);
  const late = walk(graph, makers, outputs, (name) => !isTrained(name));
  const names = narrowest(
    late.read.filter((name) => !isTrained(name) && !isKnown(name)),
    (name) => {
      const node = makers.get(name);
      const isKept = !node || (PRODUCTS.has(node.opType) && facts.get(name)?.item != null);
      return isKept ? null : inputsOf(node);
    },
    (name) => facts.get(name)?.item?.sizeBytes ?? Infinity,
  );
  if (!names) return null;

  const early = walk(graph, makers, names, () => false);
  if (!early.nodes.some(({ opType }) => PRODUCTS.has(opType))) return null;
  const rest = walk(graph, makers, outputs, (name) => names.includes(name) || isKnown(name));
  const spelled = spellOut(
    rest.read.flatMap((name) => facts.get(name)?.known ?? []),
    names[0],
  );
  const tensors = names.map((name) => ({ name: CUT + name, ...facts.get(name)!.item! }));
  const declared = tensors.map(({ name, dtype, shape }) => makeValueInfo(name, dtype, ['batch', ...shape]));
  const { input, output, initializer } = graph;
  const prefix = written(model, {
    node: [...early.nodes, ...names.map((name) => makeNode('Identity', [name], [CUT + name]))],
    initializer: initializer.filter(({ name }) => early.read.includes(name)),
    input: input.filter(({ name }) => early.read.includes(name) && !initial.has(name)),
    output: declared,
  });
  const read = new Set([...rest.read, ...options.trainable]);
  const suffix = written(model, {
    node: [...names.map((name) => makeNode('Identity', [CUT + name], [name])), ...spelled.nodes, ...rest.nodes],
    initializer: [...initializer.filter(({ name }) => read.has(name)), ...spelled.constants],
    input: declared,
    output: output.filter(({ name }) => outputs.includes(name)),
  });
  return { prefix, suffix, tensors };
}

const FLOAT = 1;
const CUT = 'cut:';

/** Bytes of an element. */
const WIDTH: Record<DType, number> = {
  float32: 4,
  float16: 2,
  float64: 8,
  int64: 8,
  int32: 4,
  int8: 1,
  uint8: 1,
  bool: 1,
};

/** A tensor that no item decides: `constant`, or for integers also factor · batch more than that. */
interface Known {
  readonly name: string;
  readonly constant: Constant;
  readonly factor: readonly number[] | null;
}

/** What is known of a tensor that a node makes. */
interface Fact {
  /** Where the first axis is the batch. */
  readonly item: Omit<CutTensor, 'name'> | null;
  readonly known: Known | null;
}

/** Three sizes of batch tell what depends on it, and whether along a line. */
const BATCHES = [2, 3, 5];

function survey(bytes: Uint8Array, model: OnnxModel, { trainable, shapes }: CutOptions): Map<string, Fact> {
  const loads = BATCHES.map((batch) => {
    const sized: Record<string, number[]> = {};
    for (const { name, dims } of model.inputs) {
      const rest = (shapes?.[name] ?? dims).slice(1).filter((dim) => typeof dim === 'number');
      // a size that is missing is the loader's to name
      if (dims.length === rest.length + 1) sized[name] = [batch, ...rest];
    }
    return loadGraph(bytes, { trainable, batch, shapes: sized }).values;
  });
  const facts = new Map<string, Fact>();
  const named = [...model.inputs.map(({ name }) => name), ...model.graph.node.flatMap(({ output }) => output)];
  for (const name of named) {
    const values = loads.flatMap((load) => load.get(name) ?? []);
    if (values.length === BATCHES.length) facts.set(name, { item: itemOf(values), known: knownOf(name, values) });
  }
  return facts;
}

function itemOf(values: readonly Value[]): Fact['item'] {
  const [{ shape: all, dtype }] = values;
  const shape = all.slice(1);
  const isByItem = values.every((v, i) => v.shape[0] === BATCHES[i] && sameShape(v.shape.slice(1), shape));
  return isByItem && all.length > 0 ? { dtype, shape, sizeBytes: sizeOf(shape) * WIDTH[dtype] } : null;
}

function knownOf(name: string, values: readonly Value[]): Known | null {
  const constants = values.flatMap(({ constant }) => constant ?? []);
  const [constant] = constants;
  if (constants.length < values.length || constants.some(({ shape }) => !sameShape(shape, constant.shape))) return null;
  if (constants.every(({ data }) => data.every((v, i) => v === constant.data[i])))
    return { name, constant, factor: null };
  if (constant.dtype !== 'int64') return null;
  const [p, q, r] = constants.map(numbersOf);
  const factor = p.map((v, i) => (q[i] - v) / (BATCHES[1] - BATCHES[0]));
  const offset = p.map((v, i) => v - BATCHES[0] * factor[i]);
  if (!r.every((v, i) => v === BATCHES[2] * factor[i] + offset[i])) return null;
  return { name, constant: { ...constant, data: BigInt64Array.from(offset, BigInt) }, factor };
}

/** Whether a tensor depends on one of `roots`. */
function dependents(graph: GraphProto, roots: readonly string[], isKnown: (name: string) => boolean) {
  const found = new Set(roots);
  for (const node of graph.node) {
    if (!node.input.some((name) => found.has(name))) continue;
    for (const name of node.output) if (!isKnown(name)) found.add(name);
  }
  return (name: string) => found.has(name);
}

/** The nodes that `names` need, in the file's order, up to where `isEnd`; and every name met on the way, the ends among them. */
function walk(
  graph: GraphProto,
  makers: ReadonlyMap<string, NodeProto>,
  names: readonly string[],
  isEnd: (name: string) => boolean,
): { nodes: NodeProto[]; read: string[] } {
  const read = new Set(names.filter((name) => name !== ''));
  const needed = new Set<NodeProto>();
  for (const name of read) {
    const node = isEnd(name) ? undefined : makers.get(name);
    if (!node) continue;
    needed.add(node);
    for (const input of node.input) if (input !== '') read.add(input);
  }
  return { nodes: graph.node.filter((node) => needed.has(node)), read: [...read] };
}

/** Known tensors as initializers, those that follow the batch by two nodes each, which read it from `item`. */
function spellOut(known: readonly Known[], item: string): { nodes: NodeProto[]; constants: GraphProto['initializer'] } {
  const nodes: NodeProto[] = [];
  const constants: GraphProto['initializer'] = [];
  for (const { name, constant, factor } of known) {
    const { data, shape, dtype } = constant;
    if (!factor) {
      constants.push(makeTensor(name, data, shape, dtype));
      continue;
    }
    if (nodes.length === 0) {
      constants.push(makeTensor(`${CUT}0`, BigInt64Array.of(0n), []));
      nodes.push(makeNode('Shape', [CUT + item], [`${CUT}shape`]));
      nodes.push(makeNode('Gather', [`${CUT}shape`, `${CUT}0`], [`${CUT}batch`]));
    }
    const [f, o, product] = ['factor', 'offset', 'product'].map((part) => `${name}/${part}`);
    constants.push(makeTensor(f, BigInt64Array.from(factor, BigInt), shape), makeTensor(o, data, shape));
    nodes.push(makeNode('Mul', [`${CUT}batch`, f], [product]), makeNode('Add', [product, o], [name]));
  }
  return { nodes, constants };
}

/** The model's file with these parts instead of its own. */
function written({ proto, graph }: OnnxModel, parts: Pick<GraphProto, 'node' | 'initializer' | 'input' | 'output'>) {
  Object.assign(graph, parts, { valueInfo: [] });
  return writeModel(proto);
}
