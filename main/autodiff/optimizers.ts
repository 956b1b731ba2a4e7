/**
 * Optimizers as two pure functions each: `init` makes the state for weights of some sizes,
 * `update` gives new weights and state from gradients; and what goes around a step: joining
 * the gradients of several batches, clipping them, the learning rate by step, averaged
 * weights. Plain loops over float32 arrays with float64 arithmetic: they took less time than
 * handing weights to ONNX Runtime and back. Formulas and defaults are PyTorch's, so that
 * published settings carry over.
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
  options: {
    beta1?: number;
    beta2?: number;
    epsilon?: number;
    /** For all, or by name. */
    weightDecay?: number | ((name: string) => number);
  } = {},
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
        const kept = 1 - lr * rateOf(weightDecay, name);
        // m̂ / (√v̂ + ε) with both corrections drawn out of the loop
        const step = (lr * correction2) / correction1;
        const small = epsilon * correction2;
        for (let i = 0; i < w.length; i++) {
          const gi = g[i];
          const mi = beta1 * m0[i] + (1 - beta1) * gi;
          const vi = beta2 * v0[i] + (1 - beta2) * gi * gi;
          m[i] = mi;
          v[i] = vi;
          out[i] = w[i] * kept - (step * mi) / (Math.sqrt(vi) + small);
        }
        return out;
      });
      return { weights: next, state: { first, second, steps } };
    },
  };
}

/**
 * The gradient of one large batch from those of its parts (gradient accumulation): their mean,
 * weighted by `count`. Exact where each part's loss is a mean over that many.
 */
export function meanGradients(parts: readonly { readonly gradients: Tensors; readonly count: number }[]): Tensors {
  const total = parts.reduce((sum, { count }) => sum + count, 0);
  assert(total > 0, 'gradients of at least one item', parts.length);
  return mapTensors(parts[0].gradients, (first, name) => {
    const sum = new Float64Array(first.length);
    for (const { gradients, count } of parts) {
      const g = gradientOf(gradients, name, first.length);
      const share = count / total;
      for (let i = 0; i < sum.length; i++) sum[i] += share * g[i];
    }
    return Float32Array.from(sum);
  });
}

/**
 * Gradients shortened so that all of them together are at most `most` long, and how long they
 * were (Pascanu et al. 2013). The length is not finite where a gradient is not.
 */
export function clipByGlobalNorm(gradients: Tensors, most: number): { gradients: Tensors; norm: number } {
  let squares = 0;
  for (const g of Object.values(gradients)) for (let i = 0; i < g.length; i++) squares += g[i] * g[i];
  const norm = Math.sqrt(squares);
  const scale = most / (norm + 1e-6);
  return { gradients: scale < 1 ? mapTensors(gradients, (g) => g.map((v) => v * scale)) : gradients, norm };
}

/** Averaged weights after a step: decay · average + (1 − decay) · weights (Polyak & Juditsky 1992). The first average is the weights. */
export function averageOf(average: Tensors, weights: Tensors, decay: number): Tensors {
  return mapTensors(average, (before, name) => {
    const now = weights[name];
    return before.map((v, i) => decay * v + (1 - decay) * now[i]);
  });
}

/**
 * The learning rate at a step counted from 0: from 0 up to `peak` in `warmup` steps along a
 * line, then down to `floor` (default 0) at `total` by half a cosine (Loshchilov & Hutter 2017).
 */
export function warmupCosine(plan: {
  readonly peak: number;
  readonly warmup: number;
  readonly total: number;
  readonly floor?: number;
}): (step: number) => number {
  const { peak, warmup, total, floor = 0 } = plan;
  return (step) => {
    if (step < warmup) return (peak * step) / warmup;
    const progress = Math.min(1, (step - warmup) / Math.max(1, total - warmup));
    return floor + ((peak - floor) * (1 + Math.cos(Math.PI * progress))) / 2;
  };
}

function zerosLike(weights: Tensors): Tensors {
  return mapTensors(weights, (w) => new Float32Array(w.length));
}

function mapTensors(tensors: Tensors, change: (data: Float32Array, name: string) => Float32Array): Tensors {
  return Object.fromEntries(Object.entries(tensors).map(([name, data]) => [name, change(data, name)]));
}

/** A number for all, or by name. */
function rateOf(rate: number | ((name: string) => number), name: string): number {
  return typeof rate === 'number' ? rate : rate(name);
}

function gradientOf(gradients: Tensors, name: string, length: number): Float32Array {
  const g = gradients[name];
  assert(g?.length === length, `a gradient of ${length} numbers for “${name}”`, g?.length);
  return g;
}
