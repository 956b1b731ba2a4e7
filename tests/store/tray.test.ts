/** Attributes of items, and the tray: what was found, what a person let back in, and what is left after a restart. */
import { describe, expect, it } from 'vitest';
import { itemIdOf } from '../../main/domain/item.ts';
import { openProject, openReader, type TrayFinding } from '../../main/store/index.ts';
import { candidate, closing, fill, newProject, tickingClock } from './projects.ts';

const found = (item: TrayFinding['item'], reason = 'sharpness', score = -9): TrayFinding => ({
  item,
  reason,
  score,
  usualLow: -4,
  usualHigh: -2,
});

describe('attributes', () => {
  it('are kept by name; a later table corrects them, and an empty cell corrects nothing', () => {
    const store = newProject();
    const job = store.jobs.enqueue('import', {}).id;
    const add = (text: string, attributes?: Record<string, string>) =>
      store.items.addCandidates([candidate(text, { attributes })], { job, cursor: null });
    add('a', { sex: 'f', age: '61' });
    add('b', { sex: 'm' });
    add('c');
    add('a', { sex: 'x' });
    expect(store.attributes.names()).toEqual(['age', 'sex']);
    expect([...store.attributes.valuesOf('sex')]).toEqual([
      [1, 'x'],
      [2, 'm'],
    ]);
    expect([...store.attributes.valuesOf('age')]).toEqual([[1, '61']]);
    expect(store.attributes.valuesOf('site').size).toBe(0);
    expect(store.verify().problems).toEqual([]);
  });

  it('are also the columns of items that are numbers, whatever these are called', () => {
    const store = newProject();
    const job = store.jobs.enqueue('import', {}).id;
    const parts = [{ kind: 'numbers' as const, values: { age: 50, 'a"b.c': 'left', gone: null } }];
    store.items.addCandidates(
      [{ ...candidate('p'), id: itemIdOf(parts, 'p'), parts }, candidate('q', { attributes: { age: '51' } })],
      { job, cursor: null },
    );
    expect(store.attributes.names()).toEqual(['a"b.c', 'age', 'gone']);
    expect([...store.attributes.valuesOf('a"b.c')]).toEqual([[1, 'left']]);
    expect([...store.attributes.valuesOf('age')]).toEqual([
      [1, 50],
      [2, '51'],
    ]);
    expect(store.attributes.valuesOf('gone').size).toBe(0);
  });
});

describe('the tray', () => {
  it('lists open items, the furthest beyond the usual range first, and is the same after a restart', () => {
    const store = newProject();
    const [a, b, c, d] = fill(store, 4);
    store.tray.replace([found(a, 'sharpness', -5), found(b, 'distance', 7), found(c), found(d)], 'e1');
    expect(store.tray.list(10).map(({ item }) => item)).toEqual([b, c, d, a]);
    store.annotations.append({ item: c, act: 'exclude', annotator: 'ann', durationMs: 1 });
    expect(store.tray.total()).toBe(3);
    expect(store.tray.held()).toEqual(new Set([1, 2, 3, 4]));
    store.close();
    const again = closing(openProject(store.dir, { clock: tickingClock() }));
    expect(again.tray.list(1)).toEqual([{ seq: 2, ...found(b, 'distance', 7), encoder: 'e1', at: expect.any(Number) }]);
    expect(closing(openReader(store.dir)).tray.total()).toBe(3);
  });

  it('follows the newest measurement, but what was let back in never returns', () => {
    const store = newProject();
    const [a, b, c] = fill(store, 3);
    store.tray.replace([found(a), found(b)], 'e1');
    const [{ at }] = store.tray.list(1);
    store.tray.release([a], 'ann');
    expect(store.tray.total()).toBe(1);
    store.tray.replace([found(a), found(c)], 'e2');
    expect(store.tray.list(10).map(({ item }) => item)).toEqual([c]);
    store.tray.replace([found(a), found(b), found(c, 'sharpness', -8)], 'e3');
    const rows = store.tray.list(10);
    expect(rows.map(({ item }) => item)).toEqual([b, c]);
    expect(rows[1]).toMatchObject({ score: -8, encoder: 'e3' });
    expect(rows[1].at).toBeGreaterThan(at);
    expect(rows[0].at).toBeGreaterThan(rows[1].at);
  });
});
