/**
 * What a project says about itself: its name and seed (fixed at creation), its settings,
 * and the versions of its label schema. Schema versions are only ever added; an annotation
 * names the one it answered.
 */
import { EngineError } from '../domain/errors.ts';
import { checkSchema, type LabelSchema, type Task } from '../domain/schema.ts';
import type { Db } from './connection.ts';
import { fromJson } from './connection.ts';

export interface ProjectFacts {
  /** 16 hex digits, drawn at creation. */
  id: string;
  name: string;
  seed: number;
  /** Expected share of components in the audit set, in [0, 1]. */
  auditShare: number;
  createdAt: number;
}

export interface SchemaReader {
  /** The version in force. */
  current(): LabelSchema;
  /** All versions, oldest first. */
  versions(): LabelSchema[];
}

export interface SchemaWriter extends SchemaReader {
  /** Adds a class at the end. Errors: `schema-invalid`. */
  addClass(name: string): LabelSchema;
  /** A new version with these classes in this order; a class that any label uses must stay. Errors: `schema-invalid`. */
  change(classes: readonly string[]): LabelSchema;
  /** Forgets what a transaction that failed had changed. */
  reread(): void;
}

export interface SettingsReader {
  /** A setting's JSON value, or undefined. */
  get(key: string): unknown;
}

export interface SettingsWriter extends SettingsReader {
  set(key: string, value: unknown): void;
}

interface SchemaRow {
  version: number;
  task: Task;
  classes: string;
}

const schemaOf = (row: SchemaRow): LabelSchema => ({
  version: row.version,
  task: row.task,
  classes: fromJson<string[]>(row.classes),
});

/** The facts fixed at creation. */
export function readFacts(db: Db): ProjectFacts {
  const rows = db.prepare<[], { key: string; value: string }>('SELECT key, value FROM meta').all();
  return Object.fromEntries(rows.map(({ key, value }) => [key, fromJson<unknown>(value)])) as unknown as ProjectFacts;
}

/** Writes them, and the first schema version; once, at creation. */
export function writeFacts(db: Db, facts: ProjectFacts, schema: { task: Task; classes: string[] }): void {
  const insert = db.prepare<[string, string]>('INSERT INTO meta (key, value) VALUES (?, ?)');
  for (const [key, value] of Object.entries(facts)) insert.run(key, JSON.stringify(value));
  db.prepare('INSERT INTO schema_versions (version, task, classes, at) VALUES (1, ?, ?, ?)').run(
    schema.task,
    JSON.stringify(schema.classes),
    facts.createdAt,
  );
}

export function createSchemaReader(db: Db): SchemaReader {
  const current = db.prepare<[], SchemaRow>(
    'SELECT version, task, classes FROM schema_versions ORDER BY version DESC LIMIT 1',
  );
  const versions = db.prepare<[], SchemaRow>('SELECT version, task, classes FROM schema_versions ORDER BY version');
  return {
    current() {
      const row = current.get();
      if (!row)
        throw new EngineError(
          'project-damaged',
          'The project has no label schema.',
          'Restore the project from its last backup.',
        );
      return schemaOf(row);
    },
    versions: () => versions.all().map(schemaOf),
  };
}

/** Writes schema versions; the one in force is kept in memory, since every annotation asks for it. */
export function createSchemaWriter(db: Db, clock: () => number): SchemaWriter {
  const reader = createSchemaReader(db);
  const insert = db.prepare<[number, string, string, number]>(
    'INSERT INTO schema_versions (version, task, classes, at) VALUES (?, ?, ?, ?)',
  );
  const used = db.prepare<[string], { sequence: number }>(
    `SELECT a.sequence FROM annotations a, json_each(a.classes) c WHERE a.classes IS NOT NULL AND c.value = ? LIMIT 1`,
  );
  let inForce = reader.current();
  const writer: SchemaWriter = {
    current: () => inForce,
    reread: () => void (inForce = reader.current()),
    versions: reader.versions,
    addClass: (name) => writer.change([...inForce.classes, name]),
    change(classes) {
      const next = checkSchema(
        inForce.task,
        classes.map((name) => name.toWellFormed()),
      );
      const lost = inForce.classes.find((name) => !next.classes.includes(name) && used.get(name));
      if (lost !== undefined) {
        throw new EngineError(
          'schema-invalid',
          `The class “${lost}” cannot be removed: labels use it.`,
          'Keep the class, or start a new project without it.',
          { class: lost },
        );
      }
      const version = inForce.version + 1;
      insert.run(version, next.task, JSON.stringify(next.classes), Math.floor(clock()));
      inForce = { version, ...next };
      return inForce;
    },
  };
  return writer;
}

export function createSettingsReader(db: Db): SettingsReader {
  const get = db.prepare<[string], { value: string }>('SELECT value FROM settings WHERE key = ?');
  return {
    get(key) {
      const row = get.get(key);
      return row && fromJson<unknown>(row.value);
    },
  };
}

export function createSettingsWriter(db: Db): SettingsWriter {
  const set = db.prepare<[string, string]>(
    'INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
  );
  return { ...createSettingsReader(db), set: (key, value) => void set.run(key, JSON.stringify(value ?? null)) };
}
