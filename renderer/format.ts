/**
 * Numbers, dates and durations in the reader's language, through Intl only. Formatters are
 * made once for each language; `null` prints as a dash, never as "null" or "NaN".
 */
import { m } from './paraglide/messages.js';
import { getLocale } from './paraglide/runtime.js';

const cache = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat>();

function number(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = `${getLocale()} ${JSON.stringify(options)}`;
  let format = cache.get(key) as Intl.NumberFormat | undefined;
  if (!format) cache.set(key, (format = new Intl.NumberFormat(getLocale(), options)));
  return format;
}

function date(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${getLocale()} ${JSON.stringify(options)}`;
  let format = cache.get(key) as Intl.DateTimeFormat | undefined;
  if (!format) cache.set(key, (format = new Intl.DateTimeFormat(getLocale(), options)));
  return format;
}

export const DASH = '–';

export function count(n: number): string {
  return number({ maximumFractionDigits: 0 }).format(n);
}

/** Always with that many digits, so that numbers beside each other line up. */
export function decimal(x: number | null, digits = 2): string {
  if (x === null) return DASH;
  return number({ minimumFractionDigits: digits, maximumFractionDigits: digits }).format(x);
}

/** A measurement as it was given: up to six significant digits, no grouping lost. */
export function measurement(x: number): string {
  return number({ maximumSignificantDigits: 6 }).format(x);
}

/** How many times as much: two significant digits. */
export function ratio(x: number): string {
  return number({ maximumSignificantDigits: 2 }).format(x);
}

/** A number that is only known roughly: whole, and rounded to two digits from a hundred on. */
export function roughly(x: number): string {
  const whole = Math.round(x);
  return Math.abs(whole) < 100 ? count(whole) : number({ maximumSignificantDigits: 2 }).format(whole);
}

/** A chosen share, with as many digits as it has: "5 %", "0.5 %". */
export function level(share: number): string {
  return number({ style: 'percent', maximumFractionDigits: 1 }).format(share);
}

export function percent(share: number | null, digits = 0): string {
  if (share === null) return DASH;
  return number({ style: 'percent', minimumFractionDigits: digits, maximumFractionDigits: digits }).format(share);
}

/** A probability beside others: whole percents, but never a false 0 or 100. */
export function probability(p: number): string {
  if (p > 0 && p < 0.005) return `<${percent(0.01)}`;
  if (p < 1 && p > 0.995) return `>${percent(0.99)}`;
  return percent(p);
}

/** Both ends of an interval of shares, e.g. "86.4–94.7 %". */
export function percentRange(low: number, high: number): string {
  return number({ style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1 }).formatRange(low, high);
}

/** Tenths of a second up to a minute ("0.4 s"), then minutes and seconds. (Intl's narrow unit has no space in English, its short one says "sec".) */
export function seconds(ms: number): string {
  const whole = Math.round(ms / 1000);
  if (whole < 60) return m.seconds({ n: decimal(ms / 1000, 1) });
  return m.minutes({ n: count(Math.floor(whole / 60)), seconds: count(whole % 60) });
}

export function bytes(size: number): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte'] as const;
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, size)) / 3));
  const format = number({
    style: 'unit',
    unit: units[step],
    unitDisplay: 'short',
    maximumFractionDigits: step === 0 ? 0 : 1,
  });
  return format.format(size / 1000 ** step);
}

export function dateTime(at: number): string {
  return date({ dateStyle: 'medium', timeStyle: 'short' }).format(at);
}

const UNSEEN = /(?![\n\t])[\p{Cc}\p{Bidi_Control}]/gu;

/**
 * Words that came from outside, safe to look at: characters that turn the direction of what
 * follows, and control characters, are shown by their numbers instead of acting, so that a
 * name cannot be made to read as another one. Line breaks and tabs stay.
 */
export function plain(text: string): string {
  return text.replace(UNSEEN, (c) =>
    c === '\r' ? '' : `[U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}]`,
  );
}

/** Words or values side by side. (Intl's lists of units run together in Chinese.) */
export function list(words: readonly string[]): string {
  return words.join(getLocale() === 'zh-CN' ? '、' : ', ');
}
