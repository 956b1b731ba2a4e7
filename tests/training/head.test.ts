import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { matrix, takeRows, type Matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import { components, divide, evaluate, fitHead, poolPrior, predictPool } from '../../main/training/index.ts';

/** Blobs in `d` dimensions whose first two coordinates tell the class. */
function blobs(n: number, d: number, c: number, seed: number, noise = 0.3): { embedding: Matrix; labels: number[][] } {
  const rng = createRng(seed);
  const embedding = matrix(n, d);
  const labels: number[][] = [];
  for (let i = 0; i < n; i++) {
    labels.push([i % c]);
    for (let j = 0; j < d; j++) embedding.data[i * d + j] = rng.normal() * (j < 2 ? 1 : noise) + 5;
    embedding.data[i * d] += 4 * Math.cos((2 * Math.PI * (i % c)) / c);
    embedding.data[i * d + 1] += 4 * Math.sin((2 * Math.PI * (i % c)) / c);
  }
  return { embedding, labels };
}

const accuracyOn = async (head: Parameters<typeof predictPool>[0], on: ReturnType<typeof blobs>) =>
  evaluate(await predictPool(head, on.embedding), on.labels, 'classify').accuracy.value;

describe('a head', () => {
  it.each([
    [60, 5],
    [40, 200],
  ])('on %i items of %i features tells blobs apart and has the folds say so', async (n, d) => {
    const fit = await fitHead({ ...blobs(n, d, 3, 1), task: 'classify', classCount: 3, seed: 1 });
    expect(await accuracyOn(fit.head, blobs(300, d, 3, 2))).toBeGreaterThan(0.93);
    expect(fit.crossValidation!.tested).toBe(n);
    expect(fit.crossValidation!.correct / n).toBeGreaterThan(0.9);
  });

  it('has the same weights for the same rows, labels and seed', async () => {
    const input = { ...blobs(50, 30, 3, 4), task: 'classify' as const, classCount: 3, seed: 9 };
    const [a, b] = [await fitHead(input), await fitHead(input)];
    expect(a.head).toEqual(b.head);
  });

  it('does not mind how the embedding is shifted and scaled', async () => {
    const data = blobs(60, 5, 3, 6);
    const moved: Matrix = { ...data.embedding, data: data.embedding.data.map((x) => 100 * x + 7) };
    const [a, b] = await Promise.all(
      [data.embedding, moved].map(async (embedding) => {
        const { head } = await fitHead({ embedding, labels: data.labels, task: 'classify', classCount: 3, seed: 1 });
        return (await predictPool(head, embedding)).data;
      }),
    );
    a.forEach((p, i) => expect(b[i]).toBeCloseTo(p, 2));
  });

  it('learns independent classes where an item may have many', async () => {
    const { embedding } = blobs(80, 4, 2, 3);
    const labels = Array.from({ length: 80 }, (_, i) => [
      ...(embedding.data[4 * i] > 5 ? [0] : []),
      ...(embedding.data[4 * i + 1] > 5 ? [1] : []),
    ]);
    const { head } = await fitHead({ embedding, labels, task: 'classify-many', classCount: 2, seed: 1 });
    const { accuracy } = evaluate(await predictPool(head, embedding), labels, 'classify-many');
    expect(accuracy.value).toBeGreaterThan(0.9);
  });

  it('works from two labels on, by a prior instead of folds, and refuses one class', async () => {
    const { embedding } = blobs(2, 5, 2, 1);
    const fit = await fitHead({ embedding, labels: [[0], [1]], task: 'classify', classCount: 2, seed: 1 });
    expect(fit.crossValidation).toBeNull();
    expect([...(await predictPool(fit.head, embedding)).data].every(Number.isFinite)).toBe(true);
    await expect(
      fitHead({ embedding, labels: [[0], [0]], task: 'classify', classCount: 2, seed: 1 }),
    ).rejects.toMatchObject({ code: 'labels-too-few' });
  });

  it('gives finite probabilities where all embeddings are alike', async () => {
    const embedding = matrix(10, 3, new Float32Array(30).fill(2));
    const labels = Array.from({ length: 10 }, (_, i) => [Number(i < 7)]);
    const { head } = await fitHead({ embedding, labels, task: 'classify', classCount: 2, seed: 1 });
    expect((await predictPool(head, embedding)).data[1]).toBeGreaterThan(0.5);
  });

  it('predicts in chunks what it predicts at once, and can be cancelled', async () => {
    const { embedding, labels } = blobs(50, 6, 3, 8);
    const { head } = await fitHead({ embedding, labels, task: 'classify', classCount: 3, seed: 1 });
    const seen: number[] = [];
    const parts = await predictPool(head, embedding, { chunk: 7, onProgress: (done) => seen.push(done) });
    const whole = await predictPool(head, embedding);
    parts.data.forEach((p, i) => expect(p).toBeCloseTo(whole.data[i], 5));
    expect(seen.at(-1)).toBe(50);
    await expect(predictPool(head, embedding, { signal: AbortSignal.abort('stop') })).rejects.toBe('stop');
  });
});

describe('the pool prior', () => {
  it('leads heads of few labels to the directions in which the pool differs', async () => {
    for (const d of [100, 600]) {
      const pool = blobs(300, d, 3, 10, 0.7);
      const prior = await poolPrior(pool.embedding, 1);
      let gain = 0;
      for (let seed = 0; seed < 3; seed++) {
        const few = createRng(seed).sample(300, 12);
        const labels = few.map((i) => pool.labels[i]);
        const input = {
          embedding: takeRows(pool.embedding, few),
          labels,
          task: 'classify' as const,
          classCount: 3,
          seed,
        };
        const [led, plain] = [await fitHead({ ...input, prior }), await fitHead(input)];
        gain += (await accuracyOn(led.head, pool)) - (await accuracyOn(plain.head, pool));
      }
      expect(gain / 3).toBeGreaterThan(0.05);
    }
  });

  it('is the pool’s covariance: D Dᵀ for a hand-worked pool', async () => {
    // Rows (0,0), (2,2), (4,0), (2,−2): mean (2,0), covariance diag(2, 2).
    const prior = await poolPrior(matrix(4, 2, Float32Array.of(0, 0, 2, 2, 4, 0, 2, -2)), 1);
    expect([...prior.mean]).toEqual([2, 0]);
    prior.directions.data.forEach((value, i) => expect(value).toBeCloseTo([Math.SQRT2, 0, 0, Math.SQRT2][i], 4));
  });
});

describe('folds', () => {
  it('join what shares a group or a near-duplicate cluster, directly or through others', () => {
    const joined = components(6, [0, 0, -1, 1, -1, 1], [-1, 5, 5, -1, -1, -1]);
    expect([...joined]).toEqual([0, 0, 0, 1, 2, 1]);
  });

  it('never split a component and spread rare classes', () => {
    const rng = createRng(2);
    const component = Int32Array.from({ length: 300 }, () => rng.int(120));
    const classes = Array.from({ length: 300 }, (_, i) => [i % 50 === 0 ? 1 : 0]);
    const part = divide(component, classes, 2, [0.75, 0.25], rng);
    const sides = new Map<number, Set<number>>();
    component.forEach((key, i) => sides.set(key, (sides.get(key) ?? new Set()).add(part[i])));
    expect([...sides.values()].every((own) => own.size === 1)).toBe(true);
    const size = (p: number, k?: number) =>
      classes.filter((own, i) => part[i] === p && (k === undefined || own[0] === k)).length;
    expect(Math.abs(size(1) - 75)).toBeLessThan(8);
    expect(size(0, 1)).toBeGreaterThan(0);
    expect(size(1, 1)).toBeGreaterThan(0);
  });
});

const pima = new URL('../../../shared/data/diabetes/pima.csv', import.meta.url);
describe.skipIf(!existsSync(pima))('on the diabetes table of 768 patients', () => {
  it('reaches the accuracy that is known for it, cross-validated', async () => {
    const lines = readFileSync(pima, 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.split(',').map(Number));
    // 0 in glucose, pressure, triceps, insulin or BMI means not measured.
    const columns = Array.from({ length: 8 }, (_, j) => {
      const missing = (x: number) => x === 0 && j >= 1 && j <= 5;
      const known = lines.map((line) => line[j]).filter((x) => !missing(x));
      const mean = known.reduce((a, b) => a + b) / known.length;
      const deviation = Math.sqrt(known.reduce((sum, x) => sum + (x - mean) ** 2, 0) / known.length);
      return lines.map((line) => (missing(line[j]) ? 0 : (line[j] - mean) / deviation));
    });
    const embedding = matrix(768, 8, Float32Array.from(lines.flatMap((_, i) => columns.map((column) => column[i]))));
    const labels = lines.map((line) => [line[8]]);
    const { crossValidation } = await fitHead({ embedding, labels, task: 'classify', classCount: 2, seed: 1 });
    expect(Math.abs(crossValidation!.correct / 768 - 0.77)).toBeLessThan(0.02);
  });
});
