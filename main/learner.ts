/**
 * The compute side of the loop: what has to look at every item's vector. It reads items and
 * labels through its own read-only connection each time it is asked, keeps embeddings in
 * memory, and answers with picks, metrics and progress. It writes the cache and blobs,
 * never the project.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { strategyNamed } from './acquisition/index.ts';
import type { EncoderImportData, ExplanationData, ExplanationQuestion } from './api.ts';
import type { VersionExportData } from './api-version-export.ts';
import { drawnFromAll } from './audit-sample.ts';
import { chooseItems, type ChoiceOptions } from './choosing.ts';
import { wishesOf } from './choosing-wishes.ts';
import { committeeBeside } from './committee.ts';
import type {
  Chosen,
  EncoderEntry,
  EncoderMade,
  EncoderTaken,
  Evidence,
  ImportedEncoders,
  Prepared,
  NoticeEvent,
  Simulated,
  SimulationOptions,
  Trained,
  Tuned,
  TunedPart,
  TuneOptions,
} from './compute-api.ts';
import { knownDevice } from './devices.ts';
import { EngineError } from './domain/errors.ts';
import type { ItemId, Part } from './domain/item.ts';
import { row, takeRows, type Matrix } from './domain/matrix.ts';
import {
  LABELLED,
  labelledItems,
  OPEN,
  POOL,
  rowsIn,
  rowsWhere,
  SKIPPED,
  type EmbeddedItems,
} from './embedded-items.ts';
import { describeEncoder, inspectFile } from './encoder-import.ts';
import { Explaining } from './explaining.ts';
import { fitEncoder, openEncoder, type Encoder, type EncoderCard, type EncoderFile } from './inference/index.ts';
import { intervalOf, Measuring } from './measuring.ts';
import { nearestLabelled } from './neighbours.ts';
import type { Pause } from './pause.ts';
import { absentFrom, cachedEmbeddings, EMBEDDINGS, keepIn, Space } from './space.ts';
import {
  openCache,
  openReader,
  type Cache,
  type EncoderRecord,
  type PoolRows,
  type ProjectReader,
} from './store/index.ts';
import {
  decidePromotion,
  poolPrior,
  simulate,
  trainVersion,
  type PoolPrior,
  type VersionCard,
} from './training/index.ts';
import { tune } from './tuner.ts';
import { extendedEncoder } from './tuning/index.ts';
import { exportVersion } from './version-out.ts';

export type Report = (stage: string, done: number | null, total: number | null) => void;

export interface LearnerParts {
  reader: ProjectReader;
  cache: Cache;
  measuring: Measuring;
  /** Every item under the encoder of the live version, embedded first where need be. */
  items(report?: Report, signal?: AbortSignal): Promise<EmbeddedItems>;
  /** What the pool says before any label. */
  prior(items: EmbeddedItems): Promise<PoolPrior>;
}

/** Items embedded between two reports, and between two writes of the cache. */
const EMBED_CHUNK = 32;
/** Encoders that are open at once: the newest, and that of the version in use. */
const OPEN_ENCODERS = 2;
/** Items whose parts are in memory at once while an encoder is fitted. */
const READ_CHUNK = 256;

export class Learner {
  readonly #dir: string;
  readonly #reader: ProjectReader;
  readonly #cache: Cache;
  /** By device and blob, the one used last at the end. */
  readonly #encoders = new Map<string, Encoder>();
  /** By blob: see `TunedPart`. */
  readonly #folds = new Map<string, Record<ItemId, number>>();
  /** By encoder: the newest, and the live version's while that is another. */
  readonly #spaces = new Map<string, Space>();
  readonly #measuring: Measuring;
  readonly #explaining: Explaining;
  #prior: { encoder: string; embedded: number; prior: PoolPrior } | null = null;

  constructor(dir: string) {
    this.#dir = dir;
    this.#reader = openReader(dir);
    this.#cache = openCache(join(dir, 'cache.sqlite'));
    this.#measuring = new Measuring(this.#reader, (encoder, seqs) => this.#vectors(encoder, seqs));
    this.#explaining = new Explaining(this.#reader);
  }

