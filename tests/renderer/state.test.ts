/** The window's own rules, without a browser: time, queue order, undo chains, mappings. */
import { describe, expect, test } from 'vitest';
import { baseName, mappingOf, numbersIn, rolesOf } from '../../renderer/state/mapping.ts';
import { Answered, mergeQueue, rootOf } from '../../renderer/state/queue-order.ts';
import { Pace } from '../../renderer/state/pace.ts';
import { Stopwatch } from '../../renderer/state/stopwatch.ts';

describe('The stopwatch', () => {
  test('counts from shown to decided and stands still while the window is hidden', () => {
    let now = 1000;
    const watch = new Stopwatch(() => now);
    expect(watch.elapsedMs).toBe(0);
    watch.restart();
    now += 700;
    watch.seen(false);
    now += 60_000;
    expect(watch.elapsedMs).toBe(700);
    watch.seen(true);
    now += 300;
    expect(watch.elapsedMs).toBe(1000);
    watch.restart();
    expect(watch.elapsedMs).toBe(0);
  });

  test('does not run when an item is shown in a hidden window, and never runs backwards', () => {
    let now = 0;
    const watch = new Stopwatch(() => now);
    watch.seen(false);
    watch.restart();
    now += 500;
    expect(watch.elapsedMs).toBe(0);
    watch.seen(true);
    now -= 200;
    expect(watch.elapsedMs).toBe(0);
  });
});

describe('The time that work still takes', () => {
  test('is told from the pace of the last minute, and not in the first seconds', () => {
    const pace = new Pace();
    expect(pace.left(100)).toBeNull();
    for (let second = 0; second <= 4; second++) pace.observe(second * 1000, second);
    expect(pace.left(100)).toBeNull();
    for (let second = 5; second <= 10; second++) pace.observe(second * 1000, second);
    expect(pace.left(100)).toBe(90_000);
    // Half as fast from now on: two minutes later nothing of the first pace is left in it.
    for (let second = 11; second <= 130; second++) pace.observe(second * 1000, 10 + (second - 10) / 2);
    expect(pace.left(100)).toBe(60_000);
    expect(pace.left(70)).toBe(0);
  });

  test('begins anew after a standstill, and when the work does', () => {
    const pace = new Pace();
    const watch = (from: number, done: number) => {
      for (let second = 0; second <= 8; second++) pace.observe(from + second * 1000, done + second);
    };
    watch(0, 0);
    pace.interrupt();
    expect(pace.left(20)).toBeNull();
    watch(500_000, 8);
    expect(pace.left(20)).toBe(4000);
    pace.observe(510_000, 0);
    expect(pace.left(20)).toBeNull();
  });
});

const entries = (...items: string[]) => items.map((item) => ({ item }));
const items = (list: { item: string }[]) => list.map(({ item }) => item).join('');

describe('The queue in the window', () => {
  test('keeps the item in front where it is, whatever the new order says', () => {
    expect(items(mergeQueue(entries('a', 'b', 'c'), entries('c', 'a', 'd'), () => false))).toBe('acd');
    expect(items(mergeQueue(entries('a', 'b'), entries('d', 'b'), () => false))).toBe('adb');
    expect(items(mergeQueue([], entries('x', 'y'), () => false))).toBe('xy');
  });

  test('leaves out what was answered, also from the front', () => {
    expect(items(mergeQueue(entries('a', 'b'), entries('a', 'b', 'c'), (item) => item === 'a'))).toBe('bc');
  });

  test('does not ask again what was answered while the queue was on its way', () => {
    const answered = new Answered();
    const early = answered.ask();
    answered.begin('a');
    expect(answered.since('a', early)).toBe(true);
    answered.acknowledge('a');
    expect(answered.since('a', early)).toBe(true);
    expect(answered.since('a', answered.ask())).toBe(false);
  });

  test('asks again what failed or was taken back, but not while another answer is pending', () => {
    const answered = new Answered();
    answered.begin('a');
    answered.begin('a');
    const asked = answered.ask();
    answered.forget('a');
    expect(answered.since('a', asked)).toBe(true);
    answered.forget('a');
    expect(answered.since('a', asked)).toBe(false);
  });
});

