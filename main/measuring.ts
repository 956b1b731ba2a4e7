/**
 * What versions are worth on the items there are: their heads on cached embeddings, their
 * accuracy on today's audit set, the pool's probabilities, and the guarantee that follows.
 * Heads and the pool's probabilities are kept until the version or the pool changes.
 */
import type { GuaranteeData, IntervalData } from './api.ts';
import { SETTLED, type Evidence } from './compute-api.ts';
import { takeRows, type Matrix } from './domain/matrix.ts';
import type { LabelSchema } from './domain/schema.ts';
import { AUDIT, LABELLED, labelledItems, OPEN, POOL, rowsIn, type EmbeddedItems } from './embedded-items.ts';
import { findGuarantee } from './evidence/index.ts';
import type { ProjectReader, VersionRecord } from './store/index.ts';
import {
  measure,
  predictPool,
  readHead,
  suggestions,
  type Head,
  type LabelledItem,
  type VersionCard,
} from './training/index.ts';

export interface Level {
  alpha: number;
  delta: number;
}

export interface PoolProbabilities {
  version: number;
  /** Calibrated, a row for each item. */
  probabilities: Matrix;
}

/** Embeddings of items by `seq` under an encoder; null where there are none to be had. */
export type Vectors = (encoder: string, seqs: readonly number[]) => Promise<Matrix | null>;

export class Measuring {
  readonly #reader: ProjectReader;
  readonly #vectors: Vectors;
  /** By version. */
  readonly #heads = new Map<number, Head>();
  #predicted: (PoolProbabilities & { rows: number; embedded: number; encoder: string }) | null = null;

  constructor(reader: ProjectReader, vectors: Vectors) {
    this.#reader = reader;
    this.#vectors = vectors;
  }

  #head(version: VersionRecord): Head {
    let head = this.#heads.get(version.version);
    if (!head) {
      head = readHead(this.#reader.blobs.read(version.blob)).head;
      this.#heads.set(version.version, head);
    }
    return head;
  }

  /** A version on labelled audit items; null where they cannot be embedded under its encoder. */
  async onAudit(version: VersionRecord, items: EmbeddedItems, auditing: readonly number[]) {
    const { rows, space, schema } = items;
    const isNear = space.encoder === (version.card as VersionCard).encoder.sha256;
    const cached = isNear ? takeRows(space.embedding, auditing) : null;
    const labelled = labelledItems(items, auditing);
    return this.ofItems(version, { items: labelled, seqs: auditing.map((i) => rows.seq[i]) }, schema, cached);
  }

  /** A version on labelled items, of which the embeddings under its encoder may be at hand; null where they cannot be had. */
  async ofItems(
    version: VersionRecord,
    { items, seqs }: { items: readonly LabelledItem[]; seqs: readonly number[] },
    schema: LabelSchema,
    atHand: Matrix | null = null,
  ) {
    const card = version.card as VersionCard;
    const embedding = atHand ?? (await this.#vectors(card.encoder.sha256, seqs));
    if (!embedding) return null;
    const classes = widened(card.classes, schema.classes);
    return measure(this.#head(version), { items, embedding }, { ...schema, classes });
  }

  /** Calibrated probabilities of every item under the live version; null where there is none, or none for this encoder. */
  async probabilities({ rows, space }: EmbeddedItems, signal?: AbortSignal): Promise<PoolProbabilities | null> {
    const live = this.#reader.versions.live();
    if (!live) return null;
    const key = { version: live.version, rows: rows.count, embedded: space.embedded, encoder: space.encoder };
    const known = this.#predicted;
    const isKnown =
      known?.version === key.version &&
      known.rows === key.rows &&
      known.embedded === key.embedded &&
      known.encoder === key.encoder;
    if (isKnown) return known;
    if ((live.card as VersionCard).encoder.sha256 !== space.encoder) return null;
    const probabilities = await predictPool(this.#head(live), space.embedding, { signal });
    this.#predicted = { ...key, probabilities };
    return this.#predicted;
  }

  /** The largest set of open pool items that is right often enough; null where no version can be measured. */
  async guarantee(
    items: EmbeddedItems,
    { probabilities }: PoolProbabilities,
    { alpha, delta }: Level,
  ): Promise<GuaranteeData | null> {
    const live = this.#reader.versions.live();
    const measured = live && (await this.onAudit(live, items, rowsIn(items, AUDIT, LABELLED)));
    if (!measured) return null;
    const confidence = confidences(probabilities, items);
    return findGuarantee({
      auditConfidence: measured.confidence,
      auditCorrect: measured.correct,
      poolConfidence: rowsIn(items, POOL, OPEN).map((i) => confidence[i]),
      alpha,
      delta,
    });
  }

  /** Open pool rows that the default guarantee covers; null where it says nothing. */
  async settledRows(items: EmbeddedItems, current: PoolProbabilities): Promise<Set<number> | null> {
    const guarantee = await this.guarantee(items, current, SETTLED);
    if (guarantee?.threshold == null) return null;
    const { threshold } = guarantee;
    const confidence = confidences(current.probabilities, items);
    return new Set(rowsIn(items, POOL, OPEN).filter((i) => confidence[i] >= threshold));
  }

  /** Every version on today's audit set, and the guarantee of the live one. */
  async evidence(items: EmbeddedItems, level: Level): Promise<Evidence> {
    const auditing = rowsIn(items, AUDIT, LABELLED);
    const versions: Evidence['versions'] = [];
    for (const version of this.#reader.versions.list()) {
      const measured = await this.onAudit(version, items, auditing);
      if (!measured) continue;
      versions.push({ version: version.version, auditNow: intervalOf(measured.metrics.accuracy, auditing.length) });
    }
    const current = await this.probabilities(items);
    return { versions, guarantee: current && (await this.guarantee(items, current, level)) };
  }
}

export function intervalOf(
  accuracy: { value: number; low: number; high: number } | undefined,
  n: number,
): IntervalData {
  if (!accuracy || n === 0) return { n: 0, accuracy: null, low: 0, high: 1 };
  return { n, accuracy: accuracy.value, low: accuracy.low, high: accuracy.high };
}

/** How sure each suggestion is. */
function confidences(probabilities: Matrix, { schema }: EmbeddedItems): Float64Array {
  const unlabelled = Array.from({ length: probabilities.rows }, (): number[] => []);
  return suggestions(probabilities, unlabelled, schema.task).confidence;
}

/** A version knows the classes of its day; labels of classes added since are simply wrong under it. */
export function widened(own: readonly string[], now: readonly string[]): string[] {
  return [...own, ...now.filter((name) => !own.includes(name))];
}
