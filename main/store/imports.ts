/**
 * Candidates become items, a batch at a time, in one transaction with the job's cursor:
 * an import that is killed goes on exactly where the last batch ended. Same bytes, same
 * item. Items that share a group or are near duplicates belong to one component, the unit
 * of splitting; each component is drawn into the pool or the audit set by the project's
 * seed and its first key. Where a new item joins components of different roles, the pool
 * wins: a smaller audit set is a lesser harm than a leaking one.
 */
import { assert, EngineError } from '../domain/errors.ts';
import { roleOf, type Candidate, type Fingerprint, type ImportProblem, type Part, type Role } from '../domain/item.ts';
import type { LabelSchema } from '../domain/schema.ts';
import { IMPORTER, type Appending } from './annotations.ts';
import type { AuditLog } from './audit.ts';
import type { Db } from './connection.ts';
import { fromJson } from './connection.ts';
import type { StateKeeper, StateRow, Tally } from './counters.ts';
import { checkClasses } from './drafts.ts';

/** Parts of one item are numbered 0…63. */
export const PARTS_PER_ITEM = 64;

/** How many items of one fingerprint band are compared: a thousand blank pages must not be compared with each other, and the oldest already stand for the rest. */
const COMPARED_PER_BAND = 16;

export interface ImportBatch {
  job: string;
  /** Where the import goes on after this batch: any JSON. */
  cursor: unknown;
  /** `given`: labels become annotations by `import`; `oracle`: kept aside for simulations; `none`: ignored. Default none. */
  labels?: 'given' | 'oracle' | 'none';
  /** Trouble met while reading this batch; kept with the job. */
  problems?: readonly ImportProblem[];
  /** Whether two fingerprints that share a band are near duplicates; without it none are sought. The second one's `bands` are empty: only its code is kept. */
  isNearDuplicate?: (a: Fingerprint, b: Fingerprint) => boolean;
  progress?: { done: number; total: number | null };
}

export interface ImportCounts {
  added: number;
  duplicates: number;
  /** Oracle labels kept. */
  oracle: number;
  problems: number;
}

export interface ImportResult extends Omit<ImportCounts, 'problems'> {
  /** Those of the batch and those met while adding it. */
  problems: ImportProblem[];
}

export type AddCandidates = (candidates: readonly Candidate[], batch: ImportBatch) => ImportResult;

interface Context {
  db: Db;
  clock: () => number;
  schema: () => LabelSchema;
  seed: number;
  auditShare: number;
  tally: Tally;
  states: StateKeeper;
  appendWithin: Appending['appendWithin'];
  audit: AuditLog;
  /** The last annotation. */
  lastAct: () => { sequence: number; hash: string };
}

interface ItemRow {
  seq: number;
  role: Role;
  component: number;
  group: string | null;
}

