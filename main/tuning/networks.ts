/**
 * Networks that can be trained: an ONNX model from input tensors to 'logits', its weights,
 * and how it becomes a file again. Two are made from nothing (for images, for texts), one
 * is an imported encoder with low-rank adapters and a head of its own.
 */
import { mergeAdapters, type Tensors, withAdapters } from '../autodiff/index.ts';
import { assert } from '../domain/errors.ts';
import { createRng, type Rng } from '../domain/rng.ts';
import { type ImagePreparation, inputsOf } from '../inference/index.ts';
import { float, GraphBuilder, readModel, tensorData, withConstants } from '../onnx/index.ts';

export interface Network {
  /** The model that is trained. */
  model: Uint8Array;
  /** Its output that the loss is about. */
  output: string;
  /** What is trained, with the values to begin with. */
  weights: Tensors;
  /** Means and variances that batch normalisations keep, with the values to begin with; follow the batches by `MOMENTUM`. */
  statistics: Tensors;
  shapes: Readonly<Record<string, readonly number[]>>;
  /** Factors of the learning rate, by weight; 1 where none is named. */
  rates?: Readonly<Record<string, number>>;
  /** Weights that decay; the others (biases, scales) do not. */
  decays(weight: string): boolean;
  /** The trained model as a file, from weights and statistics: input tensors → 'logits'. */
  finish(values: Tensors): Uint8Array;
  /** The same network with a projection of this width in place of the head, for learning from pairs of views without labels (Chen et al. 2020). Only of networks from nothing. */
  projected?(dims: number): Network;
}

export const LOGITS = 'logits';

/** A layer of an image network: a convolution with batch normalisation and a rectifier after it, or a maximum over squares that halves both sides. */
export type Layer = { channels: number; kernel: 1 | 3 | 5; stride: 1 | 2 } | { pool: 2 | 3 };

/** What keeps activations in range: the statistics of the batch, which are folded into the convolutions at the end, or of groups of channels of each image (Wu & He 2018). */
export type Norm = 'batch' | 'group';

/** What a small network from nothing is made of. */
export interface Shape {
  layers: readonly Layer[];
  norm: Norm;
  dropout: number;
}

/** What a convolutional network looks at, and how its values are made alike before it. */
interface Seen {
  input: string;
  channels: number;
  side: number;
  /** Adds the input's preparation; only where `finished` does the file take raw values. */
  prepare(g: GraphBuilder, x: string, finished: boolean): string;
}

/** A small convolutional network from nothing, for the images of one preparation. */
export function imageNetwork(preparation: ImagePreparation, shape: Shape, classCount: number, seed: number): Network {
  const [{ name: input }] = inputsOf(preparation);
  const { channels, side } = preparation;
  const seen = { input, channels, side, prepare: (g: GraphBuilder, x: string) => standardised(g, x, channels, side) };
  return convolutional(seen, shape, classCount, seed);
}

/** Of every channel of maps: what to subtract and to multiply by. */
export interface MapScaling {
  shift: Float32Array;
  factor: Float32Array;
}

/** A small convolutional network from nothing on an encoder's maps: what the encoder sees is not learned again. It is trained on scaled maps and scales them itself when it is finished. */
export function mapNetwork(
  { channels, side }: { channels: number; side: number },
  { shift, factor }: MapScaling,
  shape: Shape,
  classCount: number,
  seed: number,
): Network {
  const prepare = (g: GraphBuilder, x: string, finished: boolean) => {
    if (!finished) return x;
    const wide = [1, channels, 1, 1];
    return g.node('Mul', [g.node('Sub', [x, g.constant(shift, wide)]), g.constant(factor, wide)]);
  };
  return convolutional({ input: 'maps', channels, side, prepare }, shape, classCount, seed);
}

/** He et al. 2015 for the weights to begin with. */
function convolutional(seen: Seen, shape: Shape, classCount: number, seed: number): Network {
  const rng = createRng(seed).derive('image network');
  const fresh = (out: number, fan: number) => normals(out * fan, Math.sqrt(2 / fan), rng);
  const asNetwork = (model: Uint8Array, output = LOGITS) => ({
    ...networkOf(model, /\/(kernel|scale|shift|weight|bias)$/, /\/(mean|variance)$/),
    output,
    finish: (values: Tensors) => convolutionalModel(seen, shape, classCount, { values }),
  });
  return {
    ...asNetwork(convolutionalModel(seen, shape, classCount, { fresh })),
    projected: (dims) =>
      asNetwork(convolutionalModel(seen, shape, classCount, { fresh, projection: dims }), PROJECTION),
  };
}

const PROJECTION = 'projection';

