/**
 * An annotator's pace against their own: acts fall into sessions, the seconds per label are
 * compared as logarithms with the annotator's usual ones at that place in a session, and a
 * cumulative sum watches for a lasting change in either direction (Page 1954). It is slow to
 * speak: by simulation at most one session of 500 labels in twenty raises a false alarm,
 * also where slow labels follow slow ones (correlation .35), and a label that takes twice
 * as long is noticed after about 30 of its kind (docs/decisions/0014).
 */

/** A label, as far as pace is concerned. */
export interface TimedAct {
  /** When it was recorded, milliseconds since 1970; may be before the one before it, where the clock was set back. */
  at: number;
  durationMs: number;
}

export interface Session {
  /** First act and the one after the last, by place. */
  from: number;
  to: number;
  /** When its first item was shown. */
  startedAt: number;
}

/** A pause as long as this ends a session. */
const SESSION_GAP_MS = 30 * 60_000;
/** Labels that make a usual pace: before there are so many, nothing is said. */
const LEAST_USUAL = 100;
/** Labels at the start of a session that are slower for everybody. */
const WARM_UP = 10;
/** The sum ignores changes up to this many deviations, and alarms at so many summed up. */
const ALLOWANCE = 0.7;
const ALARM = 16;
/** One wild value counts as at most so many deviations: somebody was called away. */
const CLIP = 2.5;
/** Least deviation of log seconds: nobody is steadier than that. */
const LEAST_DEVIATION = 0.25;
/** After an alarm nothing is said for so long, and an alarm is news for so long. */
const QUIET_MS = 60 * 60_000;
const NEWS_MS = 10 * 60_000;
/** Labels that the recent pace is the median of. */
const RECENT = 20;

/** Acts in order → sessions. */
export function sessionsOf(acts: readonly TimedAct[]): Session[] {
  const sessions: Session[] = [];
  acts.forEach(({ at, durationMs }, i) => {
    const last = sessions.at(-1);
    const before = acts[i - 1]?.at;
    const follows = last && at - durationMs - before < SESSION_GAP_MS && before - at < SESSION_GAP_MS;
    if (follows) last.to = i + 1;
    else sessions.push({ from: i, to: i + 1, startedAt: at - durationMs });
  });
  return sessions;
}

export interface Change {
  /** The act at which the sum passed its limit, by place. */
  index: number;
  at: number;
  direction: 'slower' | 'faster';
}

/** Where the pace of the last session changed for good, by the annotator's usual pace before and outside it. In a first session the usual pace is that of its first labels. */
export function paceChanges(acts: readonly TimedAct[]): Change[] {
  const last = sessionsOf(acts).at(-1);
  if (!last) return [];
  const logs = acts.map(({ durationMs }) => Math.log(Math.max(1, durationMs)));
  const start = last.from >= LEAST_USUAL ? last.from : LEAST_USUAL;
  const usual = usualPace(acts, logs, start);
  if (!usual) return [];
  const changes: Change[] = [];
  let slower = 0;
  let faster = 0;
  for (let i = start; i < last.to; i++) {
    if (i - last.from < WARM_UP) continue;
    const away = (logs[i] - usual.centre) / usual.deviation;
    const clipped = Math.max(-CLIP, Math.min(CLIP, away));
    slower = Math.max(0, slower + clipped - ALLOWANCE);
    faster = Math.max(0, faster - clipped - ALLOWANCE);
    if (slower <= ALARM && faster <= ALARM) continue;
    const direction = slower > ALARM ? 'slower' : 'faster';
    slower = faster = 0;
    const before = changes.at(-1);
    if (!before || Math.abs(acts[i].at - before.at) >= QUIET_MS) changes.push({ index: i, at: acts[i].at, direction });
  }
  return changes;
}

/** Median and scaled median deviation of log seconds before `end`, the starts of sessions left out. */
function usualPace(acts: readonly TimedAct[], logs: readonly number[], end: number) {
  const settled = sessionsOf(acts.slice(0, end)).flatMap(({ from, to }) => logs.slice(from + WARM_UP, to));
  if (settled.length < LEAST_USUAL - WARM_UP) return null;
  const centre = median(settled);
  const deviation = 1.4826 * median(settled.map((value) => Math.abs(value - centre)));
  return { centre, deviation: Math.max(LEAST_DEVIATION, deviation) };
}

export interface Pace {
  /** Median over the last twenty labels of the last session; null before there are ten. */
  recentSeconds: number | null;
  /** Median of all labels that were not at the start of a session; null before there are enough. */
  usualSeconds: number | null;
  /** A change was noticed in the last ten minutes, and none in the hour before it. */
  suggestBreak: boolean;
  direction: 'slower' | 'faster' | null;
}

/** The pace at a moment. */
export function paceAt(acts: readonly TimedAct[], now: number): Pace {
  const last = sessionsOf(acts).at(-1);
  const own = last && Math.abs(now - acts[acts.length - 1].at) < SESSION_GAP_MS ? acts.slice(last.from) : [];
  const recent = own.slice(-RECENT).map(({ durationMs }) => durationMs / 1000);
  const logs = acts.map(({ durationMs }) => Math.log(Math.max(1, durationMs)));
  const usual = usualPace(acts, logs, acts.length);
  const change = own.length === 0 ? undefined : paceChanges(acts).at(-1);
  const isNews = change !== undefined && Math.abs(now - change.at) < NEWS_MS;
  return {
    recentSeconds: recent.length < WARM_UP ? null : median(recent),
    usualSeconds: usual && Math.exp(usual.centre) / 1000,
    suggestBreak: isNews,
    direction: isNews ? change.direction : null,
  };
}

/** The middle value; of an even number the mean of the two. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
}
