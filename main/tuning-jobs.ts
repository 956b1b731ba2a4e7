/**
 * Fine-tuning between sessions: runs as jobs in a process of their own, begun by hand, when
 * the expert has been away for a while, or when the last window closes. A run that began by
 * itself stands still as soon as the expert is back. What a run gives becomes an encoder and
 * a version on it; live only where it is not worse.
 */
import { rmSync } from 'node:fs';
import type { JobData } from './api.ts';
import { runFile, type EncoderEntry, type NoticeEvent, type ProgressEvent, type Tuned } from './compute-api.ts';
import { withRetries, type ComputeProcess } from './compute-process.ts';
import type { Device, RealDevice } from './domain/device.ts';
import { assert, EngineError } from './domain/errors.ts';
import type { JobControl, Jobs } from './jobs.ts';
import type { ChangeKind } from './loop.ts';
import type { By, ProjectStore } from './store/index.ts';
import { recordVersion } from './version-record.ts';
import { isTuningDue, tuningSettings, type TuningSettings } from './tuning-due.ts';

export interface TuneRequest {
  flip?: boolean;
  device?: Device;
  threads?: number;
  epochs?: number;
  copies?: number;
  checkpointAfterMs?: number;
  /** Began by itself: it makes room for the expert. */
  automatic?: boolean;
}

interface TuningParts {
  store: ProjectStore;
  jobs: Jobs;
  trainer: ComputeProcess;
  changed(kind: ChangeKind): void;
  /** Whether runs may start by themselves. */
  automatic: boolean;
  seed(name: string): number;
  /** Where the networks run; tried first where that was never done. Errors: `device-unavailable`. */
  device(choice: Device | undefined): Promise<RealDevice>;
  /** Encodes and embeds first, where nobody else does. */
  prepare(control: JobControl): Promise<void>;
  /** Another encoder is in use now. */
  encoderChanged(): void;
}

/** A process that dies is tried again this often; each goes on from the last checkpoint. */
const TRIES = 3;

export class TuningJobs {
  readonly #parts: TuningParts;
  #paused = false;
  /** Whether the run that is on began by itself, and the expert has not taken it in hand since. */
  #isAutomatic = false;
  #last: JobData | null;
  #idle: ReturnType<typeof setTimeout> | null = null;
  #closed = false;

  constructor(parts: TuningParts) {
    this.#parts = parts;
    this.#last = parts.jobs.latest('tune');
    this.#waitForIdle();
  }

