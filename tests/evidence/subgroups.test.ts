/** Columns as groups, and the gaps between them: hand-worked columns, false alarms in a null simulation, power, and shuffling by component. */
import { describe, expect, test } from 'vitest';
import { createRng } from '../../main/domain/rng.ts';
import { groupColumn, supportedGaps } from '../../main/evidence/subgroups.ts';

describe('a column becomes groups', () => {
  test('categories as they are, the largest first, rare ones joined', () => {
    const values = [...Array(9).fill('f'), ...Array(7).fill(' m'), 'x', 'y', null, ''];
    const column = groupColumn(values)!;
    expect(column.kind).toBe('category');
    expect(column.groups).toEqual(['f', 'm', 'other']);
    expect([...column.of.subarray(14)]).toEqual([1, 1, 2, 2, -1, -1]);
  });

  test('numbers in bands with round limits near the quartiles', () => {
    const ages = Array.from({ length: 101 }, (_, i) => String(i));
    const column = groupColumn([...ages, null])!;
    expect(column.kind).toBe('band');
    // Quartiles 25, 50 and 75; a quarter of their distance is 12.5, so limits are tens.
    expect(column.groups).toEqual(['< 30', '30 – < 50', '50 – < 80', '≥ 80']);
    expect([column.of[29], column.of[30], column.of[79], column.of[100], column.of[101]]).toEqual([0, 1, 2, 3, -1]);
  });

  test('a few different numbers are codes, not measurements', () => {
    const column = groupColumn(Array.from({ length: 40 }, (_, i) => (i % 3) + 1))!;
    expect(column).toMatchObject({ kind: 'category', groups: ['1', '2', '3'] });
  });

  test('more than twelve categories are joined by size', () => {
    const values = Array.from({ length: 20 }, (_, k) => Array<string>(30 - k).fill(`site ${k}`)).flat();
    const column = groupColumn(values)!;
    expect(column.groups).toHaveLength(12);
    expect(column.groups.at(-1)).toBe('other');
    expect(column.of.filter((group) => group === 11)).toHaveLength(values.length - 275);
  });

  test('names, constants and nothing at all are no subgroups', () => {
    expect(groupColumn(Array.from({ length: 50 }, (_, i) => `patient ${i}`))).toBeNull();
    expect(groupColumn(Array(50).fill('f'))).toBeNull();
    expect(groupColumn(Array(50).fill(null))).toBeNull();
    expect(groupColumn([])).toBeNull();
  });
});

describe('gaps', () => {
  const groupsOf = (rng: ReturnType<typeof createRng>, n: number, k: number) =>
    Int32Array.from({ length: n }, () => rng.int(k));

  test('without any difference, at most one simulation in twenty has a gap in any of its columns', () => {
    const trials = 150;
    let alarms = 0;
    for (let t = 0; t < trials; t++) {
      const rng = createRng(t);
      const n = 120;
      // Six columns, two of them nearly the same; 85 % right, the same in every group.
      const first = groupsOf(rng, n, 2);
      const second = first.map((group) => (rng.next() < 0.9 ? group : 1 - group));
      const columns = [
        first,
        second,
        groupsOf(rng, n, 3),
        groupsOf(rng, n, 4),
        groupsOf(rng, n, 5),
        groupsOf(rng, n, 2),
      ];
      const correct = Array.from({ length: n }, () => rng.next() < 0.85);
      const components = Int32Array.from({ length: n }, (_, i) => i);
      if (supportedGaps({ columns, correct, components, rng, permutations: 199 }).some((gap) => gap)) alarms++;
    }
    // 5 % of 150 is 7.5; three standard deviations above is 15.5.
    expect(alarms).toBeLessThanOrEqual(15);
  });

  test('a large difference is found, named and bounded', () => {
    const n = 200;
    const site = Int32Array.from({ length: n }, (_, i) => i % 2);
    const other = Int32Array.from({ length: n }, (_, i) => i % 3);
    // 97 of 100 right in group 0, 70 of 100 in group 1.
    const correct = Array.from({ length: n }, (_, i) => (i % 2 === 0 ? i >= 6 : i >= 60));
    const components = Int32Array.from({ length: n }, (_, i) => i);
    const [none, gap] = supportedGaps({ columns: [other, site], correct, components, rng: createRng(1) });
    expect(none).toBeNull();
    expect(gap).toMatchObject({ best: 0, worst: 1, n: 200 });
    expect(gap!.difference).toBeCloseTo(0.27, 12);
    expect(gap!.pValue).toBeLessThanOrEqual(0.001);
    expect(gap!.low).toBeGreaterThan(0.05);
    expect(gap!.high).toBeLessThan(0.45);
  });

  test('what looks like a gap over items is none where a few patients carry it', () => {
    // Twenty patients of ten items; whole patients are right or wrong, and patients lie within groups.
    const components = Int32Array.from({ length: 200 }, (_, i) => Math.floor(i / 10));
    const column = Int32Array.from({ length: 200 }, (_, i) => (i < 100 ? 0 : 1));
    const correct = Array.from(components, (patient) => ![2, 11, 13, 17].includes(patient));
    const alone = Int32Array.from({ length: 200 }, (_, i) => i);
    const gaps = (by: Int32Array) => supportedGaps({ columns: [column], correct, components: by, rng: createRng(2) });
    expect(gaps(alone)[0]).not.toBeNull();
    expect(gaps(components)[0]).toBeNull();
  });

  test('groups with fewer than ten measured items are not compared', () => {
    const column = Int32Array.from({ length: 60 }, (_, i) => (i < 9 ? 1 : 0));
    const correct = Array.from({ length: 60 }, (_, i) => i >= 9);
    const components = Int32Array.from({ length: 60 }, (_, i) => i);
    expect(supportedGaps({ columns: [column], correct, components, rng: createRng(3) })).toEqual([null]);
  });
});
