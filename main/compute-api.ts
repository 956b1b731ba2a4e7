/**
 * The inner contract: what the engine asks of the compute process. Only picks, metrics,
 * progress and import candidates cross; embeddings and probabilities of the pool stay in
 * compute, which reads items and labels through its own read-only connection. Long work is
 * a stream of progress that ends with one result, and stops when its caller goes away.
 *
 * Both ends are this project's own code at the same version, so shapes are types only.
 */
import { join } from 'node:path';
import { eventIterator, oc, type } from '@orpc/contract';
import * as v from 'valibot';
import type {
  EncoderImportData,
  EncoderOutputsData,
  ExplanationData,
  ExplanationQuestion,
  GuaranteeData,
  ImportOptionsData,
  IntervalData,
  PreviewData,
} from './api.ts';
import type { EvidenceReportData } from './api-evidence.ts';
import type { SubgroupColumnData } from './api-evidence.ts';
import type { CheckData } from './api-safekeeping.ts';
import type { TrailHeadData } from './api-trail.ts';
import type { VersionExportData, VersionExported } from './api-version-export.ts';
import type { RealDevice } from './domain/device.ts';
import type { Candidate, ImportProblem, ItemId } from './domain/item.ts';
import type { EncoderCard } from './inference/index.ts';
import type { BackupResult, TrayFinding } from './store/index.ts';
import type { Level } from './evidence/index.ts';
import type { LookFound, Preview } from './promising.ts';
import type { SimulatedGuarantee, Snapshot, VersionCard } from './training/index.ts';

export interface ProgressEvent {
  kind: 'progress';
  stage: string;
  done: number | null;
  total: number | null;
}

export interface ReadEvent {
  kind: 'batch';
  candidates: Candidate[];
  problems: ImportProblem[];
  /** Hand it back to go on after this batch. */
  cursor: string;
  done: number;
  total: number | null;
}

/** A blob that compute has written to `blobs/` and that the engine should register. */
export interface BlobWritten {
  sha256: string;
  sizeBytes: number;
}

/** What the project keeps of an encoder beside its blob. */
export interface EncoderEntry {
  card: EncoderCard;
  /** How many items the pool had when it was fitted. */
  items: number;
  /** Whether part of it was made elsewhere. */
  imported: boolean;
  /** Networks that a fine-tuning run added. */
  tuned?: TunedPart;
  /** It came out of a run that was not good enough: kept for the record, not for new work. */
  held?: boolean;
}

/** What a fine-tuning run added to an encoder. */
export interface TunedPart {
  /** Blob of the joined networks. */
  block: string;
  kinds: ('maps' | 'image' | 'terms' | 'adapters')[];
  /** What was extended: blob and card; another run begins there. */
  base: { blob: string; card: EncoderCard };
  /** Blob of the encoder that they were trained on, whose outputs they may take. */
  trainedOn: string;
  /** The encoder's part that they look at. */
  place: number;
  members: number;
  classes: string[];
  labels: number;
  /** Blob of a JSON object: which network was trained without an item, by the item's id. */
  folds: string;
}

export interface EncoderMade extends BlobWritten {
  kind: 'encoder';
  entry: EncoderEntry;
}

/** An encoder that others made, checked and wrapped; kept for the next fit. */
export interface EncoderTaken extends BlobWritten {
  described: EncoderOutputsData;
  card: EncoderCard;
}

/** The project's setting `imported`: which kinds of parts use which imported encoder. */
export type ImportedEncoders = Partial<Record<'image' | 'text', { blob: string; card: EncoderCard }>>;

export interface Prepared {
  kind: 'prepared';
  embedded: number;
  /** Items whose original could not be read: they are not asked until it is back. */
  missing: { item: ItemId; code: string; message: string }[];
}

/** What something is unusual about; null where nothing came or changed since what `key` stands for. */
export interface Examined {
  kind: 'examined';
  key: string;
  found: { encoder: string; findings: TrayFinding[] } | null;
}

export interface Trained extends BlobWritten {
  kind: 'trained';
  card: VersionCard;
  snapshot: Snapshot;
  /** On the audit set, the candidate and the live version; null where there is no live version. */
  audit: IntervalData;
  decision: { promote: boolean; code: string; [key: string]: unknown };
}

