/**
 * Training set → model version, in one call: freezes the snapshot, fits and calibrates the
 * head, measures it, joins it to the encoder. Same snapshot, same embeddings, same bytes.
 * Reads and writes no files: the caller keeps snapshot, model and card.
 */
import { EngineError, assert } from '../domain/errors.ts';
import type { ItemId } from '../domain/item.ts';
import { takeRows, type Matrix } from '../domain/matrix.ts';
import type { LabelSchema } from '../domain/schema.ts';
import { evaluate, suggestions, type Metrics } from './evaluation.ts';
import { fitHead, predictPool, STRENGTHS, type Head, type HeadFit } from './head.ts';
import { composeModelVersion, sha256, type VersionCard } from './model-version.ts';
import type { PoolPrior } from './prior.ts';
import { freezeSnapshot, snapshotHash, type Snapshot } from './snapshot.ts';

/** A labelled item as training and the audit want it. */
export interface LabelledItem {
  id: ItemId;
  /** Class names. */
  classes: readonly string[];
  /** Whatever must stay on one side of a split with it: group or near-duplicate component; null = only itself. */
  group: string | null;
}

export interface TrainInput {
  items: readonly LabelledItem[];
  /** Row i is item i's embedding. */
  embedding: Matrix;
  /** Audit items: measured on, never trained on. */
  audit?: { items: readonly LabelledItem[]; embedding: Matrix };
  schema: LabelSchema;
  /** The encoder's ONNX file. */
  encoder: Uint8Array;
  embeddingOutput?: string;
  /** What the unlabelled pool says (`poolPrior`); worth having while labels are few. */
  prior?: PoolPrior;
  seed: number;
  signal?: AbortSignal;
}

export interface TrainedVersion {
  model: Uint8Array;
  card: VersionCard;
  snapshot: Snapshot;
  fit: HeadFit;
  /** Whether each audit item is right, in the order given: what `decidePromotion` compares. */
  auditCorrect: boolean[];
}

/** Trains one version. Errors: `labels-too-few`, `class-unknown`, `encoder-invalid`; cancelling rejects with the signal's reason. */
export async function trainVersion(input: TrainInput): Promise<TrainedVersion> {
  const { schema, encoder, seed, signal } = input;
  assert(input.embedding.rows === input.items.length, `${input.items.length} embeddings`, input.embedding.rows);
  const encoderHash = sha256(encoder);
  const snapshot = freezeSnapshot({
    schema,
    encoder: encoderHash,
    seed,
    config: { head: 'linear', strengths: STRENGTHS, procedure: 2, prior: input.prior?.sha256 ?? null },
    items: input.items.map(({ id, classes, group }) => ({ id, classes: [...classes], group })),
  });
  const rowOf = new Map(input.items.map(({ id }, i) => [id, i]));
  const labels = classNumbers(snapshot.items, schema);
  const fit = await fitHead({
    embedding: takeRows(
      input.embedding,
      snapshot.items.map(({ id }) => rowOf.get(id)!),
    ),
    labels,
    task: schema.task,
    classCount: schema.classes.length,
    groups: groupNumbers(snapshot.items.map(({ group }) => group)),
    prior: input.prior,
    seed,
    signal,
  });
  const hash = snapshotHash(snapshot);
  const { embeddingOutput } = input;
  const model = composeModelVersion({
    encoder,
    embeddingOutput,
    head: fit.head,
    classes: schema.classes,
    metadata: { snapshot: hash },
  });
  const audit = input.audit && (await measure(fit.head, input.audit, schema, signal));
  const { head, strength, loss, iterations, crossValidation } = fit;
  const card: VersionCard = {
    format: 1,
    task: schema.task,
    schemaVersion: schema.version,
    classes: [...schema.classes],
    encoder: { sha256: encoderHash, dims: input.embedding.columns },
    snapshot: hash,
    seed,
    config: snapshot.config,
    labels: {
      total: labels.length,
      perClass: schema.classes.map((_, j) => labels.filter((own) => own.includes(j)).length),
    },
    head: { strength, temperature: head.temperature, loss, iterations },
    crossValidation: crossValidation && evaluate(crossValidation.probabilities, labels, schema.task),
    audit: audit && audit.metrics.n > 0 ? audit.metrics : null,
    model: sha256(model),
  };
  return { model, card, snapshot, fit, auditCorrect: audit?.correct ?? [] };
}

/** A head's metrics and answers on labelled items, e.g. the live version's on the audit set. */
export async function measure(
  head: Head,
  on: { items: readonly LabelledItem[]; embedding: Matrix },
  schema: LabelSchema,
  signal?: AbortSignal,
): Promise<{ metrics: Metrics; correct: boolean[]; confidence: Float64Array; probabilities: Matrix }> {
  const labels = classNumbers(on.items, schema);
  const probabilities = await predictPool(head, on.embedding, { signal });
  const { correct, confidence } = suggestions(probabilities, labels, schema.task);
  return { metrics: evaluate(probabilities, labels, schema.task), correct, confidence, probabilities };
}

/** Class names → numbers of the schema. Errors: `class-unknown`, naming item and class. */
function classNumbers(items: readonly { id: ItemId; classes: readonly string[] }[], schema: LabelSchema): number[][] {
  const numbers = new Map(schema.classes.map((name, j) => [name, j]));
  return items.map(({ id, classes }) =>
    classes.map((name) => {
      const j = numbers.get(name);
      if (j === undefined) {
        throw new EngineError(
          'class-unknown',
          `The class “${name}” is not in the label schema.`,
          `Choose one of: ${schema.classes.join(', ')}.`,
          { item: id, class: name },
        );
      }
      return j;
    }),
  );
}

/** Keys → 0, 1, 2 …, in order of first appearance; null → −1. */
export function groupNumbers(keys: readonly (string | null)[]): Int32Array {
  const numbers = new Map<string, number>();
  return Int32Array.from(keys, (key) => {
    if (key === null) return -1;
    if (!numbers.has(key)) numbers.set(key, numbers.size);
    return numbers.get(key)!;
  });
}
