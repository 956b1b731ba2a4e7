/**
 * What versions are worth on the items there are: their heads on cached embeddings, their
 * accuracy on today's audit set, and the pool's probabilities. Heads, the pool's probabilities
 * and a claim's items are kept until the version, the pool or the claim changes.
 */
import type { IntervalData } from './api.ts';
import { baseAudit, drawnFromAll } from './audit-sample.ts';
import { claimedIn, claimInForce } from './claimed.ts';
import type { Evidence } from './compute-api.ts';
import { takeRows, type Matrix } from './domain/matrix.ts';
import type { LabelSchema } from './domain/schema.ts';
import { labelledItems, OPEN, POOL, rowsIn, type EmbeddedItems } from './embedded-items.ts';
import type { ProjectReader, VersionRecord } from './store/index.ts';
import { measure, predictPool, readHead, type Head, type LabelledItem, type VersionCard } from './training/index.ts';

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
  #settled: { look: number; seqs: ReadonlySet<number> } | null = null;
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

  /** Open pool rows that the claim in force settles; null where there is none. */
  settledRows(items: EmbeddedItems): Set<number> | null {
    const { reports, blobs } = this.#reader;
    const claim = claimInForce(reports);
    if (!claim) return null;
    if (this.#settled?.look !== claim.look) {
      this.#settled = { look: claim.look, seqs: new Set(claimedIn(blobs, claim.settled).items) };
    }
    const { seqs } = this.#settled;
    return new Set(rowsIn(items, POOL, OPEN).filter((i) => seqs.has(items.rows.seq[i])));
  }

  /** Every version on today's audit set, and how many items of it count for the guarantee. */
  async evidence(items: EmbeddedItems): Promise<Evidence> {
    const draws = this.#reader.reports.auditDraws();
    const auditing = drawnFromAll(items, draws);
    const versions: Evidence['versions'] = [];
    for (const version of this.#reader.versions.list()) {
      const measured = await this.onAudit(version, items, auditing);
      if (!measured) continue;
      versions.push({ version: version.version, auditNow: intervalOf(measured.metrics.accuracy, auditing.length) });
    }
    return { versions, auditSize: baseAudit(items, draws).length };
  }
}

export function intervalOf(
  accuracy: { value: number; low: number; high: number } | undefined,
  n: number,
): IntervalData {
  if (!accuracy || n === 0) return { n: 0, accuracy: null, low: 0, high: 1 };
  return { n, accuracy: accuracy.value, low: accuracy.low, high: accuracy.high };
}

/** A version knows the classes of its day; labels of classes added since are simply wrong under it. */
export function widened(own: readonly string[], now: readonly string[]): string[] {
  return [...own, ...now.filter((name) => !own.includes(name))];
}
