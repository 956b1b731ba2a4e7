/**
 * A fine-tuning run on a project, in the compute process of its own: which items and folds,
 * training with checkpoints, the extended encoder, and a version on it that is measured
 * against the live one. What a run was begun with is in its first checkpoint, so labels
 * given meanwhile change nothing, and a run that was killed ends with the same weights.
 */
import type { RealDevice } from './domain/device.ts';
import {
  runFile,
  type EncoderEntry,
  type ImportedEncoders,
  type NoticeEvent,
  type Tuned,
  type TuneOptions,
} from './compute-api.ts';
import { EngineError } from './domain/errors.ts';
import type { ItemId } from './domain/item.ts';
import { row, takeRows, type Matrix } from './domain/matrix.ts';
import { createRng } from './domain/rng.ts';
import { AUDIT, LABELLED, labelledItems, POOL, rowsWhere } from './embedded-items.ts';
import { type Encoder, type EncoderFile, openEncoder } from './inference/index.ts';
import type { Report } from './learner.ts';
import { intervalOf, type Measuring } from './measuring.ts';
import type { Pause } from './pause.ts';
import { translated, type PoolRows, type ProjectReader } from './store/index.ts';
import { decidePromotion, fitHead, poolPrior, trainVersion } from './training/index.ts';
import {
  extendedEncoder,
  foldsOf,
  packed,
  planFor,
  readCheckpoint,
  readable,
  readFor,
  rowsOf,
  runTuning,
  type RunState,
  type TuningInput,
  type TuningPlan,
  unpacked,
  writeCheckpoint,
} from './tuning/index.ts';

/** What the run needs of the process it runs in. */
export interface TunerParts {
  reader: ProjectReader;
  dir: string;
  /** The encoder to extend, opened: the newest, without networks of an earlier run; or the one of this blob, which a run began with. Null where that is gone. */
  base(blob: string | null): Promise<{ blob: string; card: unknown; opened: Encoder } | null>;
  /** Embeddings by `seq` under an encoder; null where an item cannot be read. */
  vectors(encoder: { blob: string; card: unknown }, seqs: readonly number[]): Promise<Matrix | null>;
  measuring: Measuring;
}

/** What a run was begun with; kept as the snapshot of the training set. Everything but the pixels decides the result. */
interface Begun {
  format: 1;
  kind: 'tuning';
  seed: number;
  encoder: string;
  schema: { version: number; task: 'classify' | 'classify-many'; classes: string[] };
  plan: TuningPlan;
  /** Sorted by id. */
  items: { id: ItemId; classes: string[]; fold: number }[];
}

/** A checkpoint is written after so long, and whenever a network is finished. */
const CHECKPOINT_AFTER_MS = 15_000;
/** Items of the pool that say what directions are worth, at most. */
const PRIOR_SAMPLE = 1500;

