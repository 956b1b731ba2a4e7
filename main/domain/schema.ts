/**
 * The label schema: the question that is asked of every item, as a versioned set of
 * classes. An annotation names the schema version it answered.
 */
import { EngineError } from './errors.ts';

/** `classify`: exactly one class per item. `classify-many`: any number, also none. */
export type Task = 'classify' | 'classify-many';

export interface LabelSchema {
  version: number;
  task: Task;
  /** Names, in the order of their number keys; each non-empty and different. */
  classes: string[];
}

/** Trims names and refuses what cannot be asked. Errors: `schema-invalid`. */
export function checkSchema(task: Task, classes: readonly string[]): { task: Task; classes: string[] } {
  const names = classes.map((name) => name.trim().normalize('NFC'));
  if (names.some((name) => name === '')) {
    throw new EngineError('schema-invalid', 'A class has no name.', 'Give every class a name.', { classes: names });
  }
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new EngineError(
      'schema-invalid',
      `The class “${twice}” is named twice.`,
      'Give every class a name of its own.',
      {
        classes: names,
      },
    );
  }
  const least = task === 'classify' ? 2 : 1;
  if (names.length < least) {
    throw new EngineError(
      'schema-invalid',
      `There ${names.length === 1 ? 'is only one class' : 'are no classes'}: there is nothing to decide.`,
      `Name at least ${least === 2 ? 'two classes' : 'one class'}, for example --classes benign,malignant.`,
      { classes: names },
    );
  }
  return { task, classes: names };
}
