/**
 * Optimizers against PyTorch 1.13: four steps on |w|²/2 + Σ sin w from (1, −2, ½), whose
 * gradient is w + cos w, with the settings named.
 */
import { expect, it, test } from 'vitest';
import { adamW, type Optimizer, sgd } from '../../main/autodiff/index.ts';

function descend<S>(optimizer: Optimizer<S>, rate: number): number[] {
  let weights: Readonly<Record<string, Float32Array>> = { w: Float32Array.of(1, -2, 0.5) };
  let state = optimizer.init(weights);
  for (let i = 0; i < 4; i++) {
    const gradients = { w: weights.w.map((w) => w + Math.cos(w)) };
    ({ weights, state } = optimizer.update(weights, gradients, state, rate));
  }
  return [...weights.w];
}

test.each<[string, () => number[], number[]]>([
  ['sgd', () => descend(sgd(), 0.1), [0.4085709, -1.2835662, 0.0013784]],
  [
    'sgd with momentum and weight decay',
    () => descend(sgd({ momentum: 0.9, weightDecay: 0.05 }), 0.1),
    [-0.3508608, -0.3546654, -0.6196971],
  ],
  [
    'sgd with Nesterov momentum',
    () => descend(sgd({ momentum: 0.9, nesterov: true }), 0.1),
    [-0.6320923, -0.3643086, -0.8016502],
  ],
  ['adamW with PyTorch’s defaults', () => descend(adamW(), 0.1), [0.5969867, -1.5955637, 0.0999657]],
  [
    'adamW with other settings',
    () => descend(adamW({ beta1: 0.8, beta2: 0.95, epsilon: 1e-4, weightDecay: 0.2 }), 0.05),
    [0.7637367, -1.7254672, 0.2837566],
  ],
])('%s takes the steps that PyTorch takes', (_, run, expected) => {
  run().forEach((w, i) => expect(w).toBeCloseTo(expected[i], 5));
});

it('A step changes nothing that it is given, and may go at another rate for each weight', () => {
  const weights = { a: Float32Array.of(1), b: Float32Array.of(1) };
  const gradients = { a: Float32Array.of(1), b: Float32Array.of(1) };
  const optimizer = sgd();
  const next = optimizer.update(weights, gradients, optimizer.init(weights), (name) => (name === 'a' ? 0.5 : 0.25));
  expect([next.weights.a[0], next.weights.b[0], weights.a[0], next.state.steps]).toEqual([0.5, 0.75, 1, 1]);
});

it('A gradient that is missing or of another size is a bug that is named', () => {
  const weights = { a: Float32Array.of(1, 2) };
  const optimizer = adamW();
  expect(() => optimizer.update(weights, { a: Float32Array.of(1) }, optimizer.init(weights), 0.1)).toThrow(/“a”/);
});
