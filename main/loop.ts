/**
 * The loop behind the desk: import → encode → train → choose, each a job, each started when
 * its time has come and no other learning job runs. It decides when; compute does the
 * work; the store keeps the outcome. It never delays an annotation: a label is on disk
 * before the loop hears of it.
 */
import { existsSync } from 'node:fs';
import type { EncoderImportData, ImportOptionsData, JobData } from './api.ts';
import { choosingSettings } from './choosing-settings.ts';
import {
  type Chosen,
  type ImportedEncoders,
  type EncoderMade,
  type Evidence,
  type Prepared,
  type ProgressEvent,
  type ReadEvent,
  type Simulated,
  type SimulationOptions,
  type Trained,
} from './compute-api.ts';
import { withRetries, type ComputeProcess } from './compute-process.ts';
import { assert, EngineError } from './domain/errors.ts';
import type { ItemId } from './domain/item.ts';
import { createRng } from './domain/rng.ts';
import { isFitDue, isTrainingDue, LEAST_LABELS } from './due.ts';
import { isNearDuplicate } from './ingest/index.ts';
import type { JobControl, Jobs } from './jobs.ts';
import { drawnAtRandom, queueDrafts } from './queue-drafts.ts';
import { withSecondReadings } from './rereads.ts';
import { requireRoom, RESERVE_BYTES, type By, type ProjectStore, type QueueDraft } from './store/index.ts';
import { recordVersion } from './version-record.ts';

export type ChangeKind = 'project' | 'items' | 'annotations' | 'queue' | 'jobs' | 'versions';

/** Entries at the head that keep their places when the queue is re-ranked: the one on screen and the ones already decoded. */
const FROZEN_HEAD = 6;
/** How many items one choice fetches, and below how many open entries the next is made. */
const BATCH = 30;
const REFILL_BELOW = 12;
/** How many missing originals are looked for to see whether they are back. */
const LOOKED_FOR = 3;
/** A compute process that dies is tried again this often before the job fails. */
const TRIES = 2;

interface LoopParts {
  store: ProjectStore;
  jobs: Jobs;
  compute: ComputeProcess;
  /** Import runs apart, so that labelling goes on meanwhile. */
  reader: ComputeProcess;
  changed(kind: ChangeKind): void;
  /** Called whenever everything is embedded, within the job that embedded it. */
  embedded(control: JobControl): Promise<void>;
  /** After every measurement: a look may be due. */
  measured(evidence: Evidence): Promise<void>;
  /** What a person asked to see before anything that is chosen. */
  first(): QueueDraft[];
  /** Whether jobs start by themselves; the command line starts them one by one. */
  automatic: boolean;
}

export class Loop {
  readonly #parts: LoopParts;
  evidence: Evidence | null = null;
  policy: Chosen['policy'] | null = null;
  /** Open items whose original cannot be read just now. */
  missing: ReadonlySet<ItemId> = new Set();
  #gone: string[] = [];
  /** What the project was when a job of this kind ended without what it was for: the same is not tried again by itself. */
  readonly #rested = new Map<JobData['kind'], { items: number; sequence: number }>();
  /** What the queue was last chosen from; choosing again from the same would give the same. */
  #chosenFrom = '';
  #embeddedItems = -1;
  #closed = false;
  #refreshing: Promise<void> | null = null;
  #refreshAgain = false;

  constructor(parts: LoopParts) {
    this.#parts = parts;
  }

  close(): void {
    this.#closed = true;
  }