describe('A chain of retractions', () => {
  const act = (sequence: number, name: 'label' | 'comment' | 'retract', retracts: number | null = null) => ({
    sequence,
    act: name,
    retracts,
  });

  test('comes down to the act it is about, through undo and redo', () => {
    const history = [act(1, 'label'), act(2, 'comment'), act(3, 'retract', 2), act(4, 'retract', 3)];
    expect(rootOf(act(3, 'retract', 2), history)?.act).toBe('comment');
    expect(rootOf(act(4, 'retract', 3), history)?.sequence).toBe(2);
    expect(rootOf(act(1, 'label'), history)?.sequence).toBe(1);
  });

  test('is unknown when the act is no longer in the history that was fetched', () => {
    expect(rootOf(act(9, 'retract', 8), [])).toBeNull();
  });
});

describe('The import steps', () => {
  test('hand on one column for each role, several for numbers, and leave out the rest', () => {
    expect(mappingOf({ a: 'text', b: 'numbers', c: 'ignore', d: 'numbers', e: 'label', f: 'text' })).toEqual({
      id: null,
      group: null,
      text: 'a',
      numbers: ['b', 'd'],
      label: 'e',
    });
    expect(mappingOf({ a: 'id', b: 'group' })).toEqual({ id: 'a', group: 'b' });
    expect(mappingOf({ report: 'text', sex: 'attribute', site: 'attribute' })).toEqual({
      id: null,
      group: null,
      text: 'report',
      attributes: ['sex', 'site'],
    });
  });

  test('start from the guesses, and from what was read as a measurement', () => {
    const column = (name: string, guess: string | null) => ({ name, guess, samples: [] as string[] });
    const columns = [column('report', null), column('age', null), column('note', null), column('odd', 'unheard-of')];
    columns.push({ name: 'story', guess: null, samples: ['A cough for…'] });
    const text = { kind: 'text' as const, text: ' A cough for four days.', path: null };
    const parts = [{ kind: 'numbers' as const, values: { age: 61 } }, text];
    const row = { name: '1', source: 't.csv:2', group: null, label: null, parts };
    expect(rolesOf({ kind: 'table', columns, rows: [row], labels: [], problems: [] })).toEqual({
      report: 'ignore',
      age: 'numbers',
      note: 'ignore',
      story: 'text',
      odd: 'ignore',
    });
  });

  test('let one column only be the text, the one the engine named', () => {
    const text = (words: string) => ({ kind: 'text' as const, text: words, path: null });
    const columns = [
      { name: 'odd', guess: null, samples: ['A cough.'] },
      { name: 'report', guess: 'text', samples: ['A cough.'] },
      { name: 'note', guess: 'text', samples: ['Well.'] },
    ];
    const row = { name: '1', source: 't.csv:2', group: null, label: null, parts: [text('A cough.')] };
    expect(rolesOf({ kind: 'table', columns, rows: [row], labels: [], problems: [] })).toEqual({
      odd: 'ignore',
      report: 'text',
      note: 'ignore',
    });
  });

  test('read numbers however they are typed', () => {
    expect(numbersIn('0.485, .456; -0.406')).toEqual([0.485, 0.456, -0.406]);
    expect(numbersIn('[1e-3 2]')).toEqual([0.001, 2]);
    expect(numbersIn('as usual')).toEqual([]);
  });

  test('take the last name of a path, on any system', () => {
    expect(['/a/b/c/', 'C:\\data\\x-rays', '/a/table.csv', ''].map(baseName)).toEqual(['c', 'x-rays', 'table.csv', '']);
  });
});
