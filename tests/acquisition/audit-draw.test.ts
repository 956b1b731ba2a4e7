import { describe, expect, it } from 'vitest';
import { drawAudit } from '../../main/acquisition/index.ts';

// Rows 0–5 are one patient, 6–8 another, 9 and 10 one each.
const component = [0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 3];
const candidates = component.map((_, i) => i);
const draw = (count: number, seed: number, audited: number[] = []) =>
  drawAudit({ candidates, component, audited: new Set(audited), count, seed });

describe('the audit draw', () => {
  it('takes one item of each component before it takes a second', () => {
    const drawn = draw(11, 5);
    expect(new Set(drawn.slice(0, 4).map((i) => component[i])).size).toBe(4);
    expect(new Set(drawn).size).toBe(11);
  });

  it('leaves audited components for last', () => {
    expect(
      draw(2, 1, [0, 1])
        .map((i) => component[i])
        .sort((a, b) => a - b),
    ).toEqual([2, 3]);
    expect(draw(3, 1, [0, 1, 2, 3])).toHaveLength(3);
  });

  it('draws items, not components: the first is of the large patient in 6 of 11 draws', () => {
    let large = 0;
    for (let seed = 0; seed < 2000; seed++) if (component[draw(1, seed)[0]] === 0) large++;
    expect(large / 2000).toBeGreaterThan(6 / 11 - 0.04);
    expect(large / 2000).toBeLessThan(6 / 11 + 0.04);
  });

  it('is the same for the same seed', () => {
    expect(draw(6, 9)).toEqual(draw(6, 9));
    expect(draw(6, 9)).not.toEqual(draw(6, 10));
  });
});
