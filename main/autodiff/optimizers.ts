/**
 * Optimizers as two pure functions each: `init` makes the state for weights of some sizes,
 * `update` gives new weights and state from gradients. Plain loops over float32 arrays with
 * float64 arithmetic: they took less time than handing weights to ONNX Runtime and back.
 * Formulas and defaults are PyTorch's, so that published settings carry over.
 */
import { assert } from '../domain/errors.ts';

/** Weights, gradients or moments by name. */
export type Tensors = Readonly<Record<string, Float32Array>>;

export interface Optimizer<State> {
  /** The state before the first step. */
  init(weights: Tensors): State;
  /** One step; nothing that is passed in is changed. `rate` is the learning rate, for all or by name. */
  update(
    weights: Tensors,
    gradients: Tensors,
    state: State,
    rate: number | ((name: string) => number),
  ): { weights: Tensors; state: State };
}

export interface SgdState {
  readonly velocity: Tensors;
  readonly steps: number;
}

/** Stochastic gradient descent with momentum: v ← μ·v + g, w ← w − η·v (Sutskever et al. 2013, as PyTorch writes it). */
export function sgd(
  options: { momentum?: number; weightDecay?: number; nesterov?: boolean } = {},
): Optimizer<SgdState> {
  const { momentum = 0, weightDecay = 0, nesterov = false } = options;
  return {
    init: (weights) => ({ velocity: zerosLike(weights), steps: 0 }),
    update(weights, gradients, state, rate) {
      const velocity: Record<string, Float32Array> = {};
      const next = mapTensors(weights, (w, name) => {
        const g = gradientOf(gradients, name, w.length);
        const lr = rateOf(rate, name);
        const v = (velocity[name] = new Float32Array(w.length));
        const before = state.velocity[name];
        const out = new Float32Array(w.length);
        for (let i = 0; i < w.length; i++) {
          const d = g[i] + weightDecay * w[i];
          const m = momentum * before[i] + d;
          v[i] = m;
          out[i] = w[i] - lr * (nesterov ? d + momentum * m : m);
        }
        return out;
      });
      return { weights: next, state: { velocity, steps: state.steps + 1 } };
    },
  };
}

export interface AdamWState {
  readonly first: Tensors;
  readonly second: Tensors;
  readonly steps: number;
}

/** Adam with decoupled weight decay (Loshchilov & Hutter 2019). */
export function adamW(
  options: { beta1?: number; beta2?: number; epsilon?: number; weightDecay?: number } = {},
): Optimizer<AdamWState> {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0.01 } = options;
  return {
    init: (weights) => ({ first: zerosLike(weights), second: zerosLike(weights), steps: 0 }),
    update(weights, gradients, state, rate) {
      const steps = state.steps + 1;
      const correction1 = 1 - beta1 ** steps;
      const correction2 = Math.sqrt(1 - beta2 ** steps);
      const first: Record<string, Float32Array> = {};
      const second: Record<string, Float32Array> = {};
      const next = mapTensors(weights, (w, name) => {
        const g = gradientOf(gradients, name, w.length);
        const lr = rateOf(rate, name);
        const [m0, v0] = [state.first[name], state.second[name]];
        const m = (first[name] = new Float32Array(w.length));
        const v = (second[name] = new Float32Array(w.length));
        const out = new Float32Array(w.length);
        const kept = 1 - lr * weightDecay;
        const step = lr / correction1;
        for (let i = 0; i < w.length; i++) {
          const gi = g[i];
          const mi = beta1 * m0[i] + (1 - beta1) * gi;
          const vi = beta2 * v0[i] + (1 - beta2) * gi * gi;
          m[i] = mi;
          v[i] = vi;
          out[i] = w[i] * kept - (step * mi) / (Math.sqrt(vi) / correction2 + epsilon);
        }
        return out;
      });
      return { weights: next, state: { first, second, steps } };
    },
  };
}

function zerosLike(weights: Tensors): Tensors {
  return mapTensors(weights, (w) => new Float32Array(w.length));
}

function mapTensors(tensors: Tensors, change: (data: Float32Array, name: string) => Float32Array): Tensors {
  return Object.fromEntries(Object.entries(tensors).map(([name, data]) => [name, change(data, name)]));
}

function rateOf(rate: number | ((name: string) => number), name: string): number {
  return typeof rate === 'number' ? rate : rate(name);
}

function gradientOf(gradients: Tensors, name: string, length: number): Float32Array {
  const g = gradients[name];
  assert(g?.length === length, `a gradient of ${length} numbers for “${name}”`, g?.length);
  return g;
}
