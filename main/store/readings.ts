/**
 * Items that were read more than once: the second readings on record, and which labels may
 * still be read again. What counts is what stands: retracted acts are as if never made.
 */
import type { Annotation } from '../domain/annotation.ts';
import type { ItemId } from '../domain/item.ts';
import { annotationOf, IMPORTER, STANDS, type AnnotationRow } from './annotations.ts';
import type { Db } from './connection.ts';

/** A label and one answer that was given without seeing it. */
export interface ReadingPair {
  first: Annotation;
  second: Annotation;
  /** Whether the first is still the label in force. */
  inForce: boolean;
}

export interface Repeatable {
  sequence: number;
  item: ItemId;
  cluster: number;
  annotator: string;
}

export interface ReadingReader {
  /** Second readings that stand, oldest first. */
  pairs(): ReadingPair[];
  /** A label that is in force and that `annotator` has not read a second time, by its sequence number; else null. */
  repeatable(sequence: number, annotator: string): Repeatable | null;
  /** The act that labelled an item, or null where it is not labelled. */
  labelOf(item: ItemId): number | null;
  /** The annotator's label before which they made `count` more; null where there are not so many. */
  labelBefore(annotator: string, count: number): number | null;
  /** People and how many labels of theirs stand. */
  annotators(): { annotator: string; labels: number }[];
  /** When an annotator's labels were made and how long each took, the latest `limit` in order. */
  timed(annotator: string, limit: number): { at: number; durationMs: number }[];
  /** Whether people labelled an item on purpose more than once: whoever looked at the label confirmed or changed it. */
  isReconsidered(item: ItemId): boolean;
}

/** Reads on any connection. */
export function createReadingReader(db: Db): ReadingReader {
  const seconds = db.prepare<[], AnnotationRow>(
    `SELECT a.* FROM annotations a WHERE a.repeats IS NOT NULL AND ${STANDS} ORDER BY +a.sequence`, // + keeps to the index of the few
  );
  const first = db.prepare<[number], AnnotationRow & { decided_by: number | null }>(
    `SELECT a.*, s.decided_by FROM annotations a JOIN items i ON i.id = a.item LEFT JOIN item_state s ON s.item = i.seq
     WHERE a.sequence = ? AND ${STANDS}`,
  );
  const repeatable = db.prepare<[{ sequence: number; annotator: string }], Repeatable>(
    `SELECT l.sequence, l.item, i.cluster, l.annotator FROM annotations l
     JOIN items i ON i.id = l.item JOIN item_state s ON s.item = i.seq
     WHERE l.sequence = @sequence AND s.state = 'labelled' AND s.decided_by = l.sequence
       AND NOT EXISTS (SELECT 1 FROM annotations a WHERE a.repeats = l.sequence AND a.annotator = @annotator AND ${STANDS})`,
  );
  const labelOf = db
    .prepare<[string], number>(
      `SELECT s.decided_by FROM items i JOIN item_state s ON s.item = i.seq WHERE i.id = ? AND s.state = 'labelled'`,
    )
    .pluck();
  const before = db
    .prepare<[string, number], number>(
      `SELECT sequence FROM annotations WHERE annotator = ? AND act = 'label' AND act <> 'retract' ORDER BY sequence DESC LIMIT 1 OFFSET ?`,
    )
    .pluck();
  const annotators = db.prepare<[string], { annotator: string; labels: number }>(
    // From name to name along the index: a million imported labels are passed over.
    `WITH RECURSIVE names (name) AS (
       SELECT min(annotator) FROM annotations WHERE act <> 'retract'
       UNION ALL
       SELECT (SELECT min(annotator) FROM annotations WHERE act <> 'retract' AND annotator > name) FROM names WHERE name IS NOT NULL)
     SELECT name AS annotator,
       (SELECT count(*) FROM annotations a WHERE annotator = name AND act = 'label' AND act <> 'retract' AND ${STANDS}) AS labels
     FROM names WHERE name <> ? AND labels > 0 ORDER BY labels DESC, name`,
  );
  const timed = db.prepare<[string, number], { at: number; durationMs: number }>(
    `SELECT at, duration_ms AS durationMs FROM annotations a
     WHERE annotator = ? AND act = 'label' AND act <> 'retract' AND ${STANDS} ORDER BY sequence DESC LIMIT ?`,
  );
  const reconsidered = db
    .prepare<[string, string], number>(
      `SELECT count(*) FROM annotations a WHERE item = ? AND annotator <> ? AND act = 'label' AND repeats IS NULL AND ${STANDS}`,
    )
    .pluck();
  return {
    pairs: () =>
      seconds.all().flatMap((row): ReadingPair[] => {
        const label = row.repeats === null ? undefined : first.get(row.repeats);
        if (!label) return [];
        return [
          { first: annotationOf(label), second: annotationOf(row), inForce: label.decided_by === label.sequence },
        ];
      }),
    repeatable: (sequence, annotator) => repeatable.get({ sequence, annotator }) ?? null,
    labelOf: (item) => labelOf.get(item) ?? null,
    labelBefore: (annotator, count) => before.get(annotator, count) ?? null,
    annotators: () => annotators.all(IMPORTER),
    timed: (annotator, limit) => timed.all(annotator, limit).reverse(),
    isReconsidered: (item) => (reconsidered.get(item, IMPORTER) ?? 0) > 1,
  };
}
