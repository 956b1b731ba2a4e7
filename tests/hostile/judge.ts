/**
 * What becomes of a file that may be hostile: the code it is refused with, or 'accepted'.
 * Anything that is thrown and is no `EngineError` is a finding and keeps its words.
 */
import { EngineError } from '../../main/domain/errors.ts';

export interface Verdict {
  /** A code of the closed list, 'accepted', or 'untyped'. */
  code: string;
  message: string;
  hint: string;
}

export async function judge(work: () => unknown): Promise<Verdict> {
  try {
    await work();
    return { code: 'accepted', message: '', hint: '' };
  } catch (error) {
    if (error instanceof EngineError) return { code: error.code, message: error.message, hint: error.hint };
    return {
      code: 'untyped',
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
      hint: '',
    };
  }
}
