/**
 * A project's folder: made, opened by the one process that writes, or read by others
 * beside it. Composes the store's parts over one connection. The lock is taken before
 * anything is opened and is given up last.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { EngineError } from '../domain/errors.ts';
import { checkSchema, type Task } from '../domain/schema.ts';
import {
  createAnnotationReader,
  createAnnotationWriter,
  type AnnotationReader,
  type AnnotationWriter,
} from './annotations.ts';
import { createAuditLog, createAuditReader, PROGRAM, type AuditLog, type AuditReader, type By } from './audit.ts';
import { createAttributeReader, type AttributeReader } from './attributes.ts';
import { backupProject, type BackupResult } from './backup.ts';
import { makeFolder, openBlobs, syncFile, syncFolder, type Blobs } from './blobs.ts';
import { assertFull, connectReader, connectWriter, createGuard, enterWal, translated, type Db } from './connection.ts';
import { createCountReader, createStateKeeper, createTally, type Counts } from './counters.ts';
import { HEAD_DIFFERS, isReached, openHead, readHead, type HeadFile } from './head.ts';
import { createImporter, type AddCandidates } from './imports.ts';
import { keepInPlace } from './in-place.ts';
import { createItemReader, type ItemReader } from './items.ts';
import { createJobReader, createJobWriter, type JobReader, type JobWriter } from './jobs.ts';
import { takeLock, type ProjectLock } from './lock.ts';
import { refuseForeign } from './foreign.ts';
import { fileKind, migrate, MIGRATIONS, refuseNewer } from './migrations.ts';
import { createQueueReader, createQueueWriter, type QueueReader, type QueueWriter } from './queue.ts';
import { createReadingReader, type ReadingReader } from './readings.ts';
import { createReportReader, createReportWriter, type ReportReader, type ReportWriter } from './reports.ts';
import {
  createSchemaReader,
  createSchemaWriter,
  createSettingsReader,
  createSettingsWriter,
  readFacts,
  writeFacts,
  type ProjectFacts,
  type SchemaReader,
  type SchemaWriter,
  type SettingsReader,
  type SettingsWriter,
} from './schemas.ts';
import { createTrayReader, createTrayWriter, type TrayReader, type TrayWriter } from './tray.ts';
import { verifyProject, type Verification } from './verify.ts';
import { createVersionReader, createVersionWriter, type VersionReader, type VersionWriter } from './versions.ts';
import { refuseLinked, refuseNetwork, refuseToMakeIn } from './whereabouts.ts';

export interface NewProject {
  name: string;
  task: Task;
  classes: readonly string[];
  /** Expected share of components drawn for the audit set, in [0, 1]; default 0.2. */
  auditShare?: number;
  seed: number;
  clock: () => number;
  /** Who makes it; default the program. */
  who?: string;
}

/** A project as any process may read it, beside the one that writes. It has no way to write. */
export interface ProjectReader {
  readonly dir: string;
  readonly facts: ProjectFacts;
  readonly schema: SchemaReader;
  readonly settings: SettingsReader;
  readonly items: ItemReader;
  readonly annotations: AnnotationReader;
  readonly queue: QueueReader;
  readonly readings: ReadingReader;
  readonly versions: VersionReader;
  readonly reports: ReportReader;
  readonly attributes: AttributeReader;
  readonly tray: TrayReader;
  readonly jobs: JobReader;
  readonly audit: AuditReader;
  readonly blobs: Blobs;
  /** Kept counters; nothing is counted. */
  counts(): Counts;
  /** Checks everything that can be checked; reads all of the project once. */
  verify(): Verification;
  /** Copies the project as it is now, with its blobs, to one file. Errors: `disk-full`, `io-failed`. */
  backup(file: string): BackupResult;
  close(): void;
}

/** A project as its one writer has it. After `io-failed` every call refuses until it is closed and opened again. */
export interface ProjectStore extends Omit<ProjectReader, 'items'> {
  readonly schema: SchemaWriter;
  readonly settings: SettingsWriter;
  readonly items: ItemReader & { addCandidates: AddCandidates };
  readonly annotations: AnnotationWriter;
  readonly queue: QueueWriter;
  readonly versions: VersionWriter;
  readonly reports: ReportWriter;
  readonly tray: TrayWriter;
  readonly jobs: JobWriter;
  /** Does `work`, which changes the project and takes no time, and leaves one entry of the audit trail in the same transaction; neither is there without the other. The entry's subject is what `work` returns, or what `subject` makes of it. */
  recorded<T>(deed: By, work: () => T, subject?: (done: T) => unknown): T;
  /** The copy of the project file made before an older format was brought up, or null. */
  readonly migrationBackup: string | null;
}

