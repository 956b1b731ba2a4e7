/**
 * Strategies by the gradient that an item's label would give to the head. For a softmax
 * regression it is (p − e_y) hᵀ, so that lengths and products of gradients are those of two
 * short vectors multiplied, and no `[n, c·d]` is ever formed.
 * Expected gradient length: how much a label would move the head, on average over what it
 * may be. BADGE: k-means++ over the gradients towards the likeliest label, so that the batch
 * is both uncertain and diverse.
 */
import type { Matrix } from '../domain/matrix.ts';
import { createRng } from '../domain/rng.ts';
import type { Task } from '../domain/schema.ts';
import { drawLazily } from './lazy-draw.ts';
import { createPace } from './pace.ts';
import { scoreInChunks, type SelectionInput, type Strategy } from './strategy.ts';
import { explainMargin, highestFirst } from './uncertain.ts';
import { dot } from './vectors.ts';

const seenByHead = (input: SelectionInput) => input.embedding ?? input.reduced!;

/**
 * Σ_y p_y ‖p − e_y‖ of one row; with many classes there are 2^c labels, and the root of the
 * expected squared length, √Σ p(1 − p), takes its place (at least the expected length).
 */
function expectedResidual(p: Float32Array, from: number, c: number, task: Task | undefined): number {
  let squares = 0;
  for (let j = from; j < from + c; j++) squares += p[j] * p[j];
  let expected = 0;
  if (task === 'classify-many') {
    for (let j = from; j < from + c; j++) expected += p[j] * (1 - p[j]);
    return Math.sqrt(expected);
  }
  // ‖p − e_y‖² = ‖p‖² − 2 p_y + 1.
  for (let j = from; j < from + c; j++) expected += p[j] * Math.sqrt(Math.max(0, squares - 2 * p[j] + 1));
  return expected;
}

/** Σ_y p_y ‖(p − e_y)‖ · ‖[h; 1]‖, exact for a softmax regression with a bias. */
export const gradientLength: Strategy = highestFirst({
  name: 'gradient-length',
  needs: ['probabilities', 'reduced'],
  cites: 'Settles, Craven & Ray 2008, Multiple-instance active learning (expected gradient length)',
  many: 'the root of the expected squared length over all sets of classes',
  scores(input, pace) {
    const { data: p, columns: c } = input.probabilities!;
    const { data: h, columns: d } = seenByHead(input);
    return scoreInChunks('gradient-length', input.candidates, pace, (chunk) =>
      Float64Array.from(
        chunk,
        (item) => expectedResidual(p, item * c, c, input.task) * Math.sqrt(1 + dot(h, item * d, h, item * d, d)),
      ),
    );
  },
  why: (input, item) => ({ code: 'gradient', ...explainMargin(input, item) }),
});

/** p − e_ŷ of each candidate, `[n, c]`; with many classes p less the set of the classes above ½. */
function residuals(probabilities: Matrix, chunk: Int32Array, task: Task | undefined, into: Float32Array): void {
  const { data: p, columns: c } = probabilities;
  for (let i = 0, at = 0; i < chunk.length; i++) {
    const from = chunk[i] * c;
    let best = from;
    for (let j = from; j < from + c; j++) if (p[j] > p[best]) best = j;
    for (let j = from; j < from + c; j++, at++) {
      const isGuessed = task === 'classify-many' ? p[j] > 0.5 : j === best;
      into[at] = isGuessed ? p[j] - 1 : p[j];
    }
  }
}

export const badge: Strategy = {
  needs: ['probabilities', 'reduced'],
  cites: 'Ash et al. 2020, Deep batch active learning by diverse, uncertain gradient lower bounds (BADGE)',
  many: 'the gradient towards the set of all classes above ½',
  async select(input) {
    const pace = createPace(input.signal);
    const { candidates, probabilities } = input;
    const c = probabilities!.columns;
    const { data: h, columns: d } = seenByHead(input);
    const a = new Float32Array(candidates.length * c);
    const squared = await scoreInChunks('badge', candidates, pace, (chunk, from) => {
      residuals(probabilities!, chunk, input.task, a.subarray(from * c));
      return Float64Array.from(chunk, (item, i) => {
        const at = (from + i) * c;
        return dot(a, at, a, at, c) * dot(h, item * d, h, item * d, d);
      });
    });
    // ‖g − g'‖² = ‖g‖² + ‖g'‖² − 2 (a·a')(h·h').
    const distance = (i: number, j: number) =>
      squared[i] + squared[j] - 2 * dot(a, i * c, a, j * c, c) * dot(h, candidates[i] * d, h, candidates[j] * d, d);
    const rng = createRng(input.seed).derive('badge');
    const drawn = await drawLazily(input, { norms: squared, distance }, input.batch, rng, pace);
    return drawn.map(({ position, squaredDistance }) => ({
      index: candidates[position],
      score: Math.sqrt(squaredDistance),
      strategy: 'badge' as const,
      why: { code: 'gradient' as const, ...explainMargin(input, candidates[position]) },
    }));
  },
};
