/**
 * Whether a project is what it was when it was written: the file's structure, the chain of
 * annotations byte by byte, the blobs, and everything that is derived from annotations. It
 * names what is wrong and where, changes nothing, and never stops at the first problem.
 * Its limit: who can write the whole file can write a whole new chain.
 */
import { annotationHash, FIRST_HASH, resolve, type Annotation } from '../domain/annotation.ts';
import { annotationOf, suggestionJson, type AnnotationRow } from './annotations.ts';
import type { Blobs } from './blobs.ts';
import { verifyAudit } from './verify-audit.ts';
import type { Db } from './connection.ts';
import { fromJson, troubleOf } from './connection.ts';
import type { Role } from '../domain/item.ts';
import { createCountReader, rowOf, type Counts } from './counters.ts';
import { APPEND_ONLY } from './migrations.ts';

export type VerificationCode =
  | 'file-structure'
  | 'append-only-broken'
  | 'chain-broken'
  | 'annotation-changed'
  | 'audit-broken'
  | 'audit-changed'
  | 'audit-incomplete'
  | 'head-differs'
  | 'blob-changed'
  | 'blob-missing'
  | 'state-wrong'
  | 'counter-wrong';

export interface VerificationProblem {
  code: VerificationCode;
  /** `annotation 17`, `blob 3f…`, `item 1a…`, a table. */
  where: string;
  message: string;
}

export interface Verification {
  ok: boolean;
  problems: VerificationProblem[];
}

/** More problems than this are not listed: a swapped file would otherwise name every row. */
const LISTED = 1000;

/** Checks the project behind a connection, and its blobs. About 5 s for a million items. */
export function verifyProject(db: Db, blobs: Blobs, dir: string): Verification {
  const problems: VerificationProblem[] = [];
  const report = (code: VerificationCode, where: string, message: string) => {
    if (problems.length < LISTED) problems.push({ code, where, message });
  };
  const checks = [
    () => structure(db, report),
    () => triggers(db, report),
    () => chain(db, report),
    () => verifyAudit(db, dir, report),
    () => states(db, report),
    () => counters(db, report),
    () => blobFiles(db, blobs, report),
  ];
  for (const check of checks) {
    try {
      check();
    } catch (error) {
      const trouble = troubleOf(error, { file: db.name });
      if (!trouble) throw error;
      report('file-structure', 'project.sqlite', trouble.message);
    }
  }
  return { ok: problems.length === 0, problems };
}

export type Report = (code: VerificationCode, where: string, message: string) => void;

function structure(db: Db, report: Report): void {
  const rows = db.pragma('integrity_check(100)') as { integrity_check: string }[];
  for (const { integrity_check: message } of rows)
    if (message !== 'ok') report('file-structure', 'project.sqlite', message);
  const orphans = db.pragma('foreign_key_check') as { table: string; rowid: number | null; parent: string }[];
  for (const { table, rowid, parent } of orphans)
    report('file-structure', `${table} ${rowid ?? ''}`.trim(), `refers to a row of ${parent} that is not there`);
}

function triggers(db: Db, report: Report): void {
  const names = new Set(db.prepare<[], string>(`SELECT name FROM sqlite_schema WHERE type = 'trigger'`).pluck().all());
  for (const table of APPEND_ONLY) {
    for (const name of [`${table}_no_update`, `${table}_no_delete`]) {
      if (!names.has(name)) report('append-only-broken', table, `the trigger ${name} is gone`);
    }
  }
}

const TEXTS = ['item', 'act', 'classes', 'text', 'annotator', 'suggestion', 'previous_hash', 'hash'] as const;

function chain(db: Db, report: Report): void {
  const bytes = TEXTS.map((name) => `CAST(${name} AS BLOB) AS ${name}_bytes`).join(', ');
  const rows = db.prepare<[], AnnotationRow & Record<`${(typeof TEXTS)[number]}_bytes`, Buffer | null>>(
    `SELECT *, ${bytes} FROM annotations ORDER BY sequence`,
  );
  let expected = 1;
  let previous = FIRST_HASH;
  for (const row of rows.iterate()) {
    const where = `annotation ${row.sequence}`;
    if (row.sequence !== expected) report('chain-broken', where, `annotation ${expected} should come here`);
    for (const name of TEXTS) {
      const value = row[name];
      const stored = row[`${name}_bytes`];
      if (value !== null && !stored?.equals(Buffer.from(value, 'utf8')))
        report('annotation-changed', where, `${name} is not well-formed text`);
    }
    const spelled = spelling(row);
    if (spelled) report('annotation-changed', where, `${spelled} is not as it was written`);
    else if (annotationHash(annotationOf(row)) !== row.hash)
      report('annotation-changed', where, 'what it says does not match its hash');
    if (row.previous_hash !== previous) report('chain-broken', where, 'it does not follow from the one before');
    previous = row.hash;
    expected = row.sequence + 1;
  }
}

