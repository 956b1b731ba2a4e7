/**
 * THE contract between the engine and whatever shows it: procedures, change events and
 * data shapes, as schemas and types only. It is carried by oRPC over a WebSocket (web
 * host), a MessagePort (desktop) or directly (command line). Pixels do not travel here:
 * they come by the read-only route `/pixels/ITEM/PART`.
 *
 * Everything that crosses is validated at this door. Foreseeable trouble crosses as an
 * EngineError, whole. Nothing has a time-out: work over a second returns a job.
 */
import { eventIterator } from '@orpc/contract';
import * as v from 'valibot';
import { act, ask } from './api-call.ts';
import { choosing } from './api-choosing.ts';
import { EncoderImport, EncoderOutputs } from './api-encoder.ts';
import { evidence, ForecastShape, GuaranteeShape } from './api-evidence.ts';
import { Explanation, ExplanationChoice, type ExplanationPart } from './api-explanation.ts';
import { Count, Interval, ItemIdShape, ItemView, PartView, Probability, StateShape } from './api-item.ts';
import { looks } from './api-looks.ts';
import { safekeeping } from './api-safekeeping.ts';
import { trail } from './api-trail.ts';
import { tray } from './api-tray.ts';
import { VersionExport } from './api-version-export.ts';
import type { Act } from './domain/annotation.ts';
import { DEVICES } from './domain/device.ts';
import { ERROR_CODES } from './domain/errors.ts';
import type { Task } from './domain/schema.ts';

const TaskShape = v.picklist(['classify', 'classify-many'] as const satisfies readonly Task[]);
const ActShape = v.picklist([
  'label',
  'skip',
  'flag',
  'exclude',
  'comment',
  'retract',
] as const satisfies readonly Act[]);
const Path = v.pipe(v.string(), v.minLength(1), v.maxLength(4096), v.regex(/^[^\0]*$/));
const DeviceShape = v.picklist(DEVICES);

export const ErrorShapeSchema = v.object({
  code: v.picklist(ERROR_CODES),
  message: v.string(),
  hint: v.string(),
  context: v.record(v.string(), v.any()),
});

export const SuggestionShape = v.object({
  modelVersion: Count,
  classes: v.array(v.string()),
  probability: Probability,
});

/** Why an item is asked: a code that the desk puts into words, and the numbers that go with it. */
export const WhyShape = v.looseObject({
  /** A query strategy by name, audit, or again. */
  code: v.string(),
  contenders: v.optional(v.array(v.object({ class: v.string(), probability: v.number() }))),
  /** p₁ − p₂. */
  margin: v.optional(v.number()),
  /** Share of the pool that is even more uncertain, in [0, 1]. */
  shareCloser: v.optional(v.number()),
  /** For typicality: how many open items this one stands for. */
  clusterSize: v.optional(v.number()),
});

export const QueueEntryView = v.object({
  item: ItemIdShape,
  rank: v.number(),
  score: v.number(),
  strategy: v.string(),
  modelVersion: v.nullable(Count),
  seed: v.number(),
  why: WhyShape,
  /** Calibrated, in schema order; null before the first model version. */
  probabilities: v.nullable(v.array(v.number())),
  suggestion: v.nullable(SuggestionShape),
  /** The suggestion is hidden until asked for: the item belongs to the audit set. */
  blind: v.boolean(),
  view: ItemView,
});

export const JobView = v.object({
  id: v.string(),
  kind: v.picklist(['import', 'encode', 'train', 'queue', 'simulate', 'tune', 'export']),
  state: v.picklist(['queued', 'running', 'done', 'failed', 'cancelled']),
  /** In [0, 1], or null where the end is not known. */
  progress: v.nullable(v.number()),
  /** What it is at, as a code the desk puts into words: reading, fitting, embedding, training, choosing, simulating, tuning, paused, exporting, measuring. */
  stage: v.nullable(v.string()),
  done: v.nullable(v.number()),
  total: v.nullable(v.number()),
  createdAt: v.number(),
  endedAt: v.nullable(v.number()),
  error: v.nullable(ErrorShapeSchema),
  /** By kind; for an import {added, duplicates, problems, oracle}; for a run {version, promoted}; for a fine-tuning run also {audit, decision, notices: [{code, …}]}. */
  result: v.nullable(v.record(v.string(), v.any())),
});

/** When fine-tuning begins by itself, and what it may do. */
export const TuningSettingsShape = v.object({
  /** Whether it begins after so many minutes without an act. */
  automatic: v.boolean(),
  idleMinutes: v.pipe(v.number(), v.minValue(0), v.maxValue(24 * 60)),
  /** Whether it begins when the last window closes. */
  onClose: v.boolean(),
  /** Whether a mirrored image is as good as the image. */
  flip: v.boolean(),
});

