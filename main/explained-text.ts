/**
 * What in a text, or among measurements, speaks for a class. Models with an embedding of
 * tokens: integrated gradients there, from a text of padding, summed by word. Others, whose
 * counts of n-grams have no gradient: what the log odds lose without a word, wherever it
 * stands (without a sentence, where a text is very long). Measurements: what they lose where
 * one had not been recorded.
 */
import type { NumbersPart, TextPart } from './domain/item.ts';
import type { ExplainedVersion } from './explained-version.ts';
import { BETWEEN_TEXTS, countTerms, type Row } from './inference/index.ts';
import { integratedGradients, POINTS_AT_ONCE, type Path } from './integrated-gradients.ts';

/** A piece of a text (UTF-16, end exclusive) and what it says, in [−1, 1]. */
export interface Span {
  from: number;
  to: number;
  value: number;
}

type Place = Omit<Span, 'value'>;

/** Log odds up to which nothing is shown at full strength: a word that moves them by less hardly says anything. */
const LEAST = 0.1;
/** Below this share of the strongest word, a word says nothing. */
const FAINTEST = 0.02;
/** Letters read again in all, leaving one piece out each time, and the most pieces. */
const LETTERS = 600_000;
const MOST_PIECES = 300;
const FEWEST_PIECES = 24;
/** Windows of a long text that are looked at. */
const MOST_WINDOWS = 6;
/** Four points each: transformers bend more than heads. */
const PIECES_OF_PATH = 4;

const words = new Intl.Segmenter('en', { granularity: 'word' });
const sentences = new Intl.Segmenter('en', { granularity: 'sentence' });

/** The spans of each text, in their order. `row` is the item as one row. Errors: `encoder-invalid` for an operator without derivative. */
export async function explainTexts(
  version: ExplainedVersion,
  row: Row,
  parts: readonly TextPart[],
  asked: number,
  method: 'integrated-gradients' | 'occlusion',
  signal?: AbortSignal,
): Promise<Span[][]> {
  const text = parts.map((part) => part.text).join(BETWEEN_TEXTS);
  const spans =
    method === 'integrated-gradients'
      ? await byGradient(version, row, text, asked, signal)
      : await byLeavingOut(version, row, text, asked, signal);
  let begin = 0;
  const strength = strengthOf(spans.map(({ value }) => value));
  return parts.map((part) => {
    const [from, to] = [begin, begin + part.text.length];
    begin = to + BETWEEN_TEXTS.length;
    return spans
      .filter((span) => span.from >= from && span.to <= to)
      .map((span) => ({ from: span.from - from, to: span.to - from, value: strength(span.value) }))
      .filter(({ value }) => Math.abs(value) >= FAINTEST);
  });
}

/** What each recorded measurement says, in [−1, 1], by its name. */
export async function explainNumbers(
  version: ExplainedVersion,
  row: Row,
  part: NumbersPart,
  asked: number,
  signal?: AbortSignal,
): Promise<Record<string, number>> {
  const preparation = version.preparations.find((p) => p.kind === 'numbers');
  const numbers = row.numbers;
  if (!preparation || !numbers) return {};
  const known = preparation.columns.flatMap(({ name }, i) =>
    name in part.values && !Number.isNaN(numbers[i]) ? [{ name, i }] : [],
  );
  const without = known.map(({ i }): Row => ({ ...row, numbers: numbers.with(i, NaN) }));
  const [whole, ...rest] = await version.logOdds([row, ...without], asked, signal);
  const effects = rest.map((odds) => whole - odds);
  const strength = strengthOf(effects);
  return Object.fromEntries(known.map(({ name }, k) => [name, strength(effects[k])]));
}

function strengthOf(effects: readonly number[]): (effect: number) => number {
  const most = effects.reduce((largest, effect) => Math.max(largest, Math.abs(effect)), LEAST);
  return (effect) => Math.round((effect / most) * 1000) / 1000;
}

