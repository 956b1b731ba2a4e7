/**
 * Second looks, consistency, the tray and the choice of items, put into sentences: what
 * speaks against a label, what was measured of an item against the usual, how a strategy
 * chooses. Every code that the engine may send has words.
 */
import type { SecondLookData } from '../main/api-looks.ts';
import type { TrayEntryData } from '../main/api-tray.ts';
import type { MeasuredData } from '../main/api-evidence.ts';
import { count, DASH, decimal, measurement, plain, probability } from './format.ts';
import { m } from './paraglide/messages.js';
import { classesWord, strategyWord } from './words.ts';

type Message = () => string;
const named = (key: string) => (m as unknown as Record<string, Message | undefined>)[key.replace(/-/g, '_')];

/** What kind of doubt it is, in a word or two. */
export const lookWord = (reason: SecondLookData['reason']) => named(`look_${reason}`)?.() ?? reason;

/** What speaks against the label, in one plain sentence with its numbers. */
export function lookSentence({ reason, readings, suggested, fused }: SecondLookData): string {
  const [standing, ...others] = readings;
  const given = classesWord(standing?.classes ?? []);
  const other = others.find(({ classes }) => classesWord(classes) !== given) ?? others[0];
  if (reason === 'repeat-differs' && other)
    return m.look_repeat_differs_says({ given, other: classesWord(other.classes), name: plain(other.annotator) });
  if (reason === 'annotators-differ' && other)
    return m.look_annotators_differ_says({
      first: plain(standing.annotator),
      given,
      second: plain(other.annotator),
      other: classesWord(other.classes),
    });
  if (reason === 'noise' && suggested && classesWord(suggested.classes) !== given)
    return m.look_noise_says({ given, other: classesWord(suggested.classes), p: chance(suggested.probability) });
  if (reason === 'third-opinion' && fused)
    return m.look_third_opinion_says({ given, other: classesWord(fused.classes), p: chance(fused.probability) });
  return reason === 'noise' ? m.look_noise_alone() : lookWord(reason);
}

const chance = (p: number | null) => (p === null ? DASH : probability(p));

export const trayWord = (reason: TrayEntryData['reason']) => named(`tray_${reason}`)?.() ?? reason;
/** What was measured for it. */
export function trayMeasure({ measure, view }: TrayEntryData): string {
  if (measure === 'content' && !view.parts.some(({ kind }) => kind === 'image')) return m.tray_measure_letters();
  return named(`tray_measure_${measure}`)?.() ?? measure;
}

/** The measured value beside the usual range, in numbers short enough for a tile. */
export function trayNumbers({ score, usual }: TrayEntryData): string {
  return m.tray_numbers({ score: short(score), low: short(usual.low), high: short(usual.high) });
}

const short = (x: number) => (Math.abs(x) >= 100 ? count(x) : measurement(Number(x.toPrecision(2))));

/** How a strategy chooses, in one sentence; its name where there is none. */
export const strategySentence = (strategy: string) => named(`strategy_${strategy}_how`)?.() ?? strategyWord(strategy);

/** A value with its 95 % interval, e.g. "0.81 (0.66 to 0.93)"; a dash where nothing was measured. */
export function withInterval({ value, low, high }: MeasuredData, say: (x: number) => string = two): string {
  return value === null ? DASH : m.with_interval({ value: say(value), low: say(low), high: say(high) });
}

const two = (x: number) => decimal(x, 2);
