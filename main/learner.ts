/**
 * The compute side of the loop: what has to look at every item's vector. It reads items and
 * labels through its own read-only connection each time it is asked, keeps embeddings in
 * memory, and answers with picks, metrics and progress. It writes the cache and blobs,
 * never the project.
 */
import { join } from 'node:path';
import { findGuarantee, select, type Pick as PickedRow, strategyNamed } from './acquisition/index.ts';
import type { EncoderImportData, GuaranteeData, IntervalData } from './api.ts';
import type {
  Chosen,
  EncoderEntry,
  EncoderTaken,
  ImportedEncoders,
  EncoderMade,
  Evidence,
  Pick,
  Prepared,
  Simulated,
  SimulationOptions,
  Trained,
} from './compute-api.ts';
import { EngineError } from './domain/errors.ts';
import type { ItemId, Part } from './domain/item.ts';
import { row, takeRows, type Matrix } from './domain/matrix.ts';
import { createRng } from './domain/rng.ts';
import { describeEncoder, inspectFile } from './encoder-import.ts';
import { fitEncoder, openEncoder, type Encoder, type EncoderCard, type EncoderFile } from './inference/index.ts';
import { cachedEmbeddings, Space } from './space.ts';
import {
  ITEM_STATES,
  openCache,
  openReader,
  ROLES,
  type Cache,
  type PoolRows,
  type ProjectReader,
  type VersionRecord,
} from './store/index.ts';
import {
  decidePromotion,
  measure,
  poolPrior,
  predictPool,
  readHead,
  simulate,
  suggestions,
  trainVersion,
  type Head,
  type LabelledItem,
  type PoolPrior,
  type VersionCard,
} from './training/index.ts';

export type Report = (stage: string, done: number | null, total: number | null) => void;

const OPEN = ITEM_STATES.indexOf('open');
const LABELLED = ITEM_STATES.indexOf('labelled');
const SKIPPED = ITEM_STATES.indexOf('skipped');
const POOL = ROLES.indexOf('pool');
const AUDIT = ROLES.indexOf('audit');

/** Items embedded between two reports, and between two writes of the cache. */
const EMBED_CHUNK = 32;
/** The most items an encoder is fitted on; more teach it nothing that is worth the time. */
const READ_CHUNK = 256;

export class Learner {
  readonly #reader: ProjectReader;
  readonly #cache: Cache;
  #encoder: { sha256: string; encoder: Encoder } | null = null;
  #space: Space | null = null;
  /** Heads by version. */
  readonly #heads = new Map<number, Head>();
  #predicted: { version: number; rows: number; encoder: string; probabilities: Matrix } | null = null;

  #prior: { encoder: string; rows: number; prior: PoolPrior } | null = null;

  constructor(dir: string) {
    this.#reader = openReader(dir);
    this.#cache = openCache(join(dir, 'cache.sqlite'));
  }

  async fitEncoder(seed: number, report: Report, signal?: AbortSignal): Promise<EncoderMade> {
    const rows = this.#reader.items.poolRows();
    const imported = this.#importedEncoders();
    report('fitting', 0, null);
    const { model, card } = await fitEncoder(this.#parts(rows), {
      seed,
      imported,
      signal,
      onProgress: ({ fraction }) => report('fitting', Math.round(100 * fraction), 100),
    });
    const sha256 = this.#reader.blobs.put(model);
    return {
      kind: 'encoder',
      sha256,
      sizeBytes: model.length,
      entry: { card, items: rows.count, imported: Object.keys(imported).length > 0 },
    };
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

  async embed(report: Report, signal?: AbortSignal): Promise<Prepared> {
    const rows = this.#reader.items.poolRows();
    const { encoder } = await this.#liveEncoder();
    const space = this.#spaceFor(rows);
    const absent = space.absent();
    const missing: Prepared['missing'] = [];
    for (let start = 0; start < absent.length; start += EMBED_CHUNK) {
      signal?.throwIfAborted();
      report('embedding', rows.count - absent.length + start, rows.count);
      const chunk = absent.slice(start, start + EMBED_CHUNK);
      const parts = this.#reader.items.partsOf(chunk.map((i) => rows.seq[i]));
      const { embedding, reduced, problems } = await encoder.embed(parts, { signal });
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

  async #liveEncoder(): Promise<{ sha256: string; encoder: Encoder; card: EncoderCard }> {
    const record = this.#reader.versions.encoders().at(-1);
    if (!record)
      throw new EngineError('encoder-missing', 'No encoder has been made yet.', 'Import items first, then try again.');
    const card = (record.card as EncoderEntry).card;
    if (this.#encoder?.sha256 !== record.blob) {
      this.#encoder = { sha256: record.blob, encoder: await openEncoder(this.#reader.blobs.read(record.blob), card) };
    }
    return { ...this.#encoder, card };
  }

  /** The embedded pool with a row for each item there is. */
  #spaceFor(rows: PoolRows): Space {
    const record = this.#reader.versions.encoders().at(-1);
    if (!record)
      throw new EngineError('encoder-missing', 'No encoder has been made yet.', 'Import items first, then try again.');
    const card = (record.card as EncoderEntry).card;
    if (this.#space?.encoder !== record.blob)
      this.#space = new Space(this.#cache, record.blob, card.dims, card.reducedDims);
    this.#space.grow(rows.seq);
    return this.#space;
  }

  #labelled(rows: PoolRows, space: Space, role: number): number[] {
    return all(rows.count).filter((i) => rows.state[i] === LABELLED && rows.role[i] === role && space.present[i] === 1);
  }

  #labelledItems(rows: PoolRows, indices: readonly number[]): LabelledItem[] {
    return indices.map((i) => ({ id: rows.id[i], classes: rows.classes[i] ?? [], group: String(rows.component[i]) }));
  }

