/**
 * What every command is made of: its shape, its options read and checked, a project opened
 * for the length of one command, and a job's outcome.
 */
import { resolve } from 'node:path';
import type { EncoderImportData, JobData } from '../main/api.ts';
import type { SafekeepingData } from '../main/api-safekeeping.ts';
import { EngineError } from '../main/domain/errors.ts';

export interface CommandContext {
  positionals: string[];
  values: Record<string, string | boolean | undefined>;
  progress(stage: string, done: number | null, total: number | null): void;
}

export interface CommandResult {
  json: unknown;
  text: string;
  exitCode?: number;
}

export interface Command {
  does: string;
  /** `X?` may be left out, `X…` is one or more, `X*` any number. */
  positionals: string[];
  /** Option → what it takes, or 'flag'. */
  options?: Record<string, string>;
  run(context: CommandContext): Promise<CommandResult | undefined>;
}

type Project = import('../main/project.ts').Project;

/** Opens a project for one command; native modules are loaded only now, so that `help` is instant. */
export async function withProject<T>(
  dir: string,
  context: CommandContext,
  use: (project: Project) => Promise<T>,
): Promise<T> {
  const { Project } = await import('../main/project.ts');
  const project = await Project.open(resolve(dir), { resume: false });
  const unsubscribe = project.onChange((kind) => {
    if (kind !== 'jobs') return;
    const job = project.jobs.active().find((active) => active.state === 'running');
    if (job?.stage) context.progress(job.stage, job.done, job.total);
  });
  try {
    warnOf(project.safekeeping.state().place);
    return await use(project);
  } finally {
    unsubscribe();
    await project.close();
  }
}

/** Says on stderr what speaks against the place that a project lies in. */
function warnOf({ kind, by, certain }: SafekeepingData['place']): void {
  if (kind === 'local') return;
  const what = kind === 'network' ? `lie on another computer (${by})` : `be copied elsewhere by ${by}`;
  const how = certain ? 'is known to' : 'seems to';
  console.error(
    `Warning: this project’s folder ${how} ${what}. Labels can get lost there: move it to a disk of this computer.`,
  );
}

/** The result of a job that has to succeed. */
export function outcome(job: JobData): Record<string, unknown> {
  if (job.state === 'failed' && job.error) throw EngineError.from(job.error);
  if (job.state === 'cancelled')
    throw new EngineError('cancelled', 'The work was cancelled.', 'Start it again when you like: nothing is lost.');
  return job.result ?? {};
}

export function text(context: CommandContext, option: string): string | undefined {
  const value = context.values[option];
  return typeof value === 'string' ? value : undefined;
}

export function list(context: CommandContext, option: string): string[] | undefined {
  return text(context, option)
    ?.split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

export function number(
  context: CommandContext,
  option: string,
  fallback: number,
  check: (n: number) => boolean = (n) => n >= 0,
): number {
  const value = text(context, option);
  if (value === undefined) return fallback;
  const parsed = Number(value);
  if (!Number.isFinite(parsed) || !check(parsed)) {
    throw new EngineError(
      'usage',
      `--${option} ${value} is not a number this option takes.`,
      `Give --${option} a sensible number, for example ${fallback}.`,
    );
  }
  return parsed;
}

export function choice<T extends string>(
  context: CommandContext,
  option: string,
  allowed: readonly T[],
  fallback: T,
): T {
  const value = text(context, option) ?? fallback;
  if (!allowed.includes(value as T)) {
    throw new EngineError('usage', `--${option} ${value} is not known.`, `Choose one of: ${allowed.join(', ')}.`);
  }
  return value as T;
}

export function encoderOptions(context: CommandContext, model: string): EncoderImportData {
  const numbers = (option: string) => list(context, option)?.map(Number);
  const optional = (option: string) =>
    text(context, option) === undefined ? undefined : number(context, option, 0, (n) => n >= 1);
  const tokenizer = text(context, 'tokenizer');
  return {
    model,
    kind: choice(context, 'kind', ['image', 'text'], tokenizer === undefined ? 'image' : 'text'),
    tokenizer: tokenizer && resolve(tokenizer),
    maxTokens: optional('max-tokens'),
    side: optional('side'),
    mean: numbers('mean'),
    std: numbers('std'),
    output: text(context, 'output'),
  };
}

export const isShare = (n: number) => n > 0 && n < 1;
export const percent = (x: number | null) => (x === null ? '–' : `${(100 * x).toFixed(1)} %`);