/** The graph to be trained, with fresh kernels; or finished, with trained values and batch normalisations folded. */
function convolutionalModel(
  seen: Seen,
  { layers, norm, dropout }: Shape,
  classCount: number,
  made: { fresh(out: number, fan: number): Float32Array; projection?: number } | { values: Tensors },
): Uint8Array {
  const g = new GraphBuilder('network');
  const { side } = seen;
  const values = 'values' in made ? made.values : null;
  let { channels } = seen;
  let x = seen.prepare(g, g.input(seen.input, 'float32', ['n', channels, side, side]), values !== null);
  layers.forEach((layer, i) => {
    if ('pool' in layer) {
      const pads = Array<number>(4).fill(layer.pool - 2);
      x = g.node('MaxPool', [x], { kernel_shape: [layer.pool, layer.pool], strides: [2, 2], pads });
      return;
    }
    const { channels: out, kernel, stride } = layer;
    const fan = channels * kernel * kernel;
    const name = (of: string) => `layer${i}/${of}`;
    const constant = (of: string, fill: number, dims = [out]) =>
      g.constant(values?.[name(of)] ?? new Float32Array(out).fill(fill), dims, name(of));
    const convolve = (weights: Float32Array, bias: Float32Array | null) =>
      g.node(
        'Conv',
        [
          x,
          g.constant(weights, [out, channels, kernel, kernel], name('kernel')),
          ...(bias ? [g.constant(bias, [out], name('bias'))] : []),
        ],
        {
          kernel_shape: [kernel, kernel],
          strides: [stride, stride],
          pads: Array<number>(4).fill((kernel - 1) / 2),
        },
      );
    if (values && norm === 'batch') {
      const { weights, bias } = folded(values, name, fan);
      x = convolve(weights, bias);
    } else {
      x = convolve('fresh' in made ? made.fresh(out, fan) : made.values[name('kernel')], null);
      if (norm === 'batch') {
        const own = [constant('scale', 1), constant('shift', 0), constant('mean', 0), constant('variance', 1)];
        x = g.node('BatchNormalization', [x, ...own], { epsilon: float(EPSILON) });
      } else {
        const wide = [out, 1, 1];
        x = g.node('Mul', [groupNormalised(g, x), constant('scale', 1, wide)]);
        x = g.node('Add', [x, constant('shift', 0, wide)]);
      }
    }
    x = g.node('Relu', [x]);
    channels = out;
  });
  let pooled = g.node('Flatten', [g.node('GlobalAveragePool', [x])]);
  if ('fresh' in made && made.projection !== undefined) {
    const layer = (x: string, to: number, name: string) =>
      g.node('Gemm', [
        x,
        g.constant(made.fresh(to, channels), [channels, to], `${name}/weight`),
        g.constant(new Float32Array(to), [to], `${name}/bias`),
      ]);
    const hidden = g.node('Relu', [layer(pooled, channels, 'hidden')]);
    g.output(PROJECTION, 'float32', ['n', made.projection], layer(hidden, made.projection, PROJECTION));
    return g.toModel();
  }
  if (!values && dropout > 0) pooled = g.node('Dropout', [pooled, g.scalar(dropout)]);
  const head = values && { weights: values['head/weight'], bias: values['head/bias'] };
  linear(g, pooled, channels, classCount, head ?? undefined);
  return g.toModel();
}

const GROUPS = 8;

/** Each of eight groups of channels to mean 0 and variance 1. */
function groupNormalised(g: GraphBuilder, x: string): string {
  const ones = g.constant(new Float32Array(GROUPS).fill(1), [GROUPS]);
  const zeros = g.constant(new Float32Array(GROUPS), [GROUPS]);
  const rows = g.node('Reshape', [x, g.ints(0, GROUPS, -1)]);
  const normal = g.node('InstanceNormalization', [rows, ones, zeros], { epsilon: float(EPSILON) });
  return g.node('Reshape', [normal, g.node('Shape', [x])]);
}

const EPSILON = 1e-5;

/** A convolution and the normalisation after it as one convolution. */
function folded(values: Tensors, name: (of: string) => string, fan: number) {
  const [kernel, scale, shift, mean, variance] = ['kernel', 'scale', 'shift', 'mean', 'variance'].map(
    (of) => values[name(of)],
  );
  const factor = scale.map((s, j) => s / Math.sqrt(variance[j] + EPSILON));
  return {
    weights: kernel.map((w, at) => w * factor[Math.floor(at / fan)]),
    bias: shift.map((b, j) => b - mean[j] * factor[j]),
  };
}

/** Each image to mean 0 and variance 1, so that exposure does not matter. */
function standardised(g: GraphBuilder, image: string, channels: number, side: number): string {
  // One plane, so that the average is over channels too.
  const plane = g.ints(-1, 1, channels * side, side);
  const average = (x: string) => g.node('GlobalAveragePool', [g.node('Reshape', [x, plane])]);
  const centred = g.node('Sub', [image, average(image)]);
  const deviation = g.node('Sqrt', [g.node('Add', [average(g.node('Mul', [centred, centred])), g.scalar(1)])]);
  return g.node('Div', [centred, deviation]);
}

