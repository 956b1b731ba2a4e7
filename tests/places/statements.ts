/** The statements of the migrations one by one, so that a test can interrupt them between any two. */
import { MIGRATIONS } from '../../main/store/migrations.ts';

export interface Statement {
  /** The format that its step leads to. */
  step: number;
  text: string;
}

/** All statements that lead from a format to the newest. Every one ends with a semicolon at the end of a line. */
export function statementsOf(from: number): Statement[] {
  return MIGRATIONS.flatMap((script, i) =>
    i < from ? [] : script.split(/(?<=;)[ \t]*\n/).flatMap((text) => (text.trim() ? [{ step: i + 1, text }] : [])),
  );
}

/** The steps with one more statement after the first `n` of `statements`, in the step that the `n`-th belongs to. */
export function stepsWith(extra: string, statements: readonly Statement[], n: number): string[] {
  const inStep = statements[n - 1].step;
  const steps = [...MIGRATIONS];
  steps[inStep - 1] = statements
    .flatMap(({ step, text }, i) => (step !== inStep ? [] : i === n - 1 ? [text, extra] : [text]))
    .join('\n');
  return steps;
}
