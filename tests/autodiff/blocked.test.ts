/**
 * The blocked layout against the plain one: the same graph is written both ways and run by
 * ONNX Runtime, and outputs and derivatives must agree. The plain one is held to differences
 * by the table's tests. Skipped where the processor has no blocks.
 */
import { describe, expect, test } from 'vitest';
import { Graph, gradients, TARGET, trainingGraph } from '../../main/autodiff/index.ts';
import { createRng } from '../../main/domain/rng.ts';
import { blockSize } from '../../main/inference/index.ts';
import { float, GraphBuilder } from '../../main/onnx/index.ts';
import { opened, type Value } from './numeric.ts';

type Build = (g: Graph, x: (shape: readonly number[]) => Value) => Value;
type Attributes = NonNullable<Parameters<Graph['op']>[2]>;

const block = await blockSize();

/** A convolution of [n, channels, size…] by a kernel [out, channels / group, …], with bias. */
const conv =
  (input: readonly number[], kernel: readonly number[], attributes: Attributes = {}): Build =>
  (g, x) =>
    g.op('Conv', [x(input), x(kernel), x([kernel[0]])], { kernel_shape: kernel.slice(2), ...attributes });

const transposed =
  (input: readonly number[], kernel: readonly number[], attributes: Attributes = {}): Build =>
  (g, x) =>
    g.op('ConvTranspose', [x(input), x(kernel)], attributes);

/** What comes after a convolution to 32 channels. */
const after =
  (rest: (g: Graph, v: Value, x: (shape: readonly number[]) => Value) => Value, channels = 32): Build =>
  (g, x) =>
    rest(g, g.op('Conv', [x([16, 3, 7, 6]), x([channels, 3, 3, 3])], { pads: [1, 1, 1, 1] }), x);

const SAME = { pads: [1, 1, 1, 1] };
const HALF = { pads: [1, 1, 1, 1], strides: [2, 2] };

const CASES: Record<string, Build> = {
  'few channels to many': conv([16, 3, 7, 6], [32, 3, 3, 3], SAME),
  'whole blocks': conv([16, 32, 5, 6], [48, 32, 3, 3], SAME),
  'blocks partly empty': conv([16, 20, 5, 5], [24, 20, 3, 3], SAME),
  'channels that are no multiple of four': conv([16, 18, 4, 4], [7, 18, 3, 3], SAME),
  strides: conv([16, 16, 7, 6], [32, 16, 3, 3], HALF),
  'strides that leave a rest': conv([16, 16, 8, 8], [16, 16, 2, 3], { strides: [3, 2] }),
  'a patch': conv([16, 3, 8, 8], [16, 3, 4, 4], { strides: [4, 4] }),
  'a large kernel': conv([16, 3, 12, 12], [16, 3, 7, 7], { pads: [3, 3, 3, 3], strides: [2, 2] }),
  'one by one, by strides': conv([16, 32, 6, 6], [16, 32, 1, 1], { strides: [2, 2] }),
  'one by one': conv([16, 20, 6, 5], [32, 20, 1, 1]),
  'one by one, two blocks of images': conv([32, 16, 3, 5], [32, 16, 1, 1]),
  dilations: conv([16, 16, 8, 8], [16, 16, 3, 3], { pads: [2, 2, 2, 2], dilations: [2, 2] }),
  'dilations and strides': conv([16, 16, 9, 9], [16, 16, 3, 3], {
    pads: [2, 2, 2, 2],
    dilations: [2, 2],
    strides: [2, 2],
  }),
  'more padding than kernel': conv([16, 16, 3, 3], [16, 16, 2, 2], { pads: [2, 2, 2, 2] }),
  'padding on one side': conv([16, 16, 6, 6], [16, 16, 3, 3], { pads: [0, 1, 2, 1], strides: [2, 2] }),
  'few images': conv([5, 16, 6, 6], [32, 16, 3, 3], HALF),
  'a batch that is no whole block': conv([20, 16, 6, 6], [32, 16, 3, 3], HALF),
  'two blocks of images': conv([32, 16, 4, 4], [16, 16, 3, 3], SAME),
  'one channel at a time': conv([4, 32, 6, 6], [32, 1, 3, 3], { ...SAME, group: 32 }),
  'one channel at a time, by strides': conv([4, 32, 7, 6], [32, 1, 3, 3], { ...HALF, group: 32 }),
  'one channel at a time, block partly empty': conv([4, 24, 6, 6], [24, 1, 3, 3], { ...HALF, group: 24 }),
  groups: conv([16, 32, 5, 5], [64, 16, 3, 3], { ...SAME, group: 2 }),
  'groups smaller than blocks': conv([16, 32, 5, 5], [32, 8, 3, 3], { ...SAME, group: 4 }),
  'a transposed convolution': transposed([16, 32, 4, 4], [32, 16, 2, 2], { strides: [2, 2] }),
  'a transposed convolution that is cut': transposed([16, 16, 4, 5], [16, 24, 3, 3], {
    ...HALF,
    output_padding: [1, 0],
  }),
  'a maximum over windows side by side': after((g, v) =>
    g.op('MaxPool', [v], { kernel_shape: [2, 2], strides: [2, 2] }),
  ),
  'a maximum over windows that overlap': after((g, v) => g.op('MaxPool', [v], { kernel_shape: [3, 3], ...HALF })),
  'a maximum, block partly empty': after((g, v) => g.op('MaxPool', [v], { kernel_shape: [3, 2], strides: [2, 1] }), 20),
  'a mean over windows': after((g, v) => g.op('AveragePool', [v], { kernel_shape: [2, 2], strides: [2, 2] })),
  'a mean over windows beyond the rim': after((g, v) =>
    g.op('AveragePool', [v], { kernel_shape: [3, 3], ...HALF, count_include_pad: 1 }),
  ),
  'a mean of all': after((g, v) => g.op('GlobalAveragePool', [g.op('Relu', [v])])),
  'a mean by axes': after((g, v) => g.mean(g.op('Relu', [v]), [2, 3]), 20),
  'a sum and a bend': after((g, v, x) => g.op('Relu', [g.plus(v, x([16, 32, 7, 6]))])),
  'a division, block partly empty': after((g, v) => g.over(v, g.plus(g.mul(v, v), 1)), 20),
  'a scale by channel': after((g, v, x) => g.mul(g.op('Sigmoid', [v]), x([16, 32, 1, 1]))),
  'joined channels': after((g, v) => g.concat([v, g.op('Tanh', [v])], 1)),
};

