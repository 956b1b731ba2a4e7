/**
 * The engine: composition root of everything behind the window. It holds at most one open
 * project, serves the contract (`api.ts`) for whichever host carries it, and answers
 * within 50 ms: whatever takes longer runs in the compute process, as a job.
 */
import { realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { EventPublisher, implement } from '@orpc/server';
import packageJson from '../package.json' with { type: 'json' };
import { contract, type Change, type Status } from './api.ts';
import { browse } from './browse.ts';
import { ComputeProcess } from './compute-process.ts';
import { EngineError, loggable } from './domain/errors.ts';
import { PixelSource, type Pixels } from './pixels.ts';
import { Project, type CreateOptions } from './project.ts';
import { callerOf, sendErrorsWhole, type CallContext } from './rpc.ts';

export interface EngineOptions {
  host: 'web' | 'desktop' | 'cli';
  /** Where new projects go unless told otherwise. */
  home?: string;
  /** Nothing starts by itself. */
  safe?: boolean;
}

export class Engine {
  readonly router: ReturnType<Engine['buildRouter']>;
  readonly #options: EngineOptions;
  readonly #home: string;
  readonly #changes = new EventPublisher<{ change: Change }>();
  readonly #pixels = new PixelSource();
  /** For previews before a project exists. */
  readonly #scout = new ComputeProcess('');
  #project: Project | null = null;
  /** Projects are opened one after another. */
  #turn: Promise<unknown> = Promise.resolve();
  /** Projects that were left and whose work is still ending, by the names of their folders: until then they are locked. */
  readonly #closing = new Map<string, Promise<void>>();

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#home = options.home ?? join(homedir(), 'Marginalia');
    this.router = this.buildRouter();
  }

  /** Opens a project and closes the one before. Interrupted work goes on. */
  open(dir: string): Promise<Status> {
    return this.#inTurn(async () => {
      const name = nameOf(dir);
      if (this.#project && nameOf(this.#project.dir) === name) return this.#project.status();
      await this.#closing.get(name);
      return this.#hold(await Project.open(dir, { resume: !this.#options.safe }));
    });
  }

  create(dir: string, options: CreateOptions): Promise<Status> {
    return this.#inTurn(async () => this.#hold(await Project.create(dir, options, { resume: !this.#options.safe })));
  }

  /** The open project. Errors: `project-not-found` when none is open. */
  get project(): Project {
    if (!this.#project)
      throw new EngineError('project-not-found', 'No project is open.', 'Open a project, or make a new one.');
    return this.#project;
  }

  /** Pixels of an item's image part, with the longest side at most `side` where given. */
  async pixels(item: string, part: number, side: number | null): Promise<Pixels> {
    return this.#pixels.read(this.project.imagePath(item, part), side);
  }

  /** The last window was closed. */
  left(): void {
    this.#project?.left();
  }

  close(): Promise<void> {
    this.#scout.close();
    return this.#inTurn(async () => {
      await this.#project?.close();
      this.#project = null;
      await Promise.all(this.#closing.values());
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  #hold(project: Project): Status {
    const before = this.#project;
    this.#project = project;
    project.onChange((kind) => this.#changes.publish('change', { kind }));
    this.#changes.publish('change', { kind: 'project' });
    if (before) this.#leave(before);
    return project.status();
  }

  /** Closes a project whose work may take a moment to end. */
  #leave(project: Project): void {
    const name = nameOf(project.dir);
    const ended = project
      .close()
      .catch((error: unknown) => console.error(loggable(error)))
      .finally(() => this.#closing.delete(name));
    this.#closing.set(name, ended);
  }

  private buildRouter() {
    const os = implement(contract)
      .$context<CallContext>()
      .use(sendErrorsWhole as never)
      .use(({ context, next }) => next({ context: { who: callerOf(context) } }));
    const project = () => this.project;
    return os.router({
      desk: {
        state: os.desk.state.handler(() => ({
          version: packageJson.version,
          host: this.#options.host,
          project: this.#project?.dir ?? null,
          home: this.#home,
        })),
        create: os.desk.create.handler(({ input, context }) => this.create(input.dir, { ...input, who: context.who })),
        open: os.desk.open.handler(({ input }) => this.open(input.dir)),
        browse: os.desk.browse.handler(({ input }) => browse(input.dir ?? homedir())),
      },
      status: os.status.handler(() => project().status()),
      schema: {
        addClass: os.schema.addClass.handler(({ input, context }) => project().addClass(input.name, context.who)),
      },
      imports: {
        preview: os.imports.preview.handler(({ input, signal }) =>
          this.#scout.call((compute, options) => compute.preview(input, options), signal),
        ),
        start: os.imports.start.handler(({ input, context }) => ({
          job: project().startImport(input, context.who).id,
        })),
        problems: os.imports.problems.handler(() => project().importProblems()),
      },
      items: {
        get: os.items.get.handler(({ input }) => project().item(input.item)),
        list: os.items.list.handler(({ input }) => project().items(input)),
        similar: os.items.similar.handler(({ input }) => project().similar(input.item, input.count)),
        explain: os.items.explain.handler(({ input, signal }) => project().explain(input, signal)),
      },
      queue: {
        next: os.queue.next.handler(({ input }) => project().next(input.count)),
      },
      annotations: {
        add: os.annotations.add.handler(({ input }) => project().annotate(input)),
        undo: os.annotations.undo.handler(({ input }) => project().undo(input.annotator)),
        redo: os.annotations.redo.handler(({ input }) => project().redo(input.annotator)),
        history: os.annotations.history.handler(({ input }) => project().history(input)),
      },
      versions: {
        list: os.versions.list.handler(() => project().versions()),
        promote: os.versions.promote.handler(({ input, context }) => {
          project().promote(input.version, context.who);
          return project().versions();
        }),
        rollback: os.versions.rollback.handler(({ context }) => {
          project().rollback(context.who);
          return project().versions();
        }),
        export: os.versions.export.handler(({ input, context }) => ({
          job: project().exportVersion(input, context.who).id,
        })),
      },
      training: {
        start: os.training.start.handler(({ context }) => ({ job: project().train(context.who).id })),
        tune: os.training.tune.handler(({ context }) => ({
          job: project().tune({ flip: project().status().tuning.flip }, context.who).id,
        })),
        pause: os.training.pause.handler(({ input }) => project().pauseTuning(input.paused)),
        settings: os.training.settings.handler(({ input, context }) => project().setTuning(input, context.who)),
        present: os.training.present.handler(() => project().present()),
      },
      evidence: {
        curve: os.evidence.curve.handler(() => project().evidence.curve()),
        report: os.evidence.report.handler(() => project().evidence.report()),
        setTarget: os.evidence.setTarget.handler(({ input, context }) =>
          project().evidence.setTarget(input.target, context.who),
        ),
        guarantee: os.evidence.guarantee.handler(({ input }) => project().evidence.guarantee(input.alpha, input.delta)),
        settledAt: os.evidence.settledAt.handler(({ input }) => project().evidence.settledAt(input.delta)),
        levels: os.evidence.levels.handler(() => project().evidence.claims.levels()),
        setLevels: os.evidence.setLevels.handler(({ input, context }) =>
          project().evidence.claims.setLevels(input, context.who),
        ),
        claim: os.evidence.claim.handler(() => project().evidence.claims.claim()),
        spotCheck: os.evidence.spotCheck.handler(({ input, context }) =>
          project().evidence.claims.spotCheck(input.count, context.who),
        ),
        spotChecks: os.evidence.spotChecks.handler(() => project().evidence.claims.spotChecks()),
        subgroups: os.evidence.subgroups.handler(() => project().evidence.subgroups()),
        drift: os.evidence.drift.handler(() => project().evidence.drift()),
      },
      looks: {
        list: os.looks.list.handler(({ input }) => project().looks.list(input.limit)),
        consistency: os.looks.consistency.handler(() => project().looks.consistency()),
        setReadings: os.looks.setReadings.handler(({ input, context }) =>
          project().looks.setReadings(input, context.who),
        ),
      },
      tray: {
        list: os.tray.list.handler(({ input }) => project().tray.list(input.limit)),
        release: os.tray.release.handler(({ input }) => project().tray.release(input.items, input.annotator)),
      },
      trail: {
        list: os.trail.list.handler(({ input }) => project().trail.list(input)),
        export: os.trail.export.handler(({ input }) => project().trail.export(input.file)),
      },
      safekeeping: {
        state: os.safekeeping.state.handler(() => project().safekeeping.state()),
        backup: os.safekeeping.backup.handler(({ input, context }) =>
          project().safekeeping.backup(input.file, context.who),
        ),
        check: os.safekeeping.check.handler(() => project().safekeeping.check()),
      },
      choosing: {
        settings: os.choosing.settings.handler(() => project().choosing.settings()),
        set: os.choosing.set.handler(({ input, context }) => project().choosing.set(input, context.who)),
        strategies: os.choosing.strategies.handler(() => project().choosing.strategies()),
        why: os.choosing.why.handler(({ input }) => project().choosing.why(input.item)),
      },
      encoders: {
        inspect: os.encoders.inspect.handler(({ input }) => project().inspectEncoder(input)),
        import: os.encoders.import.handler(async ({ input, context }) => ({
          job: (await project().importEncoder(input, context.who)).id,
        })),
        useOwn: os.encoders.useOwn.handler(({ context }) => ({ job: project().useOwnEncoder(context.who).id })),
        list: os.encoders.list.handler(() => project().encoders()),
      },
      devices: {
        list: os.devices.list.handler(() => project().devices.list()),
        choose: os.devices.choose.handler(async ({ input, context }) => {
          await project().devices.choose(input.device, context.who);
          return project().devices.list();
        }),
      },
      jobs: {
        list: os.jobs.list.handler(() => project().jobs.list()),
        cancel: os.jobs.cancel.handler(({ input, context }) => project().jobs.cancel(input.job, context.who)),
      },
      changes: os.changes.handler(({ signal }) => this.#watch(signal)),
    });
  }

  async *#watch(signal: AbortSignal | undefined): AsyncGenerator<Change> {
    const changes = this.#changes.subscribe('change', { signal });
    yield { kind: 'hello' };
    yield* changes;
  }
}

/** One name for a folder, however it was reached. */
function nameOf(dir: string): string {
  try {
    return realpathSync.native(dir);
  } catch {
    // Opening it says what is wrong.
    return resolve(dir);
  }
}
