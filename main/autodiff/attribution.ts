/**
 * The graphs behind explanations. What is explained is the log odds of a class
 * against all others, which still moves where the probability is saturated. A version's file
 * becomes a model that gives log odds, and one that gives their gradients at a seam inside:
 * at the feature maps of an image (Selvaraju et al. 2017), or where token ids become vectors
 * (Sundararajan et al. 2017). Nothing here runs a model.
 */
import { assert } from '../domain/errors.ts';
import { type DType, GraphBuilder, makeValueInfo, type OnnxModel, readModel, writeModel } from '../onnx/index.ts';
import { gradients } from './backward.ts';
import { loadGraph } from './load.ts';
import type { Value } from './ir.ts';

/** Names of the log odds model's additional input (`[1, c]`, 1 at the class asked about) and of its output `[n]`. */
export const ASKED = 'asked';
export const LOG_ODDS = 'log_odds';

/** Names in the model that gives evidence. */
export const ALONG = 'along';
export const WEIGHTS = 'weights';
export const FROM = 'from:';
export const TO = 'to:';
export const EVIDENCE = 'evidence:';

/** A place inside a version where gradients are taken. */
export interface Seam {
  /** The values there: every path from the input leads through one of them. */
  readonly at: readonly string[];
  /** Values beside it that are needed after it too: what other inputs give, such as the features of a text beside an image, or a mask. */
  readonly held: readonly string[];
  /** How many matrix products and convolutions come after it. */
  readonly productsAfter: number;
}

type Graph = OnnxModel['graph'];
type NodeProto = Graph['node'][number];

/** Operators after which what was at a place of the image is still at that place. */
const PLACED = new Set(
  (
    'Conv ConvTranspose MaxPool AveragePool LpPool BatchNormalization InstanceNormalization GroupNormalization Resize ' +
    'Pad Concat Dropout Identity Cast Add Sub Mul Div Pow Max Min Sum Abs Neg Sqrt Exp Log Erf Relu LeakyRelu PRelu ' +
    'Elu Celu Selu Gelu Clip Sigmoid HardSigmoid HardSwish Mish Softplus Softsign Tanh'
  ).split(' '),
);
const PRODUCTS = new Set(['Conv', 'Gemm', 'MatMul', 'Einsum']);
/** Operators that make a feature map of a picture. */
const MAPPING = new Set(['Conv', 'MaxPool', 'AveragePool']);
/** Operators that leave a list of ids one. */
const KEEPING = new Set(['Cast', 'Identity', 'Reshape', 'Clip']);

/** Where an image is last seen as feature maps; the image itself where some path has none. */
export function imageSeam(version: Uint8Array, image = 'image'): Seam {
  const { graph } = readModel(version);
  const pictures = new Set([image]);
  const maps = new Set<string>();
  for (const { opType, input, output } of graph.node) {
    const fromPicture = input.some((name) => pictures.has(name));
    const fromMap = input.some((name) => maps.has(name));
    if ((fromMap && PLACED.has(opType)) || (fromPicture && MAPPING.has(opType))) maps.add(output[0]);
    else if (fromPicture && (PLACED.has(opType) || opType === 'Transpose')) pictures.add(output[0]);
  }
  const seam = seamAt(graph, [image], (name) => maps.has(name));
  return seam ?? seamAt(graph, [image], (name) => name === image)!;
}

/** Where the ids of `inputs[0]` become vectors, looked up in a table of floats; null where they do not. The other inputs belong to the same text. */
export function tokenSeam(version: Uint8Array, inputs = ['text_tokens', 'text_mask']): Seam | null {
  const { graph } = readModel(version);
  const ids = new Set(inputs.slice(0, 1));
  const tables = new Set(graph.initializer.filter(({ dims }) => dims.length === 2).map(({ name }) => name));
  const vectors = new Set<string>();
  for (const { opType, input, output } of graph.node) {
    if (opType === 'Gather' && tables.has(input[0]) && ids.has(input[1])) vectors.add(output[0]);
    if (!KEEPING.has(opType)) continue;
    if (ids.has(input[0])) ids.add(output[0]);
    if (tables.has(input[0])) tables.add(output[0]);
  }
  if (vectors.size === 0) return null;
  // a mask made of the ids themselves goes its own way
  return seamAt(graph, inputs, (name) => vectors.has(name), true);
}

