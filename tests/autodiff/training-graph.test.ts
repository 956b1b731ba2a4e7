/**
 * From a model to its training graph: what vanishes, what is put together, what is refused
 * and in which words; and the reference networks against PyTorch, where they lie.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';
import { describe, expect, it, test } from 'vitest';
import { GRADIENT, loadGraph, OUTPUT, STATISTIC, TARGET, trainingGraph } from '../../main/autodiff/index.ts';
import { EngineError } from '../../main/domain/errors.ts';
import { float, GraphBuilder, makeTensor, readModel } from '../../main/onnx/index.ts';

const CASES = fileURLToPath(new URL('../../../shared/fixtures/gradients/', import.meta.url));
const CHECK = fileURLToPath(new URL('../../hosts/check-gradients.ts', import.meta.url));

const operators = (model: Uint8Array) => readModel(model).graph.node.map(({ opType }) => opType);
const forward = (model: Uint8Array, shapes: Record<string, number[]>) => {
  const { graph, outputs } = loadGraph(model, { shapes });
  return graph.live([...outputs.values()]).map(({ op }) => op);
};

/** logits = x·W + b after the exporter's detour: the batch is read from x to flatten it. */
function exported(opset = 17): Uint8Array {
  const g = new GraphBuilder('net', { opset });
  const x = g.input('x', 'float32', ['n', 2, 2]);
  const batch = g.node('Gather', [g.node('Shape', [x]), g.constant(BigInt64Array.of(0n), [])], { axis: 0 });
  const shape = g.node('Concat', [g.node('Unsqueeze', [batch, g.ints(0)]), g.ints(-1)], { axis: 0 });
  const flat = g.node('Reshape', [x, shape]);
  const w = g.constant(Float32Array.of(1, 0, 0, 1, 1, 0, 0, 1), [4, 2], 'w');
  const y = g.node('Add', [g.node('MatMul', [flat, w]), g.constant(Float32Array.of(0.5, -0.5), [2], 'b')]);
  g.output('logits', 'float32', ['n', 2], y);
  return g.toModel();
}