async function run(build: Build, size: number | null): Promise<Record<string, Float32Array>> {
  const rng = createRng(3);
  const g = new Graph({ block: size });
  const inputs: { name: string; shape: readonly number[]; data: Float32Array; value: Value }[] = [];
  const y = build(g, (shape) => {
    const name = `x${inputs.length}`;
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => rng.normal());
    inputs.push({ name, shape, data, value: g.input(name, shape) });
    return inputs.at(-1)!.value;
  });
  const weights = Float32Array.from({ length: y.shape.reduce((a, b) => a * b, 1) }, () => rng.normal());
  const loss = g.sum(g.mul(y, g.floats(weights, y.shape)), [...y.shape.keys()]);
  g.output('y', y);
  gradients(
    g,
    loss,
    inputs.map(({ value }) => value),
  ).forEach((value, i) => g.output(`d${i}`, value));
  return opened(g.toModel(), (once) => once(inputs));
}

/** Convolution, batch normalisation, rectifier, maximum; trained with the statistics of the batch. */
function normalised(channels: number): Uint8Array {
  const rng = createRng(5);
  const g = new GraphBuilder('net');
  const numbers = (shape: number[], name: string, shift = 0) =>
    g.constant(
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => shift + 0.5 * rng.normal()),
      shape,
      name,
    );
  const conv = g.node('Conv', [g.input('x', 'float32', ['n', 3, 8, 8]), numbers([channels, 3, 3, 3], 'w')], {
    kernel_shape: [3, 3],
  });
  const own = ['scale', 'bias', 'mean'].map((name) => numbers([channels], name, name === 'scale' ? 1 : 0));
  const variance = g.constant(new Float32Array(channels).fill(1), [channels], 'variance');
  const normal = g.node('BatchNormalization', [conv, ...own, variance], { epsilon: float(1e-3) });
  const pooled = g.node('MaxPool', [g.node('Relu', [normal])], { kernel_shape: [2, 2], strides: [2, 2] });
  const flat = g.node('Flatten', [g.node('GlobalAveragePool', [pooled])]);
  g.output('y', 'float32', ['n', 3], g.node('MatMul', [flat, numbers([channels, 3], 'head')]));
  return g.toModel();
}

describe.skipIf(block === null)('In blocks and plainly the same comes of', () => {
  test.each(Object.keys(CASES))('%s', async (name) => {
    agree(await run(CASES[name], null), await run(CASES[name], block));
  });

  test.each([16, 20])('normalisation by the batch, %i channels', async (channels) => {
    const rng = createRng(8);
    const numbers = (size: number) => Float32Array.from({ length: size }, () => rng.normal());
    const fed = [
      { name: 'x', shape: [4, 3, 8, 8], data: numbers(4 * 3 * 64) },
      { name: TARGET, shape: [4, 3], data: numbers(12) },
    ];
    const trained = async (size: number | null) => {
      const options = { loss: { kind: 'mean-squared-error' }, batchStatistics: true, batch: 4, block: size } as const;
      const { model, weights } = trainingGraph(normalised(channels), options);
      const own = Object.entries(weights).map(([name, { shape, initial }]) => ({ name, shape, data: initial }));
      return opened(model, (once) => once([...fed, ...own]));
    };
    const plain = await trained(null);
    expect(Object.keys(plain)).toEqual(expect.arrayContaining(['gradient:scale', 'statistic:variance']));
    agree(plain, await trained(block));
  });
});

type Tensors = Record<string, Float32Array>;

function agree(plain: Tensors, blocked: Tensors): void {
  for (const key of Object.keys(plain)) {
    const scale = plain[key].reduce((most, v) => Math.max(most, Math.abs(v)), 0);
    const error = plain[key].reduce((worst, v, i) => Math.max(worst, Math.abs(v - blocked[key][i])), 0);
    expect(error / scale, key).toBeLessThan(1e-5);
  }
}
