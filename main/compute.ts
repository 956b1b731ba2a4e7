/**
 * Entry of the compute process: serves the inner contract over the channel to the engine,
 * for the project named as its argument (none: only previews and reading). It may be busy
 * for minutes and may be killed at any time; it ends when the engine does.
 */
import { implement } from '@orpc/server';
import { RPCHandler } from '@orpc/server/message-port';
import { computeContract, type NoticeEvent, type ProgressEvent } from './compute-api.ts';
import { EngineError, loggable } from './domain/errors.ts';
import { preview, readSources } from './ingest/index.ts';
import { describeEncoder, inspectFile } from './encoder-import.ts';
import { watchModels } from './encoder-trial.ts';
import type { Learner, Report } from './learner.ts';
import { parentPort, sendErrorsWhole } from './rpc.ts';
import { Pause } from './pause.ts';
import { partView } from './views.ts';

const dir = process.argv[2] ?? '';
const pause = new Pause();
let opened: Promise<Learner> | null = null;

/** Loaded and opened when first needed: reading files needs neither models nor the project. */
function learner(): Promise<Learner> {
  if (dir === '')
    throw new EngineError('project-not-found', 'No project is open.', 'Open a project, or make a new one.');
  opened ??= Promise.all([import('./learner.ts'), watchModels()]).then(([module]) => new module.Learner(dir));
  return opened;
}

const os = implement(computeContract).use(sendErrorsWhole as never);

const router = os.router({
  hello: os.hello.handler(() => ({ pid: process.pid })),
  preview: os.preview.handler(async ({ input }) => {
    let found = await preview(input.sources, optionsOf(input));
    // Files that lie in no class folders are not a problem when it was only asked whether they do.
    if (input.labelsFromFolders && found.folders.length === 0) {
      found = await preview(input.sources, optionsOf({ ...input, labelsFromFolders: false }));
    }
    return {
      ...found,
      rows: found.rows.map((candidate) => ({ ...candidate, parts: candidate.parts.map(partView) })),
    };
  }),
  read: os.read.handler(async function* ({ input, signal }) {
    const { options, after } = input;
    for await (const batch of readSources(options.sources, {
      ...optionsOf(options),
      after: after ?? undefined,
      signal,
    })) {
      yield { kind: 'batch' as const, ...batch };
    }
  }),
  inspectEncoder: os.inspectEncoder.handler(async ({ input }) =>
    describeEncoder((await inspectFile(input)).inspection),
  ),
  takeEncoder: os.takeEncoder.handler(async ({ input }) => (await learner()).takeEncoder(input)),
  fitEncoder: os.fitEncoder.handler(({ input, signal }) =>
    reporting(async (report) => (await learner()).fitEncoder(input.seed, report, signal)),
  ),
  embed: os.embed.handler(({ signal }) => reporting(async (report) => (await learner()).embed(report, signal))),
  examine: os.examine.handler(({ input, signal }) =>
    reporting(async (report) =>
      (await import('./tray.ts')).examine((await learner()).parts, input.known, report, signal),
    ),
  ),
  train: os.train.handler(({ input, signal }) =>
    reporting(async (report) => (await learner()).train(input.seed, report, signal)),
  ),
  tune: os.tune.handler(({ input, signal }) =>
    reporting(async (report, tell) => (await learner()).tune(input, pause, report, tell, signal)),
  ),
  pauseTuning: os.pauseTuning.handler(({ input }) => pause.set(input.paused)),
  choose: os.choose.handler(({ input, signal }) =>
    reporting(async (report) => (await learner()).choose(input, report, signal)),
  ),
  evidence: os.evidence.handler(async () => (await learner()).evidence()),
  promised: os.promised.handler(async ({ input }) =>
    (await import('./promising.ts')).previewed((await learner()).parts, input),
  ),
  promisedAtMany: os.promisedAtMany.handler(async ({ input }) =>
    (await import('./promising.ts')).previewedAtMany((await learner()).parts, input.delta),
  ),
  look: os.look.handler(async ({ input }) => (await import('./promising.ts')).look((await learner()).parts, input)),
  report: os.report.handler(({ input, signal }) =>
    reporting(async (report) =>
      (await import('./evidence-report.ts')).makeReport((await learner()).parts, input, report, signal),
    ),
  ),
  predict: os.predict.handler(async ({ input }) => (await learner()).predict(input.items)),
  similar: os.similar.handler(async ({ input }) => (await learner()).similar(input.item, input.count)),
  looks: os.looks.handler(async ({ input, signal }) =>
    (await import('./looks.ts')).findLooks((await learner()).parts, input.seed, signal),
  ),
  why: os.why.handler(async ({ input, signal }) =>
    (await import('./why.ts')).whyAsked((await learner()).parts, input, signal),
  ),
  drift: os.drift.handler(async ({ input, signal }) =>
    (await import('./drift.ts')).compareImport((await learner()).parts, input, signal),
  ),
  subgroups: os.subgroups.handler(async ({ input, signal }) =>
    (await import('./subgroups.ts')).findSubgroups((await learner()).parts, input, signal),
  ),
  explain: os.explain.handler(async ({ input, signal }) => (await learner()).explain(input, signal)),
  backup: os.backup.handler(async ({ input }) => (await import('./store/index.ts')).backupProject(dir, input.file)),
  check: os.check.handler(async () => (await import('./safekeeping-desk.ts')).checkProject(dir)),
  exportTrail: os.exportTrail.handler(async ({ input }) =>
    (await import('./trail-desk.ts')).exportTrail(dir, input.file),
  ),
  exportVersion: os.exportVersion.handler(({ input, signal }) =>
    reporting(async (report) => (await learner()).exportVersion(input, report, signal)),
  ),
  simulate: os.simulate.handler(({ input, signal }) =>
    reporting(async (report) => (await learner()).simulate(input, report, signal)),
  ),
});

/** Work that reports as it goes → a stream of its latest report and every notice, whenever the reader is ready, and at last the result. */
async function* reporting<T>(
  work: (report: Report, tell: (notice: NoticeEvent) => void) => Promise<T>,
): AsyncGenerator<ProgressEvent | NoticeEvent | T> {
  let latest: ProgressEvent | null = null;
  const notices: NoticeEvent[] = [];
  let wake = () => {};
  let done = false;
  const report: Report = (stage, at, total) => {
    latest = { kind: 'progress', stage, done: at, total };
    wake();
  };
  const tell = (notice: NoticeEvent) => {
    notices.push(notice);
    wake();
  };
  const result = work(report, tell).finally(() => {
    done = true;
    wake();
  });
  result.catch(() => undefined);
  for (;;) {
    const notice = notices.shift();
    if (notice) yield notice;
    else if (latest !== null) {
      const event: ProgressEvent = latest;
      latest = null;
      yield event;
    } else if (done) break;
    else await new Promise<void>((resolve) => (wake = resolve));
  }
  yield await result;
}

function optionsOf(options: { mapping: Record<string, unknown>; labelsFromFolders: boolean }) {
  return { mapping: options.mapping, labelsFromFolders: options.labelsFromFolders };
}

new RPCHandler(router).upgrade(parentPort(), { context: {} });
process.on('disconnect', () => process.exit(0));
process.on('uncaughtException', (error) => {
  process.stderr.write(`${loggable(error)}\n`);
  process.exit(1);
});
