/**
 * A project: the facade that knows the whole loop. Everything a window or a script can do
 * to a project is a method here; none of them takes longer than a database transaction,
 * because long work is a job. An annotation is on disk when its method returns.
 */
import { randomInt } from 'node:crypto';
import { resolve } from 'node:path';
import { ACCOUNT } from './account.ts';
import { strategyNamed } from './acquisition/index.ts';
import type {
  AnnotationData,
  AnnotationInputData,
  EncoderData,
  EncoderImportData,
  EncoderOutputsData,
  ExplanationData,
  ExplanationQuestion,
  ImportOptionsData,
  IntervalData,
  ItemViewData,
  JobData,
  QueueEntry,
  Status,
  VersionData,
} from './api.ts';
import type { VersionExportData } from './api-version-export.ts';
import { ChoosingDesk } from './choosing-settings.ts';
import type { SimulationOptions } from './compute-api.ts';
import { ComputeProcess } from './compute-process.ts';
import type { ItemState } from './domain/annotation.ts';
import { systemClock } from './domain/clock.ts';
import { Devices } from './devices.ts';
import { EngineError, loggable } from './domain/errors.ts';
import type { ItemId } from './domain/item.ts';
import type { Task } from './domain/schema.ts';
import { EvidenceDesk, type DeskParts } from './evidence-desk.ts';
import { imagePartOf, recordOf, resolveItem } from './item-lookup.ts';
import { Jobs, type JobControl, type JobResult } from './jobs.ts';
import { LooksDesk } from './looks-desk.ts';
import { Loop, type ChangeKind } from './loop.ts';
import { createProject, openProject, type ProjectStore, type Verification } from './store/index.ts';
import { exportLabels } from './labels-out.ts';
import { isBlind, recordedAs } from './rereads.ts';
import { SafekeepingDesk } from './safekeeping-desk.ts';
import { statusOf } from './status.ts';
import { TrailDesk } from './trail-desk.ts';
import { TrayDesk } from './tray-desk.ts';
import type { TuningSettings } from './tuning-due.ts';
import { TuningJobs, type TuneRequest } from './tuning-jobs.ts';
import { annotationView, encoderViews, itemView, queueEntryView, versionViews } from './views.ts';

export interface CreateOptions {
  name?: string;
  task?: Task;
  classes: readonly string[];
  auditShare?: number;
  /** Of everything random in the project; drawn where it is not given. */
  seed?: number;
  /** Says so wherever the project is shown. */
  simulated?: boolean;
  /** Who makes it; the account of this machine where it is not given. */
  who?: string;
}

export interface OpenOptions {
  /** Whether jobs start by themselves and interrupted ones go on. The command line starts each job it needs. */
  resume: boolean;
}

const clock = systemClock;

export class Project {
  readonly dir: string;
  readonly jobs: Jobs;
  /** What models may run on here, and the choice among it. */
  readonly devices: Devices;
  readonly evidence: EvidenceDesk;
  readonly looks: LooksDesk;
  readonly tray: TrayDesk;
  readonly choosing: ChoosingDesk;
  readonly trail: TrailDesk;
  readonly safekeeping: SafekeepingDesk;
  readonly #store: ProjectStore;
  readonly #compute: ComputeProcess;
  readonly #reader: ComputeProcess;
  readonly #trainer: ComputeProcess;
  readonly #loop: Loop;
  readonly #tuning: TuningJobs;
  readonly #listeners = new Set<(kind: ChangeKind) => void>();