  /** Starts whatever the state of the project asks for next. Cheap when there is nothing. */
  advance(): void {
    const { jobs, store, automatic } = this.#parts;
    if (!automatic || this.#closed) return;
    const { items } = store.counts();
    if (items === 0) return;
    if (store.queue.remaining() === 0 && this.#mustEncode(items)) this.#askAtRandom(items);
    if (['encode', 'train', 'queue'].some((kind) => jobs.isActive(kind as JobData['kind']))) return;
    const hasEncoder = store.versions.newestEncoder() !== null;
    // While an import runs, the pool is not fitted on its first few hundred items again and again.
    const mayEncode = !this.#isResting('encode') && (!jobs.isActive('import') || !hasEncoder);
    if (this.#mustEncode(items) && mayEncode) this.#chain(this.startEncode());
    else if (!hasEncoder) return;
    else if (isTrainingDue(store) && !this.#isResting('train')) this.#chain(this.startTraining());
    else if (this.#mustChoose() && !this.#isResting('queue')) this.#chain(this.startQueue());
  }

  #mustChoose(): boolean {
    const remaining = this.#parts.store.queue.remaining();
    if (remaining < Math.min(REFILL_BELOW, this.#openItems())) return this.#chosenFrom !== this.#choosable();
    return remaining < REFILL_BELOW && this.#isBack();
  }

  /** Everything that a choice follows from. */
  #choosable(): string {
    const { store } = this.#parts;
    return JSON.stringify([
      store.counts().items,
      this.#embeddedItems,
      store.annotations.head().sequence,
      store.versions.live()?.version ?? null,
    ]);
  }

  /** Whether one of the originals that were gone is there again. */
  #isBack(): boolean {
    return this.#gone.some((path) => existsSync(path));
  }

  /** Keeps which open items cannot be asked, and some of the originals whose coming back would change that. */
  #setMissing(missing: readonly ItemId[]): void {
    const { items } = this.#parts.store;
    const images = missing
      .slice(0, LOOKED_FOR)
      .flatMap((id) => items.get(id)?.parts ?? [])
      .flatMap((part) => (part.kind === 'image' ? part.path : []));
    this.#gone = images.filter((path) => !existsSync(path));
    this.missing = new Set(missing);
  }

  /** A job that was cancelled or failed is not begun again before the project has changed: by new items, or by a few acts. */
  #isResting(kind: JobData['kind']): boolean {
    const rested = this.#rested.get(kind);
    if (!rested) return false;
    const { store } = this.#parts;
    const acts = store.annotations.head().sequence - rested.sequence;
    if (store.counts().items === rested.items && acts < LEAST_LABELS) return true;
    this.#rested.delete(kind);
    return false;
  }

  /** Something to label from the first second on: a random draw, until the pool has been looked at. Roles are drawn at random already, so the audit set keeps its share. */
  #askAtRandom(items: number): void {
    const { store, changed } = this.#parts;
    const seed = this.seed(`at random ${store.annotations.head().sequence}`);
    const drafts = drawnAtRandom(store.items, items, BATCH, seed);
    store.queue.replace(drafts, { keepFirst: 0 });
    changed('queue');
  }

  #openItems(): number {
    const { pool, audit } = this.#parts.store.counts();
    return pool.open + audit.open - this.missing.size - this.#parts.store.tray.total();
  }

  #chain(job: { finished: Promise<JobData> }): void {
    job.finished.then(
      (view) => {
        if (this.#closed) return;
        const { store } = this.#parts;
        if (view.state === 'done') this.#rested.delete(view.kind);
        else this.#rested.set(view.kind, { items: store.counts().items, sequence: store.annotations.head().sequence });
        this.advance();
      },
      // The project was closed.
      () => undefined,
    );
  }

  #mustEncode(items: number): boolean {
    return isFitDue(this.#parts.store, items) || this.#embeddedItems !== items;
  }

