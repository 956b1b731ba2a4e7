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
}

export const LOGITS = 'logits';

/** One convolution of an image network, with batch normalisation and a rectifier after it; 'pool' halves both sides by their maximum. */
export type Layer = { channels: number; kernel: 3 | 5; stride: 1 | 2 } | 'pool';

/** A small convolutional network from nothing, for the images of one preparation. He et al. 2015 for the weights to begin with; Ioffe & Szegedy 2015 for the normalisation, which is folded into the convolutions when it is finished. */
export function imageNetwork(
  preparation: ImagePreparation,
  layers: readonly Layer[],
  classCount: number,
  seed: number,
): Network {
  const rng = createRng(seed).derive('image network');
  const model = imageModel(preparation, layers, classCount, ({ out, fan }) =>
    normals(out * fan, Math.sqrt(2 / fan), rng),
  );
  return {
    ...networkOf(model, /\/(kernel|scale|shift|weight|bias)$/, /\/(mean|variance)$/),
    finish: (values) => imageModel(preparation, layers, classCount, null, values),
  };
}

/** The graph with batch normalisations and fresh kernels, or with `values` and the normalisations folded. */
function imageModel(
  preparation: ImagePreparation,
  layers: readonly Layer[],
  classCount: number,
  fresh: ((kernel: { out: number; fan: number }) => Float32Array) | null,
  values?: Tensors,
): Uint8Array {
  const g = new GraphBuilder('network');
  const [input] = inputsOf(preparation).map(({ name, dtype, dims }) => g.input(name, dtype, dims));
  let x = standardised(g, input, preparation);
  let channels: number = preparation.channels;
  layers.forEach((layer, i) => {
    if (layer === 'pool') {
      x = g.node('MaxPool', [x], { kernel_shape: [2, 2], strides: [2, 2] });
      return;
    }
    const { channels: out, kernel, stride } = layer;
    const fan = channels * kernel * kernel;
    const pad = (kernel - 1) / 2;
    const convolve = (...weights: string[]) =>
      g.node('Conv', [x, ...weights], {
        kernel_shape: [kernel, kernel],
        strides: [stride, stride],
        pads: [pad, pad, pad, pad],
      });
    const shape = [out, channels, kernel, kernel];
    if (fresh) {
      const constant = (name: string, value: number) =>
        g.constant(new Float32Array(out).fill(value), [out], `layer${i}/${name}`);
      const convolved = convolve(g.constant(fresh({ out, fan }), shape, `layer${i}/kernel`));
      const own = [constant('scale', 1), constant('shift', 0), constant('mean', 0), constant('variance', 1)];
      x = g.node('BatchNormalization', [convolved, ...own], { epsilon: float(EPSILON) });
    } else {
      const [weights, scale, shift, mean, variance] = ['kernel', 'scale', 'shift', 'mean', 'variance'].map(
        (name) => values![`layer${i}/${name}`],
      );
      const factor = scale.map((s, j) => s / Math.sqrt(variance[j] + EPSILON));
      const folded = weights.map((w, at) => w * factor[Math.floor(at / fan)]);
      const bias = shift.map((b, j) => b - mean[j] * factor[j]);
      x = convolve(g.constant(folded, shape, `layer${i}/kernel`), g.constant(bias, [out], `layer${i}/bias`));
    }
    x = g.node('Relu', [x]);
    channels = out;
  });
  const pooled = g.node('Flatten', [g.node('GlobalAveragePool', [x])]);
  const head = values && { weights: values['head/weight'], bias: values['head/bias'] };
  linear(g, pooled, channels, classCount, head);
  return g.toModel();
}

const EPSILON = 1e-5;

/** Each image to mean 0 and variance 1, so that exposure does not matter. */
function standardised(g: GraphBuilder, image: string, { channels, side }: ImagePreparation): string {
  // One plane, so that the average is over channels too.
  const average = (x: string) =>
    g.node('GlobalAveragePool', [g.node('Reshape', [x, g.ints(-1, 1, channels * side, side)])]);
  const centred = g.node('Sub', [image, average(image)]);
  const deviation = g.node('Sqrt', [g.node('Add', [average(g.node('Mul', [centred, centred])), g.scalar(1)])]);
  return g.node('Div', [centred, deviation]);
}

/** A small text network from nothing: the mean of learned vectors of a text's terms, weighted as the encoder weighs them, then one hidden layer (after Joulin et al. 2017). Takes the encoder's 'term_rows' and 'term_weights'. */
export function textNetwork(terms: number, dims: number, classCount: number, seed: number): Network {
  const rng = createRng(seed).derive('text network');
  const g = new GraphBuilder('network');
  const rows = g.input('term_rows', 'int64', ['n', 'terms']);
  const weights = g.input('term_weights', 'float32', ['n', 'terms']);
  const table = g.constant(normals(terms * dims, 1 / Math.sqrt(dims), rng), [terms, dims], 'words/table');
  const summed = g.node('MatMul', [g.node('Unsqueeze', [weights, g.ints(1)]), g.node('Gather', [table, rows])]);
  const text = g.node('Squeeze', [summed, g.ints(1)]);
  const hidden = g.constant(normals(dims * dims, Math.sqrt(2 / dims), rng), [dims, dims], 'hidden/weight');
  const bias = g.constant(new Float32Array(dims), [dims], 'hidden/bias');
  linear(g, g.node('Relu', [g.node('Gemm', [text, hidden, bias])]), dims, classCount);
  return networkOf(g.toModel(), /\/(table|weight|bias)$/, null);
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
    decays: (name) => shapes[name].length > 1,
    finish: (values) => withConstants(model, values),
  };
}

function normals(size: number, deviation: number, rng: Rng): Float32Array {
  return Float32Array.from({ length: size }, () => deviation * rng.normal());
}