/** The first column whose spelling is not the one the writer uses: a changed byte may leave the value as it was. */
function spelling(row: AnnotationRow): string | null {
  if (row.suggestion_visible !== 0 && row.suggestion_visible !== 1) return 'suggestion_visible';
  if (Object.is(row.duration_ms, -0)) return 'duration_ms';
  let a: Annotation;
  try {
    a = annotationOf(row);
    if (a.classes && JSON.stringify(a.classes) !== row.classes) return 'classes';
    if (a.suggestion && suggestionJson(a.suggestion) !== row.suggestion) return 'suggestion';
  } catch {
    return 'its JSON';
  }
  return null;
}

interface ActsRow {
  seq: number;
  item: string;
  acts: string;
  state: 'labelled' | 'skipped' | 'flagged' | 'excluded' | null;
  classes: string | null;
  decided_by: number | null;
}

function states(db: Db, report: Report): void {
  const acts = db.prepare<[], ActsRow>(
    `SELECT i.seq, i.id AS item, s.state, s.classes, s.decided_by,
       (SELECT json_group_array(json_array(a.sequence, a.act, a.classes, a.retracts, a.repeats) ORDER BY a.sequence) FROM annotations a WHERE a.item = i.id) AS acts
     FROM items i LEFT JOIN item_state s ON s.item = i.seq
     WHERE s.item IS NOT NULL OR i.id IN (SELECT item FROM annotations)`,
  );
  for (const row of acts.iterate()) {
    const list = JSON.parse(row.acts) as [number, Annotation['act'], string | null, number | null, number | null][];
    let derived;
    try {
      derived = rowOf(
        resolve(
          list.map(([sequence, act, classes, retracts, repeats]) => ({
            sequence,
            act,
            classes: classes === null ? null : (JSON.parse(classes) as string[]),
            retracts,
            repeats,
          })),
        ),
      );
    } catch {
      continue; // A damaged annotation, which the chain's check has named.
    }
    if (
      (derived?.state ?? null) !== row.state ||
      (derived?.classes ?? null) !== row.classes ||
      (derived?.decided_by ?? null) !== row.decided_by
    ) {
      report(
        'state-wrong',
        `item ${row.item}`,
        `its annotations make it ${derived?.state ?? 'open'}, the project has ${row.state ?? 'open'}`,
      );
    }
  }
}

function counters(db: Db, report: Report): void {
  const kept = createCountReader(db)();
  const seen: Counts = emptyLike(kept);
  const rows = db.prepare<[], { role: Role; state: string | null; classes: string | null; n: number }>(
    'SELECT i.role, s.state, s.classes, count(*) AS n FROM items i LEFT JOIN item_state s ON s.item = i.seq GROUP BY i.role, s.state, s.classes',
  );
  for (const { role, state, classes, n } of rows.all()) {
    const counts = seen[role];
    counts.items += n;
    counts[(state ?? 'open') as 'open'] += n;
    if (state === 'labelled' && classes !== null) {
      for (const name of fromJson<string[]>(classes)) counts.classes[name] = (counts.classes[name] ?? 0) + n;
    }
  }
  const count = (table: string) => db.prepare<[], number>(`SELECT count(*) FROM ${table}`).pluck().get() ?? 0;
  seen.items = seen.pool.items + seen.audit.items;
  seen.annotations = count('annotations');
  seen.oracle = count('oracle');
  seen.problems = count('import_problems');
  for (const [name, value] of flat(seen)) {
    const had = flat(kept).find(([other]) => other === name)?.[1] ?? 0;
    if (had !== value) report('counter-wrong', name, `there are ${value}, the project has ${had}`);
  }
  for (const [name, had] of flat(kept)) {
    if (had !== 0 && !flat(seen).some(([other]) => other === name))
      report('counter-wrong', name, `there are 0, the project has ${had}`);
  }
}

const emptyLike = (counts: Counts): Counts => {
  const none = { ...counts.pool, items: 0, open: 0, labelled: 0, skipped: 0, flagged: 0, excluded: 0 };
  return {
    items: 0,
    pool: { ...none, classes: {} },
    audit: { ...none, classes: {} },
    annotations: 0,
    oracle: 0,
    problems: 0,
  };
};

function flat(value: object, prefix = ''): [string, number][] {
  return Object.entries(value).flatMap(([key, inner]: [string, unknown]) =>
    typeof inner === 'number'
      ? [[`${prefix}${key}`, inner] as [string, number]]
      : flat(inner as object, `${prefix}${key}.`),
  );
}

function blobFiles(db: Db, blobs: Blobs, report: Report): void {
  for (const sha256 of blobs.list()) {
    if (!blobs.isIntact(sha256)) report('blob-changed', `blob ${sha256}`, 'its bytes do not match its name');
  }
  const named = db.prepare<[], { blob: string; owner: string }>(
    `SELECT blob, 'model version ' || version AS owner FROM versions UNION ALL SELECT blob, 'encoder ' || encoder FROM encoders
     UNION ALL SELECT settled, 'claim ' || look FROM claims WHERE settled IS NOT NULL`,
  );
  for (const { blob, owner } of named.all())
    if (!blobs.has(blob)) report('blob-missing', `blob ${blob}`, `${owner} needs it`);
}
