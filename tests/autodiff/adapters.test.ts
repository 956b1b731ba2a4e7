/**
 * Low-rank adapters: at first they change nothing, trained they are the merged model, their
 * gradients are differences of the loss; and what cannot be adapted is refused by name.
 */
import * as ort from 'onnxruntime-node';
import { describe, expect, it, test } from 'vitest';
import {
  GRADIENT,
  mergeAdapters,
  TARGET,
  type Tensors,
  trainingGraph,
  withAdapters,
} from '../../main/autodiff/index.ts';
import { createRng } from '../../main/domain/rng.ts';
import { EngineError } from '../../main/domain/errors.ts';
import { float, GraphBuilder, makeTensor, readModel, tensorData, writeModel } from '../../main/onnx/index.ts';
import { difference, floats, HAVE_CASES, inputsFor, readCase, run } from './running.ts';

const numbers = (seed: number, length: number) => {
  const rng = createRng(seed);
  return Float32Array.from({ length }, () => 0.5 * rng.normal());
};

/** Every product that is adapted: x·W, W·x, Gemm with W as it is and transposed, 1 × 1 with stride, W shared by two. */
function everyProduct(): Uint8Array {
  const g = new GraphBuilder('net', { opset: 17 });
  const x = g.input('x', 'float32', ['n', 4, 6, 6]);
  const weight = (name: string, ...dims: number[]) =>
    g.constant(
      numbers(
        name.length,
        dims.reduce((a, b) => a * b),
      ),
      dims,
      name,
    );
  const conv = g.node('Conv', [x, weight('conv', 5, 4, 1, 1), weight('bias', 5)], {
    strides: [2, 2],
    pads: [1, 1, 0, 0],
  });
  const rows = g.node('Reshape', [conv, g.ints(0, 5, -1)]);
  const left = g.node('MatMul', [weight('left', 3, 5), rows]);
  const right = g.node('Tanh', [g.node('MatMul', [left, weight('right-one', 16, 16)])]);
  const twice = g.node('MatMul', [right, g.node('Identity', ['right-one'])]);
  const flat = g.node('Flatten', [twice]);
  const plain = g.node('Gemm', [flat, weight('plain-gemm', 48, 7), weight('offset', 7)], {
    alpha: float(0.5),
    beta: float(2),
  });
  const turned = g.node('Gemm', [plain, weight('turned-gemm!', 3, 7)], { transB: 1, alpha: float(1.5) });
  g.output('logits', 'float32', ['n', 3], turned);
  return g.toModel();
}

const ADAPTED = ['conv', 'left', 'right-one', 'plain-gemm', 'turned-gemm!'];

/** Initializers by name, with random numbers for the adapters. */
function drawn(model: Uint8Array, trainable: readonly string[]): Tensors {
  const sizes = new Map(
    readModel(model).graph.initializer.map(({ name, dims }) => [name, dims.reduce((a, b) => a * Number(b), 1)]),
  );
  return Object.fromEntries(trainable.map((name, i) => [name, numbers(i, sizes.get(name)!)]));
}

/** The model with these initializers. */
function holding(bytes: Uint8Array, values: Tensors): Uint8Array {
  const { proto, graph } = readModel(bytes);
  graph.initializer = graph.initializer.map((tensor) =>
    tensor.name in values ? makeTensor(tensor.name, values[tensor.name], tensor.dims.map(Number)) : tensor,
  );
  return writeModel(proto);
}

const weightsOfFile = (bytes: Uint8Array) =>
  new Map(readModel(bytes).graph.initializer.map((tensor) => [tensor.name, tensorData(tensor)]));

async function checkAdapted(original: Uint8Array, targets: number): Promise<void> {
  const options = { rank: 3, alpha: 6, seed: 5 };
  const { model, trainable } = withAdapters(original, options);
  expect(trainable).toHaveLength(2 * targets);
  const feeds = inputsFor(original, 2, 1);
  const before = await run(original, feeds);
  // adding zeros is exact, but ONNX Runtime fuses other nodes around it
  expect(difference((await run(model, feeds)).logits, before.logits)).toBeLessThan(1e-6);
  const values = drawn(model, trainable);
  const adapted = (await run(holding(model, values), feeds)).logits;
  expect(difference(adapted, before.logits)).toBeGreaterThan(0.01);
  const merged = mergeAdapters(original, values, options);
  expect(difference((await run(merged, feeds)).logits, adapted)).toBeLessThan(1e-5);
  const names = (bytes: Uint8Array) => readModel(bytes).graph.node.map(({ name, opType }) => [name, opType]);
  expect(names(merged)).toEqual(names(original));
}