/** The last values that are `inside`, on every path from the inputs to the result; null where a path has none, unless others are `allowed`. */
function seamAt(
  graph: Graph,
  inputs: readonly string[],
  inside: (name: string) => boolean,
  allowed = false,
): Seam | null {
  const own = reachedFrom(graph, inputs);
  const fed = reachedFrom(
    graph,
    graph.input.map(({ name }) => name),
  );
  const makers = makersOf(graph);
  const at = new Set<string>();
  const held = new Set<string>();
  const seen = new Set<string>();
  const visit = [graph.output[0].name];
  let productsAfter = 0;
  for (let name = visit.pop(); name !== undefined; name = visit.pop()) {
    if (seen.has(name) || !fed.has(name)) continue;
    seen.add(name);
    const node = makers.get(name);
    if (!own.has(name)) held.add(name);
    else if (inside(name)) at.add(name);
    else if (node) {
      if (PRODUCTS.has(node.opType)) productsAfter++;
      visit.push(...node.input);
    } else if (allowed) held.add(name);
    else return null;
  }
  return at.size === 0 ? null : { at: [...at].reverse(), held: [...held], productsAfter };
}

/**
 * A version that gives log odds instead of probabilities: its own inputs and `asked` →
 * `log_odds`, and the values of seams. For one class of many they are log p / (1 − p)
 * without taking p: z − log Σ exp z of the others.
 */
export function logOddsModel(version: Uint8Array, seams: readonly Seam[] = []): Uint8Array {
  const { inputs, opset, metadata } = readModel(version);
  const g = new GraphBuilder('log odds', { opset });
  const feeds: Record<string, string> = {};
  for (const { name, dtype, dims } of inputs) {
    assert(dtype !== 'other', `a tensor type for “${name}”`);
    feeds[name] = g.input(name, dtype, dims);
  }
  const inner = [...new Set(seams.flatMap(({ at, held }) => [...at, ...held]))].filter((name) => !(name in feeds));
  const found = addLogOdds(g, version, feeds, inner);
  // ONNX Runtime infers their shapes
  for (const name of inner) g.output(name, 'float32', [], found[name]);
  return g.toModel(metadata);
}

/** What a gradient is taken of, and what is made of it. */
export interface EvidenceOptions {
  /** Shapes of the seam's values and those beside it; along a path the former are for one item, the latter for each point. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Points of a path that go through the model at once; 0: the gradient where the item is. */
  readonly points: number;
}

/**
 * The model that says what each place of a seam has to do with the log odds, as `evidence:NAME`
 * in the value's shape but for channels, or the width of a token's vector, which are summed.
 * With points, integrated gradients: inputs `from:NAME` and `to:NAME`, `along` (how far each
 * point is on the path, in as many axes as the values) and `weights`; evidence of several
 * runs is added up. Without, Grad-CAM: activation times mean gradient. Errors: `encoder-invalid`
 * for an operator without derivative, naming it.
 */
export function evidenceModel(version: Uint8Array, seam: Seam, { shapes, points }: EvidenceOptions): Uint8Array {
  const rest = startingAt(version, seam);
  const { inputs: own, opset } = readModel(rest);
  const g = new GraphBuilder('evidence', { opset });
  const inputShapes: Record<string, readonly number[]> = {};
  const input = (name: string, dtype: DType, shape: readonly number[]) => {
    inputShapes[name] = shape;
    return g.input(name, dtype, shape);
  };
  const rank = shapes[seam.at[0]].length;
  const along = points > 0 ? input(ALONG, 'float32', [points, ...Array<number>(rank - 1).fill(1)]) : null;
  const feeds: Record<string, string> = {};
  for (const { name, dtype } of own) {
    assert(dtype !== 'other', `a tensor type for “${name}”`);
    if (along && seam.at.includes(name)) {
      const [from, to] = [FROM, TO].map((end) => input(end + name, 'float32', shapes[name]));
      feeds[name] = g.node('Add', [from, g.node('Mul', [along, g.node('Sub', [to, from])])]);
    } else feeds[name] = input(name, dtype, shapes[name]);
  }
  addLogOdds(g, rest, feeds, []);
  const { graph, inputs, outputs } = loadGraph(g.toModel(), { trainable: [], shapes: inputShapes });
  const odds = outputs.get(LOG_ODDS)!;
  const all = (value: Value) => graph.sum(value, [...value.shape.keys()]);
  const value = (name: string) => inputs.get(name)!;
  const axis = rank === 3 ? 2 : 1;
  if (points === 0) {
    gradients(graph, all(odds), seam.at.map(value)).forEach((slope, i) => {
      const weights = rank === 4 ? graph.mean(slope, [2, 3], true) : slope;
      graph.output(EVIDENCE + seam.at[i], graph.sum(graph.mul(value(seam.at[i]), weights), [axis]));
    });
    return graph.toModel();
  }
  const loss = all(graph.mul(odds, graph.input(WEIGHTS, [points])));
  const ends = seam.at.flatMap((name) => [value(FROM + name), value(TO + name)]);
  const slopes = gradients(graph, loss, ends);
  seam.at.forEach((name, i) => {
    // a point is (1 − t)·from + t·to: the gradients at both ends add up to that at the point
    const slope = graph.plus(slopes[2 * i], slopes[2 * i + 1]);
    const moved = graph.minus(ends[2 * i + 1], ends[2 * i]);
    graph.output(EVIDENCE + name, graph.sum(graph.mul(moved, slope), [axis]));
  });
  return graph.toModel();
}