  startImport(
    options: ImportOptionsData,
    resume?: { id: string; cursor: string | null },
    by?: By,
  ): { id: string; finished: Promise<JobData> } {
    const { store, jobs, reader, changed } = this.#parts;
    const work = async (control: JobControl) => {
      let after = resume?.cursor ?? null;
      await this.#withRetries(() =>
        reader.run<ReadEvent>(
          (compute, call) => compute.read({ options, after }, call),
          (batch) => {
            if (control.signal.aborted) return;
            requireRoom(store.dir, RESERVE_BYTES, 'The import');
            store.items.addCandidates(batch.candidates, {
              job: control.id,
              cursor: batch.cursor,
              labels: options.labels,
              problems: batch.problems,
              isNearDuplicate,
              progress: { done: batch.done, total: batch.total },
            });
            after = batch.cursor;
            control.report({ stage: 'reading', done: batch.done, total: batch.total });
            changed('items');
            this.advance();
          },
          control.signal,
        ),
      );
      return undefined;
    };
    const job = jobs.start('import', { ...options }, work, {
      lane: 'import',
      resume: resume?.id,
      by,
    });
    this.#chain(job);
    return job;
  }

  /** Fits an encoder where one is due, then embeds what has no embedding. */
  startEncode(options: { refit?: boolean } = {}): { id: string; finished: Promise<JobData> } {
    return this.#parts.jobs.start('encode', { ...options }, async (control) => {
      const { store } = this.#parts;
      const items = store.counts().items;
      if (options.refit || isFitDue(this.#parts.store, items)) await this.#fitEncoder(control);
      const prepared = await this.#embed(control, items);
      return { embedded: prepared.embedded, missing: prepared.missing.length };
    });
  }

  /** Keeps an encoder that others made and embeds everything with it. Errors: `encoder-invalid`. */
  async importEncoder(told: EncoderImportData, by: By): Promise<{ id: string; finished: Promise<JobData> }> {
    const { store, compute } = this.#parts;
    const { sha256: blob, card } = await compute.call((client, call) => client.takeEncoder(told, call));
    const before = (store.settings.get('imported') ?? {}) as ImportedEncoders;
    const imported = { ...before, [told.kind]: { blob, card } };
    store.recorded(
      by,
      () => store.settings.set('imported', imported),
      () => ({ kind: told.kind, blob }),
    );
    return this.#refit();
  }

  /** Makes encoders from the pool again. */
  useOwnEncoder(by: By): { id: string; finished: Promise<JobData> } {
    const { store } = this.#parts;
    store.recorded(by, () => store.settings.set('imported', {}));
    return this.#refit();
  }

  #refit(): { id: string; finished: Promise<JobData> } {
    const job = this.startEncode({ refit: true });
    this.#chain(job);
    return job;
  }

  async #fitEncoder(control: JobControl): Promise<void> {
    const { store, changed } = this.#parts;
    const seed = this.seed('encoder');
    const made = await this.#stream<EncoderMade>(control, 'encoder', (compute, call) =>
      compute.fitEncoder({ seed }, call),
    );
    control.signal.throwIfAborted();
    const kind = made.entry.card.parts.map((part) => part.kind).join('+');
    store.versions.addEncoder({ kind, blob: made.sha256, card: made.entry });
    changed('project');
  }

  startTraining(by?: By): { id: string; finished: Promise<JobData> } {
    const training = async (control: JobControl) => {
      const { store, changed } = this.#parts;
      await this.#ensureEncoded(control);
      const { sequence } = store.annotations.head();
      const seed = this.seed(`train ${sequence}`);
      const trained = await this.#stream<Trained>(control, 'trained', (compute, call) => compute.train({ seed }, call));
      control.signal.throwIfAborted();
      const encoder = store.versions.newestEncoder();
      assert(encoder !== null, 'an encoder after training');
      const version = recordVersion(store, trained, { encoder: encoder.encoder, sequence });
      changed('versions');
      await this.refreshEvidence();
      await this.#choose(control, BATCH);
      return { version, promoted: trained.decision.promote };
    };
    return this.#parts.jobs.start('train', {}, training, { by });
  }

  startQueue(count = BATCH): { id: string; finished: Promise<JobData> } {
    return this.#parts.jobs.start('queue', {}, async (control) => {
      await this.#ensureEncoded(control);
      return { entries: await this.#choose(control, count) };
    });
  }

  startSimulation(options: SimulationOptions): { id: string; finished: Promise<JobData> } {
    return this.#parts.jobs.start('simulate', { ...options }, async (control) => {
      await this.#ensureEncoded(control);
      const { kind: _, ...found } = await this.#stream<Simulated>(control, 'simulated', (compute, call) =>
        compute.simulate(options, call),
      );
      return found;
    });
  }

  /** What the command line and a training started by hand need first. */
  async #ensureEncoded(control: JobControl): Promise<void> {
    const { store } = this.#parts;
    const items = store.counts().items;
    if (items === 0)
      throw new EngineError(
        'source-empty',
        'The project has no items yet.',
        'Import some images, texts or tables first.',
      );
    // What an import is bringing in is embedded when it is over: until then what is there is enough to go on.
    if (this.#parts.automatic && this.#parts.jobs.isActive('import') && store.versions.newestEncoder() !== null) return;
    if (isFitDue(this.#parts.store, items)) await this.#fitEncoder(control);
    else if (this.#embeddedItems === items && this.missing.size === 0) return;
    await this.#embed(control, items);
  }

  /** Embeds what is not embedded; what could not be read before is tried again. */
  async #embed(control: JobControl, items: number): Promise<Prepared> {
    const prepared = await this.#stream<Prepared>(control, 'prepared', (compute, call) =>
      compute.embed(undefined, call),
    );
    this.#setMissing(prepared.missing.map(({ item }) => item));
    this.#embeddedItems = items;
    await this.#parts.embedded(control);
    return prepared;
  }

  /** Chooses the next batch and mixes the audit draw into it; what is about to be seen keeps its place. */
  async #choose(control: JobControl, count: number): Promise<number> {
    const { store, changed } = this.#parts;
    const chosenFrom = this.#choosable();
    const head = store.queue.next(FROZEN_HEAD);
    const seed = this.seed(`choose ${store.annotations.head().sequence}`);
    const { strategy } = choosingSettings(store.settings);
    const chosen = await this.#stream<Chosen>(control, 'chosen', (compute, call) =>
      compute.choose({ count, auditCount: count, strategy, seed, keep: head.map((entry) => entry.item) }, call),
    );
    this.policy = chosen.policy;
    const mixed = queueDrafts(chosen, store.facts.auditShare);
    const read = await withSecondReadings(store, mixed, chosen, (items) =>
      this.#parts.compute.call((compute, call) => compute.predict({ items }, call)),
    );
    const drafts = [...this.#parts.first(), ...read];
    this.#setMissing(chosen.missing);
    this.#chosenFrom = chosenFrom;
    // Nobody can look at what is missing: it loses its place.
    const stays = head.filter((entry) => !this.missing.has(entry.item));
    const open =
      stays.length === head.length
        ? store.queue.replace(drafts, { keepFirst: FROZEN_HEAD })
        : store.queue.replace([...stays, ...drafts], { keepFirst: 0 });
    changed('queue');
    return open;
  }

  /** What a fine-tuning run needs first: an encoder at least; where nobody else embeds, all of it. */
  async prepare(control: JobControl): Promise<void> {
    if (this.#parts.automatic && this.#parts.store.versions.newestEncoder() !== null) return;
    await this.#ensureEncoded(control);
  }

  /** Another encoder is for new work now: everything is embedded with it. */
  encoderChanged(): void {
    this.#embeddedItems = -1;
    this.#parts.changed('project');
    this.advance();
    void this.refreshEvidence().catch(() => undefined);
  }

  /** A seed of the project for work of this name. */
  seed(name: string): number {
    return createRng(this.#parts.store.facts.seed).derive(name).seed;
  }

  /** Whether every item is embedded. */
  isReady(): boolean {
    return this.#embeddedItems === this.#parts.store.counts().items;
  }

  /** Waits until everything is embedded. */
  async ready(): Promise<void> {
    const { jobs } = this.#parts;
    if (this.isReady()) return;
    const job = await jobs.start('encode', {}, async (control) => {
      await this.#ensureEncoded(control);
      return {};
    }).finished;
    if (job.error) throw EngineError.from(job.error);
  }

  /** Another version is in use now: what was chosen by the one before is chosen anew. */
  liveChanged(): void {
    if (!this.#parts.automatic) return;
    this.#chain(this.startQueue());
    void this.refreshEvidence().catch(() => undefined);
  }

  /** Whether another version than the one in use chose what comes after the head. */
  #isOutdated(): boolean {
    const { queue, versions } = this.#parts.store;
    const rest = queue.next(FROZEN_HEAD + 1).slice(FROZEN_HEAD);
    const live = versions.live()?.version ?? null;
    return rest.some((entry) => entry.strategy !== 'spot-check' && entry.modelVersion !== live);
  }

  /** At least `count` open entries, where there are so many items. */
  async ensureQueue(count: number): Promise<void> {
    const { store } = this.#parts;
    const remaining = store.queue.remaining();
    const suffices = remaining > 0 && remaining >= Math.min(count, this.#openItems());
    if (suffices && !this.#isBack() && !this.#isOutdated()) return;
    const job = await this.startQueue(Math.max(BATCH, count)).finished;
    if (job.error) throw EngineError.from(job.error);
  }

  /** Measures every version on today's audit set; calls while one is running are joined into one more. */
  async refreshEvidence(): Promise<void> {
    if (this.#refreshing) {
      this.#refreshAgain = true;
      return this.#refreshing;
    }
    this.#refreshing = this.#measure().finally(() => {
      this.#refreshing = null;
    });
    await this.#refreshing;
    if (this.#refreshAgain && !this.#closed) {
      this.#refreshAgain = false;
      await this.refreshEvidence();
    }
  }

  async #measure(): Promise<void> {
    const { store, compute, changed } = this.#parts;
    if (this.#closed || store.versions.newest() === null) return;
    await this.#withRetries(async () => {
      const evidence = await compute.call((client, call) => client.evidence(undefined, call));
      // Compute had already answered when the project was closed.
      if (this.#closed) return;
      this.evidence = evidence;
      await this.#parts.measured(evidence);
    });
    if (!this.#closed) changed('versions');
  }

  async #stream<R extends { kind: string }>(
    control: JobControl,
    last: R['kind'],
    use: Parameters<ComputeProcess['run']>[0],
  ): Promise<R> {
    let result: R | null = null;
    await this.#withRetries(() =>
      this.#parts.compute.run(
        use,
        (event) => {
          if (event.kind === last) result = event as R;
          else if (event.kind === 'progress') control.report(event as ProgressEvent);
        },
        control.signal,
      ),
    );
    assert(result !== null, `a result of kind ${last}`);
    return result;
  }

  #withRetries(work: () => Promise<void>): Promise<void> {
    return withRetries(TRIES, () => this.#closed, work);
  }
}
