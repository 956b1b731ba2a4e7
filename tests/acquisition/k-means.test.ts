import { describe, expect, it } from 'vitest';
import { kMeans } from '../../main/acquisition/k-means.ts';
import { createRng } from '../../main/domain/rng.ts';
import { pool, rows } from './pools.ts';

describe('k-means', () => {
  it('finds blobs that are far apart, also from a sample', async () => {
    const { reduced } = pool(1);
    for (const sampleSize of [1000, 40]) {
      const { assignment, sampled, k } = await kMeans(
        reduced,
        Array.from({ length: 100 }, (_, i) => i),
        3,
        { rng: createRng(1), sampleSize },
      );
      expect([k, sampled]).toEqual([3, sampleSize === 40]);
      expect([new Set(assignment.slice(0, 60)).size, new Set(assignment.slice(60, 90)).size]).toEqual([1, 1]);
      expect(new Set([assignment[0], assignment[60], assignment[95]]).size).toBe(3);
    }
  });

  it('makes no more clusters than there are rows', async () => {
    expect((await kMeans(rows([0, 0], [1, 1]), [0, 1], 5, { rng: createRng(1) })).k).toBe(2);
  });
});
