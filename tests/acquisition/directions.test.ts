import { expect, it } from 'vitest';
import { directionsOf } from '../../main/acquisition/directions.ts';
import { createPace } from '../../main/acquisition/pace.ts';
import { matrix } from '../../main/domain/matrix.ts';

it('wide vectors become directions from the mean, narrow ones are only centred', async () => {
  const wide = matrix(3, 16);
  wide.data.set([5, 0], 0);
  wide.data.set([1, 4], 16);
  // The mean is (2, 4/3, 0 …).
  const result = await directionsOf(wide, createPace());
  const norm = Math.hypot(3, 4 / 3);
  expect(result.data[0]).toBeCloseTo(3 / norm, 6);
  expect(result.data[1]).toBeCloseTo(-4 / 3 / norm, 6);
  expect(wide.data[0]).toBe(5);
  const narrow = await directionsOf(matrix(2, 2, Float32Array.of(0, 0, 4, 2)), createPace());
  expect([...narrow.data]).toEqual([-2, -1, 2, 1]);
});

it('a row at the mean stays zero', async () => {
  const m = matrix(3, 16);
  m.data.fill(1, 16, 32);
  m.data.fill(2, 32, 48);
  expect([...(await directionsOf(m, createPace())).data.subarray(16, 32)]).toEqual(new Array(16).fill(0));
});