  private constructor(store: ProjectStore, options: OpenOptions) {
    this.dir = store.dir;
    this.#store = store;
    this.#compute = new ComputeProcess(store.dir);
    this.#reader = new ComputeProcess(store.dir, { background: true });
    const changed = (kind: ChangeKind) => this.#tell(kind);
    this.jobs = new Jobs(store, () => changed('jobs'));
    this.devices = new Devices({
      settings: store.settings,
      recorded: store.recorded,
      changed: () => changed('project'),
    });
    this.#loop = new Loop({
      store,
      jobs: this.jobs,
      compute: this.#compute,
      reader: this.#reader,
      changed,
      embedded: async (control) => {
        await this.tray.examine(control);
        await this.evidence.embedded(control);
      },
      measured: ({ auditSize }) => this.evidence.claims.lookWhereDue(auditSize),
      first: () => this.evidence.claims.waiting(),
      automatic: options.resume,
    });
    this.#trainer = new ComputeProcess(store.dir, { background: true });
    this.#tuning = new TuningJobs({
      store,
      jobs: this.jobs,
      trainer: this.#trainer,
      changed,
      automatic: options.resume,
      seed: (name) => this.#loop.seed(name),
      device: (choice) => this.devices.resolve(choice),
      prepare: (control) => this.#loop.prepare(control),
      encoderChanged: () => this.#loop.encoderChanged(),
    });
    const parts: DeskParts = {
      store,
      compute: this.#compute,
      changed,
      ready: () => this.#loop.ready(),
      versions: () => this.versions(),
      seed: (name) => this.#loop.seed(name),
    };
    this.evidence = new EvidenceDesk(parts);
    this.looks = new LooksDesk(parts);
    this.tray = new TrayDesk(parts);
    this.choosing = new ChoosingDesk(parts);
    this.trail = new TrailDesk({ store, reader: this.#reader });
    this.safekeeping = new SafekeepingDesk({ store, reader: this.#reader });
    if (options.resume) this.onChange((kind) => this.#catchUp(kind));
    this.#resume(options);
  }

  /** Reports wait until the next items are chosen: nobody waits for them. */
  #catchUp(kind: ChangeKind): void {
    if (kind !== 'jobs' && kind !== 'versions') return;
    if ((['encode', 'train', 'queue'] as const).some((job) => this.jobs.isActive(job))) return;
    for (const desk of [this.evidence, this.looks]) desk.catchUp();
  }

  /** Makes a project in a new or empty folder. Errors: `project-exists`, `schema-invalid`, `disk-full`. */
  static async create(dir: string, options: CreateOptions, open: OpenOptions = { resume: true }): Promise<Project> {
    const path = resolve(dir);
    const name = options.name?.trim() || (path.split(/[/\\]/).pop() ?? path);
    const store = createProject(path, {
      name,
      task: options.task ?? 'classify',
      classes: options.classes,
      auditShare: options.auditShare,
      seed: options.seed ?? randomInt(2 ** 31),
      clock,
      who: options.who ?? ACCOUNT,
    });
    if (options.simulated) store.settings.set('simulated', true);
    return new Project(store, open);
  }

  /** Errors: `project-not-found`, `project-locked`, `project-newer`, `project-damaged`. */
  static async open(dir: string, options: OpenOptions): Promise<Project> {
    return new Project(openProject(resolve(dir), { clock }), options);
  }

  #resume({ resume }: OpenOptions): void {
    const { jobs } = this.#store;
    for (const job of jobs.interrupted()) {
      if (job.kind === 'import' && resume)
        this.#loop.startImport(job.params as ImportOptionsData, { id: job.id, cursor: job.cursor as string | null });
      else if (job.kind === 'tune' && resume) this.#tuning.start(job.params as TuneRequest, job.id);
      // The rest starts again from what is on record.
      else if (job.kind !== 'import' && job.kind !== 'tune') jobs.cancel(job.id);
    }
    if (!resume) return;
    this.#loop.advance();
    if (this.#store.versions.live()) void this.#loop.refreshEvidence().catch(ignoreCancelled);
  }

  /** Stops the work and closes the files. What was running goes on at the next start. */
  async close(): Promise<void> {
    this.#loop.close();
    this.devices.close();
    this.#compute.close();
    this.#reader.close();
    this.#tuning.close();
    this.#trainer.close();
    await this.jobs.close();
    this.#store.close();
    this.#listeners.clear();
  }

  /** Calls back after every change; returns what ends it. */
  onChange(listener: (kind: ChangeKind) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(kind: ChangeKind): void {
    for (const listener of this.#listeners) listener(kind);
  }

  status(): Status {
    return statusOf(this.#store, {
      auditNow: this.#auditNow(),
      guarantee: this.evidence.claims.guarantee(),
      forecast: this.evidence.report()?.forecast ?? null,
      trayed: this.tray.list(0).total,
      secondLooks: this.looks.list(0).total,
      policy: this.#loop.policy,
      canRedo: this.#canRedo,
      device: this.devices.inUse,
      deviceChoice: this.devices.choice,
      deviceSpeed: this.devices.speed,
      tuning: this.#tuning.now,
      jobs: this.jobs.active(),
    });
  }

  #canRedo = false;

  addClass(name: string, who = ACCOUNT): Status {
    const { schema, recorded } = this.#store;
    recorded(
      { who, call: 'schema.addClass' },
      () => schema.addClass(name),
      ({ version }) => ({ version, name }),
    );
    this.#tell('project');
    return this.status();
  }

  startImport(options: ImportOptionsData, who = ACCOUNT): { id: string; finished: Promise<JobData> } {
    const from = { ...options, sources: options.sources.map((source) => resolve(source)) };
    return this.#loop.startImport(from, undefined, { who, call: 'imports.start' });
  }

  /** What imports could not take in, latest first. */
  importProblems(job?: string): { job: string; source: string; code: string; message: string; hint: string }[] {
    return this.#store.jobs.problems({ job });
  }

  /** An item by its id, or by the name its source gives it where only one has that name. Errors: `item-unknown`. */
  resolveItem(reference: string): ItemId {
    return resolveItem(this.#store, reference);
  }

  item(id: ItemId): ItemViewData {
    return itemView(recordOf(this.#store, id), this.#store.annotations.ofItem(id));
  }

  items(options: { state?: ItemState; search?: string; after?: number; limit?: number }): {
    items: ItemViewData[];
    next: number | null;
  } {
    const { items, next } = this.#store.items.page(options);
    return { items: items.map((record) => itemView(record, this.#store.annotations.ofItem(record.id))), next };
  }

  /** The path of an item's image part, for whoever sends its pixels. Errors: `item-unknown`. */
  imagePath(id: string, part: number): { path: string; format: string; sha256: string } {
    return imagePartOf(this.#store, id as ItemId, part);
  }

  async similar(id: ItemId, count: number): Promise<{ similarity: number; view: ItemViewData }[]> {
    const labelled = this.#store.counts();
    // Nothing to look for yet; and the question would wait until the encoder is made.
    if (labelled.pool.labelled + labelled.audit.labelled === 0 || !this.#loop.isReady()) return [];
    const found = await this.#compute.call((compute, call) =>
      compute.similar({ item: recordOf(this.#store, id).id, count }, call),
    );
    return found.map(({ item, similarity }) => ({ similarity, view: this.item(item) }));
  }

  /** What in an item speaks for a class. Errors: `item-unknown`, `item-blind`, `class-unknown`, `version-unknown`, `encoder-invalid`; those of reading files. */
  async explain(question: ExplanationQuestion, signal?: AbortSignal): Promise<ExplanationData> {
    if (isBlind(this.#store, recordOf(this.#store, question.item))) {
      throw new EngineError(
        'item-blind',
        'This item measures the model: what the model sees in it is told after it is labelled.',
        'Label it first.',
        { item: question.item },
      );
    }
    return this.#compute.call((compute, call) => compute.explain(question, call), signal);
  }

  /** The open entries at the head of the queue as they are now; may be fewer while the next are being chosen. */
  next(count: number): QueueEntry[] {
    const schema = this.#store.schema.current();
    const entries = this.#store.queue.next(count);
    if (entries.length < count) this.#loop.advance();
    return entries.map((entry) => {
      const record = recordOf(this.#store, entry.item);
      return queueEntryView(entry, record, itemView(record, this.#store.annotations.ofItem(entry.item)), schema);
    });
  }

  /** Like `next`, but waits until there are so many, where the project has them. */
  async queue(count: number): Promise<QueueEntry[]> {
    await this.#loop.ensureQueue(count);
    return this.next(count);
  }

  /** Records one act; on disk when it returns. Errors: `annotation-invalid`, `class-unknown`, `item-unknown`, `disk-full`, `io-failed`. */
  annotate(input: AnnotationInputData): AnnotationData {
    const annotation = this.#store.annotations.append(recordedAs(this.#store, input));
    return this.#afterAct(annotation);
  }

  /** Takes back the annotator's last act. Errors: `nothing-to-undo`. */
  undo(annotator: string): AnnotationData {
    return this.#afterAct(this.#store.annotations.undo({ annotator }), annotator);
  }

  /** Lets the act last undone stand again. Errors: `nothing-to-redo`. */
  redo(annotator: string): AnnotationData {
    return this.#afterAct(this.#store.annotations.redo({ annotator }), annotator);
  }

  #afterAct(annotation: Parameters<typeof annotationView>[0], undoneBy?: string): AnnotationData {
    this.#tuning.active();
    this.#canRedo = undoneBy !== undefined && this.#store.annotations.redoable(undoneBy) !== null;
    this.#tell('annotations');
    this.#loop.advance();
    if (this.#store.versions.live() && this.#store.items.get(annotation.item)?.role === 'audit') {
      this.evidence.claims.answered(annotation.item);
      void this.#loop.refreshEvidence().catch(ignoreCancelled);
    }
    return annotationView(annotation);
  }

  history(options: { item?: ItemId; before?: number; limit?: number }): AnnotationData[] {
    const { annotations } = this.#store;
    const acts = options.item ? annotations.ofItem(options.item).reverse() : annotations.latest(options);
    return acts.slice(0, options.limit ?? 100).map(annotationView);
  }

  train(who = ACCOUNT): { id: string; finished: Promise<JobData> } {
    return this.#loop.startTraining({ who, call: 'training.start' });
  }

  /** Fine-tunes on what is labelled; an interrupted run goes on. Errors: `tuning-unavailable` where one is on already. */
  tune(request: TuneRequest = {}, who = ACCOUNT): { id: string; finished: Promise<JobData> } {
    const interrupted = this.#store.jobs.interrupted().find((job) => job.kind === 'tune');
    const by = { who, call: 'training.tune' };
    if (!interrupted || this.jobs.isActive('tune')) return this.#tuning.start(request, undefined, by);
    this.#store.recorded(by, () => ({ job: interrupted.id }));
    return this.#tuning.start(interrupted.params as TuneRequest, interrupted.id);
  }

  /** Holds the fine-tuning run still, or lets it go on. */
  async pauseTuning(paused: boolean): Promise<Status> {
    await this.#tuning.pause(paused);
    return this.status();
  }

  setTuning(settings: Partial<TuningSettings>, who = ACCOUNT): Status {
    this.#tuning.set(settings, { who, call: 'training.settings' });
    return this.status();
  }

  /** Somebody is at a window: the machine is theirs. */
  present(): void {
    this.#tuning.active();
  }

  /** The last window was closed. */
  left(): void {
    this.#tuning.left();
  }

  /** Errors: `usage` for a strategy that there is not. */
  simulate(options: SimulationOptions): { id: string; finished: Promise<JobData> } {
    options.strategies.forEach(strategyNamed);
    return this.#loop.startSimulation(options);
  }

  /** Every version, newest first. */
  versions(): VersionData[] {
    return versionViews(this.#store, this.#auditNow());
  }

  #auditNow(): Map<number, IntervalData> {
    return new Map(this.#loop.evidence?.versions.map(({ version, auditNow }) => [version, auditNow]));
  }

  /** Errors: `version-unknown`. */
  promote(version: number, who: string): number {
    const { version: live } = this.#store.versions.promote(version, { who, reason: { code: 'by-hand' } });
    return this.#liveChanged(live);
  }

  /** Errors: `version-unknown` where no version was live before. */
  rollback(who: string): number {
    const { version: live } = this.#store.versions.rollback({ who, reason: { code: 'by-hand' } });
    return this.#liveChanged(live);
  }

  #liveChanged(live: number): number {
    this.#tell('versions');
    this.#loop.liveChanged();
    return live;
  }

  encoders(): EncoderData[] {
    return encoderViews(this.#store);
  }

  /** Describes an encoder that others made, after trying it on a tiny batch; nothing is kept. Errors: `encoder-invalid`. */
  async inspectEncoder(told: EncoderImportData): Promise<EncoderOutputsData> {
    return this.#compute.call((compute, call) => compute.inspectEncoder(told, call));
  }

  /** Keeps an encoder that others made and embeds everything anew with it. Errors: `encoder-invalid`. */
  async importEncoder(told: EncoderImportData, who = ACCOUNT): Promise<{ id: string; finished: Promise<JobData> }> {
    await this.devices.tried(); // so that it is known what is fastest
    return this.#loop.importEncoder(told, { who, call: 'encoders.import' });
  }

  useOwnEncoder(who = ACCOUNT): { id: string; finished: Promise<JobData> } {
    return this.#loop.useOwnEncoder({ who, call: 'encoders.useOwn' });
  }

  /** Calibrated probabilities of the live version; null items = all. Errors: `version-unknown` before the first one. */
  async predict(
    items?: ItemId[],
  ): Promise<{ modelVersion: number; classes: string[]; items: { item: ItemId; probabilities: number[] }[] }> {
    await this.#loop.ready();
    return this.#compute.call((compute, call) => compute.predict({ items: items ?? null }, call));
  }

  /** Measures every version on today's audit set. */
  async refreshEvidence(): Promise<void> {
    await this.#loop.refreshEvidence();
  }

  /** Writes the labels to a file, which appears whole or not at all; returns how many. Errors: `usage` for an unknown format, `disk-full`, `io-failed`. */
  export(format: string, file: string, who = ACCOUNT): number {
    const labels = exportLabels(this.#store, format, file);
    return this.#store.recorded(
      { who, call: 'labels.export' },
      () => labels,
      () => ({ format, labels }),
    );
  }

  /** Writes a version as a file that runs without this program. Errors of the job: `version-unknown`, `encoder-invalid`, `disk-full`, `io-failed`. */
  exportVersion(asked: VersionExportData, who = ACCOUNT): { id: string; finished: Promise<JobData> } {
    const to = { ...asked, file: resolve(asked.file) };
    const exporting = async ({ report, signal }: JobControl): Promise<JobResult> => {
      const results: JobResult[] = [];
      await this.#reader.run(
        (compute, call) => compute.exportVersion(to, call),
        (event) => {
          if (event.kind === 'exported') results.push({ ...event.exported });
          else if (event.kind === 'progress') report(event);
        },
        signal,
      );
      return results[0];
    };
    return this.jobs.start('export', to, exporting, { lane: 'export', by: { who, call: 'versions.export' } });
  }

  verify(): Verification {
    return this.#store.verify();
  }
}

function ignoreCancelled(error: unknown): void {
  if (!(error instanceof EngineError) || error.code !== 'cancelled') console.error(loggable(error));
}
