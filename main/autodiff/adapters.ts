/**
 * Low-rank adapters (LoRA, Hu et al. 2021): beside a frozen weight W an activation also takes
 * the path x·A·B, with A and B of rank r, and only these are trained. The path is ordinary
 * nodes beside the product, so no gradient of the size of W is ever formed. Merged back,
 * W + (α/r)·A·B is the original model with other numbers in it and nothing else.
 *
 * A is drawn from a Gaussian of variance 1/fan-in and B is zero, so that an adapted model
 * starts as the model it was. Both lie as their weight does: where W is `[in, out]` they are
 * `[in, r]` and `[r, out]`, where it is `[out, in]` (and kernels 1 × 1) `[r, in]` and `[out, r]`.
 */
import { assert, EngineError } from '../domain/errors.ts';
import { createRng } from '../domain/rng.ts';
import {
  type Attribute,
  dtypeOf,
  float,
  makeNode,
  makeTensor,
  type OnnxModel,
  readModel,
  tensorData,
  writeModel,
} from '../onnx/index.ts';
import type { Tensors } from './optimizers.ts';

type NodeProto = OnnxModel['graph']['node'][number];
type TensorProto = OnnxModel['graph']['initializer'][number];

export interface AdapterOptions {
  /** Columns of A, rows of B. */
  readonly rank: number;
  /** The path is scaled by α / rank; default: α = rank. */
  readonly alpha?: number;
  /** Weights to adapt, by name or by choice; default: every one that can be. A name that cannot be adapted is refused. */
  readonly targets?: readonly string[] | ((weight: string) => boolean);
  /** Part of the path's inputs that is dropped while training, where the training graph asks for `dropout`. */
  readonly dropout?: number;
}

/** A weight that can be adapted, and the products it is a factor of. */
interface Target {
  readonly name: string;
  readonly dims: readonly number[];
  /** Whether it lies `[out, in]`. */
  readonly outFirst: boolean;
  readonly uses: readonly NodeProto[];
  /** Its name, and those that copies of it go by. */
  readonly spellings: ReadonlySet<string>;
}

const A = '/lora_a';
const B = '/lora_b';
const SCALE = '/lora_scale';
const DROPOUT = '/lora_dropout';

/** The model with adapters, and the names of what is to be trained. Errors: `encoder-invalid` for weights that cannot be adapted, by name. */
export function withAdapters(
  bytes: Uint8Array,
  options: AdapterOptions & { readonly seed: number },
): { model: Uint8Array; trainable: string[] } {
  const model = readModel(bytes);
  const { graph } = model;
  const targets = chosen(model, options);
  const rng = createRng(options.seed);
  const paths = new Map<NodeProto, NodeProto[]>();
  const trainable: string[] = [];
  for (const target of targets) {
    const { name, dims, outFirst, uses } = target;
    const [fanIn, fanOut] = outFirst ? [dims[1], dims[0]] : dims;
    const ones = dims.slice(2);
    const draw = rng.derive(name);
    const first = Float32Array.from({ length: fanIn * options.rank }, () => draw.normal() / Math.sqrt(fanIn));
    const second = new Float32Array(options.rank * fanOut);
    const shape = (rows: number, columns: number) => [...(outFirst ? [columns, rows] : [rows, columns]), ...ones];
    graph.initializer.push(
      makeTensor(name + A, first, shape(fanIn, options.rank)),
      makeTensor(name + B, second, shape(options.rank, fanOut)),
      makeTensor(name + SCALE, Float32Array.of(scaleOf(options)), []),
    );
    if (options.dropout) graph.initializer.push(makeTensor(name + DROPOUT, Float32Array.of(options.dropout), []));
    trainable.push(name + A, name + B);
    for (const use of uses) paths.set(use, besides(use, target, options));
  }
  graph.node = graph.node.flatMap((node) => [node, ...(paths.get(node) ?? [])]);
  return { model: writeModel(model.proto), trainable };
}

/**
 * The original model with the adapters' effect written into its weights. `values` holds the
 * trained tensors by the names that `withAdapters` gave; others in it are passed over.
 */
export function mergeAdapters(bytes: Uint8Array, values: Tensors, options: AdapterOptions): Uint8Array {
  const model = readModel(bytes);
  const scale = scaleOf(options);
  const adapted = new Set(
    Object.keys(values)
      .filter((name) => name.endsWith(A))
      .map((name) => name.slice(0, -A.length)),
  );
  for (const { name, dims, outFirst } of chosen(model, { ...options, targets: [...adapted] })) {
    const at = model.graph.initializer.findIndex((tensor) => tensor.name === name);
    const weight = tensorData(model.graph.initializer[at]) as Float32Array;
    const [left, right] = outFirst ? [values[name + B], values[name + A]] : [values[name + A], values[name + B]];
    const [rows, columns] = dims;
    const { rank } = options;
    assert(left?.length === rows * rank && right?.length === rank * columns, `“${name}” with adapters of rank ${rank}`);
    const sum = new Float64Array(columns);
    for (let i = 0; i < rows; i++) {
      sum.fill(0);
      for (let k = 0; k < rank; k++) {
        const factor = left[i * rank + k];
        for (let j = 0; j < columns; j++) sum[j] += factor * right[k * columns + j];
      }
      for (let j = 0; j < columns; j++) weight[i * columns + j] += scale * sum[j];
    }
    model.graph.initializer[at] = makeTensor(name, weight, dims);
  }
  return writeModel(model.proto);
}