export const StatusShape = v.object({
  name: v.string(),
  dir: v.string(),
  task: TaskShape,
  classes: v.array(v.string()),
  schemaVersion: Count,
  simulated: v.boolean(),
  items: Count,
  labelled: Count,
  skipped: Count,
  flagged: Count,
  excluded: Count,
  open: Count,
  perClass: v.record(v.string(), Count),
  modelVersion: v.nullable(Count),
  audit: Interval,
  /** Share of asked items that go to the audit set. */
  auditShare: Probability,
  settled: Count,
  uncertain: Count,
  guarantee: v.nullable(GuaranteeShape),
  forecast: v.nullable(ForecastShape),
  /** Items in the tray, and labels worth a second look. */
  trayed: Count,
  secondLooks: Count,
  /** The strategy that chooses now and why, e.g. {code: 'cold-start', classesMissing: 1}. */
  policy: v.nullable(v.looseObject({ strategy: v.string(), code: v.string() })),
  labelsSinceTraining: Count,
  /** Labels after which the model is trained again. */
  trainAfter: Count,
  problems: Count,
  canUndo: v.boolean(),
  canRedo: v.boolean(),
  today: v.object({ labels: Count, medianMs: v.nullable(v.number()) }),
  encoder: v.nullable(v.object({ version: Count, kind: v.string(), dims: Count, fittedOn: Count })),
  /** What fine-tuning and imported encoders compute on. */
  device: DeviceShape,
  /** What was chosen: 'auto', or a device by hand. */
  deviceChoice: DeviceShape,
  /** Training steps of that device in a second over those of the processor, as measured in its trial. */
  deviceSpeed: v.number(),
  tuning: v.object({
    ...TuningSettingsShape.entries,
    /** Whether there are labels enough for a run begun by hand. */
    possible: v.boolean(),
    /** Labels until a run is likely to gain something, and begins by itself; 0 where it is. */
    labelsNeeded: Count,
    /** The run that is on stands still; with `forExpert`, only because the expert is at work. */
    paused: v.boolean(),
    forExpert: v.boolean(),
    /** The run that ended last, however it ended. */
    last: v.nullable(JobView),
  }),
  jobs: v.array(JobView),
});

export const DeviceView = v.object({
  device: DeviceShape,
  /** ready: it computed as the processor does. failed: it did not, or ended the trial's process. */
  state: v.picklist(['ready', 'failed', 'absent', 'probing']),
  /** Over the processor's, in training steps; null where it was not measured. */
  speed: v.nullable(v.number()),
  reason: v.nullable(v.string()),
  /** Models run there now. */
  chosen: v.boolean(),
});

export const EncoderView = v.object({
  version: Count,
  kind: v.string(),
  dims: Count,
  fittedOn: Count,
  live: v.boolean(),
  createdAt: v.number(),
  /** Part of it was made elsewhere. */
  imported: v.boolean(),
  /** Networks of a fine-tuning run are part of it. */
  tuned: v.boolean(),
});

export const VersionView = v.object({
  version: Count,
  createdAt: v.number(),
  live: v.boolean(),
  /** promoted: was live at some time; held: measured worse on the audit set; */
  state: v.picklist(['live', 'promoted', 'held']),
  labels: Count,
  /** On the audit set as it was when the version was made. */
  audit: Interval,
  /** On today's audit set: versions compare on these. */
  auditNow: Interval,
  macroF1: v.nullable(v.number()),
  ece: v.nullable(v.number()),
  crossValidated: v.nullable(v.number()),
  seed: v.number(),
  encoder: Count,
  snapshot: v.string(),
  sizeBytes: v.number(),
  sha256: v.string(),
  /** Why it was or was not promoted, e.g. {code: 'first'}, {code: 'not-worse', …}, {code: 'worse', …}. */
  decision: v.looseObject({ code: v.string() }),
  perClass: v.array(
    v.object({ class: v.string(), n: Count, recall: v.nullable(v.number()), precision: v.nullable(v.number()) }),
  ),
});

export const MappingShape = v.object({
  text: v.optional(v.string()),
  image: v.optional(v.string()),
  numbers: v.optional(v.union([v.literal('auto'), v.array(v.string())])),
  /** Null: no column is; left out: guessed. */
  id: v.optional(v.nullable(v.string())),
  group: v.optional(v.nullable(v.string())),
  label: v.optional(v.string()),
  /** Columns kept beside the items to compare subgroups: sex, age, site. */
  attributes: v.optional(v.array(v.string())),
});