/** The error of loading a model that consists of one node on x [1, 4]. */
function refusal(build: (g: GraphBuilder, x: string) => string, opset = 17): EngineError {
  const g = new GraphBuilder('net', { opset });
  g.output('y', 'float32', [1, 4], build(g, g.input('x', 'float32', [1, 4])));
  try {
    trainingGraph(g.toModel(), { loss: { kind: 'mean-squared-error' } });
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('A training graph', () => {
  it('gives the loss, the outputs and the gradients worked by hand', async () => {
    const made = trainingGraph(exported(), { loss: { kind: 'mean-squared-error' }, batch: 1, keep: ['logits'] });
    expect(Object.keys(made.weights).toSorted()).toEqual(['b', 'w']);
    const session = await ort.InferenceSession.create(made.model);
    const out = await session.run({
      x: new ort.Tensor('float32', Float32Array.of(1, 2, 3, 4), [1, 2, 2]),
      [TARGET]: new ort.Tensor('float32', Float32Array.of(2.5, 7.5), [1, 2]),
      w: new ort.Tensor('float32', made.weights.w.initial, [4, 2]),
      b: new ort.Tensor('float32', made.weights.b.initial, [2]),
    });
    await session.release();
    // x·W + b = (4.5, 5.5), differences (2, −2), loss 4, dLoss/dlogits = (2, −2)
    expect(out[`${OUTPUT}logits`].data).toEqual(Float32Array.of(4.5, 5.5));
    expect(out.loss.data).toEqual(Float32Array.of(4));
    expect(out[`${GRADIENT}b`].data).toEqual(Float32Array.of(2, -2));
    expect(out[`${GRADIENT}w`].data).toEqual(Float32Array.of(2, -2, 4, -4, 6, -6, 8, -8));
  });

  it('has no arithmetic on shapes left, whatever the opset', () => {
    for (const opset of [13, 17, 21])
      expect(forward(exported(opset), { x: [3, 2, 2] })).toEqual(['Reshape', 'MatMul', 'Add']);
  });

  it('trains only what is asked for, and computes nothing for the rest', () => {
    const { model, weights } = trainingGraph(exported(), {
      loss: { kind: 'cross-entropy' },
      batch: 2,
      trainable: ['b'],
    });
    expect(Object.keys(weights)).toEqual(['b']);
    expect(operators(model)).not.toContain('Gemm');
    expect(operators(trainingGraph(exported(), { loss: { kind: 'cross-entropy' }, batch: 2 }).model)).toContain('Gemm');
  });

  it('is the loss alone where no gradients are wanted', () => {
    const { model } = trainingGraph(exported(), { loss: { kind: 'cross-entropy' }, batch: 2, gradients: false });
    expect(readModel(model).outputs.map(({ name }) => name)).toEqual(['loss']);
  });

  it('has the same bytes for the same model', () => {
    const make = () => trainingGraph(exported(), { loss: { kind: 'cross-entropy' }, batch: 2 }).model;
    expect(Buffer.from(make()).equals(Buffer.from(make()))).toBe(true);
  });
});

describe('Batch normalisation with the statistics of the batch', () => {
  it('agrees with PyTorch 1.13 in loss, gradients and statistics', async () => {
    // torch.nn.BatchNorm2d(2, momentum=1) in training mode, mean squared error, printed
    const g = new GraphBuilder('net');
    const x = g.constant(Float32Array.of(1, 2, 3, 5, -1, 0, 2, 4, 0.5, 1, 1, 2, 7, 3, -2, 1), [2, 2, 2, 2], 'x');
    const own = [
      [1.5, -0.5],
      [0.25, 1],
      [0, 0],
      [1, 1],
    ].map((v, i) => g.constant(Float32Array.from(v), [2], ['scale', 'bias', 'mean', 'variance'][i]));
    g.output('y', 'float32', [2, 2, 2, 2], g.node('BatchNormalization', [x, ...own]));
    const made = trainingGraph(g.toModel(), {
      loss: { kind: 'mean-squared-error' },
      trainable: ['x', 'scale', 'bias'],
      batchStatistics: true,
    });
    const session = await ort.InferenceSession.create(made.model);
    const target = [1, -2, 0.5, 3, 0.1, 0.2, 0.3, 0.4];
    const fed = Object.entries(made.weights).map(([w, { initial, shape }]) => [w, new ort.Tensor(initial, shape)]);
    const out = await session.run({
      ...(Object.fromEntries(fed) as Record<string, ort.Tensor>),
      [TARGET]: new ort.Tensor('float32', Float32Array.of(...target, ...target), [2, 2, 2, 2]),
    });
    await session.release();
    const near = (name: string, expected: number[]) =>
      expected.forEach((value, i) => expect((out[name].data as Float32Array)[i]).toBeCloseTo(value, 5));
    near('loss', [1.98887444]);
    near(`${GRADIENT}x`, [-0.12477724, 0.36176929, 0.10063143, -0.08178777, -0.0037554, -0.00134809, 0.00117476]);
    near(`${GRADIENT}scale`, [0.70132929, -0.48624885]);
    near(`${GRADIENT}bias`, [-0.375, 0.75]);
    near(`${STATISTIC}mean`, [1.9375, 1.75]);
    near(`${STATISTIC}variance`, [2.17410708, 8.5]);
  });
});

describe('What cannot be trained is named', () => {
  test('an operator that nobody knows, with its node', () => {
    const { code, message, hint, context } = refusal((g, x) => g.node('NonZero', [x]));
    expect([code, context.operator]).toEqual(['encoder-invalid', 'NonZero']);
    expect(message).toContain(String(context.node));
    expect(hint).toMatch(/^Export/);
  });

  test('an operator of another domain', () => {
    expect(refusal((g, x) => g.nodeWith('FastGelu', [x], {}, 1, 'com.microsoft')[0]).message).toContain(
      'com.microsoft',
    );
  });

  test('a shape that depends on the data', () => {
    const error = refusal((g, x) =>
      g.node('Reshape', [x, g.node('Cast', [g.node('ReduceMax', [x], { keepdims: 0, axes: [0] })], { to: 7 })]),
    );
    expect(error.message).toContain('depends on the data');
  });

  test('an opset from another time', () => {
    expect(refusal((g, x) => g.node('Relu', [x]), 11).message).toContain('opset 11');
  });

  test('a batch that nobody fixed, a weight that is none, an output that is none', () => {
    const loss = { kind: 'cross-entropy' } as const;
    expect(() => trainingGraph(exported(), { loss })).toThrow(/“x” has no fixed size along axis 0/);
    expect(() => trainingGraph(exported(), { loss, batch: 1, trainable: ['nothing'] })).toThrow(/“nothing”/);
    expect(() => trainingGraph(exported(), { loss, batch: 1, output: 'none' })).toThrow(/“none”/);
  });
});

describe('What exporters take apart is put together', () => {
  test('layer normalisation and GELU', () => {
    const g = new GraphBuilder('net', { opset: 16 });
    const x = g.input('x', 'float32', [2, 4]);
    const centred = g.node('Sub', [x, g.node('ReduceMean', [x], { axes: [-1] })]);
    const variance = g.node('ReduceMean', [g.node('Pow', [centred, g.scalar(2)])], { axes: [-1] });
    const deviation = g.node('Sqrt', [g.node('Add', [variance, g.scalar(1e-5)])]);
    const ones = () => g.constant(Float32Array.of(1, 1, 1, 1));
    const normal = g.node('Add', [g.node('Mul', [g.node('Div', [centred, deviation]), ones()]), ones()]);
    const gate = g.node('Add', [g.node('Erf', [g.node('Div', [normal, g.scalar(Math.SQRT2)])]), g.scalar(1)]);
    g.output('y', 'float32', [2, 4], g.node('Mul', [g.node('Mul', [normal, gate]), g.scalar(0.5)]));
    expect(forward(g.toModel(), { x: [2, 4] })).toEqual(['LayerNormalization', 'Gelu']);
  });

  test('batch normalisation and the convolution before it', () => {
    const g = new GraphBuilder('net', { opset: 15 });
    const x = g.input('x', 'float32', [1, 1, 4, 4]);
    const conv = g.node('Conv', [x, g.constant(new Float32Array(9).fill(1), [1, 1, 3, 3], 'w')], {
      kernel_shape: [3, 3],
    });
    const numbers = [2, 1, 0.5, 4].map((v) => g.constant(Float32Array.of(v)));
    g.output('y', 'float32', [1, 1, 2, 2], g.node('BatchNormalization', [conv, ...numbers], { epsilon: float(0) }));
    expect(forward(g.toModel(), {})).not.toContain('BatchNormalization');
    expect(forward(g.toModel(), {}).at(-1)).toBe('Conv');
  });

  test('constants of every spelling', () => {
    const g = new GraphBuilder('net');
    const x = g.input('x', 'float32', [2]);
    const two = g.node('Constant', [], { value: makeTensor('', Float32Array.of(2), []) });
    const sum = g.node('Add', [g.node('Mul', [x, two]), g.node('Constant', [], { value_floats: float([1, 1]) })]);
    g.output('y', 'float32', [2], g.node('Unsqueeze', [sum, g.node('Constant', [], { value_ints: [0] })]));
    expect(forward(g.toModel(), {})).toEqual(['Mul', 'Add', 'Unsqueeze']);
  });
});

test.skipIf(!existsSync(CASES))('The reference networks agree with PyTorch: gradients, losses, SGD, AdamW', () => {
  const lines = execFileSync(process.execPath, [CHECK, CASES], { encoding: 'utf8' }).trim().split('\n');
  const results = lines.map((line) => JSON.parse(line) as { case: string; ok: boolean; maxGradError: number });
  expect(results.map((result) => result.case)).toContain('mobilenet');
  expect(results.filter(({ ok, maxGradError }) => !ok || maxGradError > 1e-5)).toEqual([]);
});

test.skipIf(!existsSync(CASES))('A vision transformer’s export becomes its mathematics', () => {
  const used = forward(readFileSync(`${CASES}vit/model.onnx`), { pixels: [2, 3, 32, 32] });
  expect(used.filter((op) => ['Shape', 'Gather', 'Unsqueeze', 'Sqrt', 'Erf', 'Equal', 'Where'].includes(op))).toEqual([
    'Gather',
  ]);
  expect(used.filter((op) => op === 'LayerNormalization')).toHaveLength(7);
});
