/**
 * L-BFGS (Liu & Nocedal 1989) for linear heads, as a generator: it yields the matrix
 * products it needs and is resumed with their results, so that dozens of problems (folds
 * × penalties) over the same items share one wide product per step (`solver.ts`).
 *
 * The problem is  Σᵢ wᵢ ℓ(zᵢ, yᵢ) + ½ λ ‖W‖²,  z = X W + b,  bias unpenalised, ℓ the softmax or
 * sigmoid cross-entropy. With fewer items than features W = Xᵀ U is kept as U, and inner
 * products go through the Gram matrix K = X Xᵀ: the same iterates for one n × n product a
 * step instead of two n × d ones. A line search moves along stored logits and costs none.
 */
import type { Task } from '../domain/schema.ts';

/** `gram`: K·u, n × c from n × c. `logits`: X·u, n × c from d × c. `gradient`: Xᵀ·r, d × c from n × c. */
export interface ProductRequest {
  kind: 'gram' | 'logits' | 'gradient';
  vector: Float32Array;
}

export interface HeadProblem {
  task: Task;
  n: number;
  c: number;
  /** d in the primal form, n in the Gram form. */
  p: number;
  form: 'primal' | 'gram';
  /** Targets, n × c, each in [0, 1]. */
  targets: Float32Array;
  /** Weight of each item; 0 holds it out. */
  itemWeights: Float32Array;
  lambda: number;
  /** Stop when the gradient's norm is this share of the first one's. */
  tolerance: number;
  maxIterations: number;
}

export interface HeadSolution {
  /** p × c; W itself, or U of W = Xᵀ U. */
  coefficients: Float32Array;
  bias: Float64Array;
  /** n × c, of every item, held-out ones included. */
  logits: Float32Array;
  /** The objective reached. */
  loss: number;
  iterations: number;
  converged: boolean;
}

/** A point or direction: coefficients, their image under the inner product's metric, bias. */
interface Vector {
  u: Float32Array;
  v: Float32Array;
  b: Float64Array;
}

const HISTORY = 6;

/** Solves one problem from zero; yields product requests. */
export function* minimise(problem: HeadProblem): Generator<ProductRequest, HeadSolution, Float32Array> {
  const { n, c, p, form, lambda } = problem;
  const gram = form === 'gram';
  const x = zero(problem);
  x.b.set(startingBias(problem));
  let logits = new Float32Array(n * c);
  for (let i = 0; i < n * c; i++) logits[i] = x.b[i % c];
  let residual = new Float32Array(n * c);
  let penalty = 0;
  let loss = lossAndResidual(problem, logits, residual);

  const steps: { s: Vector; y: Vector; rho: number }[] = [];
  let gradient = yield* gradientAt(problem, x, residual);
  const first = Math.sqrt(inner(gradient, gradient));
  let norm = first;
  let iterations = 0;
  let converged = first < 1e-9;
  while (!converged && iterations < problem.maxIterations) {
    iterations++;
    const direction = descent(gradient, steps, gram);
    let slope = inner(gradient, direction);
    if (!(slope < 0)) {
      steps.length = 0;
      copy(gradient, direction, -1);
      slope = -norm * norm;
    }
    const along = gram ? direction.v : yield { kind: 'logits', vector: direction.u };
    const moved = { logits: new Float32Array(n * c), residual: new Float32Array(n * c), at: 0, loss: 0 };
    const step = lineSearch(problem, logits, along, direction.b, moved, {
      loss: loss + (lambda / 2) * penalty,
      slope,
      // ½ λ ‖W + t D‖² along the line.
      linear: lambda * innerU(x, direction),
      quadratic: lambda * innerU(direction, direction),
      penalty: (lambda / 2) * penalty,
      start: steps.length === 0 ? Math.min(1, 4 / norm) : 1,
    });
    if (step === 0) break;
    for (let i = 0; i < p * c; i++) x.u[i] += step * direction.u[i];
    if (gram) for (let i = 0; i < p * c; i++) x.v[i] += step * direction.v[i];
    for (let j = 0; j < c; j++) x.b[j] += step * direction.b[j];
    penalty = innerU(x, x);
    if (moved.at !== step) moveTo(problem, logits, along, direction.b, step, moved);
    logits = moved.logits;
    residual = moved.residual;
    loss = moved.loss;

    const next = yield* gradientAt(problem, x, residual);
    const oldest = steps.length === HISTORY ? steps.shift()! : { s: zero(problem), y: zero(problem), rho: 0 };
    copy(direction, oldest.s, step);
    difference(next, gradient, oldest.y);
    const curvature = inner(oldest.s, oldest.y);
    if (curvature > 1e-12) steps.push({ ...oldest, rho: 1 / curvature });
    gradient = next;
    norm = Math.sqrt(inner(gradient, gradient));
    converged = norm <= problem.tolerance * first;
  }
  return {
    coefficients: x.u,
    bias: x.b,
    logits,
    loss: loss + (lambda / 2) * penalty,
    iterations,
    converged,
  };
}

