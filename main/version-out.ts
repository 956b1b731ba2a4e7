/**
 * A model version as a file that runs without this program: the version's ONNX model, from
 * item tensors to calibrated probabilities, with the way to make these tensors (`preparations`)
 * in its metadata. As int8 it is run beside the version, item by item, on the audit set or
 * else on open items, and what that costs in accuracy is told. The head stays float32.
 */
import { setImmediate } from 'node:timers/promises';
import type { VersionExportData, VersionExported } from './api-version-export.ts';
import type { EncoderEntry } from './compute-api.ts';
import { EngineError } from './domain/errors.ts';
import { matrix, type Matrix } from './domain/matrix.ts';
import { createRng } from './domain/rng.ts';
import { AUDIT, LABELLED, OPEN, POOL, rowsWhere } from './embedded-items.ts';
import {
  feedsOf,
  openSession,
  openTokenizer,
  prepareItem,
  TOKENIZER_KEY,
  type Feeds,
  type Preparation,
  type Session,
} from './inference/index.ts';
import { writeWhole } from './labels-out.ts';
import { intervalOf, widened } from './measuring.ts';
import { quantize, withMetadata } from './onnx/index.ts';
import type { ProjectReader } from './store/index.ts';
import { evaluate, suggestions, type VersionCard } from './training/index.ts';

type Report = (stage: string, done: number | null, total: number | null) => void;
type Comparison = Pick<VersionExported, 'speed' | 'audit'>;

/** Items that are measured at most: enough to see a difference of a percent, and soon over. */
const MEASURED = 400;
/** Items on which the time is taken, and how often each: until the fastest run is likely one that nothing disturbed. */
const TIMED = 4;
const LEAST_TIMES = 7;
const TIMED_MS = 400;
const HEAD = ['head/weights'];
const OUTPUT = ['probabilities'];

/** Writes a version's file and measures it. Errors: `version-unknown`, `encoder-invalid`, `disk-full`, `io-failed`; rejects with the signal's reason when aborted, the file may then be there. */
export async function exportVersion(
  reader: ProjectReader,
  { version, file, int8 }: VersionExportData,
  report: Report,
  signal?: AbortSignal,
): Promise<VersionExported> {
  const record = reader.versions.get(version);
  const encoder = record?.encoder == null ? null : reader.versions.encoder(record.encoder);
  if (!record || !encoder) {
    throw new EngineError(
      'version-unknown',
      `There is no version ${version}.`,
      'Choose a version that the list shows.',
      { version },
    );
  }
  report('exporting', null, null);
  const { parts: preparations } = (encoder.card as EncoderEntry).card;
  const blob = reader.blobs.read(record.blob);
  const whole = withMetadata(blob, { preparations: JSON.stringify(preparations) });
  const small = int8 ? quantize(whole, { keep: HEAD }) : null;
  const model = small?.model ?? whole;
  const about = {
    version,
    file,
    int8,
    sizeBytes: model.length,
    sizeBytesBefore: blob.length,
    quantized: small?.quantized.length ?? 0,
    kept: small?.kept ?? [],
  };
  if (!small) {
    writeWhole(file, [model]);
    return { ...about, speed: null, audit: null };
  }
  const sessions: Session[] = [];
  try {
    for (const bytes of [blob, model]) sessions.push(await openSession(bytes));
    signal?.throwIfAborted();
    writeWhole(file, [model]);
    const compared = await compare(reader, record.card as VersionCard, sessions, preparations, report, signal);
    return { ...about, ...compared };
  } finally {
    for (const session of sessions) await session.close();
  }
}