  /** What a window shows of the runs: whether the one that is on stands still, whether only to make room, and how the last one ended. */
  get now(): { paused: boolean; forExpert: boolean; last: JobData | null } {
    const paused = this.#paused && this.#parts.jobs.isActive('tune');
    return { paused, forExpert: paused && this.#isAutomatic, last: this.#last };
  }

  /** Starts a run, or lets an interrupted one go on under its id. Errors of the job: `tuning-unavailable`, `training-diverged`, `encoder-missing`. */
  start(request: TuneRequest, resume?: string, by?: By): { id: string; finished: Promise<JobData> } {
    const { jobs } = this.#parts;
    if (!resume && jobs.isActive('tune')) {
      throw new EngineError(
        'tuning-unavailable',
        'A fine-tuning run is already on.',
        'Wait until it has ended, or cancel it first.',
      );
    }
    this.#isAutomatic = request.automatic === true;
    void this.#hold(false);
    const job = jobs.start('tune', { ...request }, (control) => this.#run(control, request), {
      lane: 'tuning',
      resume,
      by,
    });
    job.finished.then(
      (ended) => {
        rmSync(runFile(this.#parts.store.dir, ended.id), { force: true });
        this.#last = ended;
        this.#parts.changed('jobs');
        this.#waitForIdle();
      },
      // The project was closed.
      () => undefined,
    );
    return job;
  }

  async #run(control: JobControl, request: TuneRequest): Promise<Record<string, unknown>> {
    const { store, changed, prepare, encoderChanged } = this.#parts;
    await prepare(control);
    const { sequence } = store.annotations.head();
    const seed = this.#parts.seed(`tune ${control.id}`);
    const { automatic: _, ...options } = request;
    const device = await this.#parts.device(request.device);
    const notices: NoticeEvent[] = [];
    const tuned = await this.#train(control, { ...options, device, run: control.id, seed }, notices);
    control.signal.throwIfAborted();
    const { encoder, trained, snapshot, plan } = tuned;
    const { promote } = trained.decision;
    const entry: EncoderEntry = { ...encoder.entry, ...(promote ? {} : { held: true }) };
    const record = store.versions.addEncoder({ kind: kindOf(entry), blob: encoder.sha256, card: entry });
    const tuning = { plan, snapshot: store.versions.addSnapshot(snapshot) };
    const version = recordVersion(store, trained, { encoder: record.encoder, sequence, tuning, notices });
    changed('versions');
    if (promote) encoderChanged();
    return { version, promoted: promote, audit: trained.audit, decision: trained.decision, notices };
  }

  async #train(
    control: JobControl,
    options: Parameters<Parameters<Parameters<ComputeProcess['run']>[0]>[0]['tune']>[0],
    notices: NoticeEvent[],
  ): Promise<Tuned> {
    const { trainer } = this.#parts;
    let tuned: Tuned | null = null;
    await withRetries(
      TRIES,
      () => this.#closed,
      () =>
        trainer.run<ProgressEvent | NoticeEvent | Tuned>(
          async (compute, call) => {
            await compute.pauseTuning({ paused: this.#paused }, call);
            return compute.tune(options, call);
          },
          (event) => {
            if (event.kind === 'progress') control.report(event);
            else if (event.kind === 'notice') notices.push(event);
            else tuned = event;
          },
          control.signal,
        ),
    );
    assert(tuned !== null, 'a result of the run', tuned);
    return tuned;
  }

  /** Holds a run still, or lets it go on, as the expert says; from then on it no longer goes by whether the expert is there. */
  async pause(paused: boolean): Promise<void> {
    this.#isAutomatic = false;
    this.#parts.changed('jobs');
    await this.#hold(paused);
  }

  /** Takes effect within a step. */
  async #hold(paused: boolean): Promise<void> {
    if (this.#paused === paused) return;
    this.#paused = paused;
    const { trainer, changed } = this.#parts;
    changed('jobs');
    if (trainer.pid === null) return;
    // A process that dies meanwhile is told again when it is started anew.
    await trainer.call((compute, call) => compute.pauseTuning({ paused }, call)).catch(() => undefined);
  }

  get settings(): TuningSettings {
    return tuningSettings(this.#parts.store);
  }

  set(settings: Partial<TuningSettings>, by: By): void {
    const { store } = this.#parts;
    store.recorded(
      by,
      () => store.settings.set('tuning', { ...this.settings, ...settings }),
      () => settings,
    );
    this.#parts.changed('project');
    this.#waitForIdle();
  }

  /** The expert did something: the machine is theirs. */
  active(): void {
    if (this.#isAutomatic && this.#parts.jobs.isActive('tune')) void this.#hold(true);
    this.#waitForIdle();
  }

  /** The last window was closed: there is nobody to be in the way of. */
  left(): void {
    if (this.settings.onClose) this.#mayBegin();
  }

  #waitForIdle(): void {
    if (this.#idle) clearTimeout(this.#idle);
    if (!this.#parts.automatic || this.#closed) return;
    const { automatic, idleMinutes } = this.settings;
    if (!automatic) return;
    this.#idle = setTimeout(() => this.#mayBegin(), idleMinutes * 60_000).unref();
  }

  #mayBegin(): void {
    const { store, jobs, automatic } = this.#parts;
    if (!automatic || this.#closed) return;
    if (jobs.isActive('tune')) {
      if (this.#isAutomatic) void this.#hold(false);
    } else if (isTuningDue(store)) this.start({ flip: this.settings.flip, automatic: true });
  }

  close(): void {
    this.#closed = true;
    if (this.#idle) clearTimeout(this.#idle);
  }
}

function kindOf({ card }: EncoderEntry): string {
  return card.parts.map((part) => part.kind).join('+');
}
