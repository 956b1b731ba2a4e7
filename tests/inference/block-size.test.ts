/** The probe for blocked convolutions, on whatever processor the tests run. */
import { expect, it } from 'vitest';
import { blockSize } from '../../main/inference/index.ts';

it('A processor takes 8 or 16 channels together, or has no blocks, and is asked once', async () => {
  expect([8, 16, null]).toContain(await blockSize());
  expect(blockSize()).toBe(blockSize());
});
