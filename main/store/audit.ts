/**
 * The audit trail: who did what and when, one entry for every call that changes the
 * project, in the transaction that changes it. Entries are only appended; each carries the
 * hash of the one before. What an entry says is a line of JSON, `[entry, at, who, call,
 * subject]`, and its hash is the SHA-256 of the previous hash, a line feed and that line,
 * so that anybody can check an exported trail without this program.
 */
import { createHash } from 'node:crypto';
import { FIRST_HASH } from '../domain/annotation.ts';
import type { Db } from './connection.ts';
import { fromJson } from './connection.ts';

/** What somebody did: told by whoever does it. */
export interface Deed {
  /** An annotator's name, an account of this machine, or PROGRAM. */
  who: string;
  /** The procedure of the contract, as `schema.addClass`; `program.…` for what nobody called. */
  call: string;
  /** What it was done to, as JSON; ids and hashes rather than contents. */
  subject?: unknown;
}

/** A deed before it is known what it is done to. */
export type By = Omit<Deed, 'subject'>;

/** Who does what nobody asked for at that moment. */
export const PROGRAM = 'marginalia';

export interface AuditEntry extends Required<Deed> {
  /** 1, 2, 3 … without gaps. */
  entry: number;
  /** Milliseconds since 1970, UTC, as this computer's clock said; the order is that of `entry`. */
  at: number;
  previousHash: string;
  hash: string;
}

/** Where the trail ends. */
export interface AuditHead {
  entry: number;
  hash: string;
}

export interface AuditRow extends AuditHead {
  at: number;
  who: string;
  call: string;
  subject: string;
  previous_hash: string;
}

export interface AuditReader {
  /** The last entry's number and hash; 0 and 64 zeros for none. */
  head(): AuditHead;
  /** One entry by its number, or null. */
  get(entry: number): AuditEntry | null;
  /** Newest first, those before `before`. */
  latest(options?: { before?: number; limit?: number }): AuditEntry[];
  /** Every entry in order as one line of JSON each, `{hash, previousHash, body}`, where `body` is what was hashed. Nothing else may be asked of this connection meanwhile. */
  lines(): IterableIterator<string>;
}

export interface AuditLog extends AuditReader {
  /** Adds one entry; the caller's transaction decides whether it stays. */
  append(deed: Deed): AuditHead;
}

/** The line that is hashed. The subject is put in as it is stored. */
export function auditBody({ entry, at, who, call, subject }: Omit<AuditRow, 'hash' | 'previous_hash'>): string {
  return `${JSON.stringify([entry, at, who, call]).slice(0, -1)},${subject}]`;
}

export function auditHash(previousHash: string, body: string): string {
  return createHash('sha256').update(`${previousHash}\n${body}`).digest('hex');
}

const entryOf = (row: AuditRow): AuditEntry => ({
  entry: row.entry,
  at: row.at,
  who: row.who,
  call: row.call,
  subject: fromJson<unknown>(row.subject),
  previousHash: row.previous_hash,
  hash: row.hash,
});

/** Reads the trail on any connection. */
export function createAuditReader(db: Db): AuditReader {
  const head = db.prepare<[], AuditHead>('SELECT entry, hash FROM audit ORDER BY entry DESC LIMIT 1');
  const one = db.prepare<[number], AuditRow>('SELECT * FROM audit WHERE entry = ?');
  const latest = db.prepare<[number, number], AuditRow>(
    'SELECT * FROM audit WHERE entry < ? ORDER BY entry DESC LIMIT ?',
  );
  const all = db.prepare<[], AuditRow>('SELECT * FROM audit ORDER BY entry');
  return {
    head: () => head.get() ?? { entry: 0, hash: FIRST_HASH },
    get(entry) {
      const row = one.get(entry);
      return row ? entryOf(row) : null;
    },
    latest: ({ before = Number.MAX_SAFE_INTEGER, limit = 100 } = {}) => latest.all(before, limit).map(entryOf),
    *lines() {
      for (const row of all.iterate()) {
        yield JSON.stringify({ hash: row.hash, previousHash: row.previous_hash, body: auditBody(row) });
      }
    },
  };
}

/** The call of the entry that notes that the computer's clock was set back. */
const CLOCK_SET_BACK = 'program.clock-set-back';
/** Corrections by a time server stay below this. */
const CLOCK_SLACK_MS = 1000;

/** Writes the trail on the project's own connection. `appended` hears of every entry. */
export function createAuditLog(db: Db, clock: () => number, appended?: () => void): AuditLog {
  const last = db.prepare<[], { entry: number; at: number; hash: string }>(
    'SELECT entry, at, hash FROM audit ORDER BY entry DESC LIMIT 1',
  );
  const insert = db.prepare<[number, number, string, string, string, string, string]>(
    'INSERT INTO audit (entry, at, who, call, subject, previous_hash, hash) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  function write(deed: Deed, before: { entry: number; hash: string }, at: number): AuditHead {
    const { call } = deed;
    // JSON escapes lone surrogates by itself.
    const subject = JSON.stringify(deed.subject ?? null);
    const said = { entry: before.entry + 1, at, who: deed.who.normalize('NFC').toWellFormed(), call, subject };
    const hash = auditHash(before.hash, auditBody(said));
    insert.run(said.entry, at, said.who, call, subject, before.hash, hash);
    appended?.();
    return { entry: said.entry, hash };
  }
  return {
    ...createAuditReader(db),
    append(deed) {
      const before = last.get() ?? { entry: 0, at: 0, hash: FIRST_HASH };
      const at = Math.floor(clock());
      const backMs = before.at - at;
      if (backMs <= CLOCK_SLACK_MS) return write(deed, before, at);
      const noted = write({ who: PROGRAM, call: CLOCK_SET_BACK, subject: { ms: backMs } }, before, at);
      return write(deed, noted, at);
    },
  };
}