function zero({ p, c, form }: HeadProblem): Vector {
  const u = new Float32Array(p * c);
  return { u, v: form === 'gram' ? new Float32Array(p * c) : u, b: new Float64Array(c) };
}

/** The bias that fits the class shares alone: the optimum under an infinite penalty. */
function startingBias({ task, n, c, targets, itemWeights }: HeadProblem): Float64Array {
  const share = new Float64Array(c).fill(0.5);
  let total = task === 'classify' ? 0.5 * c : 1;
  for (let i = 0; i < n; i++) {
    total += itemWeights[i];
    for (let j = 0; j < c; j++) share[j] += itemWeights[i] * targets[i * c + j];
  }
  const bias = share.map((s) => (task === 'classify' ? Math.log(s / total) : Math.log(s / (total - s))));
  if (task === 'classify-many') return bias;
  // Softmax knows biases up to a constant; gradients keep their sum, so it starts and stays at zero.
  const mean = bias.reduce((sum, value) => sum + value, 0) / c;
  return bias.map((value) => value - mean);
}

function* gradientAt(
  problem: HeadProblem,
  x: Vector,
  residual: Float32Array,
): Generator<ProductRequest, Vector, Float32Array> {
  const { n, c, p, lambda, form } = problem;
  const b = new Float64Array(c);
  for (let i = 0; i < n; i++) for (let j = 0; j < c; j++) b[j] += residual[i * c + j];
  const u = form === 'gram' ? residual.slice() : (yield { kind: 'gradient', vector: residual }).slice();
  for (let i = 0; i < p * c; i++) u[i] += lambda * x.u[i];
  const v = form === 'gram' ? (yield { kind: 'gram', vector: u }).slice() : u;
  return { u, v, b };
}

/** Σ w ℓ at the logits; writes w (σ(z) − y). Computed in float64. */
function lossAndResidual(problem: HeadProblem, logits: Float32Array, residual: Float32Array): number {
  const { task, n, c, targets, itemWeights } = problem;
  let loss = 0;
  for (let i = 0; i < n; i++) {
    const w = itemWeights[i];
    const at = i * c;
    if (w === 0) {
      residual.fill(0, at, at + c);
    } else if (task === 'classify') {
      let top = -Infinity;
      for (let j = at; j < at + c; j++) if (logits[j] > top) top = logits[j];
      let sum = 0;
      for (let j = at; j < at + c; j++) sum += residual[j] = Math.exp(logits[j] - top);
      const logSum = top + Math.log(sum);
      for (let j = at; j < at + c; j++) {
        loss += w * targets[j] * (logSum - logits[j]);
        residual[j] = w * (residual[j] / sum - targets[j]);
      }
    } else {
      for (let j = at; j < at + c; j++) {
        const z = logits[j];
        const e = Math.exp(-Math.abs(z));
        loss += w * (Math.max(z, 0) - z * targets[j] + Math.log1p(e));
        residual[j] = w * ((z >= 0 ? 1 : e) / (1 + e) - targets[j]);
      }
    }
  }
  return loss;
}

/** Logits, residual and loss at a point of the line. */
interface Moved {
  logits: Float32Array;
  residual: Float32Array;
  at: number;
  loss: number;
}

function moveTo(
  problem: HeadProblem,
  logits: Float32Array,
  along: Float32Array,
  biasAlong: Float64Array,
  t: number,
  moved: Moved,
): void {
  const { n, c } = problem;
  for (let i = 0, at = 0; i < n; i++) {
    for (let j = 0; j < c; j++, at++) moved.logits[at] = logits[at] + t * (along[at] + biasAlong[j]);
  }
  moved.at = t;
  moved.loss = lossAndResidual(problem, moved.logits, moved.residual);
}

