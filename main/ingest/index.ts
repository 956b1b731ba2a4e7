/**
 * The door of ingest: files become item candidates. The originals are only ever read; the
 * order is always the same; what is wrong with one file or row is a listed problem, never
 * a stop. Near duplicates are told by fingerprints, which every candidate carries.
 */

/** Everything in the sources as batches of candidates and problems, resumable from a batch's cursor. */
export { readSources } from './read.ts';
export type { IngestBatch, IngestOptions } from './read.ts';

/** Which column of a table is what. */
export type { Mapping, Role } from './columns.ts';

/** The columns, guesses and first ten items, quickly. */
export { preview } from './preview.ts';
export type { Preview, PreviewColumn } from './preview.ts';

/** An image file as a sharp pipeline, upright, bitmaps included: the one way to pixels. */

/** Perceptual code of 32 × 32 grey pixels. */
export { FINGERPRINT_SIDE, fingerprintImage } from './fingerprint-image.ts';

/** MinHash of a text's shingles. */
export { fingerprintText } from './fingerprint-text.ts';

/** The exact answer for a pair that shares a band. */
export { isNearDuplicate } from './near-duplicates.ts';

/** The extensions that folders are searched for, each with its dot. */
export { EXTENSIONS } from './sources.ts';
