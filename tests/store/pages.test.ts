/** Pages of a list that is searched: short where they must be, together exactly what an unhurried list gives. */
import { expect, it } from 'vitest';
import { fill, newProject } from './projects.ts';

it('come short of a far match, say where to go on, and together hold what the whole list holds', () => {
  const store = newProject();
  const ids = fill(store, 20_050);
  for (const [i, act] of [
    [4, 'flag'],
    [20_003, 'flag'],
  ] as const)
    store.annotations.append({ item: ids[i], act, annotator: 'kim', durationMs: 1 });
  for (const options of [
    { search: 'text 2004' },
    { state: 'open' as const, limit: 500 },
    { state: 'flagged' as const },
    {},
  ]) {
    const limit = options.limit ?? 100;
    const whole = store.items.list({ ...options, limit: 30_000 }).map(({ seq }) => seq);
    const paged: number[] = [];
    let pages = 0;
    for (let after: number | null = 0; after !== null; pages++) {
      const { items, next } = store.items.page({ ...options, after, limit });
      expect(items.length).toBeLessThanOrEqual(limit);
      paged.push(...items.map(({ seq }) => seq));
      expect(next ?? Infinity).toBeGreaterThan(after);
      after = next;
    }
    expect(paged).toEqual(whole);
    expect(pages).toBeGreaterThan(0);
  }
  const first = store.items.page({ search: 'text 20040' });
  expect(first).toEqual({ items: [], next: 20_000 });
  expect(store.items.page({ search: 'text 20040', after: 20_000 }).items.map(({ name }) => name)).toEqual([
    'text 20040',
  ]);
});
