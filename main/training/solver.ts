/**
 * Runs many head problems over the same items at once: every step, the products that all
 * unfinished problems ask for are laid side by side and done as one (`lbfgs.ts` asks,
 * `products.ts` multiplies). Chooses the Gram form when there are fewer items than
 * features. Cancelling rejects with the signal's reason between steps.
 */
import type { Matrix } from '../domain/matrix.ts';
import type { Task } from '../domain/schema.ts';
import { minimise, type HeadProblem, type HeadSolution, type ProductRequest } from './lbfgs.ts';
import { multiply, type ProductKind } from './products.ts';

export interface SharedProblem {
  task: Task;
  /** Centred, scaled features, `[n, d]`. */
  features: Matrix;
  /** `features`·`features`ᵀ where the caller has it already. */
  gram?: Matrix;
  /** `[n, c]`. */
  targets: Matrix;
  form?: 'primal' | 'gram';
  signal?: AbortSignal;
}

export interface Variant {
  /** One weight per item; 0 holds it out. */
  itemWeights: Float32Array;
  /** Its own targets, n × c, instead of the shared ones. */
  targets?: Float32Array;
  lambda: number;
  tolerance: number;
  maxIterations: number;
}

/** Solves every variant; solutions in the same order, their coefficients `[d, c]` or, in the Gram form, `[n, c]`. */
export async function solveAll(
  shared: SharedProblem,
  variants: readonly Variant[],
): Promise<{ form: 'primal' | 'gram'; solutions: HeadSolution[] }> {
  const { features, targets } = shared;
  const form = shared.form ?? (features.rows <= features.columns ? 'gram' : 'primal');
  const gram = form === 'gram' ? (shared.gram ?? (await multiply('a·bᵀ', features, features))) : null;
  const n = features.rows;
  const c = targets.columns;
  const base = { task: shared.task, n, c, form, targets: targets.data } as const;
  const solutions: HeadSolution[] = new Array(variants.length);
  let waiting = variants.flatMap((variant, at) => {
    const problem: HeadProblem = { ...base, ...variant, p: form === 'gram' ? n : features.columns };
    const generator = minimise(problem);
    const step = generator.next();
    if (!step.done) return [{ at, generator, request: step.value }];
    solutions[at] = step.value;
    return [];
  });
  while (waiting.length > 0) {
    shared.signal?.throwIfAborted();
    const kind = waiting[0].request.kind;
    const together = waiting.filter(({ request }) => request.kind === kind);
    const later = waiting.filter(({ request }) => request.kind !== kind);
    const left = kind === 'gram' ? gram! : features;
    const results = await productsOf(
      kind,
      left,
      together.map(({ request }) => request.vector),
      c,
    );
    const next: typeof waiting = [];
    together.forEach(({ at, generator }, k) => {
      const step = generator.next(results[k]);
      if (step.done) solutions[at] = step.value;
      else next.push({ at, generator, request: step.value });
    });
    waiting = [...later, ...next];
  }
  return { form, solutions };
}

const KINDS: Record<ProductRequest['kind'], ProductKind> = { gram: 'a·b', logits: 'a·b', gradient: 'aᵀ·b' };

/** `left` times each vector (rows × c), by one product over all of them side by side. */
async function productsOf(
  kind: ProductRequest['kind'],
  left: Matrix,
  vectors: readonly Float32Array[],
  c: number,
): Promise<Float32Array[]> {
  const inRows = vectors[0].length / c;
  if (vectors.length === 1) {
    const product = await multiply(KINDS[kind], left, { data: vectors[0], rows: inRows, columns: c });
    return [product.data];
  }
  const width = vectors.length * c;
  const side = new Float32Array(inRows * width);
  vectors.forEach((vector, k) => {
    for (let i = 0; i < inRows; i++) for (let j = 0; j < c; j++) side[i * width + k * c + j] = vector[i * c + j];
  });
  const { data, rows } = await multiply(KINDS[kind], left, { data: side, rows: inRows, columns: width });
  return vectors.map((_, k) => {
    const own = new Float32Array(rows * c);
    for (let i = 0; i < rows; i++) for (let j = 0; j < c; j++) own[i * c + j] = data[i * width + k * c + j];
    return own;
  });
}
