/**
 * A clock that is set back, forward, or to 1970 while labels are made: what was recorded
 * keeps the order in which it was acknowledged, each act says what the clock said, and the
 * places where the clock went back can be read off the record.
 */
import { describe, expect, it } from 'vitest';
import { paceAt, sessionsOf } from '../../main/evidence/pace.ts';
import { openProject, type ProjectStore } from '../../main/store/index.ts';
import { closing, fill, newProject } from '../store/projects.ts';

const HOUR = 3_600_000;
const YEAR = 365 * 24 * HOUR;
const NOON = Date.UTC(2026, 10, 22, 12);

/** Where the clock is put before each act, in milliseconds; between two of the same name it runs on. */
const JUMPS: [name: string, to: (now: number) => number][] = [
  ['runs on', (now) => now],
  ['an hour back', (now) => now - HOUR],
  ['ten years back', (now) => now - 10 * YEAR],
  ['to 1970', () => 0],
  ['fourteen years forward', () => NOON + 14 * YEAR],
  ['back to now', () => NOON + HOUR],
  ['as summer time ends on a machine that keeps local time', (now) => now - HOUR],
  ['as it begins', (now) => now + HOUR],
  ['by half a second back, as time servers do', (now) => now - 500],
];

interface Made {
  sequence: number;
  hash: string;
  at: number;
}

/** Labels, takes back and redoes through every jump; gives what was acknowledged, in order, and where the clock went back by more than a second. */
function workThrough(store: ProjectStore, clock: { now: number }, jumps = JUMPS) {
  const ids = fill(store, 40);
  const made: Made[] = [];
  const setBack: number[] = [];
  const keep = ({ sequence, hash, at }: Made) => made.push({ sequence, hash, at });
  let next = 0;
  for (const [, to] of jumps) {
    const before = clock.now;
    clock.now = to(clock.now);
    if (clock.now < before - 1000 && made.length > 0) setBack.push(made.length + 1);
    for (let i = 0; i < 3; i++) {
      clock.now += 700;
      const item = ids[next++];
      keep(store.annotations.append({ item, act: 'label', classes: ['odd'], annotator: 'kim', durationMs: 700 }));
    }
    keep(store.annotations.undo({ annotator: 'kim' }));
    keep(store.annotations.redo({ annotator: 'kim' }));
    const version = store.versions.add({ blob: 'a'.repeat(64), encoder: null, run: null, card: {}, metrics: {} });
    store.versions.promote(version, { who: 'kim', reason: null });
  }
  return { made, setBack };
}

const acts = (store: ProjectStore): Made[] =>
  [...store.annotations.all()].map(({ sequence, hash, at }) => ({ sequence, hash, at }));

describe('a clock that jumps', () => {
  it('changes no order, doubles no id, and every act says what the clock said', () => {
    const clock = { now: NOON };
    const store = newProject({ clock: () => clock.now });
    const { made, setBack } = workThrough(store, clock);
    expect(acts(store)).toEqual(made);
    expect(made.map(({ sequence }) => sequence)).toEqual(made.map((_, i) => i + 1));
    expect(new Set(made.map(({ hash }) => hash)).size).toBe(made.length);
    expect(store.annotations.latest({ limit: 500 }).map(({ sequence }) => sequence)).toEqual(
      made.map(({ sequence }) => sequence).reverse(),
    );
    expect(store.annotations.clockSetBack().map(({ sequence }) => sequence)).toEqual(setBack);
    expect(setBack.length).toBe(5);
    expect(store.annotations.clockSetBack(setBack[2]).map(({ sequence }) => sequence)).toEqual(setBack.slice(3));
    expect(store.versions.live()?.version).toBe(JUMPS.length);
    expect(store.versions.list().map(({ version }) => version)).toEqual(JUMPS.map((_, i) => i + 1));
    // A second life under yet another time goes on where this one ended.
    store.close();
    clock.now = NOON - 3 * YEAR;
    const again = closing(openProject(store.dir, { clock: () => clock.now }));
    again.annotations.undo({ annotator: 'kim' });
    expect(acts(again).slice(0, -1)).toEqual(made);
    expect(again.annotations.head().sequence).toBe(made.length + 1);
    const blobs = again.verify().problems.filter(({ code }) => code !== 'blob-missing');
    expect(blobs).toEqual([]);
  });

  it('is not seen where the clock only runs', () => {
    const clock = { now: NOON };
    const store = newProject({ clock: () => clock.now });
    const { made } = workThrough(store, clock, [JUMPS[0], JUMPS[0], ['forward', (now) => now + YEAR]]);
    expect(store.annotations.clockSetBack()).toEqual([]);
    expect(made.at(-1)?.at).toBeGreaterThan(NOON + YEAR);
  });

  it('does not freeze the time: a far future on record is not carried on', () => {
    const clock = { now: NOON + 14 * YEAR };
    const store = newProject({ clock: () => clock.now });
    const [a, b] = fill(store, 2);
    const label = (item: typeof a) =>
      store.annotations.append({ item, act: 'label', classes: ['odd'], annotator: 'kim', durationMs: 900 }).at;
    expect(label(a)).toBe(NOON + 14 * YEAR);
    clock.now = NOON;
    expect(label(b)).toBe(NOON);
    const midnight = Date.UTC(2026, 10, 22);
    // Today's labels are today's: the one of 2040 is not among them, now and in fourteen years.
    expect(store.annotations.pace(midnight, NOON + 60_000).labels).toBe(1);
    expect(store.annotations.pace(midnight).labels).toBe(2);
  });
});

describe('the pace', () => {
  const steady = (from: number, n: number, durationMs = 2000) =>
    Array.from({ length: n }, (_, i) => ({ at: from + i * 3000, durationMs }));

  it('begins another session where the clock jumps either way', () => {
    const future = steady(NOON + YEAR, 20);
    expect(sessionsOf([...steady(NOON, 20), ...future, ...steady(NOON + HOUR, 20)]).map(({ from }) => from)).toEqual([
      0, 20, 40,
    ]);
    // An item that lay open for an hour is no jump.
    expect(sessionsOf([...steady(NOON, 3), { at: NOON + 20_000, durationMs: HOUR }])).toHaveLength(1);
  });

  it('does not suggest a break until 2040 because one was due there', () => {
    const slowing = [...steady(NOON - 24 * HOUR, 150), ...steady(NOON, 30), ...steady(NOON + 90_000, 60, 30_000)];
    const end = slowing[slowing.length - 1].at;
    expect(paceAt(slowing, end).suggestBreak).toBe(true);
    expect(paceAt(slowing, end - 14 * YEAR).suggestBreak).toBe(false);
    expect(paceAt(slowing, end - 14 * YEAR).recentSeconds).toBe(null);
  });
});