async function byGradient(
  version: ExplainedVersion,
  row: Row,
  text: string,
  asked: number,
  signal?: AbortSignal,
): Promise<Span[]> {
  const preparation = version.preparations.find((p) => p.kind === 'text');
  const seam = version.tokenSeam;
  if (preparation?.method !== 'tokens' || !seam || !version.tokenizer) return [];
  const windows = (await version.tokenizer.located(text, preparation.maxTokens)).slice(0, MOST_WINDOWS);
  const found: Span[] = [];
  for (const { ids, spans } of windows) {
    const blank = ids.map((id, i) => (spans[i] ? preparation.padId : id));
    const values = await version.valuesAt(seam, [{ ...row, tokens: ids }]);
    const before = await version.valuesAt(seam, [{ ...row, tokens: blank }]);
    const fixed = version.repeated(values, seam, POINTS_AT_ONCE, asked);
    const session = await version.evidenceAt(seam, fixed.shapes, POINTS_AT_ONCE);
    const paths = seam.at.map((name): Path => ({
      name,
      dims: values[name].dims,
      from: before[name].data as Float32Array,
      to: values[name].data as Float32Array,
    }));
    const given = await integratedGradients(session, paths, fixed.feeds, PIECES_OF_PATH, signal);
    const effects = Float64Array.from(ids, (_, i) => given.reduce((sum, own) => sum + own[i] / windows.length, 0));
    spans.forEach((span, i) => span && found.push({ ...span, value: effects[i] }));
  }
  return joined(wordsOf(text), found);
}

/** Words with the sum of what their tokens got. */
function joined(places: readonly Place[], tokens: readonly Span[]): Span[] {
  const result = places.map((place) => ({ ...place, value: 0 }));
  let at = 0;
  for (const token of tokens) {
    while (at < result.length && result[at].to <= token.from) at++;
    const word = result[at];
    if (word && token.to > word.from) word.value += token.value;
  }
  return result;
}

async function byLeavingOut(
  version: ExplainedVersion,
  row: Row,
  text: string,
  asked: number,
  signal?: AbortSignal,
): Promise<Span[]> {
  const preparation = version.preparations.find((p) => p.kind === 'text');
  const tokenizer = version.tokenizer;
  const groups = groupsOf(text);
  const read = async (shorter: string): Promise<Row> => {
    if (preparation?.method === 'tokens' && tokenizer) {
      return { ...row, tokens: (await tokenizer.windows(shorter, preparation.maxTokens))[0] };
    }
    return { ...row, terms: countTerms(shorter) };
  };
  const [whole] = await version.logOdds([await read(text)], asked, signal);
  const spans: Span[] = [];
  const AT_ONCE = 16;
  for (let start = 0; start < groups.length; start += AT_ONCE) {
    const some = groups.slice(start, start + AT_ONCE);
    const rows: Row[] = [];
    for (const places of some) rows.push(await read(without(text, places)));
    const odds = await version.logOdds(rows, asked, signal);
    some.forEach((places, k) => spans.push(...places.map((place) => ({ ...place, value: whole - odds[k] }))));
  }
  return spans.sort((a, b) => a.from - b.from);
}

/** What is left out together: each word wherever it stands; sentences, or runs of them, where there are too many words. */
function groupsOf(text: string): Place[][] {
  const most = Math.min(MOST_PIECES, Math.max(FEWEST_PIECES, Math.floor(LETTERS / Math.max(1, text.length))));
  const byWord = new Map<string, Place[]>();
  for (const place of wordsOf(text)) {
    const word = text.slice(place.from, place.to).normalize('NFKC').toLowerCase();
    const places = byWord.get(word);
    if (places) places.push(place);
    else byWord.set(word, [place]);
  }
  if (byWord.size <= most) return [...byWord.values()];
  const all = [...sentences.segment(text)].map(({ index, segment }) => ({ from: index, to: index + segment.length }));
  const runs = Math.min(most, all.length);
  return Array.from({ length: runs }, (_, i) => {
    const run = all.slice(Math.floor((i * all.length) / runs), Math.floor(((i + 1) * all.length) / runs));
    return [{ from: run[0].from, to: run.at(-1)!.to }];
  });
}

function wordsOf(text: string): Place[] {
  return [...words.segment(text)].flatMap(({ index, segment, isWordLike }) =>
    isWordLike ? [{ from: index, to: index + segment.length }] : [],
  );
}

/** The text without these places; what stood around them does not become one word. */
function without(text: string, places: readonly Place[]): string {
  let at = 0;
  let rest = '';
  for (const { from, to } of places) {
    rest += `${text.slice(at, from)} `;
    at = to;
  }
  return rest + text.slice(at);
}