export interface Pick {
  item: ItemId;
  score: number;
  strategy: string;
  why: { code: string; [key: string]: unknown };
  probabilities: number[] | null;
}

export interface Chosen {
  kind: 'chosen';
  picks: Pick[];
  /** Open items of the audit set in random order; the engine mixes them in. */
  audit: Pick[];
  /** Open items that cannot be asked, because their original cannot be read just now. */
  missing: ItemId[];
  policy: { strategy: string; code: string; [key: string]: unknown };
  modelVersion: number | null;
  seed: number;
}

export interface TuneOptions {
  /** The job's id: names the checkpoint. */
  run: string;
  seed: number;
  device?: RealDevice;
  threads?: number;
  /** Whether a mirrored image is as good as the image. */
  flip?: boolean;
  /** Passes over the items, and changed copies of each image; default: the plan's. */
  epochs?: number;
  copies?: number;
  /** How long at most between two checkpoints. */
  checkpointAfterMs?: number;
}

/** Something that the person should know of a run: {code: 'batch-halved', batch}, {code: 'device-lost', device}. */
export interface NoticeEvent {
  kind: 'notice';
  code: string;
  [key: string]: unknown;
}

export interface Tuned {
  kind: 'tuned';
  encoder: BlobWritten & { entry: EncoderEntry };
  /** The version on it. */
  trained: Omit<Trained, 'kind'>;
  /** What the run was begun with. */
  snapshot: { seed: number };
  plan: unknown;
}

/** Where a run keeps its checkpoint. */
export function runFile(dir: string, run: string): string {
  return join(dir, 'runs', `${run}.checkpoint`);
}

/** One entry of the queue, as it was chosen. */
export interface WhyQuestion {
  item: ItemId;
  strategy: string;
  modelVersion: number | null;
  score: number;
}

export interface WhyFound {
  /** Scores of the open pool: see the contract's `WhyDetails`. */
  distribution: { edges: number[]; counts: number[] };
  shareAbove: number | null;
  nearest: { item: ItemId; similarity: number }[];
}

/** The levels at which claims are made unless a person sets others. */
export const SETTLED = { alpha: 0.05, delta: 0.1 };

export interface Evidence {
  /** Every version on today's audit set. */
  versions: { version: number; auditNow: IntervalData }[];
  /** Audit items that count for the guarantee: one a component, spot checks not among them. */
  auditSize: number;
}

/** Labels of the pool that are worth a second look, the most useful first. */
export interface LooksFound {
  modelVersion: number;
  seed: number;
  /** The last annotation that it knows of. */
  sequence: number;
  looks: {
    item: ItemId;
    /** The act that labelled it. */
    sequence: number;
    reason: 'noise' | 'third-opinion';
    /** By a model that has not seen the item; with what was read, by who reads how. */
    suggested: { classes: string[]; probability: number };
    fused: { classes: string[]; probability: number };
    score: number;
  }[];
}

export interface ReportOptions {
  seed: number;
  /** The accuracy that the forecast aims at. */
  target: number;
}

/** What is put on record of a report; null where no version can be measured. */
export interface Reported {
  kind: 'reported';
  body: ReportBody | null;
}

/** A report but for its time, and enough to forecast another target without measuring again. */
export interface ReportBody extends Omit<EvidenceReportData, 'at'> {
  points: { labels: number; correct: number; n: number }[];
}

/** Items by `seq`: the first and the last of an import, and the last that the live version's training knew. */
export interface DriftQuestion {
  first: number;
  last: number;
  before: number;
  seed: number;
}

export interface DriftFound {
  modelVersion: number;
  /** How many of the import were looked at. */
  items: number;
  pValue: number;
  distance: number;
  predictionShift: number;
  predictionPValue: number;
  alert: boolean;
  examples: ItemId[];
}

export interface SubgroupsQuestion {
  seed: number;
  known: string | null;
}

export interface SubgroupsFound {
  /** Of everything that it follows from. */
  key: string;
  /** Null where that is what is known. */
  found: { modelVersion: number | null; columns: SubgroupColumnData[] } | null;
}