/** Adds a version and its log odds to a graph, as the output `log_odds`; gives the inner values asked for. */
function addLogOdds(
  g: GraphBuilder,
  version: Uint8Array,
  feeds: Record<string, string>,
  inner: readonly string[],
): Record<string, string> {
  const { graph, outputs, metadata } = readModel(version);
  const classes = outputs[0].dims[1];
  assert(typeof classes === 'number', 'a known number of classes', classes);
  const asked = g.input(ASKED, 'float32', [1, classes]);
  const { name: scores, op } = scoresOf(graph);
  const found = g.inline(version, feeds, [scores, ...inner]);
  const exclusive = op === 'Softmax' || (op === null && metadata.task !== 'classify-many');
  let z = found[scores];
  if (op === null) {
    // probabilities made otherwise, as the mean of several models
    const log = (p: string) => g.node('Log', [g.node('Add', [p, g.scalar(1e-7)])]);
    z = exclusive ? log(z) : g.node('Sub', [log(z), log(g.node('Sub', [g.scalar(1), z]))]);
  }
  let odds = g.node('ReduceSum', [g.node('Mul', [z, asked]), g.ints(1)], { keepdims: 0 });
  if (exclusive && classes > 1) {
    const others = g.node('Sub', [z, g.node('Mul', [asked, g.scalar(1e9)])]);
    const together =
      g.opset >= 18
        ? g.node('ReduceLogSumExp', [others, g.ints(1)], { keepdims: 0 })
        : g.node('ReduceLogSumExp', [others], { axes: [1], keepdims: 0 });
    odds = g.node('Sub', [odds, together]);
  }
  g.output(LOG_ODDS, 'float32', ['n'], odds);
  return found;
}

/** The rest of a model from a seam on, whose values become inputs; what nothing needs any more is gone. */
function startingAt(version: Uint8Array, { at, held }: Seam): Uint8Array {
  const { proto, graph } = readModel(version);
  const makers = makersOf(graph);
  const cut = new Set([...at, ...held]);
  const needed = new Set<string>();
  const visit = [graph.output[0].name];
  for (let name = visit.pop(); name !== undefined; name = visit.pop()) {
    if (needed.has(name)) continue;
    needed.add(name);
    if (!cut.has(name)) visit.push(...(makers.get(name)?.input ?? []));
  }
  const given = new Set(graph.input.map(({ name }) => name));
  graph.node = graph.node.filter(({ output }) => output.some((name) => needed.has(name) && !cut.has(name)));
  graph.input = graph.input.filter(({ name }) => needed.has(name));
  for (const name of cut) if (!given.has(name)) graph.input.push(makeValueInfo(name, 'float32', []));
  return writeModel(proto);
}

function makersOf(graph: Graph): Map<string, NodeProto> {
  return new Map(graph.node.flatMap((node) => node.output.map((name) => [name, node] as const)));
}

/** The names, and all that is computed from them. */
function reachedFrom(graph: Graph, names: readonly string[]): Set<string> {
  const reached = new Set(names);
  for (const { input, output } of graph.node) {
    if (input.some((name) => reached.has(name))) for (const name of output) reached.add(name);
  }
  return reached;
}

/** What probabilities are made of: the scores before the last softmax or sigmoid, or the probabilities themselves. */
function scoresOf(graph: Graph): { name: string; op: 'Softmax' | 'Sigmoid' | null } {
  const makers = makersOf(graph);
  let { name } = graph.output[0];
  for (;;) {
    const node = makers.get(name);
    if (node?.opType === 'Softmax' || node?.opType === 'Sigmoid') return { name: node.input[0], op: node.opType };
    if (node?.opType !== 'Identity') return { name: graph.output[0].name, op: null };
    name = node.input[0];
  }
}