/** Runs to the end. Errors: `tuning-unavailable`, `training-diverged`, `disk-full`; rejects with the signal's reason when aborted. */
export async function tune(
  parts: TunerParts,
  options: TuneOptions,
  pause: Pause,
  report: Report,
  tell: (notice: NoticeEvent) => void,
  signal?: AbortSignal,
): Promise<Tuned> {
  const { reader } = parts;
  const file = runFile(parts.dir, options.run);
  const checkpoint = readCheckpoint(file);
  const resumed = checkpoint && unpacked(checkpoint);
  const before = resumed?.beside as Begun | undefined;
  const base = await parts.base(before?.encoder ?? null);
  if (!base) {
    throw new EngineError(
      'tuning-unavailable',
      'The encoder that this run began with is not in the project any more.',
      'Start another run.',
      { encoder: before?.encoder ?? null },
    );
  }
  const { opened } = base;
  const begun = before ?? begin(reader, base, options);
  let lastWritten = performance.now();
  const keep = (state: RunState) => {
    translated({ file }, () => writeCheckpoint(file, packed(state, begun)));
    lastWritten = performance.now();
  };
  if (!resumed) keep({ finished: [], fit: null });

  const { plan, schema } = begun;
  const rows = reader.items.poolRows();
  const placeOf = new Map(rows.id.map((id, i) => [id, i]));
  const seqs = begun.items.map(({ id }) => rows.seq[placeOf.get(id)!]);
  const model = reader.blobs.read(base.blob);
  const source = reader.items.partsOf(seqs);
  const watch = { signal, onProgress: (done: number, of: number) => report('reading', done, of) };
  const session = { device: options.device, threads: options.threads };
  const read = await readFor(plan, source, { model, opened }, { seed: begun.seed, session }, watch);
  // What cannot be read now was never among what the run learned from.
  const isReadable = readable(read);
  const usable = begun.items.flatMap((_, i) => (isReadable[i] ? [i] : []));
  const numbers = new Map(schema.classes.map((name, j) => [name, j]));
  const input: TuningInput = {
    plan,
    seed: begun.seed,
    rows: rowsOf(read, usable),
    classes: usable.map((i) => begun.items[i].classes.map((name) => numbers.get(name)!)),
    folds: usable.map((i) => begun.items[i].fold),
    task: schema.task,
    classCount: schema.classes.length,
    encoder: opened,
    imported: null,
  };
  if (plan.networks.some(({ kind }) => kind === 'adapters'))
    input.imported = await importedPart(
      reader,
      input,
      usable.map((i) => seqs[i]),
    );
  let finishedBefore = resumed?.run.finished.length ?? 0;
  const { block } = await onAnyDevice(options.device ?? 'cpu', tell, (device) =>
    runTuning(
      input,
      {
        async between(state, { done, total }) {
          signal?.throwIfAborted();
          report('tuning', done, total);
          const isDue = performance.now() - lastWritten >= (options.checkpointAfterMs ?? CHECKPOINT_AFTER_MS);
          if (isDue || state.finished.length > finishedBefore) keep(state);
          finishedBefore = state.finished.length;
          await pause.passed(signal, () => report('paused', done, total));
        },
        notice: ({ code, batch }) => tell({ kind: 'notice', code, batch }),
      },
      { device, threads: options.threads, from: resumedFrom(file) },
    ),
  );
  const extended = extendedEncoder({ model, card: opened.card }, block, {
    classCount: schema.classes.length,
    members: plan.members,
    place: plan.place,
  });
  const own = base.card as EncoderEntry;
  const folds = Object.fromEntries(usable.map((i) => [begun.items[i].id, begun.items[i].fold]));
  const entry: EncoderEntry = {
    ...own,
    card: extended.card,
    tuned: {
      block: reader.blobs.put(block),
      base: { blob: base.blob, card: opened.card },
      trainedOn: base.blob,
      kinds: plan.networks.map(({ kind }) => kind),
      place: plan.place,
      members: plan.members,
      classes: schema.classes,
      labels: usable.length,
      folds: reader.blobs.put(Buffer.from(JSON.stringify(folds))),
    },
  };
  const blob = reader.blobs.put(extended.model);
  const trained = await trial(parts, { blob, card: entry }, extended.model, begun, rows, report, signal);
  return {
    kind: 'tuned',
    encoder: { sha256: blob, sizeBytes: extended.model.length, entry },
    trained,
    snapshot: begun,
    plan,
  };
}

/** The state to go on from, as it is on disk now: also after a device was lost on the way. */
function resumedFrom(file: string): RunState | null {
  const checkpoint = readCheckpoint(file);
  return checkpoint && unpacked(checkpoint).run;
}

function begin(reader: ProjectReader, base: { blob: string; opened: Encoder }, options: TuneOptions): Begun {
  const { opened } = base;
  const schema = reader.schema.current();
  const rows = reader.items.poolRows();
  const training = rowsWhere({ rows }, (i) => rows.role[i] === POOL && rows.state[i] === LABELLED).sort((a, b) =>
    rows.id[a] < rows.id[b] ? -1 : 1,
  );
  const imported = (reader.settings.get('imported') ?? {}) as ImportedEncoders;
  const plan = planFor(opened.card, {
    task: schema.task,
    labels: labelledByKind(
      reader,
      training.map((i) => rows.seq[i]),
    ),
    imported: { image: imported.image !== undefined, text: imported.text !== undefined },
    flip: options.flip ?? false,
  });
  plan.networks = plan.networks.map((network) => ({
    ...network,
    fit: { ...network.fit, epochs: options.epochs ?? network.fit.epochs },
    augmentation: { ...network.augmentation, copies: options.copies ?? network.augmentation.copies },
  }));
  const numbers = new Map(schema.classes.map((name, j) => [name, j]));
  const folds = foldsOf(
    training.map((i) => rows.component[i]),
    training.map((i) => (rows.classes[i] ?? []).map((name) => numbers.get(name)!)),
    schema.classes.length,
    plan.members,
    options.seed,
  );
  return {
    format: 1,
    kind: 'tuning',
    seed: options.seed,
    encoder: base.blob,
    schema: { version: schema.version, task: schema.task, classes: [...schema.classes] },
    plan,
    items: training.map((i, at) => ({ id: rows.id[i], classes: [...(rows.classes[i] ?? [])], fold: folds[at] })),
  };
}

/** How many of these items have an image, and how many a text. */
function labelledByKind(reader: ProjectReader, seqs: readonly number[]): { image: number; text: number } {
  const items = reader.items.partsOf(seqs);
  const having = (kind: string) => items.filter((parts) => parts.some((part) => part.kind === kind)).length;
  return { image: having('image'), text: having('text') };
}

