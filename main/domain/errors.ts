/**
 * Foreseeable trouble, as a closed list of codes that crosses every port intact.
 * A message says what happened without blame, a hint starts with a verb, the context
 * names items and paths. Bugs are not here: they assert. `docs/errors.md` has a line for
 * every code, and a test keeps it so.
 */

export const ERROR_CODES = [
  // project and store
  'project-not-found',
  'project-exists',
  'project-locked',
  'project-newer',
  'place-unsafe',
  'project-damaged',
  'disk-full',
  'io-failed',
  'annotation-invalid',
  'class-unknown',
  'schema-invalid',
  'item-unknown',
  'item-blind',
  'version-unknown',
  'nothing-to-undo',
  'nothing-to-redo',
  // import
  'source-missing',
  'source-empty',
  'source-unreadable',
  'file-empty',
  'file-damaged',
  'file-unsupported',
  'image-too-large',
  'text-encoding-unknown',
  'table-damaged',
  'column-missing',
  'id-duplicate',
  'id-conflict',
  'label-missing',
  'row-empty',
  // learning
  'labels-too-few',
  'oracle-missing',
  'encoder-invalid',
  'encoder-missing',
  'score-not-finite',
  'device-unavailable',
  'device-lost',
  'out-of-memory',
  'training-diverged',
  'tuning-unavailable',
  'audit-too-small',
  'compute-died',
  // front ends
  'usage',
  'job-unknown',
  'cancelled',
  'input-invalid',
  'node-too-old',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export type ErrorContext = Record<string, string | number | boolean | null | string[]>;

export interface ErrorShape {
  code: ErrorCode;
  message: string;
  hint: string;
  context: ErrorContext;
}

/** Foreseeable trouble. `hint` starts with a verb and tells a person what to do. */
export class EngineError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;
  readonly context: ErrorContext;

  constructor(code: ErrorCode, message: string, hint: string, context: ErrorContext = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'EngineError';
    this.code = code;
    this.hint = hint;
    this.context = context;
  }

  toJSON(): ErrorShape {
    return { code: this.code, message: this.message, hint: this.hint, context: this.context };
  }

  static from(shape: ErrorShape): EngineError {
    return new EngineError(shape.code, shape.message, shape.hint, shape.context);
  }
}

/** An error for a log: what happened, up to the first thing that it quotes, and where. Names, texts and paths may be a patient's. */
export function loggable(error: unknown): string {
  if (!(error instanceof Error)) return `A ${typeof error} was thrown.`;
  const [message, rest] = error.message.split(/["'`“‘{[\n]([\s\S]*)/);
  const frames = (error.stack ?? '').split('\n').filter((line) => /^ {4}at .*(:\d+|<anonymous>)\)?$/.test(line));
  return [`${error.name}: ${message.slice(0, 200)}${rest === undefined ? '' : '…'}`, ...frames].join('\n');
}

/** A bug: something the code promised is not so. Says expected and got. */
export function assert(condition: unknown, expected: string, got?: unknown): asserts condition {
  if (!condition) throw new Error(`Expected ${expected}${got === undefined ? '' : `, got ${JSON.stringify(got)}`}`);
}
