/**
 * Losses and their gradients against PyTorch 1.13 on the four rows below: cross_entropy,
 * binary_cross_entropy_with_logits and mse_loss as they are; focal, Dice and InfoNCE written
 * from their papers' formulas with its tensors and differentiated by it.
 */
import * as ort from 'onnxruntime-node';
import { expect, it, test } from 'vitest';
import { addLoss, gradients, Graph, type Loss, TARGET } from '../../main/autodiff/index.ts';

const OUTPUT = [0.5, -1, 2, 1.5, 0.25, -0.75, -0.5, 0, 1, 2, 1, -1];
/** The same rows as four pixels of one image. */
const PIXELS = [0.5, 1.5, -0.5, 2, -1, 0.25, 0, 1, 2, -0.75, 1, -1];
const LABELS = BigInt64Array.of(2n, 0n, 1n, -100n);
const SOFT = Float32Array.of(0.1, 0.2, 0.7, 0.8, 0.1, 0.1, 0.3, 0.4, 0.3, 0, 1, 0);
const MANY = Float32Array.of(1, 0, 1, 0, 0, 1, 1, 1, 0, 0, 1, 0);
const WEIGHTS = [1, 2, 0.5];

interface Expected {
  name: string;
  loss: Loss;
  shape: number[];
  data: number[];
  target: BigInt64Array | Float32Array | null;
  value: number;
  gradient: number[];
}

async function run(loss: Loss, shape: readonly number[], data: readonly number[], target: Expected['target']) {
  const g = new Graph();
  const output = g.input('output', shape);
  const value = addLoss(g, loss, output);
  g.output('loss', value);
  g.output('gradient', gradients(g, value, [output])[0]);
  const session = await ort.InferenceSession.create(g.toModel(), { logSeverityLevel: 3 });
  const feeds: Record<string, ort.Tensor> = { output: new ort.Tensor('float32', Float32Array.from(data), [...shape]) };
  if (target instanceof Float32Array) feeds[TARGET] = new ort.Tensor('float32', target, [...shape]);
  else if (target) feeds[TARGET] = new ort.Tensor('int64', target, [shape[0], ...shape.slice(2)]);
  const out = await session.run(feeds);
  await session.release();
  return { value: (out.loss.data as Float32Array)[0], gradient: [...(out.gradient.data as Float32Array)] };
}