export const ImportOptions = v.object({
  sources: v.pipe(v.array(Path), v.minLength(1)),
  mapping: v.optional(MappingShape, {}),
  labelsFromFolders: v.optional(v.boolean(), false),
  /** `given`: they become annotations by “import”. `oracle`: kept aside for simulations. `none`: not read. */
  labels: v.optional(v.picklist(['given', 'oracle', 'none']), 'none'),
});

export const PreviewShape = v.object({
  /** folder, images, texts, table, mixed. */
  kind: v.string(),
  columns: v.array(v.object({ name: v.string(), samples: v.array(v.string()), guess: v.nullable(v.string()) })),
  rows: v.array(
    v.object({
      name: v.string(),
      source: v.string(),
      group: v.nullable(v.string()),
      label: v.nullable(v.array(v.string())),
      parts: v.array(PartView),
    }),
  ),
  /** Labels found, most frequent first (folders' names or the label column), at most 50. */
  labels: v.array(v.string()),
  problems: v.array(v.object({ source: v.string(), code: v.string(), message: v.string(), hint: v.string() })),
});

export const AnnotationInput = v.object({
  item: ItemIdShape,
  act: v.picklist(['label', 'skip', 'flag', 'exclude', 'comment']),
  classes: v.optional(v.array(v.string())),
  text: v.optional(v.pipe(v.string(), v.maxLength(10_000))),
  annotator: v.pipe(v.string(), v.minLength(1), v.maxLength(200)),
  durationMs: v.pipe(v.number(), v.minValue(0)),
  suggestion: v.optional(v.nullable(SuggestionShape)),
  suggestionVisible: v.optional(v.boolean(), false),
  /** It answers an entry of the queue as that showed the item. Where the item is labelled by now, that label stays, and this is a second reading of it. */
  asked: v.optional(v.boolean(), false),
});

export const AnnotationView = v.object({
  sequence: Count,
  item: ItemIdShape,
  act: ActShape,
  classes: v.nullable(v.array(v.string())),
  text: v.nullable(v.string()),
  retracts: v.nullable(Count),
  /** The label that this is a second reading of. */
  repeats: v.nullable(Count),
  annotator: v.string(),
  at: v.number(),
  durationMs: v.number(),
});

/** What changed; a window refetches what it shows of it. */
export const ChangeEvent = v.object({
  kind: v.picklist(['project', 'items', 'annotations', 'queue', 'jobs', 'versions', 'hello']),
});

const ExplanationInput = v.object({ item: ItemIdShape, ...ExplanationChoice.entries });
const ExplanationShape = v.object({ item: ItemIdShape, ...Explanation.entries });

const DirEntry = v.object({
  name: v.string(),
  path: v.string(),
  kind: v.picklist(['folder', 'file']),
  project: v.boolean(),
});