/** A step that satisfies Armijo's condition and, where the search had to move, lies near the line's minimum: Newton on φ′ with bracketing, at most ten evaluations. 0 when there is none. */
function lineSearch(
  problem: HeadProblem,
  logits: Float32Array,
  along: Float32Array,
  biasAlong: Float64Array,
  moved: Moved,
  line: { loss: number; slope: number; linear: number; quadratic: number; penalty: number; start: number },
): number {
  const { n, c } = problem;
  let low = 0;
  let lowSlope = line.slope;
  let high = Infinity;
  let t = line.start;
  let best = 0;
  let bestLoss = line.loss;
  for (let evaluation = 0; evaluation < 10; evaluation++) {
    moveTo(problem, logits, along, biasAlong, t, moved);
    const loss = moved.loss + line.penalty + t * line.linear + 0.5 * t * t * line.quadratic;
    let slope = line.linear + t * line.quadratic;
    for (let i = 0, at = 0; i < n; i++) {
      for (let j = 0; j < c; j++, at++) slope += moved.residual[at] * (along[at] + biasAlong[j]);
    }
    const armijo = loss <= line.loss + 1e-4 * t * line.slope;
    if (armijo && loss < bestLoss) {
      best = t;
      bestLoss = loss;
    }
    if (armijo && Math.abs(slope) <= 0.5 * Math.abs(line.slope)) return t;
    if (slope > 0 || !armijo) high = t;
    else {
      // φ is convex: the secant through the two slopes overshoots little.
      const secant = t + ((t - low) * slope) / (lowSlope - slope);
      low = t;
      lowSlope = slope;
      t = high < Infinity ? (low + high) / 2 : Math.min(Math.max(secant, 1.5 * t), 10 * t);
      continue;
    }
    const secant = low - (lowSlope * (high - low)) / (slope - lowSlope);
    t = secant > low + 0.1 * (high - low) && secant < high - 0.1 * (high - low) ? secant : (low + high) / 2;
  }
  return best;
}

function innerU(a: Vector, b: Vector): number {
  let sum = 0;
  for (let i = 0; i < a.u.length; i++) sum += a.u[i] * b.v[i];
  return sum;
}

function inner(a: Vector, b: Vector): number {
  let sum = innerU(a, b);
  for (let j = 0; j < a.b.length; j++) sum += a.b[j] * b.b[j];
  return sum;
}

function copy(from: Vector, to: Vector, factor: number): void {
  for (let i = 0; i < from.u.length; i++) to.u[i] = factor * from.u[i];
  if (from.v !== from.u) for (let i = 0; i < from.v.length; i++) to.v[i] = factor * from.v[i];
  for (let j = 0; j < from.b.length; j++) to.b[j] = factor * from.b[j];
}

function difference(a: Vector, b: Vector, to: Vector): void {
  for (let i = 0; i < a.u.length; i++) to.u[i] = a.u[i] - b.u[i];
  if (a.v !== a.u) for (let i = 0; i < a.v.length; i++) to.v[i] = a.v[i] - b.v[i];
  for (let j = 0; j < a.b.length; j++) to.b[j] = a.b[j] - b.b[j];
}

/** −H·g by the two-loop recursion, first scaled by sᵀy / yᵀy. */
function descent(gradient: Vector, steps: { s: Vector; y: Vector; rho: number }[], gram: boolean): Vector {
  const u = gradient.u.slice();
  const q: Vector = { u, v: gram ? gradient.v.slice() : u, b: gradient.b.slice() };
  const alphas = new Float64Array(steps.length);
  for (let k = steps.length - 1; k >= 0; k--) {
    alphas[k] = steps[k].rho * inner(steps[k].s, q);
    add(q, steps[k].y, -alphas[k]);
  }
  const last = steps.at(-1);
  copy(q, q, last ? 1 / (last.rho * inner(last.y, last.y)) : 1);
  for (let k = 0; k < steps.length; k++) {
    const beta = steps[k].rho * inner(steps[k].y, q);
    add(q, steps[k].s, alphas[k] - beta);
  }
  copy(q, q, -1);
  return q;
}

function add(to: Vector, what: Vector, factor: number): void {
  for (let i = 0; i < to.u.length; i++) to.u[i] += factor * what.u[i];
  if (to.v !== to.u) for (let i = 0; i < to.v.length; i++) to.v[i] += factor * what.v[i];
  for (let j = 0; j < to.b.length; j++) to.b[j] += factor * what.b[j];
}