/** Prepares adding; the returned function throws `disk-full`, `io-failed` or `job-unknown` and then has added nothing. */
export function createImporter(context: Context): AddCandidates {
  const { db, clock, schema, seed, auditShare, tally, states, appendWithin, audit, lastAct } = context;
  const components = createComponents(db, tally, states);
  const clusters = createClusters(db);
  const byId = db.prepare<[string], ItemRow>('SELECT seq, role, component, "group" FROM items WHERE id = ?');
  // Of the pool where any of them is: an item may have been drawn from there to check what is settled.
  const roleIn = db.prepare<[number], { role: Role }>(
    `SELECT role FROM items WHERE component = ? ORDER BY role DESC LIMIT 1`,
  );
  const maxSeq = db.prepare<[], { n: number }>('SELECT coalesce(max(seq), 0) AS n FROM items');
  const insertItem = db.prepare(
    'INSERT INTO items (seq, id, name, "group", cluster, component, role, source, added_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const setGroup = db.prepare<[string, number]>('UPDATE items SET "group" = ? WHERE seq = ?');
  const insertPart = db.prepare(
    'INSERT INTO parts (part, item, kind, path, sha256, size_bytes, width, height, format, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const keepAttribute = db.prepare<[string, number, string]>(
    'INSERT INTO attributes (name, item, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
  );
  const oracleOf = db.prepare<[number], { classes: string }>('SELECT classes FROM oracle WHERE item = ?');
  const insertOracle = db.prepare<[number, string]>('INSERT INTO oracle (item, classes) VALUES (?, ?)');
  const importedLabel = db.prepare<[string, string], { classes: string }>(
    `SELECT classes FROM annotations WHERE item = ? AND act = 'label' AND annotator = ? ORDER BY sequence DESC LIMIT 1`,
  );
  const insertProblem = db.prepare(
    'INSERT INTO import_problems (job, source, code, message, hint) VALUES (?, ?, ?, ?, ?)',
  );
  const jobResult = db.prepare<[number], { result: string | null }>('SELECT result FROM jobs WHERE job = ?');
  const saveJob = db.prepare(
    'UPDATE jobs SET cursor = ?, result = ?, done = coalesce(?, done), total = coalesce(?, total) WHERE job = ?',
  );

  function insertNew(candidate: Candidate, seq: number, at: number, batch: ImportBatch): ItemRow {
    const cluster =
      candidate.fingerprint && batch.isNearDuplicate
        ? clusters.join(candidate.fingerprint, seq, batch.isNearDuplicate)
        : { cluster: seq, components: [] };
    const inGroup = candidate.group === null ? null : components.ofGroup(candidate.group);
    const joined = [...new Set([...cluster.components, ...(inGroup === null ? [] : [inGroup])])];
    const component = joined.length === 0 ? seq : components.merge(joined);
    const role =
      joined.length === 0
        ? roleOf(candidate.group ?? candidate.id, seed, auditShare)
        : (roleIn.get(component)?.role ?? 'pool');
    insertItem.run(
      seq,
      candidate.id,
      candidate.name.toWellFormed(),
      candidate.group,
      cluster.cluster,
      component,
      role,
      candidate.source,
      at,
    );
    if (candidate.group !== null && inGroup === null) components.nameGroup(candidate.group, component);
    assert(
      candidate.parts.length > 0 && candidate.parts.length <= PARTS_PER_ITEM,
      `1…${PARTS_PER_ITEM} parts`,
      candidate.parts.length,
    );
    candidate.parts.forEach((part, i) => insertPart.run(seq * PARTS_PER_ITEM + i, seq, ...partColumns(part)));
    if (candidate.fingerprint) clusters.remember(candidate.fingerprint, seq);
    tally.addItem(role, undefined, 1);
    return { seq, role, component, group: candidate.group };
  }

  /** The same bytes came again, perhaps with a group that was not known: then the groups belong together. */
  function joinGroup(item: ItemRow, group: string): ItemRow {
    if (item.group === null) setGroup.run(group, item.seq);
    const other = components.ofGroup(group);
    if (other === item.component) return item;
    const component = other === null ? item.component : components.merge([item.component, other]);
    if (other === null) components.nameGroup(group, component);
    return { ...item, component, group: item.group ?? group, role: roleIn.get(component)?.role ?? item.role };
  }

  /** Keeps the label a source gives; returns what stands against it, if anything. */
  function keepLabel(
    candidate: Candidate,
    item: ItemRow,
    how: 'given' | 'oracle',
    result: ImportResult,
  ): ImportProblem | null {
    if (candidate.label === null || (candidate.label.length === 0 && schema().task === 'classify')) return null;
    let classes: string[];
    try {
      classes = checkClasses(candidate.label, schema(), candidate.id);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      return { source: candidate.source, code: error.code, message: error.message, hint: error.hint };
    }
    const text = JSON.stringify(classes);
    const state = how === 'given' ? states.get(item.seq) : undefined;
    const known =
      how === 'oracle'
        ? oracleOf.get(item.seq)?.classes
        : (importedLabel.get(candidate.id, IMPORTER)?.classes ?? labelIn(state));
    if (known === text) return null;
    if (known !== undefined || state) return conflict(candidate, known ?? state?.state ?? '', classes);
    if (how === 'oracle') {
      insertOracle.run(item.seq, text);
      tally.add('', 'oracle', 1);
      result.oracle++;
    } else {
      appendWithin({ item: candidate.id, act: 'label', classes, annotator: IMPORTER, durationMs: 0 }, item);
    }
    return null;
  }

  const transaction = db.transaction((candidates: readonly Candidate[], batch: ImportBatch): ImportResult => {
    tally.reset();
    const job = Number(batch.job);
    const before = jobResult.get(job);
    if (!before)
      throw new EngineError('job-unknown', `There is no job ${batch.job}.`, 'Start the import again.', {
        job: batch.job,
      });
    const result: ImportResult = { added: 0, duplicates: 0, oracle: 0, problems: [...(batch.problems ?? [])] };
    const at = Math.floor(clock());
    const how = batch.labels ?? 'none';
    const actBefore = lastAct().sequence;
    let seq = maxSeq.get()?.n ?? 0;
    for (const candidate of candidates) {
      let item = byId.get(candidate.id);
      if (item) {
        result.duplicates++;
        if (candidate.group !== null) item = joinGroup(item, candidate.group);
      } else {
        item = insertNew(candidate, ++seq, at, batch);
        result.added++;
      }
      // The latest table is right: a corrected one is imported again.
      for (const [name, value] of Object.entries(candidate.attributes ?? {})) {
        keepAttribute.run(name.toWellFormed(), item.seq, value.toWellFormed());
      }
      const problem = how === 'none' ? null : keepLabel(candidate, item, how, result);
      if (problem) result.problems.push(problem);
    }
    for (const p of result.problems) insertProblem.run(job, p.source, p.code, p.message, p.hint);
    tally.add('', 'problems', result.problems.length);
    tally.flush();
    const total =
      before.result === null
        ? { added: 0, duplicates: 0, oracle: 0, problems: 0 }
        : fromJson<ImportCounts>(before.result);
    const counts: ImportCounts = {
      added: total.added + result.added,
      duplicates: total.duplicates + result.duplicates,
      oracle: total.oracle + result.oracle,
      problems: total.problems + result.problems.length,
    };
    const { sequence, hash } = lastAct();
    const { added, duplicates } = result;
    const acts = sequence > actBefore ? { annotation: sequence, hash } : {};
    audit.append({ who: IMPORTER, call: 'program.import', subject: { job: batch.job, added, duplicates, ...acts } });
    saveJob.run(
      JSON.stringify(batch.cursor ?? null),
      JSON.stringify(counts),
      batch.progress?.done ?? null,
      batch.progress?.total ?? null,
      job,
    );
    return result;
  });

  return (candidates, batch) => transaction.immediate(candidates, batch);
}

const labelIn = (state: StateRow | undefined) =>
  state?.state === 'labelled' && state.classes !== null ? state.classes : undefined;

function conflict(candidate: Candidate, known: string, classes: string[]): ImportProblem {
  const was = known.startsWith('[') ? fromJson<string[]>(known).join(', ') : known;
  return {
    source: candidate.source,
    code: 'id-conflict',
    message: `The same item is ${was} already; this source says ${classes.join(', ')}. The first stays.`,
    hint: 'Check which of the two is right, and label the item yourself.',
  };
}

function partColumns(part: Part): (string | number | null)[] {
  if (part.kind === 'image')
    return ['image', part.path, part.sha256, part.sizeBytes, part.width, part.height, part.format, null];
  if (part.kind === 'text') return ['text', part.path, part.sha256, null, null, null, null, part.text];
  return ['numbers', null, null, null, null, null, null, JSON.stringify(part.values)];
}

/** Components: the union of groups and clusters. */
function createComponents(db: Db, tally: Tally, states: StateKeeper) {
  const groupOf = db.prepare<[string], { component: number }>('SELECT component FROM groups WHERE name = ?');
  const insertGroup = db.prepare<[string, number]>('INSERT INTO groups (name, component) VALUES (?, ?)');
  const members = db.prepare<[number], { seq: number; role: Role }>('SELECT seq, role FROM items WHERE component = ?');
  const moveItems = db.prepare<[number, number]>('UPDATE items SET component = ? WHERE component = ?');
  const moveGroups = db.prepare<[number, number]>('UPDATE groups SET component = ? WHERE component = ?');
  const toPool = db.prepare<[number]>(`UPDATE items SET role = 'pool' WHERE seq = ?`);
  return {
    ofGroup: (name: string): number | null => groupOf.get(name)?.component ?? null,
    nameGroup: (name: string, component: number) => void insertGroup.run(name, component),
    /** Joins components to the oldest of them. */
    merge(joined: number[]): number {
      const oldest = Math.min(...joined);
      if (joined.length === 1) return oldest;
      const all = joined.flatMap((component) => members.all(component));
      if (all.some((m) => m.role === 'pool')) {
        for (const { seq } of all.filter((m) => m.role === 'audit')) {
          const state = states.get(seq);
          tally.addItem('audit', state, -1);
          tally.addItem('pool', state, 1);
          toPool.run(seq);
        }
      }
      for (const component of joined) {
        if (component === oldest) continue;
        moveItems.run(oldest, component);
        moveGroups.run(oldest, component);
      }
      return oldest;
    },
  };
}

/** Near-duplicate clusters, found through equal fingerprint bands. */
function createClusters(db: Db) {
  const inBand = db.prepare<[number, number, number], { item: number }>(
    'SELECT item FROM fingerprint_bands WHERE slot = ? AND value = ? LIMIT ?',
  );
  const codeOf = db.prepare<[number], { kind: Fingerprint['kind']; code: Buffer }>(
    'SELECT kind, code FROM fingerprints WHERE item = ?',
  );
  const placeOf = db.prepare<[number], { cluster: number; component: number }>(
    'SELECT cluster, component FROM items WHERE seq = ?',
  );
  const moveItems = db.prepare<[number, number]>('UPDATE items SET cluster = ? WHERE cluster = ?');
  const insertCode = db.prepare<[number, string, Buffer]>(
    'INSERT INTO fingerprints (item, kind, code) VALUES (?, ?, ?)',
  );
  const insertBand = db.prepare<[number, number, number]>(
    'INSERT OR IGNORE INTO fingerprint_bands (slot, value, item) VALUES (?, ?, ?)',
  );
  const slotOf = (kind: Fingerprint['kind'], band: number) => band * 2 + (kind === 'text' ? 1 : 0);
  return {
    /** The cluster a new item belongs to (its own number where it is the first), and the components it thereby joins. */
    join(
      fingerprint: Fingerprint,
      seq: number,
      isNearDuplicate: (a: Fingerprint, b: Fingerprint) => boolean,
    ): { cluster: number; components: number[] } {
      const compared = new Set<number>();
      const clusters = new Set<number>();
      const components = new Set<number>();
      fingerprint.bands.forEach((value, band) => {
        for (const { item } of inBand.all(slotOf(fingerprint.kind, band), value, COMPARED_PER_BAND)) {
          if (compared.has(item)) continue;
          compared.add(item);
          const other = codeOf.get(item);
          const place = placeOf.get(item);
          if (!other || !place || clusters.has(place.cluster)) continue;
          if (!isNearDuplicate(fingerprint, { kind: other.kind, bands: [], code: other.code.toString('hex') }))
            continue;
          clusters.add(place.cluster);
          components.add(place.component);
        }
      });
      const cluster = Math.min(seq, ...clusters);
      for (const other of clusters) if (other !== cluster) moveItems.run(cluster, other);
      return { cluster, components: [...components] };
    },
    remember(fingerprint: Fingerprint, seq: number): void {
      assert(/^([0-9a-f]{2})*$/.test(fingerprint.code), 'a fingerprint code of whole bytes in hex', fingerprint.code);
      insertCode.run(seq, fingerprint.kind, Buffer.from(fingerprint.code, 'hex'));
      fingerprint.bands.forEach((value, band) => insertBand.run(slotOf(fingerprint.kind, band), value, seq));
    },
  };
}