  #head(version: VersionRecord): Head {
    let head = this.#heads.get(version.version);
    if (!head) {
      head = readHead(this.#reader.blobs.read(version.blob)).head;
      this.#heads.set(version.version, head);
    }
    return head;
  }

  /** What the pool says before any label; the same while the pool stays the same. */
  async #priorOf(rows: PoolRows, space: Space): Promise<PoolPrior> {
    if (this.#prior?.encoder !== space.encoder || this.#prior.rows !== rows.count) {
      const present = all(rows.count).filter((i) => space.present[i] === 1);
      const prior = await poolPrior(takeRows(space.embedding, present), this.#reader.facts.seed);
      this.#prior = { encoder: space.encoder, rows: rows.count, prior };
    }
    return this.#prior.prior;
  }

  async train(seed: number, report: Report, signal?: AbortSignal): Promise<Trained> {
    const rows = this.#reader.items.poolRows();
    const space = this.#spaceFor(rows);
    const schema = this.#reader.schema.current();
    const training = this.#labelled(rows, space, POOL);
    const auditing = this.#labelled(rows, space, AUDIT);
    report('training', null, null);
    const audit = { items: this.#labelledItems(rows, auditing), embedding: takeRows(space.embedding, auditing) };
    const { model, card, snapshot, auditCorrect } = await trainVersion({
      items: this.#labelledItems(rows, training),
      embedding: takeRows(space.embedding, training),
      audit,
      schema,
      encoder: this.#reader.blobs.read(space.encoder),
      prior: await this.#priorOf(rows, space),
      seed,
      signal,
    });
    signal?.throwIfAborted();
    const live = this.#reader.versions.live();
    const liveCorrect = live ? await this.#correctOf(live, rows, auditing) : null;
    const decision = decidePromotion(
      liveCorrect === null && live ? [] : auditCorrect,
      live ? (liveCorrect ?? []) : null,
    );
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

  /** Whether each of the named audit items is right under a version; null where its embeddings are gone. */
  async #correctOf(version: VersionRecord, rows: PoolRows, auditing: readonly number[]): Promise<boolean[] | null> {
    const measured = await this.#measure(version, rows, auditing);
    return measured?.correct ?? null;
  }

  async #measure(version: VersionRecord, rows: PoolRows, auditing: readonly number[]) {
    const card = version.card as VersionCard;
    const schema = this.#reader.schema.current();
    const { sha256, dims } = card.encoder;
    const inSpace = this.#space?.encoder === sha256 ? takeRows(this.#space.embedding, auditing) : null;
    const embedding =
      inSpace ??
      cachedEmbeddings(
        this.#cache,
        sha256,
        dims,
        auditing.map((i) => rows.seq[i]),
      );
    if (!embedding) return null;
    return measure(
      this.#head(version),
      { items: this.#labelledItems(rows, auditing), embedding },
      { ...schema, classes: widened(card.classes, schema.classes) },
    );
  }

  /** Calibrated probabilities of the whole pool under the live version, or null where there is none. */
  async #probabilities(
    rows: PoolRows,
    space: Space,
    signal?: AbortSignal,
  ): Promise<{ version: number; probabilities: Matrix } | null> {
    const live = this.#reader.versions.live();
    if (!live) return null;
    const known = this.#predicted;
    if (known?.version === live.version && known.rows === rows.count && known.encoder === space.encoder) return known;
    const card = live.card as VersionCard;
    if (card.encoder.sha256 !== space.encoder) return null;
    const probabilities = await predictPool(this.#head(live), space.embedding, { signal });
    this.#predicted = { version: live.version, rows: rows.count, encoder: space.encoder, probabilities };
    return this.#predicted;
  }

  async choose(
    options: { count: number; auditCount: number; strategy: string; seed: number; keep: ItemId[] },
    report: Report,
    signal?: AbortSignal,
  ): Promise<Chosen> {
    const { count, auditCount, seed } = options;
    report('choosing', null, null);
    const rows = this.#reader.items.poolRows();
    const space = this.#spaceFor(rows);
    const schema = this.#reader.schema.current();
    const kept = new Set<ItemId>(options.keep);
    const isAskable = (i: number, state: number) =>
      rows.state[i] === state && space.present[i] === 1 && !kept.has(rows.id[i]);
    const current = await this.#probabilities(rows, space, signal);
    const askable = (state: number) => all(rows.count).filter((i) => rows.role[i] === POOL && isAskable(i, state));
    let candidates = askable(OPEN);
    // Skipped means not now: they come back when nothing else is left.
    if (candidates.length === 0) candidates = askable(SKIPPED);
    const settled = current && (await this.#settledRows(rows, space, current.probabilities));
    const unsettled = settled ? candidates.filter((i) => !settled.has(i)) : candidates;
    const labelled = all(rows.count).filter((i) => rows.state[i] === LABELLED);
    const picks = select(strategyNamed(options.strategy), {
      candidates: unsettled.length > 0 ? unsettled : candidates,
      labelled: [...labelled, ...all(rows.count).filter((i) => kept.has(rows.id[i]))],
      batch: count,
      seed,
      task: schema.task,
      probabilities: current?.probabilities,
      reduced: space.reduced,
      duplicates: rows.cluster,
      groups: rows.component,
      soFar: this.#soFar(rows, schema.classes),
    });
    const auditRows = createRng(seed)
      .derive('audit draw')
      .shuffle(all(rows.count).filter((i) => rows.role[i] === AUDIT && isAskable(i, OPEN)));
    const distribution = (i: number) => (current ? Array.from(row(current.probabilities, i)) : null);
    return {
      kind: 'chosen',
      picks: picks.map((pick) => this.#explain(pick, rows, schema.classes, distribution(pick.index))),
      audit: auditRows.slice(0, auditCount).map((i) => ({
        item: rows.id[i],
        score: 0,
        strategy: 'audit',
        why: { code: 'audit' },
        probabilities: distribution(i),
      })),
      policy: policyOf(picks, options.strategy),
      modelVersion: current?.version ?? null,
      seed,
    };
  }

  #explain(pick: PickedRow, rows: PoolRows, classes: readonly string[], probabilities: number[] | null): Pick {
    const { classes: pair, probabilities: pairProbabilities, closer, nearest, phase: _phase, ...why } = pick.why;
    return {
      item: rows.id[pick.index],
      score: pick.score,
      strategy: pick.strategy,
      why: {
        ...why,
        code: pick.strategy,
        ...(closer !== undefined && { shareCloser: closer }),
        ...(nearest !== undefined && { nearest: rows.id[nearest] }),
        ...(pair &&
          pairProbabilities && {
            contenders: pair.map((j, k) => ({ class: classes[j], probability: pairProbabilities[k] })),
          }),
      },
      probabilities,
    };
  }

  #soFar(rows: PoolRows, classes: readonly string[]) {
    const counts = new Array<number>(classes.length).fill(0);
    for (let i = 0; i < rows.count; i++) {
      if (rows.state[i] !== LABELLED || rows.role[i] !== POOL) continue;
      for (const name of rows.classes[i] ?? []) counts[classes.indexOf(name)]++;
    }
    const tested = (this.#reader.versions.live()?.card as VersionCard | undefined)?.crossValidation;
    return { counts, correct: tested ? Math.round(tested.accuracy.value * tested.n) : 0, tested: tested?.n ?? 0 };
  }

  /** Open pool rows that the default guarantee covers; null where it says nothing. */
  async #settledRows(rows: PoolRows, space: Space, probabilities: Matrix): Promise<Set<number> | null> {
    const guarantee = await this.#guarantee(rows, space, probabilities, SETTLED);
    if (guarantee?.threshold == null) return null;
    const { threshold } = guarantee;
    const { confidence } = suggestions(probabilities, unlabelled(rows.count), this.#reader.schema.current().task);
    return new Set(this.#openPool(rows, space).filter((i) => confidence[i] >= threshold));
  }

  #openPool(rows: PoolRows, space: Space): number[] {
    return all(rows.count).filter((i) => rows.role[i] === POOL && rows.state[i] === OPEN && space.present[i] === 1);
  }

  async #guarantee(
    rows: PoolRows,
    space: Space,
    probabilities: Matrix,
    { alpha, delta }: { alpha: number; delta: number },
  ): Promise<GuaranteeData | null> {
    const live = this.#reader.versions.live();
    if (!live) return null;
    const auditing = this.#labelled(rows, space, AUDIT);
    const measured = await this.#measure(live, rows, auditing);
    if (!measured) return null;
    const { confidence } = suggestions(probabilities, unlabelled(rows.count), this.#reader.schema.current().task);
    return findGuarantee({
      auditConfidence: measured.confidence,
      auditCorrect: measured.correct,
      poolConfidence: this.#openPool(rows, space).map((i) => confidence[i]),
      alpha,
      delta,
    });
  }

  async evidence(level: { alpha: number; delta: number }): Promise<Evidence> {
    const rows = this.#reader.items.poolRows();
    const space = this.#spaceFor(rows);
    const auditing = this.#labelled(rows, space, AUDIT);
    const versions: Evidence['versions'] = [];
    for (const version of this.#reader.versions.list()) {
      const measured = await this.#measure(version, rows, auditing);
      if (measured)
        versions.push({ version: version.version, auditNow: intervalOf(measured.metrics.accuracy, auditing.length) });
    }
    const current = await this.#probabilities(rows, space);
    return { versions, guarantee: current && (await this.#guarantee(rows, space, current.probabilities, level)) };
  }

  async predict(
    items: ItemId[] | null,
  ): Promise<{ modelVersion: number; classes: string[]; items: { item: ItemId; probabilities: number[] }[] }> {
    const rows = this.#reader.items.poolRows();
    const space = this.#spaceFor(rows);
    const current = await this.#probabilities(rows, space);
    const live = this.#reader.versions.live();
    if (!current || !live)
      throw new EngineError(
        'version-unknown',
        'There is no model version for these items yet.',
        'Label some items and train first.',
      );
    const wanted = items && new Set(items);
    const predicted = all(rows.count).filter(
      (i) => space.present[i] === 1 && (wanted === null || wanted.has(rows.id[i])),
    );
    return {
      modelVersion: current.version,
      classes: (live.card as VersionCard).classes,
      items: predicted.map((i) => ({ item: rows.id[i], probabilities: Array.from(row(current.probabilities, i)) })),
    };
  }

  /** The labelled items nearest by cosine of their reduced vectors. */
  similar(item: ItemId, count: number): { item: ItemId; similarity: number }[] {
    const rows = this.#reader.items.poolRows();
    const space = this.#spaceFor(rows);
    const at = rows.id.indexOf(item);
    if (at < 0 || space.present[at] === 0) return [];
    const own = row(space.reduced, at);
    const near = all(rows.count)
      .filter((i) => i !== at && rows.state[i] === LABELLED && space.present[i] === 1)
      .map((i) => ({ item: rows.id[i], similarity: cosine(own, row(space.reduced, i)) }));
    return near.sort((a, b) => b.similarity - a.similarity || (a.item < b.item ? -1 : 1)).slice(0, count);
  }

  async simulate(options: SimulationOptions, report: Report, signal?: AbortSignal): Promise<Simulated> {
    const rows = this.#reader.items.poolRows();
    const space = this.#spaceFor(rows);
    const { task, classes } = this.#reader.schema.current();
    const oracle = this.#reader.items.oracleOf();
    const labels = all(rows.count).map((i) => {
      const names = space.present[i] === 1 ? oracle.get(rows.seq[i]) : undefined;
      return names ? names.map((name) => classes.indexOf(name)) : null;
    });
    const { curves } = await simulate({
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
      signal,
      onProgress: ({ done, total }) => report('simulating', done, total),
    });
    return { kind: 'simulated', curves };
  }

  close(): void {
    this.#reader.close();
    this.#cache.close();
  }
}

const SETTLED = { alpha: 0.05, delta: 0.1 };

const all = (n: number) => Array.from({ length: n }, (_, i) => i);
const unlabelled = (n: number): number[][] => Array.from({ length: n }, () => []);

/** A version knows the classes of its day; labels of classes added since are simply wrong under it. */
function widened(own: readonly string[], now: readonly string[]): string[] {
  return [...own, ...now.filter((name) => !own.includes(name))];
}

function intervalOf(accuracy: { value: number; low: number; high: number } | undefined, n: number): IntervalData {
  if (!accuracy || n === 0) return { n: 0, accuracy: null, low: 0, high: 1 };
  return { n, accuracy: accuracy.value, low: accuracy.low, high: accuracy.high };
}

function policyOf(picks: readonly PickedRow[], asked: string): Chosen['policy'] {
  const phase = picks[0]?.why.phase;
  return phase
    ? { ...phase }
    : { strategy: picks[0]?.strategy ?? asked, code: picks.length === 0 ? 'nothing-left' : 'chosen-by-hand' };
}

function cosine(a: Float32Array, b: Float32Array): number {
  let dot = 0;
  let aa = 0;
  let bb = 0;
  for (let j = 0; j < a.length; j++) {
    dot += a[j] * b[j];
    aa += a[j] * a[j];
    bb += b[j] * b[j];
  }
  return aa === 0 || bb === 0 ? 0 : dot / Math.sqrt(aa * bb);
}
