/**
 * What an annotation must be before it is recorded: it answers the question the schema
 * asks, says who and how long, and is spelled one way only, so that its hash is the hash of
 * what is stored. What is refused says why and what to do.
 */
import { ACTS, type Act, type Annotation, type AnnotationDraft, type Suggestion } from '../domain/annotation.ts';
import { EngineError } from '../domain/errors.ts';
import type { LabelSchema } from '../domain/schema.ts';

/** A draft as it will be hashed, but for its place in the chain. */
export type CheckedDraft = Omit<Annotation, 'sequence' | 'at' | 'schemaVersion' | 'previousHash' | 'hash'>;

/** Something about an annotation that its maker can change. */
export const invalid = (message: string, hint: string, context: Record<string, string | number | null> = {}) =>
  new EngineError('annotation-invalid', message, hint, context);

/** What an annotator may answer when an item is read a second time. */
const SECOND_READINGS: ReadonlySet<Act> = new Set(['label', 'skip', 'flag', 'exclude']);

/** Refuses a draft that does not answer the schema's question. Classes come back in schema order, text well-formed. */
export function checkDraft(draft: AnnotationDraft, schema: LabelSchema): CheckedDraft {
  if (!ACTS.includes(draft.act))
    throw invalid(`“${draft.act}” is not something an annotator can do.`, `Use one of ${ACTS.join(', ')}.`, {
      item: draft.item,
    });
  const annotator = draft.annotator.trim().normalize('NFC').toWellFormed();
  if (annotator === '')
    throw invalid('The annotation does not say who made it.', 'Name the annotator.', { item: draft.item });
  if (!Number.isFinite(draft.durationMs) || draft.durationMs < 0) {
    throw invalid(`The time spent is ${draft.durationMs} ms.`, 'Give a duration of 0 ms or more.', {
      item: draft.item,
    });
  }
  const text = draft.text === undefined ? null : draft.text.toWellFormed();
  if (draft.act === 'comment' && (text === null || text.trim() === '')) {
    throw invalid('The comment is empty.', 'Write something, or leave the comment out.', { item: draft.item });
  }
  if ((draft.act === 'retract') !== (draft.retracts !== undefined)) {
    throw invalid(
      'Only a retraction names the annotation it takes back, and it must.',
      'Use undo to take an annotation back.',
      { item: draft.item },
    );
  }
  if (draft.act !== 'label' && draft.classes !== undefined)
    throw invalid(`A ${draft.act} carries no classes.`, 'Leave the classes out, or label the item.', {
      item: draft.item,
    });
  const repeats = draft.repeats ?? null;
  if (repeats !== null && !SECOND_READINGS.has(draft.act))
    throw invalid(`A ${draft.act} is not a second reading.`, 'Leave out what it repeats.', { item: draft.item });
  return {
    item: draft.item,
    act: draft.act,
    classes: draft.act === 'label' ? checkClasses(draft.classes ?? [], schema, draft.item) : null,
    text,
    retracts: draft.retracts ?? null,
    repeats,
    annotator,
    durationMs: draft.durationMs + 0,
    suggestion: draft.suggestion ? checkSuggestion(draft.suggestion) : null,
    suggestionVisible: draft.suggestionVisible ?? false,
  };
}

/** The classes of a label, in schema order, as the schema spells them. Errors: `class-unknown`, `annotation-invalid`. */
export function checkClasses(classes: readonly string[], schema: LabelSchema, item: string): string[] {
  const names = new Set(classes.map((name) => name.trim().normalize('NFC')));
  const known = schema.classes.filter((name) => names.delete(name));
  if (names.size > 0) {
    const unknown = [...names];
    throw new EngineError(
      'class-unknown',
      `“${unknown[0]}” is not one of the classes.`,
      `Use one of ${schema.classes.join(', ')}, or add the class first.`,
      { item, classes: unknown },
    );
  }
  if (schema.task === 'classify' && known.length !== 1) {
    throw invalid(
      `The label names ${known.length === 0 ? 'no class' : `${known.length} classes`}; this project asks for exactly one.`,
      'Choose one class.',
      { item },
    );
  }
  return known;
}

function checkSuggestion(s: Suggestion): Suggestion {
  if (!Number.isSafeInteger(s.modelVersion) || !(s.probability >= 0 && s.probability <= 1)) {
    throw invalid('The suggestion is not one a model could have made.', 'Send the suggestion as the queue gave it.', {
      modelVersion: s.modelVersion,
      probability: s.probability,
    });
  }
  return {
    modelVersion: s.modelVersion,
    classes: s.classes.map((name) => name.toWellFormed()),
    probability: s.probability + 0,
  };
}