export const contract = {
  desk: {
    /** What is open, if anything, and where new projects would go. */
    state: ask.output(
      v.object({
        version: v.string(),
        host: v.picklist(['web', 'desktop', 'cli']),
        project: v.nullable(Path),
        home: v.string(),
      }),
    ),
    create: act
      .input(
        v.object({
          dir: Path,
          name: v.optional(v.string()),
          task: v.optional(TaskShape, 'classify'),
          classes: v.array(v.string()),
        }),
      )
      .output(StatusShape),
    open: ask.input(v.object({ dir: Path })).output(StatusShape),
    /** A folder's sub-folders and importable files, for hosts that have no native dialog. */
    browse: ask.input(v.object({ dir: v.optional(Path) })).output(
      v.object({
        dir: v.string(),
        parent: v.nullable(v.string()),
        entries: v.array(DirEntry),
        truncated: v.boolean(),
      }),
    ),
  },
  status: ask.output(StatusShape),
  schema: {
    addClass: act.input(v.object({ name: v.string() })).output(StatusShape),
  },
  imports: {
    /** The first ten rows as they would be imported, before a project exists. */
    preview: ask.input(ImportOptions).output(PreviewShape),
    start: act.input(ImportOptions).output(v.object({ job: v.string() })),
    problems: ask.output(
      v.array(
        v.object({ job: v.string(), source: v.string(), code: v.string(), message: v.string(), hint: v.string() }),
      ),
    ),
  },
  items: {
    get: ask.input(v.object({ item: ItemIdShape })).output(ItemView),
    list: ask
      .input(
        v.object({
          state: v.optional(StateShape),
          search: v.optional(v.pipe(v.string(), v.maxLength(1000))),
          after: v.optional(Count, 0),
          limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(500)), 100),
        }),
      )
      .output(v.object({ items: v.array(ItemView), next: v.nullable(Count) })),
    /** The most similar labelled items, by cosine of embeddings. */
    similar: ask
      .input(v.object({ item: ItemIdShape, count: v.optional(Count, 3) }))
      .output(v.array(v.object({ similarity: v.number(), view: ItemView }))),
    /** What in the item speaks for a class, under a model version. */
    explain: ask.input(ExplanationInput).output(ExplanationShape),
  },
  queue: {
    /** The next items to ask, best first; the first ones never change places under the annotator. */
    next: ask
      .input(v.object({ count: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(200)), 8) }))
      .output(v.array(QueueEntryView)),
  },
  annotations: {
    /** Returns only after the act is on disk. */
    add: act.input(AnnotationInput).output(AnnotationView),
    undo: act.input(v.object({ annotator: v.string() })).output(AnnotationView),
    redo: act.input(v.object({ annotator: v.string() })).output(AnnotationView),
    history: ask
      .input(v.object({ item: v.optional(ItemIdShape), before: v.optional(Count), limit: v.optional(Count, 100) }))
      .output(v.array(AnnotationView)),
  },
  versions: {
    list: ask.output(v.array(VersionView)),
    promote: act.input(v.object({ version: Count })).output(v.array(VersionView)),
    rollback: act.output(v.array(VersionView)),
    /** Writes one as a file that runs without this program; the job's result is a `VersionExported`. */
    export: act.input(VersionExport).output(v.object({ job: v.string() })),
  },
  training: {
    start: act.output(v.object({ job: v.string() })),
    /** Fine-tunes networks on what is labelled: minutes, in the background. */
    tune: act.output(v.object({ job: v.string() })),
    /** Holds the fine-tuning run still, or lets it go on. */
    pause: ask.input(v.object({ paused: v.boolean() })).output(StatusShape),
    settings: act.input(v.partial(TuningSettingsShape)).output(StatusShape),
    /** Somebody moved or typed in a window: a run that began by itself makes room. Acts say so by themselves. */
    present: ask.output(v.void()),
  },
  evidence,
  looks,
  tray,
  trail,
  safekeeping,
  choosing,
  encoders: {
    /** Tries a file on a tiny batch and describes its outputs; nothing is kept. */
    inspect: ask.input(EncoderImport).output(EncoderOutputs),
    /** Checks it likewise, keeps it, and embeds everything anew with it. */
    import: act.input(EncoderImport).output(v.object({ job: v.string() })),
    /** Goes back to the encoders made from the pool. */
    useOwn: act.output(v.object({ job: v.string() })),
    list: ask.output(v.array(EncoderView)),
  },
  devices: {
    /** Answers at once; what was never tried is tried from then on, and a change event tells when it was. */
    list: ask.output(v.array(DeviceView)),
    /** Tries a device that is not ready once more and answers when that is over. Errors: `device-unavailable`. */
    choose: act.input(v.object({ device: DeviceShape })).output(v.array(DeviceView)),
  },
  jobs: {
    list: ask.output(v.array(JobView)),
    cancel: act.input(v.object({ job: v.string() })).output(JobView),
  },
  /** First `hello`, then one event for each change, until the window goes away. */
  changes: ask.output(eventIterator(ChangeEvent)),
};

export type Status = v.InferOutput<typeof StatusShape>;
export type QueueEntry = v.InferOutput<typeof QueueEntryView>;
export type ItemViewData = v.InferOutput<typeof ItemView>;
export type PartViewData = v.InferOutput<typeof PartView>;
export type JobData = v.InferOutput<typeof JobView>;
export type EncoderData = v.InferOutput<typeof EncoderView>;
export type VersionData = v.InferOutput<typeof VersionView>;
export type AnnotationData = v.InferOutput<typeof AnnotationView>;
export type AnnotationInputData = v.InferInput<typeof AnnotationInput>;
export type ImportOptionsData = v.InferOutput<typeof ImportOptions>;
export type PreviewData = v.InferOutput<typeof PreviewShape>;
export type EncoderImportData = v.InferOutput<typeof EncoderImport>;
export type EncoderOutputsData = v.InferOutput<typeof EncoderOutputs>;
export type ExplanationQuestion = v.InferInput<typeof ExplanationInput>;
export type ExplanationData = v.InferOutput<typeof ExplanationShape>;
export type ExplanationPartData = v.InferOutput<typeof ExplanationPart>;
export type DeviceData = v.InferOutput<typeof DeviceView>;
export type Change = v.InferOutput<typeof ChangeEvent>;
export type { ClaimData, GuaranteeData } from './api-evidence.ts';
export type IntervalData = v.InferOutput<typeof Interval>;