function scaleOf({ rank, alpha = rank }: AdapterOptions): number {
  assert(Number.isInteger(rank) && rank > 0, 'a whole rank above 0', rank);
  return alpha / rank;
}

/**
 * Puts the path beside one product and gives its nodes: the same product by A, then by B.
 * The product keeps its place but for its output, which the path is added to.
 */
function besides(node: NodeProto, { name, spellings }: Target, options: AdapterOptions): NodeProto[] {
  const [out] = node.output;
  const base = `${out}/frozen`;
  const at = (stage: string) => `${out}/lora/${stage}`;
  node.output[0] = base;
  const weightSide = spellings.has(node.input[1]) ? 1 : 0;
  const product = (by: string, x: string, to: string, attributes: Record<string, Attribute>) =>
    makeNode(node.opType, weightSide === 1 ? [x, by] : [by, x], [to], attributes);
  const nodes: NodeProto[] = [];
  let x = node.input[1 - weightSide];
  if (options.dropout) {
    nodes.push(makeNode('Dropout', [x, name + DROPOUT], [at('dropped')]));
    x = at('dropped');
  }
  const transB = intOf(node, 'transB', 0);
  const isGemm = node.opType === 'Gemm';
  const inward = product(name + A, x, at('inward'), isGemm ? { transA: intOf(node, 'transA', 0), transB } : {});
  // strides and padding are the inward convolution's
  if (node.opType === 'Conv') inward.attribute = node.attribute;
  const sum = makeNode('Add', [base, at('outward')], [out]);
  sum.name = at('sum'); // the product may be called what its output was
  const alpha = node.attribute.find((attribute) => attribute.name === 'alpha')?.f ?? 1;
  nodes.push(
    inward,
    makeNode('Mul', [at('inward'), name + SCALE], [at('scaled')]),
    product(name + B, at('scaled'), at('outward'), isGemm ? { transB, alpha: float(alpha) } : {}),
    sum,
  );
  return nodes;
}

/** The weights to adapt, in the file's order. */
function chosen(model: OnnxModel, { targets }: AdapterOptions): Target[] {
  const { graph } = model;
  const named = typeof targets === 'object' ? new Set(targets) : null;
  for (const name of named ?? [])
    if (!graph.initializer.some((tensor) => tensor.name === name)) throw refused(name, 'is no weight of the model');
  const readers = new Map<string, NodeProto[]>();
  for (const node of graph.node) for (const name of node.input) readers.set(name, [...(readers.get(name) ?? []), node]);
  const found: Target[] = [];
  for (const tensor of graph.initializer) {
    const { name } = tensor;
    if (named ? !named.has(name) : typeof targets === 'function' && !targets(name)) continue;
    const target = asTarget(tensor, readers);
    if (typeof target === 'object') found.push(target);
    else if (named) throw refused(name, target);
  }
  if (found.length > 0 || named?.size === 0) return found;
  throw new EngineError(
    'encoder-invalid',
    'The model has no weight that an adapter could be put beside.',
    'Choose a model with float32 weights in matrix products or 1 × 1 convolutions.',
  );
}

function refused(name: string, why: string): EngineError {
  return new EngineError(
    'encoder-invalid',
    `“${name}” cannot be adapted: it ${why}.`,
    'Choose float32 weights of matrix products or 1 × 1 convolutions.',
    { tensor: name },
  );
}

/** The weight as something to adapt, or why it is not. */
function asTarget(tensor: TensorProto, readers: ReadonlyMap<string, readonly NodeProto[]>): Target | string {
  const dtype = dtypeOf(tensor.dataType);
  if (dtype !== 'float32') return `holds ${dtype === 'other' ? 'numbers of another type' : dtype}, not float32`;
  const dims = tensor.dims.map(Number);
  // exporters share equal weights through Identity
  const spellings = new Set([tensor.name]);
  const uses = new Set<NodeProto>();
  for (const name of spellings)
    for (const node of readers.get(name) ?? [])
      if (node.opType === 'Identity') spellings.add(node.output[0]);
      else uses.add(node);
  const sides = [...uses].map((node) => outFirstIn(node, spellings, dims));
  const other = [...uses][sides.indexOf(null)];
  if (other)
    return `is read by “${other.name || other.output[0]}” (${other.opType}), which is no product that is adapted`;
  if (sides.length === 0) return 'is read by no product';
  if (sides.includes(!sides[0])) return 'is multiplied both as it is and transposed';
  return { name: tensor.name, dims, outFirst: sides[0] === true, uses: [...uses], spellings };
}

/** Whether this product reads the weight as `[out, in]`; null where it is none that is adapted. */
function outFirstIn(node: NodeProto, names: ReadonlySet<string>, dims: readonly number[]): boolean | null {
  const [left, right] = node.input.map((name) => names.has(name));
  if (left === right || node.input.slice(2).some((name) => names.has(name))) return null;
  if (node.opType === 'MatMul') return dims.length === 2 ? left : null;
  if (left) return null;
  if (node.opType === 'Gemm') return intOf(node, 'transB', 0) === 1;
  const isPointwise = dims.length > 2 && dims.slice(2).every((k) => k === 1) && intOf(node, 'group', 1) === 1;
  return node.opType === 'Conv' && isPointwise ? true : null;
}

function intOf(node: NodeProto, name: string, otherwise: number): number {
  const attribute = node.attribute.find((one) => one.name === name);
  return attribute ? Number(attribute.i) : otherwise;
}
