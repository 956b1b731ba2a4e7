import { describe, expect, it } from 'vitest';
import { matrix, type Matrix } from '../../main/domain/matrix.ts';
import { targetsOf } from '../../main/training/head.ts';
import { solveAll } from '../../main/training/solver.ts';
import { multiply } from '../../main/training/products.ts';

// The expected losses, weights and biases are scikit-learn 1.2.1's LogisticRegression
// (tol=1e-12) on the same twelve rows, x_ij = sin(1 + 3i + 7j) + ½ where i mod 3 = j.
const n = 12;
const d = 4;
const features: Matrix = matrix(n, d);
for (let i = 0; i < n; i++) {
  for (let j = 0; j < d; j++) features.data[i * d + j] = Math.sin(1 + 3 * i + 7 * j) + (i % 3 === j ? 0.5 : 0);
}
const rows = Array.from({ length: n }, (_, i) => i);
const one = targetsOf(
  rows.map((i) => [i % 3]),
  3,
);
const many = targetsOf(
  rows.map((i) => [...(i % 2 === 0 ? [0] : []), ...(i % 4 === 1 ? [1] : [])]),
  2,
);
const all = new Float32Array(n).fill(1);
const strict = { tolerance: 1e-6, maxIterations: 500 };

async function weightsOf(form: 'primal' | 'gram', coefficients: Float32Array, c: number): Promise<number[]> {
  if (form === 'primal') return [...coefficients];
  return [...(await multiply('aᵀ·b', features, matrix(n, c, Float32Array.from(coefficients)))).data];
}

const close = (actual: ArrayLike<number>, expected: number[], digits = 3) =>
  expected.forEach((value, i) => expect(actual[i], `value ${i}`).toBeCloseTo(value, digits));

describe.each(['primal', 'gram'] as const)('heads solved in the %s form', (form) => {
  it('are scikit-learn’s softmax regressions', async () => {
    const { solutions } = await solveAll({ task: 'classify', features, targets: one, form }, [
      { itemWeights: all, lambda: 2, ...strict },
      { itemWeights: all, lambda: 1 / 20, ...strict },
    ]);
    expect(solutions.every(({ converged }) => converged)).toBe(true);
    expect(solutions[0].loss).toBeCloseTo(11.408013132408996, 5);
    expect(solutions[1].loss).toBeCloseTo(3.4089232981316115, 5);
    const strong = [
      0.617747, -0.533559, -0.084188, -0.134756, 0.359096, -0.22434, -0.184757, -0.287054, 0.471812, 0.060388, 0.187294,
      -0.247682,
    ];
    const weak = [
      3.624281, -2.647476, -0.976805, -1.646942, 3.305144, -1.658202, -1.399671, -2.304186, 3.703857, 2.600814,
      0.349077, -2.949891,
    ];
    close(await weightsOf(form, solutions[0].coefficients, 3), strong);
    close(await weightsOf(form, solutions[1].coefficients, 3), weak);
    close(solutions[0].bias, [-0.09571, 0.094705, 0.001005]);
  });

  it('are scikit-learn’s logistic regressions, one per class', async () => {
    const { solutions } = await solveAll({ task: 'classify-many', features, targets: many, form }, [
      { itemWeights: all, lambda: 2, ...strict },
      { itemWeights: all, lambda: 1 / 20, ...strict },
    ]);
    expect(solutions[0].loss).toBeCloseTo(9.07036969865431, 5);
    expect(solutions[1].loss).toBeCloseTo(4.550149948912971, 5);
    close(
      await weightsOf(form, solutions[0].coefficients, 2),
      [0.20897, -0.2446, 0.684879, -0.479069, 0.831125, -0.462404, 0.607954, -0.252966],
    );
    close(solutions[1].bias, [-0.868218, -1.805432]);
  });

  it('give held-out items the logits of a model that never saw them', async () => {
    const itemWeights = Float32Array.from(rows, (i) => (i === 2 || i === 7 ? 0 : 1));
    const { solutions } = await solveAll({ task: 'classify', features, targets: one, form }, [
      { itemWeights, lambda: 1 / 5, ...strict },
    ]);
    const centred = [2, 7].flatMap((i) => {
      const own = [...solutions[0].logits.subarray(3 * i, 3 * i + 3)];
      const mean = (own[0] + own[1] + own[2]) / 3;
      return own.map((z) => z - mean);
    });
    close(centred, [-0.02868, -0.66682, 0.6955, 0.07006, 0.25899, -0.32905]);
  });
});

describe('many problems at once', () => {
  it('end where each would have ended alone', async () => {
    const variants = [5, 1, 0.2, 0.04].map((lambda) => ({ itemWeights: all, lambda, ...strict }));
    const shared = { task: 'classify' as const, features, targets: one };
    const together = await solveAll(shared, variants);
    for (const [k, variant] of variants.entries()) {
      const alone = await solveAll(shared, [variant]);
      expect(together.solutions[k].loss).toBeCloseTo(alone.solutions[0].loss, 5);
    }
  });

  it('stop when cancelled', async () => {
    const signal = AbortSignal.abort('enough');
    await expect(
      solveAll({ task: 'classify', features, targets: one, signal }, [{ itemWeights: all, lambda: 1, ...strict }]),
    ).rejects.toBe('enough');
  });
});
