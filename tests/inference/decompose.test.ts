import { describe, expect, it } from 'vitest';
import { createRng } from '../../main/domain/rng.ts';
import { gram, randomizedSvd, rowOperator, symmetricEigen } from '../../main/inference/decompose.ts';

const dense = (rows: number, columns: number, values: Float64Array) =>
  rowOperator(rows, columns, (i) => ({ columns: null, values, from: i * columns, to: (i + 1) * columns }));

describe('symmetricEigen', () => {
  it('gives the eigenvalues and vectors worked by hand', () => {
    // [[2, 1], [1, 2]]: 3 along (1, 1), 1 along (1, −1).
    const { values, vectors } = symmetricEigen(Float64Array.of(2, 1, 1, 2), 2);
    expect(values[0]).toBeCloseTo(3, 12);
    expect(values[1]).toBeCloseTo(1, 12);
    expect(vectors[0]).toBeCloseTo(Math.SQRT1_2, 12);
    expect(vectors[1]).toBeCloseTo(Math.SQRT1_2, 12);
  });

  it('rebuilds a random matrix from what it found, with orthonormal vectors', () => {
    const n = 40;
    const rng = createRng(3);
    const x = Float64Array.from({ length: 60 * n }, () => rng.normal());
    const a = gram(x, 60, n);
    const { values, vectors } = symmetricEigen(a, n);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        let rebuilt = 0;
        let product = 0;
        for (let r = 0; r < n; r++) {
          rebuilt += values[r] * vectors[r * n + i] * vectors[r * n + j];
          product += vectors[i * n + r] * vectors[j * n + r];
        }
        expect(rebuilt).toBeCloseTo(a[i * n + j], 8);
        expect(product).toBeCloseTo(i === j ? 1 : 0, 10);
      }
    }
    expect([...values]).toEqual([...values].sort((p, q) => q - p));
  });
});

describe('randomizedSvd', () => {
  it('agrees with the eigenvalues of the Gram matrix', async () => {
    const rows = 50;
    const columns = 30;
    const rng = createRng(5);
    const data = Float64Array.from({ length: rows * columns }, (_, i) => rng.normal() / (1 + (i % columns)));
    const exact = symmetricEigen(gram(data, rows, columns), columns);
    const { values, vectors, rank } = await randomizedSvd(dense(rows, columns, data), 4, createRng(1));
    expect(rank).toBe(4);
    for (let r = 0; r < 4; r++) {
      expect(values[r]).toBeCloseTo(Math.sqrt(exact.values[r]), 4);
      for (let j = 0; j < columns; j++) expect(vectors[r * columns + j]).toBeCloseTo(exact.vectors[r * columns + j], 2);
    }
  });

  it('gives no more vectors than the matrix has rank, and none for zeros', async () => {
    const twoRows = Float64Array.from([1, 2, 3, 4, 2, 4, 6, 8, 0, 1, 0, 1]);
    expect((await randomizedSvd(dense(3, 4, twoRows), 3, createRng(1))).rank).toBe(2);
    expect((await randomizedSvd(dense(3, 4, new Float64Array(12)), 3, createRng(1))).rank).toBe(0);
  });
});
