import { describe, expect, it } from 'vitest';
import { evenParts, selectBatch } from '../../main/acquisition/batch.ts';
import { select, type SelectionInput } from '../../main/acquisition/index.ts';
import { matrix } from '../../main/domain/matrix.ts';

/** 40 items of two classes; margins grow with the row, so that row 0 is the most uncertain; odd rows are of key 1. */
function input(more: Partial<SelectionInput> = {}): SelectionInput {
  const probabilities = matrix(40, 2);
  for (let i = 0; i < 40; i++) probabilities.data.set([0.5 + i / 100, 0.5 - i / 100], 2 * i);
  const candidates = Int32Array.from({ length: 40 }, (_, i) => i);
  return { candidates, labelled: [], batch: 8, seed: 1, probabilities, ...more };
}
const rows = (picks: readonly { index: number }[]) => picks.map(({ index }) => index);

describe('a batch', () => {
  it('without wishes is the strategy’s own', async () => {
    expect(await selectBatch('margin', input())).toEqual(await select('margin', input()));
  });

  it('has its share of chance picks, marked as such, none twice, and is as large as asked', async () => {
    let chance = 0;
    for (let seed = 0; seed < 60; seed++) {
      const picks = await selectBatch('margin', input({ seed, batch: 10 }), { randomShare: 0.2 });
      expect(new Set(rows(picks)).size).toBe(10);
      for (const { strategy, why } of picks) expect(why.code === 'random').toBe(strategy === 'random');
      chance += picks.filter(({ strategy }) => strategy === 'random').length;
    }
    // 600 places at 0.2: 120 ± 4 standard deviations of 10.
    expect(Math.abs(chance - 120)).toBeLessThan(40);
  });

  it('evens out keys by what they have: hand-worked', () => {
    // 5, 1 and 3 labels, six places: the second up to 3, then in turns; the third has one candidate only.
    expect(evenParts([5, 1, 3], [9, 9, 1], 6)).toEqual([1, 4, 1]);
    expect(evenParts([0, 0], [1, 1], 6)).toEqual([1, 1]);
  });

  it('takes the highest scores of each key', async () => {
    const keys = Int32Array.from({ length: 40 }, (_, i) => i % 2);
    const picks = await selectBatch('margin', input(), { balance: { keys, labels: [6, 0] } });
    // Key 1 lacks six: 7 places to it, then one each.
    expect(rows(picks)).toEqual([0, 1, 3, 5, 7, 9, 11, 13]);
  });

  it('fills up with items that have no key', async () => {
    const keys = new Int32Array(40).fill(-1);
    keys[39] = 0;
    const picks = await selectBatch('margin', input({ batch: 3 }), { balance: { keys, labels: [0] } });
    expect(rows(picks)).toEqual([0, 1, 39]);
  });

  it('prefers what is worth more per second', async () => {
    const seconds = new Float64Array(40).fill(10);
    seconds[9] = 2;
    seconds[30] = 0.001;
    const picks = await selectBatch('margin', input({ batch: 4 }), { seconds });
    // Among the twelve most uncertain; row 30 is not one of them, however quick it is.
    expect(rows(picks)).toEqual([9, 0, 1, 2]);
  });

  it('keeps at most so many of a group over chance, keys and scores together', async () => {
    const groups = Int32Array.from({ length: 40 }, (_, i) => Math.floor(i / 10));
    const keys = Int32Array.from({ length: 40 }, (_, i) => i % 2);
    const wishes = { randomShare: 0.3, balance: { keys, labels: [0, 0] } };
    const picks = await selectBatch('margin', input({ groups, maxPerGroup: 2 }), wishes);
    const counts = [0, 0, 0, 0];
    for (const row of rows(picks)) counts[groups[row]]++;
    expect(counts).toEqual([2, 2, 2, 2]);
  });
});
