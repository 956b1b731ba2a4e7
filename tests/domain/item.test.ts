import { describe, expect, it } from 'vitest';
import { roleOf } from '../../main/domain/item.ts';

const range = (n: number, each: (i: number) => number) => Array.from({ length: n }, (_, i) => each(i));

describe('the audit draw', () => {
  it('gives a key the same role whenever it is asked', () => {
    expect(range(100, (i) => Number(roleOf(`patient ${i}`, 7, 0.2) === 'audit'))).toEqual(
      range(100, (i) => Number(roleOf(`patient ${i}`, 7, 0.2) === 'audit')),
    );
  });

  it('draws the share asked for, differently for every seed', () => {
    const drawn = (seed: number) => range(10_000, (i) => Number(roleOf(`g${i}`, seed, 0.2) === 'audit'));
    const first = drawn(1);
    const second = drawn(2);
    const share = (roles: number[]) => roles.reduce((a, b) => a + b) / roles.length;
    // Four deviations of a binomial share of 10,000.
    expect(Math.abs(share(first) - 0.2)).toBeLessThan(0.016);
    expect(share(first.map((role, i) => role * second[i]))).toBeLessThan(0.056);
  });
});
