/**
 * The door of ingest: files become item candidates. The originals are only ever read.
 */
export { readSources } from './read.ts';
export type { IngestBatch, IngestOptions } from './read.ts';
export { openPixels } from './pixels.ts';
