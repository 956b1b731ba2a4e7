/**
 * The store: the only SQL. `createProject` and `openProject` give the one writer,
 * `openReader` gives other processes a view that cannot write; both are made of parts by
 * subject (items, annotations, queue, versions, jobs, schema, settings, blobs). What an
 * annotator did is on disk before the call returns. Each sentence on what a part promises
 * stands at its interface.
 */
export { translated } from './connection.ts';
export {
  createProject,
  openProject,
  openReader,
  type NewProject,
  type ProjectReader,
  type ProjectStore,
} from './project.ts';
export { backupProject, restoreBackup, type BackupResult } from './backup.ts';
export { discard, openBlobs, syncFolder, type Blobs } from './blobs.ts';
export { openCache, type Cache, type CacheKey } from './cache.ts';
export { PROGRAM, type AuditEntry, type AuditHead, type AuditReader, type By, type Deed } from './audit.ts';
export { IMPORTER, type AnnotationReader, type AnnotationWriter } from './annotations.ts';
export type { Counts, RoleCounts } from './counters.ts';
export type { ImportBatch, ImportCounts, ImportResult } from './imports.ts';
export { ITEM_STATES, ROLES, type ItemReader, type ItemRecord, type PoolRows } from './items.ts';
export { JOB_STATES, type JobProgress, type JobReader, type JobRecord, type JobState, type JobWriter } from './jobs.ts';
export type { LockHolder } from './lock.ts';
export { HEAD_DIFFERS } from './head.ts';
export { requireRoom, RESERVE_BYTES } from './room.ts';
export { whereabouts } from './whereabouts.ts';
export type { QueueDraft, QueueEntry, QueueReader, QueueWriter } from './queue.ts';
export type { ReadingPair, ReadingReader, Repeatable } from './readings.ts';
export type { AttributeReader } from './attributes.ts';
export type { AuditDraw, ClaimRecord, ReportReader, ReportRecord, ReportWriter } from './reports.ts';
export type { ProjectFacts, SchemaReader, SchemaWriter, SettingsReader, SettingsWriter } from './schemas.ts';
export type { TrayFinding, TrayReader, TrayRecord, TrayWriter } from './tray.ts';
export type { Verification, VerificationCode, VerificationProblem } from './verify.ts';
export type {
  EncoderRecord,
  PromotionRecord,
  RunRecord,
  VersionDraft,
  VersionReader,
  VersionRecord,
  VersionWriter,
} from './versions.ts';