  /** What compute's other modules work with. */
  get parts(): LearnerParts {
    return {
      reader: this.#reader,
      cache: this.#cache,
      measuring: this.#measuring,
      items: (report, signal) => this.#itemsInUse(report ?? (() => undefined), signal),
      prior: ({ rows, space }) => this.#priorOf(rows, space),
    };
  }

  async fitEncoder(seed: number, report: Report, signal?: AbortSignal): Promise<EncoderMade> {
    const rows = this.#reader.items.poolRows();
    const imported = this.#importedEncoders();
    report('fitting', 0, null);
    const fitted = await fitEncoder(this.#parts(rows), {
      seed,
      imported,
      signal,
      onProgress: ({ fraction }) => report('fitting', Math.round(100 * fraction), 100),
    });
    const { model, card, tuned } = this.#withTuned(fitted);
    const sha256 = this.#reader.blobs.put(model);
    return {
      kind: 'encoder',
      sha256,
      sizeBytes: model.length,
      entry: { card, items: rows.count, imported: Object.keys(imported).length > 0, ...(tuned && { tuned }) },
    };
  }

  /** The networks of the encoder before, on the new one, where that takes items in the same way. */
  #withTuned(fitted: EncoderFile): EncoderFile & { tuned?: TunedPart } {
    const before = this.#reader.versions.newestEncoder()?.card as EncoderEntry | undefined;
    const tuned = before?.tuned;
    if (!tuned) return fitted;
    const wanted = JSON.stringify(before.card.parts[tuned.place]);
    const place = fitted.card.parts.findIndex((part) => JSON.stringify(part) === wanted);
    if (place < 0) return fitted;
    const told = { classCount: tuned.classes.length, members: tuned.members, place };
    const { blobs } = this.#reader;
    const extended = extendedEncoder(fitted, blobs.read(tuned.block), told, blobs.read(tuned.trainedOn));
    return { ...extended, tuned: { ...tuned, place, base: { blob: blobs.put(fitted.model), card: fitted.card } } };
  }

  #importedEncoders(): Partial<Record<'image' | 'text', EncoderFile>> {
    const imported = (this.#reader.settings.get('imported') ?? {}) as ImportedEncoders;
    const fileOf = ({ blob, card }: { blob: string; card: EncoderCard }) => ({
      model: this.#reader.blobs.read(blob),
      card,
    });
    return {
      ...(imported.image && { image: fileOf(imported.image) }),
      ...(imported.text && { text: fileOf(imported.text) }),
    };
  }

  /** Checks an encoder that others made and keeps it as a blob. Errors: `encoder-invalid`. */
  async takeEncoder(told: EncoderImportData): Promise<EncoderTaken> {
    const { inspection } = await inspectFile(told);
    const { model, card } = inspection;
    return {
      sha256: this.#reader.blobs.put(model),
      sizeBytes: model.length,
      card,
      described: describeEncoder(inspection),
    };
  }

  *#parts(rows: PoolRows): Generator<Part[]> {
    for (let start = 0; start < rows.count; start += READ_CHUNK) {
      yield* this.#reader.items.partsOf(rows.seq.subarray(start, Math.min(rows.count, start + READ_CHUNK)));
    }
  }

  /** Embeds what the newest encoder has not seen yet. */
  async embed(report: Report, signal?: AbortSignal): Promise<Prepared> {
    const rows = this.#reader.items.poolRows();
    const prepared = await this.#embed(this.#newest(), rows, report, signal);
    this.#forgetOldEmbeddings();
    return prepared;
  }

  /** The cache keeps the two newest encoders and the one in use; what a version before these needs is embedded again when it is asked for. */
  #forgetOldEmbeddings(): void {
    const encoders = this.#reader.versions.encoders();
    if (encoders.length <= 2) return;
    const kept = [...encoders.slice(-2), this.#inUse()].map((record) => record.blob);
    this.#cache.keepOnly(EMBEDDINGS, kept);
  }

  async #embed(record: EncoderRecord, rows: PoolRows, report: Report, signal?: AbortSignal): Promise<Prepared> {
    // Before anything is waited for: meanwhile an import may add items, and rows are only ever added.
    const space = this.#spaceOf(record, rows);
    const encoder = await this.#opened(record);
    const absent = space.absent();
    const missing: Prepared['missing'] = [];
    for (let start = 0; start < absent.length; start += EMBED_CHUNK) {
      signal?.throwIfAborted();
      report('embedding', rows.count - absent.length + start, rows.count);
      const chunk = absent.slice(start, start + EMBED_CHUNK);
      const parts = this.#reader.items.partsOf(chunk.map((i) => rows.seq[i]));
      const heldOut = this.#heldOut(
        record,
        chunk.map((i) => rows.id[i]),
      );
      const { embedding, reduced, problems } = await encoder.embed(parts, { signal, heldOut });
      const failed = new Set(problems.map(({ index }) => index));
      for (const { index, error } of problems) {
        missing.push({ item: rows.id[chunk[index]], code: error.code, message: error.message });
      }
      const good = chunk.map((_, i) => i).filter((i) => !failed.has(i));
      space.keep(
        good.map((i) => chunk[i]),
        embedding,
        reduced,
        good,
      );
    }
    report('embedding', rows.count, rows.count);
    return { kind: 'prepared', embedded: absent.length - missing.length, missing };
  }

  #newest(): EncoderRecord {
    const record = this.#reader.versions.newestEncoder();
    if (!record)
      throw new EngineError('encoder-missing', 'No encoder has been made yet.', 'Import items first, then try again.');
    return record;
  }

  /** The encoder of the live version, or the newest before there is one. */
  #inUse(): EncoderRecord {
    const live = this.#reader.versions.live();
    const own = live?.encoder == null ? null : this.#reader.versions.encoder(live.encoder);
    return own ?? this.#newest();
  }

  async #opened({ blob, card }: { blob: string; card: unknown }): Promise<Encoder> {
    const entry = card as EncoderEntry;
    const device = entry.imported ? knownDevice(this.#reader.settings.get('device')) : 'cpu';
    const key = `${device} ${blob}`;
    const encoder =
      this.#encoders.get(key) ?? (await openEncoder(this.#reader.blobs.read(blob), entry.card, { device }));
    this.#encoders.delete(key);
    this.#encoders.set(key, encoder);
    // What somebody may still be using is left to the garbage collector.
    const [oldest] = this.#encoders.keys();
    if (this.#encoders.size > OPEN_ENCODERS) this.#encoders.delete(oldest);
    return encoder;
  }

  /** Which network of a fine-tuned encoder was trained without an item; null where none was trained with it. */
  #heldOut({ card }: { card: unknown }, ids: readonly ItemId[]): (number | null)[] | undefined {
    const { tuned } = card as EncoderEntry;
    if (!tuned) return undefined;
    let folds = this.#folds.get(tuned.folds);
    if (!folds) {
      folds = JSON.parse(this.#reader.blobs.read(tuned.folds).toString()) as Record<ItemId, number>;
      this.#folds.set(tuned.folds, folds);
    }
    return ids.map((id) => folds[id] ?? null);
  }

  /** The embedded pool with a row for each item there is. */
  #spaceOf(record: EncoderRecord, rows: PoolRows): Space {
    const { dims, reducedDims } = (record.card as EncoderEntry).card;
    const wanted = new Set([record.blob, this.#newest().blob, this.#inUse().blob]);
    for (const encoder of this.#spaces.keys()) if (!wanted.has(encoder)) this.#spaces.delete(encoder);
    const space = this.#spaces.get(record.blob) ?? new Space(this.#cache, record.blob, dims, reducedDims);
    this.#spaces.set(record.blob, space);
    space.grow(rows.seq);
    return space;
  }

  /** Embeddings of a few items under any encoder, made where the cache has none; null where an item cannot be read. */
  async #vectors(sha256: string, seqs: readonly number[]): Promise<Matrix | null> {
    const record = this.#reader.versions.encoders().find(({ blob }) => blob === sha256);
    return record ? this.#vectorsUnder(record, seqs) : null;
  }

  async #vectorsUnder(record: { blob: string; card: unknown }, seqs: readonly number[]): Promise<Matrix | null> {
    const { card } = record.card as EncoderEntry;
    const absent = absentFrom(this.#cache, card, seqs);
    if (absent.length > 0) {
      const encoder = await this.#opened(record);
      const heldOut = this.#heldOut(record, this.#reader.items.idsOf(absent));
      const { embedding, reduced, problems } = await encoder.embed(this.#reader.items.partsOf(absent), { heldOut });
      if (problems.length > 0) return null;
      keepIn(this.#cache, card, absent, embedding, reduced);
    }
    return cachedEmbeddings(this.#cache, card, seqs);
  }

  /** The items as they are now, under the newest encoder unless told otherwise. */
  #items(record = this.#newest()): EmbeddedItems {
    const rows = this.#reader.items.poolRows();
    return { rows, space: this.#spaceOf(record, rows), schema: this.#reader.schema.current() };
  }

  /** The items under the encoder of the live version. Where that is not the newest, what it has not seen is embedded first. */
  async #itemsInUse(report: Report, signal?: AbortSignal): Promise<EmbeddedItems> {
    const record = this.#inUse();
    if (record.encoder !== this.#newest().encoder) {
      await this.#embed(record, this.#reader.items.poolRows(), report, signal);
    }
    return this.#items(record);
  }

  /** What the pool says before any label; the same while the pool stays the same. */
  async #priorOf(rows: PoolRows, space: Space): Promise<PoolPrior> {
    const { encoder, embedded } = space;
    if (this.#prior?.encoder !== encoder || this.#prior.embedded !== embedded) {
      const present = rowsWhere({ rows }, (i) => space.present[i] === 1);
      const prior = await poolPrior(takeRows(space.embedding, present), this.#reader.facts.seed);
      this.#prior = { encoder, embedded, prior };
    }
    return this.#prior.prior;
  }

  async train(seed: number, report: Report, signal?: AbortSignal): Promise<Trained> {
    const items = this.#items();
    const { rows, space, schema } = items;
    const training = rowsIn(items, POOL, LABELLED);
    const auditing = drawnFromAll(items, this.#reader.reports.auditDraws());
    report('training', null, null);
    const { model, card, snapshot, auditCorrect } = await trainVersion({
      items: labelledItems(items, training),
      embedding: takeRows(space.embedding, training),
      audit: { items: labelledItems(items, auditing), embedding: takeRows(space.embedding, auditing) },
      schema,
      encoder: this.#reader.blobs.read(space.encoder),
      prior: await this.#priorOf(rows, space),
      seed,
      signal,
    });
    signal?.throwIfAborted();
    const live = this.#reader.versions.live();
    const measured = live && (await this.#measuring.onAudit(live, items, auditing));
    // Where the live version cannot be measured any more, there is nothing to compare.
    const decision = decidePromotion(live && !measured ? [] : auditCorrect, live && (measured?.correct ?? []));
    return {
      kind: 'trained',
      sha256: this.#reader.blobs.put(model),
      sizeBytes: model.length,
      card,
      snapshot,
      audit: intervalOf(card.audit?.accuracy, auditing.length),
      decision: { ...decision },
    };
  }

  /** The newest encoder, or the one of a blob, as it was before a run extended it, and opened. */
  async #withoutNetworks(blob: string | null) {
    const plain = [...this.#reader.versions.encoders(), this.#newest()].map((record) => {
      const { tuned, ...entry } = record.card as EncoderEntry;
      return tuned ? { blob: tuned.base.blob, card: { ...entry, card: tuned.base.card } } : record;
    });
    const base = plain.findLast((record) => blob === null || record.blob === blob);
    return base ? { blob: base.blob, card: base.card, opened: await this.#opened(base) } : null;
  }

  /** Fine-tunes networks on the labelled items and tries a version on the encoder that they extend. */
  async tune(
    options: TuneOptions,
    pause: Pause,
    report: Report,
    tell: (notice: NoticeEvent) => void,
    signal?: AbortSignal,
  ): Promise<Tuned> {
    const parts = {
      reader: this.#reader,
      dir: this.#dir,
      base: (blob: string | null) => this.#withoutNetworks(blob),
      vectors: (record: { blob: string; card: unknown }, seqs: readonly number[]) => this.#vectorsUnder(record, seqs),
      measuring: this.#measuring,
    };
    return tune(parts, options, pause, report, tell, signal);
  }

  async choose(options: ChoiceOptions, report: Report, signal?: AbortSignal): Promise<Chosen> {
    const items = await this.#itemsInUse(report, signal);
    report('choosing', null, null);
    const current = await this.#measuring.probabilities(items, signal);
    const settled = this.#measuring.settledRows(items);
    const card = (this.#reader.versions.live()?.card ?? null) as VersionCard | null;
    const held = this.#reader.tray.held();
    const committee = () => committeeBeside(this.parts, items, card, options.seed, signal);
    const wishes = wishesOf(this.#reader, items, current);
    const choose = (unreadable: ReadonlySet<number>) =>
      chooseItems(items, options, { current, settled, card, wishes, committee, held, unreadable }, signal);
    const chosen = await choose(new Set());
    const picked = new Set([...chosen.picks, ...chosen.audit].map(({ item }) => item));
    const { rows } = items;
    if (this.#unreadable(rows, (i) => picked.has(rows.id[i])).size === 0) return chosen;
    // Where one original is gone, a folder or a drive may be: all are looked for.
    return choose(this.#unreadable(rows, (i) => rows.state[i] === OPEN || rows.state[i] === SKIPPED));
  }

  /** Rows of which an image is not where it was at import. */
  #unreadable(rows: PoolRows, among: (i: number) => boolean): Set<number> {
    const isGone = (i: number) =>
      this.#reader.items.partsOf([rows.seq[i]])[0].some((part) => part.kind === 'image' && !existsSync(part.path));
    return new Set(rowsWhere({ rows }, (i) => among(i) && isGone(i)));
  }

  async evidence(): Promise<Evidence> {
    return this.#measuring.evidence(this.#items(this.#inUse()));
  }

  async predict(
    ids: ItemId[] | null,
  ): Promise<{ modelVersion: number; classes: string[]; items: { item: ItemId; probabilities: number[] }[] }> {
    const items = await this.#itemsInUse(() => undefined);
    const { rows, space } = items;
    const current = await this.#measuring.probabilities(items);
    const live = this.#reader.versions.live();
    if (!current || !live)
      throw new EngineError(
        'version-unknown',
        'There is no model version for these items yet.',
        'Label some items and train first.',
      );
    const wanted = ids && new Set(ids);
    const predicted = rowsWhere(items, (i) => space.present[i] === 1 && (wanted === null || wanted.has(rows.id[i])));
    return {
      modelVersion: current.version,
      classes: (live.card as VersionCard).classes,
      items: predicted.map((i) => ({ item: rows.id[i], probabilities: Array.from(row(current.probabilities, i)) })),
    };
  }

  /** The labelled items that are most like one. */
  similar(item: ItemId, count: number): { item: ItemId; similarity: number }[] {
    return nearestLabelled(this.#items(this.#inUse()), item, count);
  }

  async explain(question: ExplanationQuestion, signal?: AbortSignal): Promise<ExplanationData> {
    return this.#explaining.explain(question, signal);
  }

  async exportVersion(asked: VersionExportData, report: Report, signal?: AbortSignal) {
    return { kind: 'exported' as const, exported: await exportVersion(this.#reader, asked, report, signal) };
  }

  async simulate(options: SimulationOptions, report: Report, signal?: AbortSignal): Promise<Simulated> {
    const { rows, space, schema } = this.#items();
    const { task, classes } = schema;
    const oracle = this.#reader.items.oracleOf();
    const labels = Array.from(rows.seq, (_, i) => {
      const names = space.present[i] === 1 ? oracle.get(rows.seq[i]) : undefined;
      return names ? names.map((name) => classes.indexOf(name)) : null;
    });
    const found = await simulate({
      embedding: space.embedding,
      reduced: space.reduced,
      labels,
      task,
      classCount: classes.length,
      groups: rows.component,
      duplicates: rows.cluster,
      strategies: options.strategies.map(strategyNamed),
      budget: options.budget,
      batch: options.batch,
      start: options.start,
      seeds: Array.from({ length: options.seeds }, (_, s) => s + 1),
      testFraction: options.testFraction,
      guarantee: options.guarantee,
      signal,
      onProgress: ({ done, total }) => report('simulating', done, total),
    });
    return { kind: 'simulated', ...found };
  }

  close(): void {
    this.#reader.close();
    this.#cache.close();
  }
}
