/** What a fine-tuning run gave, read from its job: which version, measured against which accuracy, and what happened on the way. */
import type { JobData } from '../../main/api.ts';

interface Measured {
  value: number;
  low: number;
  high: number;
}

export interface Notice {
  code: string;
  [key: string]: unknown;
}

export interface Outcome {
  version: number;
  promoted: boolean;
  /** Both on the same audit items, when the run ended; `live` is null where no version was. */
  decision: { code: string; n: number; candidate: Measured; live: Measured | null };
  notices: Notice[];
}

/** Null unless the run went to its end. */
export function outcomeOf(job: JobData): Outcome | null {
  return job.state === 'done' && job.result !== null ? (job.result as unknown as Outcome) : null;
}
