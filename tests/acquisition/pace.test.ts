import { describe, expect, it } from 'vitest';
import { select, type SelectionInput } from '../../main/acquisition/index.ts';
import { createPace } from '../../main/acquisition/pace.ts';
import { plainProducts } from '../../main/acquisition/vectors.ts';
import { pool } from './pools.ts';

describe('a pace', () => {
  it('is due after a while of work, gives the loop its turn, and hears of a cancel', async () => {
    const cancel = new AbortController();
    const pace = createPace(cancel.signal);
    const began = performance.now();
    while (performance.now() - began < 40);
    expect(pace.isDue()).toBe(true);
    let turns = 0;
    setImmediate(() => turns++);
    await pace.rest();
    expect(turns).toBe(1);
    cancel.abort('enough');
    await expect(pace.rest()).rejects.toBe('enough');
  });

  it('ends a strategy in the middle of its work', async () => {
    // Products that take their time: somebody cancels during the second of them.
    for (const name of ['typicality', 'probcover', 'margin-diverse', 'contrastive'] as const) {
      const cancel = new AbortController();
      let asked = 0;
      const input: SelectionInput = {
        ...pool(1),
        candidates: Array.from({ length: 97 }, (_, i) => i + 3),
        labelled: [0, 1, 2],
        batch: 8,
        seed: 1,
        signal: cancel.signal,
        products(rows, vectors) {
          if (++asked === 2 || name === 'contrastive') cancel.abort('enough');
          const began = performance.now();
          while (performance.now() - began < 20);
          return plainProducts(rows, vectors);
        },
      };
      await expect(select(name, input)).rejects.toBe('enough');
      expect(asked).toBeLessThan(4);
    }
  });
});
