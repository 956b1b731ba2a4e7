/**
 * The part of the contract about a model version as a file of its own: what may be asked,
 * and what is known of the file when the job has ended.
 */
import * as v from 'valibot';

export const VersionExport = v.object({
  version: v.pipe(v.number(), v.integer(), v.minValue(0)),
  /** Path on this machine; a file that is there is replaced. */
  file: v.pipe(v.string(), v.minLength(1), v.maxLength(4096)),
  /** Weights as int8, measured against the version itself. */
  int8: v.optional(v.boolean(), false),
});

export type VersionExportData = v.InferOutput<typeof VersionExport>;

/** An accuracy with its exact (Clopper–Pearson) 95 % interval. */
interface Measured {
  n: number;
  accuracy: number | null;
  low: number;
  high: number;
}

/** Result of the job. The numbers in `speed` and `audit` are null for a file that is the version itself. */
export interface VersionExported {
  version: number;
  file: string;
  int8: boolean;
  sizeBytes: number;
  sizeBytesBefore: number;
  /** Weights that became int8, and those that did not, and why. */
  quantized: number;
  kept: { node: string; why: string }[];
  /** Time of the version over time of the file, on this machine, item by item. */
  speed: number | null;
  audit: {
    /** Labelled items of the audit set; or unlabelled ones of the pool, for which no accuracy is known. */
    of: 'audit' | 'pool';
    n: number;
    before: Measured | null;
    after: Measured | null;
    /** Items whose suggestion is another one. */
    changed: number;
    /** Of any probability. */
    largestDifference: number;
  } | null;
}