describe('An adapted model', () => {
  it('is the model at first, and the merged model when trained: every product', () => checkAdapted(everyProduct(), 5));

  test.skipIf(!HAVE_CASES).each([
    ['bert', 9],
    ['vit', 13],
    ['mobilenet', 35],
    ['unet', 1],
  ])('is the model at first, and the merged model when trained: %s', (name, targets) =>
    checkAdapted(readCase(name).model, targets),
  );

  it('keeps what it is frozen on', () => {
    const original = everyProduct();
    const after = weightsOfFile(withAdapters(original, { rank: 2, seed: 1 }).model);
    for (const [name, data] of weightsOfFile(original)) expect(after.get(name)).toEqual(data);
  });

  it('starts from a Gaussian of its seed and weight, whatever else is adapted', () => {
    const a = (seed: number, targets?: string[]) =>
      weightsOfFile(withAdapters(everyProduct(), { rank: 8, seed, ...(targets && { targets }) }).model).get(
        'right-one/lora_a',
      )!;
    expect(a(1)).toEqual(a(1, ['right-one']));
    expect(a(1)).not.toEqual(a(2));
    const squares = Array.from(a(1) as Float32Array).reduce((sum, v) => sum + v * v, 0);
    expect(squares / a(1).length).toBeCloseTo(1 / 16, 1);
  });

  it('adapts the weights that are named or chosen', () => {
    const of = (targets: string[] | ((name: string) => boolean)) =>
      withAdapters(everyProduct(), { rank: 1, seed: 1, targets }).trainable;
    expect(of(['left'])).toEqual(['left/lora_a', 'left/lora_b']);
    expect(of((name) => name.endsWith('gemm'))).toEqual(['plain-gemm/lora_a', 'plain-gemm/lora_b']);
  });
});

it('The gradients of adapters are differences of the loss, and nothing of the size of a weight is made', async () => {
  const { model, trainable } = withAdapters(everyProduct(), { rank: 2, alpha: 3, seed: 5 });
  expect(trainable).toEqual(ADAPTED.flatMap((name) => [`${name}/lora_a`, `${name}/lora_b`]));
  const made = trainingGraph(model, { loss: { kind: 'cross-entropy' }, trainable, batch: 2 });
  expect(Object.keys(made.weights)).toEqual(trainable);
  const values = drawn(model, trainable);
  const feeds = (weights: Tensors) => ({
    ...inputsFor(model, 2, 1),
    [TARGET]: new ort.Tensor('int64', BigInt64Array.of(0n, 2n), [2]),
    ...Object.fromEntries(
      Object.entries(made.weights).map(([name, { shape }]) => [name, floats(weights[name], shape)]),
    ),
  });
  const out = await run(made.model, feeds(values));
  const session = await ort.InferenceSession.create(made.model, { intraOpNumThreads: 1 });
  const lossAt = async (name: string, i: number, step: number) => {
    const moved = values[name].slice();
    moved[i] += step;
    return (await session.run(feeds({ ...values, [name]: moved }))).loss.data[0] as number;
  };
  for (const name of trainable) {
    const gradient = out[GRADIENT + name].data as Float32Array;
    const scale = Math.max(...gradient.map(Math.abs));
    for (const i of [0, gradient.length - 1]) {
      const slope = ((await lossAt(name, i, 0.01)) - (await lossAt(name, i, -0.01))) / 0.02;
      expect(Math.abs(gradient[i] - slope) / scale).toBeLessThan(5e-3);
    }
  }
  await session.release();
});

describe('What cannot be adapted is refused by name', () => {
  const refusal = (bytes: Uint8Array, targets?: string[]): EngineError => {
    try {
      withAdapters(bytes, { rank: 2, seed: 1, ...(targets && { targets }) });
    } catch (error) {
      if (error instanceof EngineError) return error;
      throw error;
    }
    throw new Error('nothing was refused');
  };

  function other(): Uint8Array {
    const g = new GraphBuilder('net');
    const tokens = g.node('Gather', [g.constant(numbers(1, 12), [3, 4], 'table'), g.input('ids', 'int64', ['n', 2])]);
    const both = g.node('MatMul', [tokens, g.constant(numbers(2, 16), [4, 4], 'both')]);
    const y = g.node('Gemm', [g.node('Reshape', [both, g.ints(-1, 4)]), 'both'], { transB: 1 });
    const back = g.node('MatMul', [y, g.node('Transpose', ['table'])]);
    const half = g.constant(Float16Array.of(1, 2, 3), [3, 1], 'half');
    const z = g.node('MatMul', [g.node('Cast', [back], { to: 10 }), half]);
    const wide = g.constant(numbers(3, 9), [1, 1, 3, 3], 'wide');
    const image = g.node('Reshape', [g.node('Cast', [z], { to: 1 }), g.ints(1, 1, -1, 1)]);
    g.output('y', 'float32', [null], g.node('Conv', [image, wide], { pads: [1, 1, 1, 1] }));
    return g.toModel();
  }

  test.each([
    ['both', /both as it is and transposed/],
    ['table', /is read by .*\((Gather|Transpose)\)/],
    ['half', /float16/],
    ['wide', /is read by .*\(Conv\)/],
    ['none', /is no weight/],
  ])('%s', (name, why) => {
    const error = refusal(other(), [name]);
    expect([error.code, error.context.tensor]).toEqual(['encoder-invalid', name]);
    expect(error.message).toMatch(why);
  });

  it('and so is a model that has nothing to adapt', () => {
    expect(refusal(other()).message).toMatch(/no weight that an adapter/);
  });

  it('while adapters of another rank than their values are a bug', () => {
    const options = { rank: 2, seed: 1 };
    const { model, trainable } = withAdapters(everyProduct(), options);
    expect(() => mergeAdapters(everyProduct(), drawn(model, trainable), { rank: 4 })).toThrow(/adapters of rank 4/);
  });
});