const EXPECTED: Expected[] = [
  {
    name: 'cross-entropy with an ignored row',
    loss: { kind: 'cross-entropy' },
    shape: [4, 3],
    data: OUTPUT,
    target: LABELS,
    value: 0.6787843,
    gradient: [
      0.0584301, 0.0130375, -0.0714677, -0.0938532, 0.0686122, 0.025241, 0.0467481, -0.2562587, 0.2095106, 0.0, 0.0,
      0.0,
    ],
  },
  {
    name: 'cross-entropy with class weights',
    loss: { kind: 'cross-entropy', classWeights: WEIGHTS },
    shape: [4, 3],
    data: OUTPUT,
    target: LABELS,
    value: 0.9657331,
    gradient: [
      0.0250415, 0.0055875, -0.030629, -0.0804456, 0.0588105, 0.0216352, 0.0801397, -0.4393007, 0.359161, 0.0, 0.0, 0.0,
    ],
  },
  {
    name: 'cross-entropy with weights and smoothing',
    loss: { kind: 'cross-entropy', classWeights: WEIGHTS, smoothing: 0.1 },
    shape: [4, 3],
    data: OUTPUT,
    target: LABELS,
    value: 1.0429906,
    gradient: [
      0.0188565, -0.0127151, -0.0061414, -0.0579768, 0.040743, 0.0172338, 0.0672767, -0.4067107, 0.339434, 0.0, 0.0,
      0.0,
    ],
  },
  {
    name: 'cross-entropy with soft targets',
    loss: { kind: 'soft-cross-entropy' },
    shape: [4, 3],
    data: OUTPUT,
    target: SOFT,
    value: 1.0838412,
    gradient: [
      0.0188226, -0.0402219, 0.0213993, -0.0203899, 0.0264591, -0.0060692, -0.0399389, -0.042194, 0.0821329, 0.1763461,
      -0.1851259, 0.0087798,
    ],
  },
  {
    name: 'soft targets with class weights',
    loss: { kind: 'soft-cross-entropy', classWeights: WEIGHTS },
    shape: [4, 3],
    data: OUTPUT,
    target: SOFT,
    value: 1.6983266,
    gradient: [
      0.0122492, -0.0916886, 0.0794394, -0.0114094, 0.0040321, 0.0073773, -0.0311736, -0.1277425, 0.1589161, 0.3526923,
      -0.3702518, 0.0175595,
    ],
  },
  {
    name: 'binary cross-entropy',
    loss: { kind: 'binary-cross-entropy' },
    shape: [4, 3],
    data: OUTPUT,
    target: MANY,
    value: 0.859369,
    gradient: [
      -0.0314617, 0.0224118, -0.0099336, 0.0681312, 0.046848, -0.0565982, -0.0518716, -0.0416667, 0.0609215, 0.0733998,
      -0.0224118, 0.0224118,
    ],
  },
  {
    name: 'binary cross-entropy with class weights',
    loss: { kind: 'binary-cross-entropy', classWeights: WEIGHTS },
    shape: [4, 3],
    data: OUTPUT,
    target: MANY,
    value: 0.9177398,
    gradient: [
      -0.0314617, 0.0448236, -0.0049668, 0.0681312, 0.0936961, -0.0282991, -0.0518716, -0.0833333, 0.0304608, 0.0733998,
      -0.0448236, 0.0112059,
    ],
  },
  {
    name: 'mean squared error',
    loss: { kind: 'mean-squared-error' },
    shape: [4, 3],
    data: OUTPUT,
    target: MANY,
    value: 1.40625,
    gradient: [
      -0.0833333, -0.1666667, 0.1666667, 0.25, 0.0416667, -0.2916667, -0.25, -0.1666667, 0.1666667, 0.3333333, 0.0,
      -0.1666667,
    ],
  },
  {
    name: 'focal loss',
    loss: { kind: 'focal' },
    shape: [4, 3],
    data: OUTPUT,
    target: LABELS,
    value: 0.3009245,
    gradient: [
      0.0074358, 0.0016591, -0.0090949, -0.0199959, 0.0146182, 0.0053777, 0.0519665, -0.2848642, 0.2328977, 0.0, 0.0,
      0.0,
    ],
  },
  {
    name: 'Dice',
    loss: { kind: 'dice' },
    shape: [4, 3],
    data: OUTPUT,
    target: LABELS,
    value: 0.2898105,
    gradient: [
      0.0288274, 0.0060905, -0.0349179, -0.0421839, 0.0313445, 0.0108394, 0.0105895, -0.0468146, 0.0362252, 0.0, 0.0,
      0.0,
    ],
  },
  {
    name: 'InfoNCE',
    loss: { kind: 'info-nce', temperature: 0.5 },
    shape: [4, 3],
    data: OUTPUT,
    target: null,
    value: 2.7742689,
    gradient: [
      -0.5573011, 0.1046097, 0.1916302, -0.250382, 0.3556995, -0.3821977, -0.0082126, -0.6733316, -0.0041063,
      -0.0052976, -0.216556, -0.2271512,
    ],
  },
  {
    name: 'cross-entropy of pixels',
    loss: { kind: 'cross-entropy', classWeights: WEIGHTS },
    shape: [1, 3, 2, 2],
    data: PIXELS,
    target: LABELS,
    value: 0.9657331,
    gradient: [
      0.0250415, -0.0804456, 0.0801397, 0.0, 0.0055875, 0.0588105, -0.4393007, 0.0, -0.030629, 0.0216352, 0.359161, 0.0,
    ],
  },
];

test.each(EXPECTED)('$name agrees with PyTorch', async ({ loss, shape, data, target, value, gradient }) => {
  const found = await run(loss, shape, data, target);
  expect(found.value).toBeCloseTo(value, 5);
  found.gradient.forEach((v, i) => expect(v).toBeCloseTo(gradient[i], 5));
});

it('Binary cross-entropy of very sure outputs is finite', async () => {
  const found = await run({ kind: 'binary-cross-entropy' }, [1, 2], [200, -200], Float32Array.of(0, 0));
  expect(found.value).toBeCloseTo(100, 3);
  expect(found.gradient).toEqual([0.5, 0]);
});
