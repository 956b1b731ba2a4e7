/**
 * Annotations: appended, hash-chained, and on disk before `append` returns. Undo appends
 * a retraction of the annotator's latest standing act; redo appends a retraction of that
 * retraction, so that the act stands again with the time and the words it was made with
 * and no decision is counted twice. Both are read off the record, not off a list in
 * memory: they have no limit and go on after a restart. A new act ends what can be redone.
 */
import {
  annotationHash,
  FIRST_HASH,
  resolve,
  type Act,
  type Annotation,
  type AnnotationDraft,
  type Suggestion,
} from '../domain/annotation.ts';
import { EngineError } from '../domain/errors.ts';
import type { ItemId, Role } from '../domain/item.ts';
import type { LabelSchema } from '../domain/schema.ts';
import type { Db } from './connection.ts';
import { fromJson } from './connection.ts';
import type { AuditLog } from './audit.ts';
import type { StateKeeper, Tally } from './counters.ts';
import { checkDraft, invalid } from './drafts.ts';

/** Who labels that came with imported files are by. */
export const IMPORTER = 'import';

export interface AnnotationRow {
  sequence: number;
  item: string;
  act: string;
  classes: string | null;
  text: string | null;
  retracts: number | null;
  repeats: number | null;
  annotator: string;
  at: number;
  duration_ms: number;
  suggestion: string | null;
  suggestion_visible: number;
  schema_version: number;
  previous_hash: string;
  hash: string;
}

/** A stored row as the domain's annotation. */
export function annotationOf(row: AnnotationRow): Annotation {
  return {
    sequence: row.sequence,
    item: row.item as ItemId,
    act: row.act as Act,
    classes: row.classes === null ? null : fromJson<string[]>(row.classes),
    text: row.text,
    retracts: row.retracts,
    repeats: row.repeats,
    annotator: row.annotator,
    at: row.at,
    durationMs: row.duration_ms,
    suggestion: row.suggestion === null ? null : fromJson<Suggestion>(row.suggestion),
    suggestionVisible: row.suggestion_visible === 1,
    schemaVersion: row.schema_version,
    previousHash: row.previous_hash,
    hash: row.hash,
  };
}

/** How a suggestion is written: one spelling for one value, so that every changed byte shows. */
export function suggestionJson(s: Suggestion): string {
  return JSON.stringify({ modelVersion: s.modelVersion, classes: s.classes, probability: s.probability });
}

export interface AnnotationReader {
  /** One act by its sequence number, or null. */
  get(sequence: number): Annotation | null;
  /** An item's acts, oldest first. */
  ofItem(item: ItemId): Annotation[];
  /** All acts, newest first, those before `before`. */
  latest(options?: { before?: number; limit?: number }): Annotation[];
  /** All acts in order, one at a time: nothing else may be asked of this connection meanwhile. */
  all(): IterableIterator<Annotation>;
  /** The last act's number and hash; 0 and 64 zeros for none. */
  head(): { sequence: number; hash: string };
  /** How many labels and retractions there are after an act; second readings teach nothing. */
  labelsAfter(sequence: number): number;
  /** The act that `undo` would take back, or null. */
  undoable(annotator: string): Annotation | null;
  /** The act that `redo` would let stand again, or null. */
  redoable(annotator: string): Annotation | null;
  /** Labels by people since `at` (ms) and before `until`, and the median of the time they took; null for none. */
  pace(at: number, until?: number): { labels: number; medianMs: number | null };
  /** Acts after a sequence number that the clock puts more than a second before the act before them: it was set back. */
  clockSetBack(after?: number): { sequence: number; at: number; before: number }[];
}

export interface AnnotationWriter extends AnnotationReader {
  /** Records one act; on disk when it returns. Errors: `annotation-invalid`, `class-unknown`, `item-unknown`, `disk-full`, `io-failed`. */
  append(draft: AnnotationDraft): Annotation;
  /** Takes back the annotator's latest standing act; returns the retraction. Errors: `nothing-to-undo`. */
  undo(by: { annotator: string }): Annotation;
  /** Lets the act last undone stand again; returns the retraction of the retraction. Errors: `nothing-to-redo`. */
  redo(by: { annotator: string }): Annotation;
}

const COLUMNS =
  'sequence, item, act, classes, text, retracts, repeats, annotator, at, duration_ms, suggestion, suggestion_visible, schema_version, previous_hash, hash';

/** An act `a` stands unless it is retracted by a retraction that stands; a retraction of a retraction always stands. */
export const STANDS = `NOT EXISTS (SELECT 1 FROM annotations r WHERE r.retracts = a.sequence
  AND NOT EXISTS (SELECT 1 FROM annotations rr WHERE rr.retracts = r.sequence))`;

