import { describe, expect, it } from 'vitest';
import { scoresOf } from '../../main/acquisition/index.ts';
import { matrix, takeRows, type Matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import type { Task } from '../../main/domain/schema.ts';
import { fitCommittee, fitHead, predictPool, type HeadFit, type HeadInput } from '../../main/training/index.ts';

/** Two classes along the first of three axes; the first twelve are labelled. */
function world(task: Task = 'classify'): { pool: Matrix; input: HeadInput } {
  const rng = createRng(1);
  const pool = matrix(200, 3);
  for (let i = 0; i < 200; i++) {
    pool.data[3 * i] = (i % 2 === 0 ? -2 : 2) + 0.5 * rng.normal();
    pool.data[3 * i + 1] = rng.normal();
    pool.data[3 * i + 2] = rng.normal();
  }
  const labels = Array.from({ length: 12 }, (_, i) => [i % 2]);
  const embedding = takeRows(
    pool,
    labels.map((_, i) => i),
  );
  return { pool, input: { embedding, labels, task, classCount: 2, seed: 3 } };
}

const all = Array.from({ length: 200 }, (_, i) => i);

const beside = ({ strength, head }: HeadFit) => ({ strength, temperature: head.temperature });

describe('a committee', () => {
  it.each(['classify', 'classify-many'] as const)(
    'gives every member’s probabilities, the same each time (%s)',
    async (task) => {
      const { pool, input } = world(task);
      const fit = await fitHead(input);
      const [a, b] = [await fitCommittee(input, beside(fit), pool, 4), await fitCommittee(input, beside(fit), pool, 4)];
      const p = await a.predict(all);
      expect([a.members, a.classes, p.length]).toEqual([4, 2, 4 * 200 * 2]);
      expect(await b.predict(all)).toEqual(p);
      if (task === 'classify') for (let i = 0; i < p.length; i += 2) expect(p[i] + p[i + 1]).toBeCloseTo(1, 5);
      const member = (k: number) => p.slice(400 * k, 400 * (k + 1));
      expect(member(0)).not.toEqual(member(1));
      // A few rows alone are those rows of the whole.
      const few = await a.predict([7, 150]);
      for (let k = 0; k < 4; k++) {
        expect(few[4 * k]).toBeCloseTo(member(k)[2 * 7], 5);
        expect(few[4 * k + 3]).toBeCloseTo(member(k)[2 * 150 + 1], 5);
      }
    },
  );

  it('agrees with the head where all labels belong together and so share one weight', async () => {
    const { pool, input } = world();
    const fit = await fitHead(input);
    const groups = new Int32Array(12).fill(5);
    const committee = await fitCommittee({ ...input, groups }, beside(fit), pool, 2);
    const own = (await predictPool(fit.head, pool)).data;
    (await committee.predict(all)).forEach((p, i) => expect(p).toBeCloseTo(own[i % 400], 2));
  });

  it('disagrees most between the classes', async () => {
    const { pool, input } = world();
    const committee = await fitCommittee(input, beside(await fitHead(input)), pool);
    const scores = await scoresOf('bald', { candidates: all, labelled: [], batch: 1, seed: 1, committee });
    const mean = (of: number[]) => of.reduce((sum, i) => sum + scores![i], 0) / of.length;
    const between = all.filter((i) => Math.abs(pool.data[3 * i]) < 1);
    const clear = all.filter((i) => Math.abs(pool.data[3 * i]) > 2);
    expect(between.length).toBeGreaterThan(3);
    expect(mean(between)).toBeGreaterThan(2 * mean(clear));
  });
});
