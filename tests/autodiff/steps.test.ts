/**
 * What goes around a step, against PyTorch 1.13: clip_grad_norm_, a LambdaLR with the
 * formula that transformers gives it, swa_utils.AveragedModel, and autograd over a whole batch
 * and its two parts. Its numbers are written out here.
 */
import { expect, it } from 'vitest';
import { averageOf, clipByGlobalNorm, meanGradients, type Tensors, warmupCosine } from '../../main/autodiff/index.ts';

const floats = (...values: number[]) => Float32Array.from(values);

function close(got: Float32Array, expected: readonly number[]): void {
  expect(got).toHaveLength(expected.length);
  expected.forEach((value, i) => expect(got[i]).toBeCloseTo(value, 6));
}

it('Clipping shortens all gradients together, by their common length', () => {
  const given = { a: floats(3, -1, 2), b: floats(0.5, -4) };
  const { gradients, norm } = clipByGlobalNorm(given, 1.5);
  expect(norm).toBeCloseTo(5.5, 6);
  close(gradients.a, [0.81818175, -0.27272725, 0.5454545]);
  close(gradients.b, [0.13636363, -1.090909]);
  close(given.a, [3, -1, 2]);
  expect(clipByGlobalNorm(given, 6).gradients).toBe(given);
  expect(clipByGlobalNorm({ a: floats(NaN, 1) }, 1).norm).toBeNaN();
});

it('The learning rate rises along a line and falls by half a cosine', () => {
  const rate = warmupCosine({ peak: 0.02, warmup: 4, total: 12 });
  const expected = [
    0, 0.005, 0.01, 0.015, 0.02, 0.019238795, 0.017071068, 0.013826834, 0.01, 0.006173166, 0.002928932, 0.000761205, 0,
  ];
  expected.forEach((value, step) => expect(rate(step)).toBeCloseTo(value, 9));
  const floored = warmupCosine({ peak: 1, warmup: 0, total: 10, floor: 0.1 });
  expect([floored(0), floored(5), floored(10), floored(99)]).toEqual([1, 0.55, 0.1, 0.1]);
});

it('Averaged weights follow the weights by their decay', () => {
  let weights: Tensors = { w: floats(1, 2) };
  let average = weights;
  for (let i = 0; i < 3; i++) {
    weights = { w: weights.w.map((v) => 2 * v - 0.5) };
    average = averageOf(average, weights, 0.9);
  }
  close(average.w, [1.5255, 3.5765]);
});

it('Gradients of unequal parts make the gradient of the whole batch', () => {
  const parts = [
    { gradients: { w: floats(-1.3560002, 0.25666654) }, count: 3 },
    { gradients: { w: floats(0.825, 0.475) }, count: 2 },
  ];
  close(meanGradients(parts).w, [-0.4836, 0.344]);
  expect(() => meanGradients([])).toThrow(/at least one item/);
});