const databaseOf = (dir: string) => path.join(dir, 'project.sqlite');

/** Makes a project in `dir` (made where it is missing) and opens it. Errors: `project-exists`, `schema-invalid`, `input-invalid`, `project-locked`, `place-unsafe`, `disk-full`, `io-failed`. */
export function createProject(dir: string, project: NewProject): ProjectStore {
  const schema = checkSchema(
    project.task,
    project.classes.map((name) => name.toWellFormed()),
  );
  const auditShare = project.auditShare ?? 0.2;
  if (!(auditShare >= 0 && auditShare <= 1)) {
    throw new EngineError(
      'input-invalid',
      `The audit share is ${auditShare}.`,
      'Give a share between 0 and 1, for example 0.2.',
      { auditShare },
    );
  }
  refuseToMakeIn(dir);
  translated({ file: dir }, () => [dir, path.join(dir, 'blobs')].forEach(makeFolder));
  const createdAt = Math.floor(project.clock());
  const id = createHash('sha256')
    .update(JSON.stringify([project.name, project.seed, createdAt, schema.classes, process.pid]))
    .digest('hex')
    .slice(0, 16);
  const facts: ProjectFacts = { id, name: project.name.toWellFormed(), seed: project.seed, auditShare, createdAt };
  return openLocked(dir, project.clock, (db) => {
    if (fileKind(db) !== 'empty') {
      throw new EngineError(
        'project-exists',
        `There is a project in ${dir} already.`,
        'Choose another folder, or open the project that is there.',
        { dir },
      );
    }
    return (fresh) => {
      writeFacts(fresh, facts, schema);
      const subject = { id, format: MIGRATIONS.length, task: schema.task, classes: schema.classes };
      createAuditLog(fresh, project.clock).append({ who: project.who ?? PROGRAM, call: 'desk.create', subject });
    };
  });
}

/** Opens a project for writing. Errors: `project-not-found`, `project-locked`, `place-unsafe`, `project-newer`, `project-damaged`, `io-failed`. */
export function openProject(dir: string, options: { clock: () => number }): ProjectStore {
  requireFile(dir);
  refuseNetwork(dir);
  refuseLinked(databaseOf(dir));
  return openLocked(dir, options.clock, (db) => {
    const kind = fileKind(db);
    if (kind !== 'project') throw notFound(dir, kind === 'empty');
    return undefined;
  });
}

/** Opens a project for reading, whether or not another process has it open. Errors: `project-not-found`, `project-newer`, `project-damaged`, `io-failed`. */
export function openReader(dir: string): ProjectReader {
  requireFile(dir);
  const file = databaseOf(dir);
  const db = connectReader(file);
  try {
    return translated({ file }, () => {
      if (fileKind(db) !== 'project') throw notFound(dir);
      refuseNewer(db, file);
      refuseForeign(db, file);
      return composeReader(dir, db);
    });
  } catch (error) {
    db.close();
    throw error;
  }
}

function openLocked(dir: string, clock: () => number, check: (db: Db) => ((db: Db) => void) | undefined): ProjectStore {
  const lock = takeLock(dir, Math.floor(clock()));
  const file = databaseOf(dir);
  let db: Db | undefined;
  try {
    db = connectWriter(file);
    const opened = db;
    return translated({ file }, () => {
      const fill = check(opened);
      refuseNewer(opened, file);
      if (!fill) refuseForeign(opened, file);
      enterWal(opened);
      const migrationBackup = migrate(opened, file, fill);
      assertFull(opened);
      if (fill) syncFolder(dir);
      return composeStore(dir, opened, lock, clock, migrationBackup);
    });
  } catch (error) {
    db?.close();
    lock.release();
    throw error;
  }
}

function composeReader(dir: string, db: Db): ProjectReader {
  const guard = createGuard(databaseOf(dir));
  const blobs = openBlobs(dir);
  return {
    dir,
    facts: readFacts(db),
    schema: guard.wrap(createSchemaReader(db)),
    settings: guard.wrap(createSettingsReader(db)),
    items: guard.wrap(createItemReader(db)),
    annotations: guard.wrap(createAnnotationReader(db)),
    queue: guard.wrap(createQueueReader(db)),
    readings: guard.wrap(createReadingReader(db)),
    versions: guard.wrap(createVersionReader(db)),
    reports: guard.wrap(createReportReader(db)),
    attributes: guard.wrap(createAttributeReader(db)),
    tray: guard.wrap(createTrayReader(db)),
    jobs: guard.wrap(createJobReader(db)),
    audit: guard.wrap(createAuditReader(db)),
    blobs,
    ...guard.wrap({ counts: createCountReader(db) }),
    verify: () => verifyProject(db, blobs, dir),
    backup: (target) => backupProject(dir, target),
    close: () => void db.close(),
  };
}

