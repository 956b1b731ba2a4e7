import { describe, expect, it } from 'vitest';
import { ARMS, armShares, selectByBandit, type Asked } from '../../main/acquisition/bandit.ts';
import type { Pick } from '../../main/acquisition/index.ts';

const asked = (arm: Asked['arm'], correct: boolean, probability = 0.25): Asked => ({ arm, correct, probability });

describe('the bandit over strategies', () => {
  it('begins with even shares', () => {
    expect(armShares([])).toEqual([0.25, 0.25, 0.25, 0.25]);
  });

  it('moves one step as worked out by hand', () => {
    // Reward 1 at chance ¼: 4 for margin; all add √(ln 40 / 4) / ¼ ≈ 3.84; the step is least/2 = 1/16.
    const gain = Math.exp(4 / 16);
    // At t = 2 the least share is still 1/8: half of all is shared evenly.
    const shares = armShares([asked('margin', true)]);
    expect(shares[0]).toBeCloseTo(0.125 + (0.5 * gain) / (gain + 3), 10);
    for (const share of shares.slice(1)) expect(share).toBeCloseTo(0.125 + 0.5 / (gain + 3), 10);
  });

  it('gives more to the arm under which the model is right, and keeps a least share for each', () => {
    const history = Array.from({ length: 200 }, (_, i) => asked(ARMS[i % 4], i % 4 === 1));
    const shares = armShares(history.filter(({ arm }) => arm !== 'random'));
    expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 10);
    expect(Math.min(...shares)).toBeGreaterThan(0.03);
    expect(shares[1]).toBeGreaterThan(shares[3]);
  });

  it('tells the chance of an item that two arms would ask, and takes none twice', async () => {
    const list = (...rows: number[]): Pick[] =>
      rows.map((index) => ({ index, score: 1, strategy: 'margin', why: { code: 'uncertain' } }));
    const lists = { margin: list(1, 2), typicality: list(1, 3), 'margin-diverse': list(1, 4), random: list(1, 5) };
    const input = { candidates: [1, 2, 3, 4, 5], labelled: [], batch: 9, seed: 3 };
    const picks = await selectByBandit(input, (arm) => Promise.resolve(lists[arm]));
    expect(picks[0].why.bandit!.probability).toBeCloseTo(1, 10);
    expect(picks[1].why.bandit!.probability).toBeCloseTo(0.25, 10);
    expect(picks.map(({ index }) => index).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5]);
  });
});