/** A small text network from nothing: a number for every term and class, added up over a text's terms as the encoder weighs them; all zero to begin with. What single terms say is what the encoder's few dimensions may have lost. Takes the encoder's 'term_rows' and 'term_weights'. */
export function textNetwork(terms: number, classCount: number): Network {
  const g = new GraphBuilder('network');
  const rows = g.input('term_rows', 'int64', ['n', 'terms']);
  const weights = g.input('term_weights', 'float32', ['n', 'terms']);
  const table = g.constant(new Float32Array(terms * classCount), [terms, classCount], 'terms/table');
  const bias = g.constant(new Float32Array(classCount), [classCount], 'terms/bias');
  const summed = g.node('MatMul', [g.node('Unsqueeze', [weights, g.ints(1)]), g.node('Gather', [table, rows])]);
  const logits = g.node('Add', [g.node('Squeeze', [summed, g.ints(1)]), bias]);
  g.output(LOGITS, 'float32', ['n', classCount], logits);
  return networkOf(g.toModel(), /\/(table|bias)$/, null);
}

/** What an adapted encoder is made of. */
export interface AdapterPlan {
  rank: number;
  alpha: number;
  /** Factor of the learning rate for the head. */
  headRate: number;
}

/** An imported encoder with low-rank adapters and a head that begins as `head`: logits = x W + b on its output 'embedding'. */
export function adaptedNetwork(
  encoder: Uint8Array,
  head: { weights: Float32Array; bias: Float32Array },
  plan: AdapterPlan,
  seed: number,
): Network {
  const { inputs, opset, metadata } = readModel(encoder);
  const g = new GraphBuilder('network', { opset });
  const feeds = Object.fromEntries(
    inputs.map(({ name, dtype, dims }) => {
      assert(dtype !== 'other', `a tensor type for “${name}”`);
      return [name, g.input(name, dtype, dims)];
    }),
  );
  const { embedding } = g.inline(encoder, feeds, ['embedding']);
  const classCount = head.bias.length;
  linear(g, embedding, head.weights.length / classCount, classCount, head);
  const whole = g.toModel(metadata);
  const adapterOptions = {
    rank: plan.rank,
    alpha: plan.alpha,
    targets: (weight: string) => !weight.startsWith('head/'),
  };
  const { model, trainable } = withAdapters(whole, { ...adapterOptions, seed });
  const names = new Set([...trainable, 'head/weight', 'head/bias']);
  const network = networkOf(model, (name) => names.has(name), null);
  return {
    ...network,
    rates: { 'head/weight': plan.headRate, 'head/bias': plan.headRate },
    finish: (weights) =>
      withConstants(mergeAdapters(whole, weights, adapterOptions), {
        'head/weight': weights['head/weight'],
        'head/bias': weights['head/bias'],
      }),
  };
}

/** The output layer; zeros to begin with, so that the first steps do not unlearn a random guess. */
function linear(
  g: GraphBuilder,
  x: string,
  from: number,
  to: number,
  head: { weights: Float32Array; bias: Float32Array } = {
    weights: new Float32Array(from * to),
    bias: new Float32Array(to),
  },
): void {
  const weight = g.constant(head.weights, [from, to], 'head/weight');
  g.output(LOGITS, 'float32', ['n', to], g.node('Gemm', [x, weight, g.constant(head.bias, [to], 'head/bias')]));
}

/** A network whose trained weights and statistics are the constants of these names. */
function networkOf(
  model: Uint8Array,
  trained: RegExp | ((name: string) => boolean),
  statistics: RegExp | null,
): Network {
  const { graph } = readModel(model);
  const isTrained = typeof trained === 'function' ? trained : (name: string) => trained.test(name);
  const constants = (wanted: (name: string) => boolean) =>
    graph.initializer.filter(({ name }) => wanted(name)).map((t) => [t.name, t] as const);
  const values = (wanted: (name: string) => boolean): Tensors =>
    Object.fromEntries(constants(wanted).map(([name, t]) => [name, Float32Array.from(tensorData(t) as Float32Array)]));
  const isStatistic = (name: string) => statistics?.test(name) ?? false;
  const shapes = Object.fromEntries(
    constants((name) => isTrained(name) || isStatistic(name)).map(([name, t]) => [name, t.dims.map(Number)]),
  );
  return {
    model,
    output: LOGITS,
    weights: values(isTrained),
    statistics: values(isStatistic),
    shapes,
    decays: (name) => !/\/(scale|shift|bias)$/.test(name),
    finish: (values) => withConstants(model, values),
  };
}

function normals(size: number, deviation: number, rng: Rng): Float32Array {
  return Float32Array.from({ length: size }, () => deviation * rng.normal());
}
