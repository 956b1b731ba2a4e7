import { describe, expect, it } from 'vitest';
import { matrix, takeRows, type Matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import { evaluate, fitHead, poolPrior, predictPool } from '../../main/training/index.ts';
import { problemsOf } from '../../main/training/listening.ts';
import { poolGraph, spreadLabels } from '../../main/training/propagation.ts';

/** `c` clusters of `size` items each around far directions, in order. */
function clusters(
  c: number,
  size: number,
  d: number,
  noise: number,
  seed: number,
): { embedding: Matrix; of: number[] } {
  const rng = createRng(seed);
  const embedding = matrix(c * size, d);
  const of = Array.from({ length: c * size }, (_, i) => Math.floor(i / size));
  of.forEach((k, i) => {
    for (let j = 0; j < d; j++) embedding.data[i * d + j] = rng.normal() * noise + (j === k ? 3 : 0);
  });
  return { embedding, of };
}

describe('labels spread over the pool', () => {
  it('stay in their cluster, and reach all of it', async () => {
    const { embedding, of } = clusters(3, 40, 20, 0.2, 1);
    const graph = await poolGraph(embedding, createRng(2));
    const labelled = [0, 40, 80];
    const targets = matrix(3, 3, Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1));
    const reached = await spreadLabels(graph, takeRows(embedding, labelled), targets);
    graph.rows.forEach((row, i) => {
      const own = reached.subarray(3 * i, 3 * i + 3);
      own.forEach((value, j) => (j === of[row] ? expect(value).toBeGreaterThan(0) : expect(value).toBe(0)));
    });
  });

  it('are those of two items with one tie as worked out by hand', async () => {
    const pool = matrix(2, 1, Float32Array.of(1, 1));
    const graph = await poolGraph(pool, createRng(1));
    const [a, b] = await spreadLabels(
      { ...graph, neighbourCount: 1 },
      matrix(1, 1, Float32Array.of(1)),
      matrix(1, 1, Float32Array.of(1)),
    );
    // All are alike, so each tie is 1. A and B are each other’s nearest, L’s is A: degrees A 3, B 2, L 1.
    const [s, t] = [(0.95 * 2) / Math.sqrt(6), 0.95 / Math.sqrt(3)];
    let now = [0, 0, 0];
    for (let step = 0; step < 30; step++) now = [s * now[1] + t * now[2], s * now[0], t * now[0] + 0.05];
    expect(a).toBeCloseTo(now[0], 6);
    expect(b).toBeCloseTo(now[1], 6);
  });

  it('are the same side by side as one after the other', async () => {
    const { embedding } = clusters(3, 30, 18, 0.8, 3);
    const graph = await poolGraph(embedding, createRng(2));
    const own = takeRows(embedding, [3, 33, 63]);
    const [one, other] = [Float32Array.of(1, 0, 0), Float32Array.of(0, 1, 1)];
    const both = await spreadLabels(graph, own, matrix(3, 2, Float32Array.of(1, 0, 0, 1, 0, 1)));
    const first = await spreadLabels(graph, own, matrix(3, 1, one));
    const second = await spreadLabels(graph, own, matrix(3, 1, other));
    first.forEach((value, i) => expect(both[2 * i]).toBeCloseTo(value, 12));
    second.forEach((value, i) => expect(both[2 * i + 1]).toBeCloseTo(value, 12));
  });
});

describe('a head that hears the pool', () => {
  const { embedding, of } = clusters(3, 60, 20, 0.7, 5);
  const labelled = [0, 1, 60, 61, 120, 121];
  const input = async (labels: number[]) => {
    const targets = matrix(6, 3);
    labels.forEach((j, i) => (targets.data[3 * i + j] = 1));
    const features = takeRows(embedding, labelled);
    const prior = await poolPrior(embedding, 1);
    const fold = Int32Array.of(0, 1, 0, 1, 0, 1);
    return { task: 'classify' as const, embedding: features, features, scale: 1, targets, fold, prior };
  };

  it('guesses for a fold from the labels of the others alone', async () => {
    const right = await problemsOf(await input([0, 0, 1, 1, 2, 2]));
    const wrong = await problemsOf(await input([2, 0, 0, 1, 1, 2]));
    const guesses = (of_: typeof right, fold: number) => of_.problem(fold).targets!.slice(6 * 3);
    expect(guesses(wrong, 0)).toEqual(guesses(right, 0));
    expect(guesses(wrong, 1)).not.toEqual(guesses(right, 1));
    expect(right.problem(0).itemWeights.slice(0, 6)).toEqual(Float32Array.of(0, 1, 0, 1, 0, 1));
  });

  it('counts all guesses as few labels, and as none from eighty labels on', async () => {
    const problems = await problemsOf(await input([0, 0, 1, 1, 2, 2]));
    const weights = problems.problem(-1).itemWeights;
    expect(weights.slice(6).reduce((sum, w) => sum + w, 0)).toBeCloseTo(8 * (1 - 6 / 80), 3);
    const many = Array.from({ length: 80 }, (_, i) => i);
    const targets = matrix(80, 3);
    const { prior } = await input([0, 0, 1, 1, 2, 2]);
    const features = takeRows(embedding, many);
    const plain = await problemsOf({
      task: 'classify',
      embedding: features,
      features,
      scale: 1,
      targets,
      fold: null,
      prior,
    });
    expect(plain.features).toBe(features);
    expect(plain.strength).toBeNull();
  });

  it('is better with three labels a class where items hang together', async () => {
    const prior = await poolPrior(embedding, 1);
    const shuffled = await poolPrior(clusters(1, 180, 20, 0.7, 6).embedding, 1);
    let gain = 0;
    for (let seed = 0; seed < 6; seed++) {
      const few = createRng(seed).sample(180, 7);
      const labels = few.map((i) => [of[i]]);
      if (new Set(labels.flat()).size < 3) continue;
      const told = { embedding: takeRows(embedding, few), labels, task: 'classify' as const, classCount: 3, seed };
      const accuracy = async (p: typeof prior) => {
        const { head } = await fitHead({ ...told, prior: p });
        const all = of.map((j) => [j]);
        return evaluate(await predictPool(head, embedding), all, 'classify').accuracy.value;
      };
      gain += (await accuracy(prior)) - (await accuracy({ ...prior, graph: { ...shuffled.graph, neighbourCount: 0 } }));
    }
    expect(gain).toBeGreaterThan(0);
  });
});