/** Reads acts from any connection. */
export function createAnnotationReader(db: Db): AnnotationReader {
  const one = db.prepare<[number], AnnotationRow>(`SELECT ${COLUMNS} FROM annotations WHERE sequence = ?`);
  const ofItem = db.prepare<[string], AnnotationRow>(
    `SELECT ${COLUMNS} FROM annotations WHERE item = ? ORDER BY sequence`,
  );
  const latest = db.prepare<[number, number], AnnotationRow>(
    `SELECT ${COLUMNS} FROM annotations WHERE sequence < ? ORDER BY sequence DESC LIMIT ?`,
  );
  const all = db.prepare<[], AnnotationRow>(`SELECT ${COLUMNS} FROM annotations ORDER BY sequence`);
  const head = db.prepare<[], { sequence: number; hash: string }>(
    'SELECT sequence, hash FROM annotations ORDER BY sequence DESC LIMIT 1',
  );
  const labelsAfter = db
    .prepare<[number], number>(
      `SELECT count(*) FROM annotations WHERE sequence > ? AND act IN ('label', 'retract') AND repeats IS NULL`,
    )
    .pluck();
  const undoable = db.prepare<[string], AnnotationRow>(
    `SELECT ${COLUMNS} FROM annotations a WHERE annotator = ? AND act <> 'retract' AND ${STANDS} ORDER BY sequence DESC LIMIT 1`,
  );
  const redoable = db.prepare<[{ annotator: string }], AnnotationRow>(
    `SELECT ${COLUMNS} FROM annotations WHERE sequence = (
       SELECT a.retracts FROM annotations a JOIN annotations t ON t.sequence = a.retracts
       WHERE a.annotator = @annotator AND a.act = 'retract' AND t.act <> 'retract'
         AND a.sequence > (SELECT coalesce(max(sequence), 0) FROM annotations WHERE annotator = @annotator AND act <> 'retract')
         AND NOT EXISTS (SELECT 1 FROM annotations rr WHERE rr.retracts = a.sequence)
       ORDER BY a.sequence DESC LIMIT 1)`,
  );
  const durations = db
    .prepare<[number, number, string], number>(
      `SELECT duration_ms FROM annotations a WHERE at >= ? AND at < ? AND act = 'label' AND annotator <> ? AND ${STANDS} ORDER BY duration_ms`,
    )
    .pluck();
  const setBack = db.prepare<[number], { sequence: number; at: number; before: number }>(
    `SELECT a.sequence, a.at, b.at AS before FROM annotations a JOIN annotations b ON b.sequence = a.sequence - 1
     WHERE a.sequence > ? AND a.at < b.at - 1000 ORDER BY a.sequence`,
  );
  const orNull = (row: AnnotationRow | undefined) => (row ? annotationOf(row) : null);
  return {
    get: (sequence) => orNull(one.get(sequence)),
    ofItem: (item) => ofItem.all(item).map(annotationOf),
    latest: ({ before = Number.MAX_SAFE_INTEGER, limit = 100 } = {}) => latest.all(before, limit).map(annotationOf),
    *all() {
      for (const row of all.iterate()) yield annotationOf(row);
    },
    head: () => head.get() ?? { sequence: 0, hash: FIRST_HASH },
    labelsAfter: (sequence) => labelsAfter.get(sequence) ?? 0,
    undoable: (annotator) => orNull(undoable.get(annotator)),
    redoable: (annotator) => orNull(redoable.get({ annotator })),
    pace(at, until = Number.MAX_SAFE_INTEGER) {
      const values = durations.all(at, until, IMPORTER);
      const middle = (values.length - 1) / 2;
      return {
        labels: values.length,
        medianMs: values.length === 0 ? null : (values[Math.floor(middle)] + values[Math.ceil(middle)]) / 2,
      };
    },
    clockSetBack: (after = 0) => setBack.all(after),
  };
}

export interface Appending {
  writer: AnnotationWriter;
  /** Appends inside the caller's transaction; the item is known to exist. */
  appendWithin(draft: AnnotationDraft, item: { seq: number; role: Role }): Annotation;
}