export interface SimulationOptions {
  strategies: string[];
  budget: number;
  batch: number;
  start: number;
  seeds: number;
  testFraction: number;
  /** Also try the guarantee so often, at these levels. */
  guarantee?: Level & { trials: number };
}

export interface Simulated {
  kind: 'simulated';
  curves: {
    strategy: string;
    seed: number;
    points: { labels: number; accuracy: number; macroF1: number; ece: number }[];
  }[];
  guarantee?: SimulatedGuarantee;
}

const stream = <T>() => eventIterator(v.custom<T>(() => true));
/** Progress and notices, and at last the result. */
const working = <T>() => stream<ProgressEvent | NoticeEvent | T>();

export const computeContract = {
  /** Answers when the process is up. */
  hello: oc.output(type<{ pid: number }>()),
  preview: oc.input(type<ImportOptionsData>()).output(type<PreviewData>()),
  read: oc.input(type<{ options: ImportOptionsData; after: string | null }>()).output(stream<ReadEvent>()),
  inspectEncoder: oc.input(type<EncoderImportData>()).output(type<EncoderOutputsData>()),
  /** Writes a blob as well. */
  takeEncoder: oc.input(type<EncoderImportData>()).output(type<EncoderTaken>()),
  /** Fits an encoder on the pool. */
  fitEncoder: oc.input(type<{ seed: number }>()).output(working<EncoderMade>()),
  /** Embeds what is not embedded yet with the live encoder. */
  embed: oc.output(working<Prepared>()),
  /** Measures every embedded item, and judges which ones something is unusual about. */
  examine: oc.input(type<{ known: string | null }>()).output(working<Examined>()),
  train: oc.input(type<{ seed: number }>()).output(working<Trained>()),
  /** Fine-tunes on the labelled items; goes on from the run's checkpoint where there is one. */
  tune: oc.input(type<TuneOptions>()).output(working<Tuned>()),
  /** Holds a fine-tuning run still between two steps, or lets it go on. */
  pauseTuning: oc.input(type<{ paused: boolean }>()).output(type<void>()),
  choose: oc
    .input(type<{ count: number; auditCount: number; strategy: string; seed: number; keep: ItemId[] }>())
    .output(working<Chosen>()),
  evidence: oc.output(type<Evidence>()),
  /** The guarantee now, and at many α; null, or none, without a version. */
  promised: oc.input(type<Level>()).output(type<Preview | null>()),
  promisedAtMany: oc.input(type<{ delta: number }>()).output(type<GuaranteeData[]>()),
  /** Makes a look at what it may spend; writes a blob as well. Null without a version. */
  look: oc.input(type<Level>()).output(type<LookFound | null>()),
  report: oc.input(type<ReportOptions>()).output(working<Reported>()),
  predict: oc
    .input(type<{ items: ItemId[] | null }>())
    .output(type<{ modelVersion: number; classes: string[]; items: { item: ItemId; probabilities: number[] }[] }>()),
  /** Null before the first version. */
  looks: oc.input(type<{ seed: number }>()).output(type<LooksFound | null>()),
  similar: oc.input(type<{ item: ItemId; count: number }>()).output(type<{ item: ItemId; similarity: number }[]>()),
  why: oc.input(type<WhyQuestion>()).output(type<WhyFound>()),
  drift: oc.input(type<DriftQuestion>()).output(type<DriftFound | null>()),
  subgroups: oc.input(type<SubgroupsQuestion>()).output(type<SubgroupsFound>()),
  explain: oc.input(type<ExplanationQuestion>()).output(type<ExplanationData>()),
  backup: oc.input(type<{ file: string }>()).output(type<BackupResult>()),
  check: oc.output(type<CheckData>()),
  /** Writes the file as well. */
  exportTrail: oc.input(type<{ file: string }>()).output(type<TrailHeadData>()),
  exportVersion: oc.input(type<VersionExportData>()).output(working<{ kind: 'exported'; exported: VersionExported }>()),
  simulate: oc.input(type<SimulationOptions>()).output(working<Simulated>()),
};
