/**
 * Explanations: what in an item speaks for a class, under a model version. Each part of the
 * item is explained on its own, the others staying as they are. One at a time; whoever goes
 * on to another item gives up the one before, between two runs of the model. The version
 * asked about last stays open.
 */
import type { ExplanationData, ExplanationPartData, ExplanationQuestion } from './api.ts';
import type { EncoderEntry } from './compute-api.ts';
import { EngineError } from './domain/errors.ts';
import type { Part } from './domain/item.ts';
import { explainImage, imageMethod, needsBaseline, type Baseline, type Method } from './explained-image.ts';
import { explainNumbers, explainTexts } from './explained-text.ts';
import { ExplainedVersion } from './explained-version.ts';
import { prepareItem, type Row } from './inference/index.ts';
import type { ProjectReader } from './store/index.ts';
import type { VersionCard } from './training/index.ts';

/** Images of the pool that stand for all of them, spread evenly over the order of import. */
const REFERENCES = 24;

export class Explaining {
  readonly #reader: ProjectReader;
  #opened: ExplainedVersion | null = null;
  #baseline: { key: string; values: Baseline } | null = null;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(reader: ProjectReader) {
    this.#reader = reader;
  }

  /** Errors: `version-unknown`, `item-unknown`, `class-unknown`, `encoder-invalid`; those of reading files. Rejects with the signal's reason when aborted. */
  async explain(question: ExplanationQuestion, signal?: AbortSignal): Promise<ExplanationData> {
    const result = this.#turn.then(() => {
      signal?.throwIfAborted();
      return this.#explain(question, signal);
    });
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async #explain(question: ExplanationQuestion, signal?: AbortSignal): Promise<ExplanationData> {
    const { item, method = 'auto' } = question;
    const seq = this.#reader.items.seqOf(item);
    if (seq === null) {
      throw new EngineError('item-unknown', `There is no item “${item}”.`, 'Use an id that the queue shows.', { item });
    }
    const [parts] = this.#reader.items.partsOf([seq]);
    const { version, encoder } = await this.#open(question.version ?? null);
    const { rows, errors } = await prepareItem(parts, version.preparations, version.tokenizer);
    if (rows.length === 0) throw errors[0];
    const asked = await this.#asked(version, question.class, rows[0], signal);
    const odds = await version.logOdds(rows, asked, signal);
    const found: ExplanationPartData[] = [];
    for (const [part, { kind }] of parts.entries()) {
      signal?.throwIfAborted();
      const explained =
        kind === 'image' ? await this.#image(version, encoder, parts, part, asked, method, signal) : null;
      if (explained) found.push(explained);
    }
    if (rows[0].terms || rows[0].tokens)
      found.push(...(await this.#texts(version, parts, rows[0], asked, method, signal)));
    for (const [part, own] of parts.entries()) {
      if (own.kind !== 'numbers' || !rows[0].numbers) continue;
      const values = await explainNumbers(version, rows[0], own, asked, signal);
      found.push({ part, kind: 'numbers', method: 'occlusion', values });
    }
    return {
      item,
      version: version.version,
      class: version.classes[asked],
      logOdds: odds.reduce((sum, own) => sum + own / odds.length, 0),
      method: found[0]?.method ?? 'occlusion',
      parts: found.sort((a, b) => a.part - b.part),
    };
  }

  /** The class in question; the likeliest where none was named. */
  async #asked(version: ExplainedVersion, name: string | undefined, row: Row, signal?: AbortSignal): Promise<number> {
    if (name !== undefined) {
      const asked = version.classes.indexOf(name);
      if (asked >= 0) return asked;
      throw new EngineError(
        'class-unknown',
        `Version ${version.version} does not know the class “${name}”.`,
        `Choose one of: ${version.classes.join(', ')}; or train again, if the class is new.`,
        { class: name },
      );
    }
    const odds: number[] = [];
    for (const asked of version.classes.keys()) odds.push(...(await version.logOdds([row], asked, signal)));
    return odds.indexOf(Math.max(...odds));
  }

  async #image(
    version: ExplainedVersion,
    encoder: string,
    parts: readonly Part[],
    index: number,
    asked: number,
    wanted: Method | 'auto',
    signal?: AbortSignal,
  ): Promise<ExplanationPartData | null> {
    const part = parts[index];
    if (part.kind !== 'image' || !version.imageSeam) return null;
    const own = parts.filter((other) => other.kind !== 'image' || other === part);
    const { rows } = await prepareItem(own, version.preparations, version.tokenizer);
    if (rows[0]?.image === undefined) return null;
    const by = async (method: Method) => {
      const baseline = needsBaseline(version, method) ? await this.#baselineOf(version, encoder, signal) : null;
      const map = await explainImage(version, rows[0], part, asked, method, baseline, signal);
      return { part: index, kind: 'image' as const, method, ...map };
    };
    if (wanted !== 'auto') return by(wanted);
    return by(imageMethod(version)).catch(withoutDerivative(() => by('occlusion')));
  }

  async #texts(
    version: ExplainedVersion,
    parts: readonly Part[],
    row: Row,
    asked: number,
    wanted: Method | 'auto',
    signal?: AbortSignal,
  ): Promise<ExplanationPartData[]> {
    const texts = parts.flatMap((part, index) => (part.kind === 'text' ? [{ part, index }] : []));
    const by = async (method: 'integrated-gradients' | 'occlusion') => {
      const all = texts.map(({ part }) => part);
      const spans = await explainTexts(version, row, all, asked, method, signal);
      return texts.map(({ index }, i) => ({ part: index, kind: 'text' as const, method, spans: spans[i] }));
    };
    if (version.tokenSeam === null || wanted === 'occlusion') return by('occlusion');
    const found = by('integrated-gradients');
    return wanted === 'auto' ? found.catch(withoutDerivative(() => by('occlusion'))) : found;
  }

  /** The version and the encoder it was made with. */
  async #open(number: number | null): Promise<{ version: ExplainedVersion; encoder: string }> {
    const { versions, blobs } = this.#reader;
    const record = number === null ? versions.live() : versions.get(number);
    const encoder = record?.encoder == null ? null : versions.encoder(record.encoder);
    if (!record || !encoder) {
      throw new EngineError(
        'version-unknown',
        number === null ? 'There is no model version yet.' : `There is no version ${number}.`,
        number === null
          ? 'Label some items and train first.'
          : 'Use a version that “marginalia versions” or the desk’s Versions view lists.',
      );
    }
    if (this.#opened?.version !== record.version) {
      const before = this.#opened;
      this.#opened = null;
      await before?.close();
      const { classes } = record.card as VersionCard;
      const { parts: preparations } = (encoder.card as EncoderEntry).card;
      const about = { version: record.version, classes, preparations };
      this.#opened = await ExplainedVersion.open(about, blobs.read(record.blob));
    }
    return { version: this.#opened, encoder: encoder.blob };
  }

  /** The mean of the feature maps over some images of the pool: it belongs to the encoder, not to the version. */
  async #baselineOf(version: ExplainedVersion, encoder: string, signal?: AbortSignal): Promise<Baseline> {
    const key = [encoder, ...version.imageSeam!.at].join();
    if (this.#baseline?.key === key) return this.#baseline.values;
    const { seq, count } = this.#reader.items.poolRows();
    const picked = Array.from({ length: Math.min(count, REFERENCES) }, (_, i) =>
      Math.floor(((i + 0.5) * count) / Math.min(count, REFERENCES)),
    );
    const sums = new Map<string, Float32Array>();
    let images = 0;
    for (const i of picked) {
      signal?.throwIfAborted();
      const [parts] = this.#reader.items.partsOf([seq[i]]);
      const { rows } = await prepareItem(parts, version.preparations, version.tokenizer);
      if (rows[0]?.image === undefined) continue;
      const seam = version.imageSeam!;
      const values = await version.valuesAt(seam, rows.slice(0, 1));
      images++;
      for (const name of seam.at) {
        const data = values[name].data as Float32Array;
        const sum = sums.get(name) ?? new Float32Array(data.length);
        for (let j = 0; j < data.length; j++) sum[j] += data[j];
        sums.set(name, sum);
      }
    }
    const values = new Map([...sums].map(([name, sum]) => [name, sum.map((v) => v / images)]));
    this.#baseline = { key, values };
    return values;
  }

  async close(): Promise<void> {
    await this.#opened?.close();
  }
}

/** Goes on otherwise where an operator has no derivative; other trouble stays. */
function withoutDerivative<T>(otherwise: () => Promise<T>): (error: unknown) => Promise<T> {
  return (error) => {
    if (error instanceof EngineError && error.code === 'encoder-invalid') return otherwise();
    throw error;
  };
}
