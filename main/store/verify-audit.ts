/**
 * Whether the audit trail is what it was when it was written: its own chain byte by byte,
 * whether it reaches the line kept beside the database, and whether every annotation is
 * covered by an entry that knows its hash. An entry that was made at opening because the
 * trail did not reach that line is a problem for good.
 */
import { FIRST_HASH } from '../domain/annotation.ts';
import { auditBody, auditHash, createAuditReader, type AuditRow } from './audit.ts';
import type { Db } from './connection.ts';
import { fromJson } from './connection.ts';
import { HEAD_DIFFERS, isReached, readHead } from './head.ts';
import type { Report } from './verify.ts';

const TEXTS = ['who', 'call', 'subject', 'previous_hash', 'hash'] as const;

/** Checks the trail of the project in `dir` behind a connection. */
export function verifyAudit(db: Db, dir: string, report: Report): void {
  // First: while it is read, a writer may go on, and the line is never ahead of the trail.
  const line = readHead(dir);
  const bytes = TEXTS.map((name) => `CAST(${name} AS BLOB) AS ${name}_bytes`).join(', ');
  const rows = db.prepare<[], AuditRow & Record<`${(typeof TEXTS)[number]}_bytes`, Buffer>>(
    `SELECT *, ${bytes} FROM audit ORDER BY entry`,
  );
  let expected = 1;
  let previous = FIRST_HASH;
  const known: Covered[] = [];
  for (const row of rows.iterate()) {
    const where = `audit entry ${row.entry}`;
    if (row.entry !== expected) report('audit-broken', where, `entry ${expected} should come here`);
    if (TEXTS.some((name) => !row[`${name}_bytes`].equals(Buffer.from(row[name], 'utf8'))))
      report('audit-changed', where, 'it is not well-formed text');
    else if (auditHash(row.previous_hash, auditBody(row)) !== row.hash)
      report('audit-changed', where, 'what it says does not match its hash');
    if (row.previous_hash !== previous) report('audit-broken', where, 'it does not follow from the one before');
    previous = row.hash;
    expected = row.entry + 1;
    if (row.call === HEAD_DIFFERS)
      report('head-differs', where, 'when the project was opened, its trail did not end where it had ended before');
    const covered = annotationIn(row);
    if (covered) known.push(covered);
  }
  coverage(db, known, report);
  if (expected > 1 && !isReached(createAuditReader(db), line))
    report('head-differs', 'project.head', 'the trail does not reach the entry that is noted there');
}

/** An annotation that an entry knows, and whether the entry is of that one alone. */
interface Covered {
  annotation: number;
  hash: string;
  isOne: boolean;
}

function annotationIn({ call, subject }: AuditRow): Covered | null {
  try {
    const { annotation, hash } = fromJson<{ annotation?: unknown; hash?: unknown } | null>(subject) ?? {};
    return typeof annotation === 'number' && typeof hash === 'string'
      ? { annotation, hash, isOne: call.startsWith('annotations.') }
      : null;
  } catch {
    return null; // Changed, which its hash has told.
  }
}

/** Acts by hand have an entry each; an import's entry knows the last of a batch, and the annotations' own chain the others. */
function coverage(db: Db, known: readonly Covered[], report: Report): void {
  const hashOf = db.prepare<[number], string>('SELECT hash FROM annotations WHERE sequence = ?').pluck();
  let last = 0;
  for (const { annotation, hash, isOne } of known) {
    if (isOne && annotation !== last + 1)
      report('audit-incomplete', `annotation ${last + 1}`, 'no entry of the audit trail is of it');
    if (annotation > 0 && hashOf.get(annotation) !== hash)
      report('audit-incomplete', `annotation ${annotation}`, 'it is not the one that the audit trail knows');
    last = Math.max(last, annotation);
  }
  const newest = db.prepare<[], number>('SELECT coalesce(max(sequence), 0) FROM annotations').pluck().get() ?? 0;
  if (newest > last) report('audit-incomplete', `annotation ${newest}`, 'no entry of the audit trail knows it');
}
