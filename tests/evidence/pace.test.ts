import { describe, expect, it } from 'vitest';
import { createRng, type Rng } from '../../main/domain/rng.ts';
import { median, paceAt, paceChanges, sessionsOf, type TimedAct } from '../../main/evidence/pace.ts';

const MINUTE = 60_000;

interface Plan {
  /** Labels in the last session, and before it in sessions of 200. */
  labels: number;
  history?: number;
  /** From this label of the last session on, each takes `factor` times as long. */
  shiftAt?: number;
  factor?: number;
  /** Correlation of a label's log seconds with the one before it. */
  correlation?: number;
}

/** Log-normal seconds around six, one in thirty interrupted, the first five of a session slow. */
function simulated(rng: Rng, { labels, history = 0, shiftAt = Infinity, factor = 1, correlation = 0.2 }: Plan) {
  const acts: TimedAct[] = [];
  let at = 0;
  let away = 0;
  for (let i = 0; i < history + labels; i++) {
    const place = i < history ? i % 200 : i - history;
    if (place === 0) at += 120 * MINUTE;
    away = correlation * away + Math.sqrt(1 - correlation ** 2) * rng.normal();
    const interrupted = rng.next() < 0.03 ? 1.5 * Math.abs(rng.normal()) : 0;
    const shifted = i >= history + shiftAt ? Math.log(factor) : 0;
    const durationMs = Math.exp(Math.log(6000) + 0.6 * away + interrupted + (place < 5 ? 0.5 : 0) + shifted);
    at += durationMs;
    acts.push({ at, durationMs });
  }
  return acts;
}

const steady = (count: number, from = 0): TimedAct[] =>
  Array.from({ length: count }, (_, i) => ({ at: from + (i + 1) * 5000, durationMs: 5000 }));

describe('sessions', () => {
  it('end with a pause of half an hour, not with a long look at one item', () => {
    const acts = [
      { at: 10_000, durationMs: 10_000 },
      { at: 20_000, durationMs: 5000 },
      // Shown at once, decided after forty minutes.
      { at: 20_000 + 40 * MINUTE, durationMs: 40 * MINUTE },
      { at: 80 * MINUTE, durationMs: 2000 },
    ];
    expect(sessionsOf(acts)).toEqual([
      { from: 0, to: 3, startedAt: 0 },
      { from: 3, to: 4, startedAt: 80 * MINUTE - 2000 },
    ]);
    expect(sessionsOf([])).toEqual([]);
  });
});

describe('a change of pace', () => {
  it('is rarely seen where there is none', () => {
    for (const plan of [{ correlation: 0.2 }, { correlation: 0.35, history: 100 }, { history: 600 }]) {
      const rng = createRng(11);
      let alarms = 0;
      for (let t = 0; t < 200; t++) if (paceChanges(simulated(rng, { labels: 500, ...plan })).length > 0) alarms++;
      // One in twenty is promised; 17 of 200 is its 98 % limit.
      expect(alarms).toBeLessThanOrEqual(17);
    }
  });

  it.each([
    [2, 'slower', 60],
    [0.5, 'faster', 70],
  ] as const)('by %f is seen, with its direction', (factor, direction, within) => {
    const rng = createRng(12);
    const delays: number[] = [];
    for (let t = 0; t < 40; t++) {
      const acts = simulated(rng, { labels: 500, history: 200, shiftAt: 200, factor });
      const seen = paceChanges(acts).find((change) => change.index >= 400);
      if (seen?.direction === direction) delays.push(seen.index - 400);
    }
    expect(delays.length).toBeGreaterThanOrEqual(37);
    expect(median(delays)).toBeLessThan(within);
  });

  it('is not told twice within an hour', () => {
    const acts = simulated(createRng(13), { labels: 900, shiftAt: 200, factor: 3 });
    const changes = paceChanges(acts);
    expect(changes.length).toBeGreaterThan(0);
    for (let i = 1; i < changes.length; i++)
      expect(changes[i].at - changes[i - 1].at).toBeGreaterThanOrEqual(60 * MINUTE);
  });
});

describe('the pace at a moment', () => {
  it('is the median of late, beside the usual one', () => {
    const before = steady(200);
    const later = steady(40, 10 * 60 * MINUTE).map((act, i) => ({ ...act, durationMs: i < 20 ? 6000 : 4500 }));
    const acts = [...before, ...later];
    expect(paceAt(acts, acts.at(-1)!.at)).toEqual({
      recentSeconds: 4.5,
      usualSeconds: expect.closeTo(5, 6) as number,
      suggestBreak: false,
      direction: null,
    });
  });

  it('suggests a break for ten minutes after a change, and no more after the session', () => {
    const acts = simulated(createRng(14), { labels: 420, history: 200, shiftAt: 300, factor: 2.5 });
    const change = paceChanges(acts).at(-1)!;
    const upTo = acts.slice(0, change.index + 1);
    expect(paceAt(upTo, change.at)).toMatchObject({ suggestBreak: true, direction: 'slower' });
    expect(paceAt(upTo, change.at + 11 * MINUTE).suggestBreak).toBe(false);
    const nextDay = [...acts, ...steady(30, change.at + 600 * MINUTE)];
    expect(paceAt(nextDay, nextDay.at(-1)!.at).suggestBreak).toBe(false);
  });

  it('says nothing before there are enough labels', () => {
    expect(paceAt([], 0)).toEqual({ recentSeconds: null, usualSeconds: null, suggestBreak: false, direction: null });
    expect(paceAt(steady(9), 45_000).recentSeconds).toBeNull();
    expect(paceAt(steady(50), 250_000).usualSeconds).toBeNull();
  });
});
