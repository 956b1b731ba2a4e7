import { describe, expect, it } from 'vitest';
import { select, type Committee, type SelectionInput, type StrategyName } from '../../main/acquisition/index.ts';
import { matrix, type Matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import { committee, rows } from './pools.ts';

const inputOf = (own: Committee, n: number, more: Partial<SelectionInput> = {}): SelectionInput => ({
  candidates: Array.from({ length: n }, (_, i) => i),
  labelled: [],
  batch: n,
  seed: 1,
  committee: own,
  ...more,
});

const scores = async (name: StrategyName, input: SelectionInput) => {
  const byItem: number[] = [];
  for (const { index, score } of await select(name, input)) byItem[index] = score;
  return byItem;
};

describe('a committee of two', () => {
  // Item 0: both unsure. Item 1: each sure of another class. Item 2: both sure of the same.
  const two = committee(rows([0.5, 0.5], [1, 0], [1, 0]), rows([0.5, 0.5], [0, 1], [1, 0]));

  it('has nothing to learn where it is unsure in unison, and one bit where it contradicts itself', async () => {
    const bald = await scores('bald', inputOf(two, 3));
    [0, Math.LN2, 0].forEach((expected, i) => expect(bald[i]).toBeCloseTo(expected, 9));
  });

  it('votes', async () => {
    expect(await scores('vote-entropy', inputOf(two, 3))).toEqual([0, 1, 0]);
    // Two of three for one class: H(⅔, ⅓) / ln 2.
    const three = committee(rows([0.9, 0.1]), rows([0.8, 0.2]), rows([0.3, 0.7]));
    expect((await scores('vote-entropy', inputOf(three, 1)))[0]).toBeCloseTo(0.918296, 6);
  });

  it('is asked class by class where an item may have many', async () => {
    const many = committee(rows([0.5, 1], [0.9, 0.9]), rows([0.5, 0], [0.9, 0.1]));
    const bald = await scores('bald', inputOf(many, 2, { task: 'classify-many' }));
    expect(bald[0]).toBeCloseTo(Math.LN2, 9);
    // H(½) − H(0.9), in nats.
    expect(bald[1]).toBeCloseTo(Math.LN2 + 0.9 * Math.log(0.9) + 0.1 * Math.log(0.1), 6);
    expect(await scores('vote-entropy', inputOf(many, 2, { task: 'classify-many' }))).toEqual([1, 1]);
  });
});

/** H(y_S) − Σ E H(y | member) by listing every joint value: the definition of BatchBALD. */
function jointInformation(members: readonly Matrix[], items: readonly number[]): number {
  const m = members.length;
  const c = members[0].columns;
  let joint = 0;
  for (let code = 0; code < c ** items.length; code++) {
    let mean = 0;
    for (const p of members) {
      mean += items.reduce((product, item, i) => product * p.data[item * c + (Math.floor(code / c ** i) % c)], 1 / m);
    }
    if (mean > 0) joint -= mean * Math.log(mean);
  }
  let own = 0;
  for (const p of members)
    for (const item of items)
      for (let j = 0; j < c; j++) own -= (p.data[item * c + j] * Math.log(p.data[item * c + j])) / m;
  return joint - own;
}

function randomMembers(count: number, n: number, c: number, seed: number): Matrix[] {
  const rng = createRng(seed);
  return Array.from({ length: count }, () => {
    const p = matrix(n, c);
    for (let i = 0; i < n; i++) {
      const weights = Array.from({ length: c }, () => Math.exp(3 * rng.normal()) + 0.01);
      const total = weights.reduce((a, b) => a + b, 0);
      weights.forEach((w, j) => (p.data[i * c + j] = w / total));
    }
    return p;
  });
}

describe('BatchBALD', () => {
  it('greedily takes what all labels together tell most about, as by listing every joint value', async () => {
    for (const seed of [1, 2, 3]) {
      const members = randomMembers(4, 12, 3, seed);
      const picks = await select('batch-bald', inputOf(committee(...members), 12, { batch: 5 }));
      const batch: number[] = [];
      let before = 0;
      for (const { index, score } of picks) {
        const gains = Array.from({ length: 12 }, (_, i) =>
          batch.includes(i) ? -1 : jointInformation(members, [...batch, i]) - before,
        );
        expect(index).toBe(gains.indexOf(Math.max(...gains)));
        expect(score).toBeCloseTo(Math.max(...gains), 6);
        batch.push(index);
        before = jointInformation(members, batch);
      }
    }
  });

  it('never gives less than the true gain once the labels no longer fit one joint', async () => {
    // Ten classes: three labels fill a block of 1,000.
    const members = randomMembers(5, 30, 10, 4);
    const picks = await select('batch-bald', inputOf(committee(...members), 30, { batch: 6 }));
    const items = picks.map(({ index }) => index);
    for (const count of [2, 3, 4]) {
      const gain =
        jointInformation(members, items.slice(0, count + 1)) - jointInformation(members, items.slice(0, count));
      expect(picks[count].score).toBeGreaterThan(gain - 1e-6);
    }
  });

  it('does not ask the same question twice, as BALD does', async () => {
    // Items 0 to 4 are alike and contradict the most; item 5 contradicts a little, about something else.
    const first = rows([1, 0], [1, 0], [1, 0], [1, 0], [1, 0], [0.8, 0.2]);
    const second = rows([1, 0], [1, 0], [1, 0], [1, 0], [1, 0], [0.2, 0.8]);
    const third = rows([0, 1], [0, 1], [0, 1], [0, 1], [0, 1], [0.8, 0.2]);
    const fourth = rows([0, 1], [0, 1], [0, 1], [0, 1], [0, 1], [0.2, 0.8]);
    const input = inputOf(committee(first, second, third, fourth), 6, { batch: 2 });
    expect((await select('bald', input)).map(({ index }) => index)).toEqual([0, 1]);
    const picks = await select('batch-bald', input);
    expect(picks.map(({ index }) => index)).toEqual([0, 5]);
    expect(picks[0].score).toBeCloseTo(Math.LN2, 9);
  });
});