/** Two models on the same items, one item at a time: a row of an int8 model depends on the rows beside it. */
async function compare(
  reader: ProjectReader,
  { classes: known, task }: VersionCard,
  sessions: readonly Session[],
  preparations: readonly Preparation[],
  report: Report,
  signal?: AbortSignal,
): Promise<Comparison> {
  const { of, items } = measuredItems(reader);
  const names = widened(known, reader.schema.current().classes);
  const tokenizerFile = sessions[0].model.metadata[TOKENIZER_KEY];
  const tokenizer = tokenizerFile === undefined ? null : openTokenizer(tokenizerFile);
  const inputs = sessions[0].model.inputs.map(({ name }) => name);
  const labels: number[][] = [];
  const given: number[][][] = sessions.map(() => []);
  const times = sessions.map(() => 0);
  for (const [at, { parts, classes }] of items.entries()) {
    signal?.throwIfAborted();
    report('measuring', at, items.length);
    const { rows } = await prepareItem(parts(), preparations, tokenizer);
    // What cannot be read any more is not measured.
    if (rows.length === 0) continue;
    const feeds = feedsOf(rows, preparations, inputs);
    if (labels.length < TIMED) (await race(sessions, feeds)).forEach((time, k) => (times[k] += time));
    for (const [k, session] of sessions.entries()) given[k].push(await meanRow(session, feeds));
    labels.push(classes.map((name) => names.indexOf(name)));
    await setImmediate();
  }
  const n = labels.length;
  if (n === 0) return { speed: null, audit: null };
  const [before, after] = given.map((rows) => matrix(n, known.length, Float32Array.from(rows.flat())));
  const accuracyOf = (m: Matrix) => (of === 'audit' ? intervalOf(evaluate(m, labels, task).accuracy, n) : null);
  const [then, now] = [before, after].map((m) => suggestions(m, labels, task).classes.map(String));
  return {
    speed: times[0] / times[1],
    audit: {
      of,
      n,
      before: accuracyOf(before),
      after: accuracyOf(after),
      changed: then.filter((suggestion, i) => suggestion !== now[i]).length,
      largestDifference: before.data.reduce((most, p, i) => Math.max(most, Math.abs(p - after.data[i])), 0),
    },
  };
}

/** The labelled items of the audit set, a sample where there are many; without any a sample of the open items. */
function measuredItems(reader: ProjectReader) {
  const rows = reader.items.poolRows();
  const sampleOf = (role: number, state: number) => {
    const found = rowsWhere({ rows }, (i) => rows.role[i] === role && rows.state[i] === state);
    const rng = createRng(reader.facts.seed).derive('measured');
    return found.length <= MEASURED ? found : rng.sample(found.length, MEASURED).map((i) => found[i]);
  };
  const audit = sampleOf(AUDIT, LABELLED);
  const of = audit.length > 0 ? ('audit' as const) : ('pool' as const);
  const chosen = audit.length > 0 ? audit : sampleOf(POOL, OPEN);
  return {
    of,
    items: chosen.map((i) => ({ parts: () => reader.items.partsOf([rows.seq[i]])[0], classes: rows.classes[i] ?? [] })),
  };
}

/** Milliseconds of the fastest run of each, taken in turns. */
async function race(sessions: readonly Session[], feeds: Feeds): Promise<number[]> {
  const best = sessions.map(() => Infinity);
  const begun = performance.now();
  for (let i = 0; i < LEAST_TIMES || performance.now() - begun < TIMED_MS; i++) {
    for (const [k, session] of sessions.entries()) {
      const start = performance.now();
      await session.run(feeds, OUTPUT);
      best[k] = Math.min(best[k], performance.now() - start);
    }
  }
  return best;
}

/** An item's probabilities: the mean over its images or windows of text. */
async function meanRow(session: Session, feeds: Feeds): Promise<number[]> {
  const { probabilities } = await session.run(feeds, OUTPUT);
  const [rows, columns] = probabilities.dims;
  const data = probabilities.data as Float32Array;
  return Array.from({ length: columns }, (_, j) => {
    let sum = 0;
    for (let i = 0; i < rows; i++) sum += data[i * columns + j];
    return sum / rows;
  });
}