/** The encoder that was imported, and heads on it for whichever items a network may see. */
async function importedPart(
  reader: ProjectReader,
  { plan, encoder: opened, classes, task, classCount, seed }: TuningInput,
  seqs: readonly number[],
): Promise<NonNullable<TuningInput['imported']>> {
  const { kind } = opened.card.parts[plan.place];
  const settings = (reader.settings.get('imported') ?? {}) as ImportedEncoders;
  const told = settings[kind as 'image' | 'text']!;
  const file: EncoderFile = { model: reader.blobs.read(told.blob), card: told.card };
  const encoder = await openEncoder(file.model, file.card);
  const { embedding } = await encoder.embed(reader.items.partsOf(seqs));
  await encoder.close();
  const seedOfHead = createRng(seed).derive('head').seed;
  return {
    file,
    async head(items) {
      const labels = items.map((i) => classes[i]);
      const { head } = await fitHead({
        embedding: takeRows(embedding, items),
        labels,
        task,
        classCount,
        seed: seedOfHead,
      });
      return { weights: head.weights.data, bias: head.bias };
    },
  };
}

/** Runs on a device; where it is lost or has no memory at all, once more on the processor, from the last checkpoint. */
async function onAnyDevice<T>(
  device: RealDevice,
  tell: (notice: NoticeEvent) => void,
  run: (device: RealDevice) => Promise<T>,
): Promise<T> {
  try {
    return await run(device);
  } catch (error) {
    const isLost = error instanceof EngineError && (error.code === 'device-lost' || error.code === 'out-of-memory');
    if (!isLost || device === 'cpu') throw error;
    tell({ kind: 'notice', code: 'device-lost', device });
    return run('cpu');
  }
}

/** A version on the extended encoder, and whether it may take the live one's place. */
async function trial(
  { reader, vectors, measuring }: TunerParts,
  record: { blob: string; card: EncoderEntry },
  model: Uint8Array,
  { seed }: Begun,
  rows: PoolRows,
  report: Report,
  signal: AbortSignal | undefined,
): Promise<Tuned['trained']> {
  report('embedding', null, null);
  const schema = reader.schema.current();
  const training: number[] = [];
  const auditing: number[] = [];
  const checks = new Set(reader.reports.auditDraws().map(({ item }) => item));
  for (const i of rowsWhere({ rows }, (i) => rows.state[i] === LABELLED)) {
    if (rows.role[i] === POOL) training.push(i);
    else if (rows.role[i] === AUDIT && !checks.has(rows.id[i])) auditing.push(i);
  }
  const embedded = async (places: readonly number[]) => {
    const found: { place: number; vector: Float32Array }[] = [];
    const CHUNK = 64;
    for (let start = 0; start < places.length; start += CHUNK) {
      signal?.throwIfAborted();
      const chunk = places.slice(start, start + CHUNK);
      const together = await vectors(
        record,
        chunk.map((i) => rows.seq[i]),
      );
      if (together) chunk.forEach((place, at) => found.push({ place, vector: row(together, at) }));
      else {
        // One of them cannot be read: the others still count.
        for (const place of chunk) {
          const alone = await vectors(record, [rows.seq[place]]);
          if (alone) found.push({ place, vector: row(alone, 0) });
        }
      }
    }
    const columns = record.card.card.dims;
    const data = new Float32Array(found.length * columns);
    found.forEach(({ vector }, at) => data.set(vector, at * columns));
    return { places: found.map(({ place }) => place), embedding: { data, rows: found.length, columns } };
  };
  const own = await embedded(training);
  const audit = await embedded(auditing);
  const sample = createRng(seed)
    .derive('prior sample')
    .sample(rows.count, PRIOR_SAMPLE)
    .sort((a, b) => a - b);
  const pool = await embedded(sample);
  report('training', null, null);
  const itemsOf = (places: readonly number[]) => labelledItems({ rows }, places);
  const {
    model: version,
    card,
    snapshot,
    auditCorrect,
  } = await trainVersion({
    items: itemsOf(own.places),
    embedding: own.embedding,
    audit: { items: itemsOf(audit.places), embedding: audit.embedding },
    schema,
    encoder: model,
    prior: await poolPrior(pool.embedding, seed),
    seed,
    signal,
  });
  const live = reader.versions.live();
  const compared =
    live &&
    (await measuring.ofItems(
      live,
      { items: itemsOf(audit.places), seqs: audit.places.map((i) => rows.seq[i]) },
      schema,
    ));
  const decision = decidePromotion(live && !compared ? [] : auditCorrect, live && (compared?.correct ?? []));
  return {
    sha256: reader.blobs.put(version),
    sizeBytes: version.length,
    card,
    snapshot,
    audit: intervalOf(card.audit?.accuracy, audit.places.length),
    decision: { ...decision },
  };
}