function composeStore(
  dir: string,
  db: Db,
  lock: ProjectLock,
  clock: () => number,
  migrationBackup: string | null,
): ProjectStore {
  const facts = readFacts(db);
  const blobs = openBlobs(dir);
  blobs.sweep();
  let isHeadBehind = false;
  const audit = createAuditLog(db, clock, () => void (isHeadBehind = true));
  const head = settleHead(dir, db, audit);
  const afterwards = () => {
    if (!isHeadBehind || db.inTransaction) return;
    isHeadBehind = false;
    assertFull(db);
    head.write(audit.head());
  };
  const guard = createGuard(databaseOf(dir), afterwards, keepInPlace(db, databaseOf(dir)));
  const schema = createSchemaWriter(db, clock);
  const tally = createTally(db);
  const states = createStateKeeper(db, tally);
  const annotations = createAnnotationWriter(db, { clock, schema: schema.current, tally, states, audit });
  const addCandidates = createImporter({
    db,
    clock,
    schema: schema.current,
    seed: facts.seed,
    auditShare: facts.auditShare,
    tally,
    states,
    appendWithin: annotations.appendWithin,
    audit,
    lastAct: annotations.writer.head,
  });
  const transaction = db.transaction((deed: By, work: () => unknown, subject: (done: unknown) => unknown) => {
    const done = work();
    audit.append({ ...deed, subject: subject(done) });
    return done;
  });
  function recorded<T>(deed: By, work: () => T, subject: (done: T) => unknown = (done) => done): T {
    try {
      return transaction.immediate(deed, work, subject as (done: unknown) => unknown) as T;
    } catch (error) {
      schema.reread();
      throw error;
    }
  }
  return {
    dir,
    facts,
    schema: guard.wrap(schema),
    settings: guard.wrap(createSettingsWriter(db)),
    items: guard.wrap({ ...createItemReader(db), addCandidates }),
    annotations: guard.wrap(annotations.writer),
    queue: guard.wrap(createQueueWriter(db)),
    readings: guard.wrap(createReadingReader(db)),
    versions: guard.wrap(createVersionWriter(db, clock, audit)),
    reports: guard.wrap(createReportWriter(db, clock, tally, audit)),
    attributes: guard.wrap(createAttributeReader(db)),
    tray: guard.wrap(createTrayWriter(db, clock)),
    jobs: guard.wrap(createJobWriter(db, clock)),
    audit: guard.wrap(createAuditReader(db)),
    blobs,
    migrationBackup,
    ...guard.wrap({ counts: createCountReader(db), recorded }),
    verify: () => verifyProject(db, blobs, dir),
    backup: (target) => backupProject(dir, target),
    close() {
      try {
        db.close();
      } finally {
        head.close();
        lock.release();
      }
    },
  };
}

/** Compares the trail with the line kept beside it, and notes in the trail where they differ or where it begins late. What the line says from now on is on the disk. */
function settleHead(dir: string, db: Db, audit: AuditLog): HeadFile {
  // Whatever was read from the write-ahead log waits for the disk first: the line must not be ahead of it. (A checkpoint would do so as well, but a full disk may refuse it.)
  const log = `${databaseOf(dir)}-wal`;
  if (fs.existsSync(log)) syncFile(log);
  const known = readHead(dir);
  const here = audit.head();
  const note = (call: string, subject: unknown) =>
    db.transaction(() => audit.append({ who: PROGRAM, call, subject })).immediate();
  if (known === null && here.entry === 0) {
    // An older format's project: its acts have a chain of their own, of which the first entry knows the end.
    const { sequence: annotation, hash } = createAnnotationReader(db).head();
    note('program.migrate', { format: MIGRATIONS.length, annotation, hash });
  } else if (!isReached(audit, known) && !(known === null && here.entry === 1)) {
    note(HEAD_DIFFERS, { expected: known, found: here });
  }
  return openHead(dir, audit.head());
}

function requireFile(dir: string): void {
  if (!fs.existsSync(databaseOf(dir))) throw notFound(dir);
}

const notFound = (dir: string, isEmpty = false) =>
  new EngineError(
    'project-not-found',
    isEmpty ? `project.sqlite in ${dir} holds nothing.` : `There is no Marginalia project in ${dir}.`,
    isEmpty
      ? 'Copy the whole folder again while the project is closed: until then its latest changes are in project.sqlite-wal.'
      : 'Choose a project’s folder, or make one with `new`.',
    { dir },
  );