/** Writes acts; `schema` gives the version in force. */
export function createAnnotationWriter(
  db: Db,
  parts: { clock: () => number; schema: () => LabelSchema; tally: Tally; states: StateKeeper; audit: AuditLog },
): Appending {
  const { clock, schema, tally, states, audit } = parts;
  const reader = createAnnotationReader(db);
  const last = db.prepare<[], { sequence: number; hash: string }>(
    'SELECT sequence, hash FROM annotations ORDER BY sequence DESC LIMIT 1',
  );
  const insert = db.prepare(
    `INSERT INTO annotations (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const itemOf = db.prepare<[string], { seq: number; role: Role }>('SELECT seq, role FROM items WHERE id = ?');
  const actsOf = db.prepare<
    [string],
    Pick<AnnotationRow, 'sequence' | 'classes' | 'retracts' | 'repeats'> & { act: Act }
  >('SELECT sequence, act, classes, retracts, repeats FROM annotations WHERE item = ? ORDER BY sequence');
  const retraction = db.prepare<[number], { sequence: number }>(
    `SELECT sequence FROM annotations a WHERE retracts = ? AND NOT EXISTS (SELECT 1 FROM annotations rr WHERE rr.retracts = a.sequence)`,
  );

  function checkRetraction(sequence: number, item: ItemId): void {
    const target = reader.get(sequence);
    if (!target || target.item !== item)
      throw invalid('The annotation to take back is not one of this item’s.', 'Choose one from the item’s history.', {
        item,
      });
    if (retraction.get(sequence))
      throw invalid(`Annotation ${sequence} is taken back already.`, 'Redo lets it stand again.', {
        item,
        annotation: sequence,
      });
    if (target.retracts !== null && reader.get(target.retracts)?.act === 'retract') {
      throw invalid(`Annotation ${sequence} is itself a redo.`, 'Undo takes the act back that it let stand.', {
        item,
        annotation: sequence,
      });
    }
  }

  function checkRepeat(sequence: number, seq: number, item: ItemId): void {
    const state = states.get(seq);
    if (state?.state === 'labelled' && state.decided_by === sequence) return;
    throw invalid(
      'What would be read a second time is not the label in force.',
      'Label the item without naming what it repeats.',
      { item, annotation: sequence },
    );
  }

  function appendWithin(draft: AnnotationDraft, item: { seq: number; role: Role }): Annotation {
    const before = last.get() ?? { sequence: 0, hash: FIRST_HASH };
    const inForce = schema();
    const unhashed = {
      ...checkDraft(draft, inForce),
      sequence: before.sequence + 1,
      at: Math.floor(clock()),
    };
    if (unhashed.retracts !== null) checkRetraction(unhashed.retracts, unhashed.item);
    if (unhashed.repeats !== null) checkRepeat(unhashed.repeats, item.seq, unhashed.item);
    const body = { ...unhashed, schemaVersion: inForce.version, previousHash: before.hash };
    const a: Annotation = { ...body, hash: annotationHash(body) };
    insert.run(
      a.sequence,
      a.item,
      a.act,
      a.classes && JSON.stringify(a.classes),
      a.text,
      a.retracts,
      a.repeats,
      a.annotator,
      a.at,
      a.durationMs,
      a.suggestion && suggestionJson(a.suggestion),
      a.suggestionVisible ? 1 : 0,
      a.schemaVersion,
      a.previousHash,
      a.hash,
    );
    if (a.act !== 'comment') {
      const acts = actsOf
        .all(a.item)
        .map((row) => ({ ...row, classes: row.classes === null ? null : fromJson<string[]>(row.classes) }));
      states.put(item, resolve(acts));
    }
    tally.add('', 'annotations', 1);
    return a;
  }

  const transaction = db.transaction((draft: AnnotationDraft, call: string) => {
    tally.reset();
    const item = itemOf.get(draft.item);
    if (!item) {
      throw new EngineError(
        'item-unknown',
        `There is no item ${draft.item} in this project.`,
        'Choose an item of this project; `queue` lists the next ones.',
        { item: draft.item },
      );
    }
    const annotation = appendWithin(draft, item);
    tally.flush();
    const { annotator: who, sequence, hash } = annotation;
    audit.append({ who, call, subject: { annotation: sequence, hash } });
    return annotation;
  });

  function append(draft: AnnotationDraft, call = 'annotations.add'): Annotation {
    return transaction.immediate(draft, call);
  }

  const takeBack = (call: string, target: { item: ItemId; sequence: number }, annotator: string) =>
    append({ item: target.item, act: 'retract', retracts: target.sequence, annotator, durationMs: 0 }, call);

  const writer: AnnotationWriter = {
    ...reader,
    append: (draft) => append(draft),
    undo({ annotator }) {
      const target = reader.undoable(annotator);
      if (!target)
        throw new EngineError(
          'nothing-to-undo',
          `There is nothing of ${annotator}’s left to undo.`,
          'Choose an item in the history to change its label.',
          { annotator },
        );
      return takeBack('annotations.undo', target, annotator);
    },
    redo({ annotator }) {
      const target = reader.redoable(annotator);
      const undone = target && retraction.get(target.sequence);
      if (!undone)
        throw new EngineError(
          'nothing-to-redo',
          'There is nothing to redo: a new decision was made since, or nothing was undone.',
          'Label the item again.',
          { annotator },
        );
      return takeBack('annotations.redo', { item: target.item, sequence: undone.sequence }, annotator);
    },
  };
  return { writer, appendWithin };
}
