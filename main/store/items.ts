/**
 * Reading items: one by one for the desk, and a million at a time for learning, as
 * columns. The state and classes given are those that follow from the annotations.
 */
import type { ItemState } from '../domain/annotation.ts';
import type { ItemId, Part, Role } from '../domain/item.ts';
import type { Db } from './connection.ts';
import { fromJson } from './connection.ts';
import { PARTS_PER_ITEM } from './imports.ts';

/** The states in the order in which `PoolRows.state` numbers them. */
export const ITEM_STATES = [
  'open',
  'labelled',
  'skipped',
  'flagged',
  'excluded',
] as const satisfies readonly ItemState[];

/** The roles in the order in which `PoolRows.role` numbers them. */
export const ROLES = ['pool', 'audit'] as const satisfies readonly Role[];

export interface ItemRecord {
  /** 1, 2, 3 … in the order of import. */
  seq: number;
  id: ItemId;
  name: string;
  group: string | null;
  /** Near duplicates share it. */
  cluster: number;
  /** Items that must not be split between training and testing share it. */
  component: number;
  role: Role;
  source: string;
  addedAt: number;
  state: ItemState;
  classes: string[] | null;
  /** The annotation that decided, or null. */
  by: number | null;
  parts: Part[];
}

/** All items as columns, in order of `seq`; row i of each column is the same item. */
export interface PoolRows {
  count: number;
  seq: Int32Array;
  id: ItemId[];
  component: Int32Array;
  cluster: Int32Array;
  /** Index into ROLES. */
  role: Uint8Array;
  /** Index into ITEM_STATES. */
  state: Uint8Array;
  /** The label's classes where the state is labelled, else null. */
  classes: (string[] | null)[];
  /** The annotation that decided; 0 where the item is open. */
  by: Int32Array;
}

export interface ListOptions {
  after?: number;
  limit?: number;
  state?: ItemState;
  search?: string;
}

/** How many items are looked through for one page: some 20 ms. */
const LOOKED_THROUGH = 20_000;

export interface ItemReader {
  get(id: ItemId): ItemRecord | null;
  /** Items after a `seq`, in that order; `search` looks for words in the name, the group or the text. */
  list(options?: ListOptions): ItemRecord[];
  /** The same for a window, which must not wait: where it has to look for them it looks at 20,000 at most, so that a page may be short, and says from where to go on; null at the end. */
  page(options?: ListOptions): { items: ItemRecord[]; next: number | null };
  /** Every item: pool and audit set, whatever its state. About 2 s for a million. */
  poolRows(): PoolRows;
  /** The parts of the items named by `seq`, in that order; unknown ones have none. */
  partsOf(seqs: ArrayLike<number>): Part[][];
  /** The ids of the items named by `seq`, in that order. */
  idsOf(seqs: ArrayLike<number>): ItemId[];
  /** How many items have a part of each kind. Reads the whole table. */
  partKinds(): Record<Part['kind'], number>;
  /** Oracle labels by `seq`: for simulations and nothing else. */
  oracleOf(): Map<number, string[]>;
  /** Items that are not open, by `seq`, ascending. */
  decided(): number[];
  /** The `seq` of an item, or null. */
  seqOf(id: ItemId): number | null;
}

interface PartRow {
  part: number;
  kind: Part['kind'];
  path: string | null;
  sha256: string | null;
  size_bytes: number | null;
  width: number | null;
  height: number | null;
  format: string | null;
  body: string | null;
}

interface ItemRow {
  seq: number;
  id: string;
  name: string;
  group: string | null;
  cluster: number;
  component: number;
  role: Role;
  source: string;
  added_at: number;
  state: ItemState;
  classes: string | null;
  decided_by: number | null;
}

const COLUMNS = `SELECT i.seq, i.id, i.name, i."group", i.cluster, i.component, i.role, i.source, i.added_at,
  coalesce(s.state, 'open') AS state, s.classes, s.decided_by`;
const ITEM = `${COLUMNS} FROM items i LEFT JOIN item_state s ON s.item = i.seq`;

/** In the order of the index that each walks along, so that nothing is sorted. */
const IN_STATE = {
  any: `${ITEM} WHERE i.seq > @after AND i.seq <= @upTo`,
  open: `${ITEM} WHERE i.seq > @after AND i.seq <= @upTo AND s.state IS NULL`,
  other: `${COLUMNS} FROM item_state s JOIN items i ON i.seq = s.item WHERE s.state = @state AND s.item > @after AND s.item <= @upTo`,
};

/** Prepares reading items on any connection. */
export function createItemReader(db: Db): ItemReader {
  const byId = db.prepare<[string], ItemRow>(`${ITEM} WHERE i.id = ?`);
  const seqOf = db.prepare<[string], { seq: number }>('SELECT seq FROM items WHERE id = ?');
  const idOf = db.prepare<[number], { id: string }>('SELECT id FROM items WHERE seq = ?');
  const parts = db.prepare<[number, number], PartRow>(
    'SELECT part, kind, path, sha256, size_bytes, width, height, format, body FROM parts WHERE part >= ? AND part < ? ORDER BY part',
  );
  const list = (state: keyof typeof IN_STATE, searched: boolean) =>
    db.prepare<[{ after: number; upTo: number; limit: number; state: string; like: string }], ItemRow>(
      `${IN_STATE[state]} ${
        searched
          ? `AND (i.name LIKE @like ESCAPE '\\' OR i."group" LIKE @like ESCAPE '\\'
              OR EXISTS (SELECT 1 FROM parts p WHERE p.part >= i.seq * ${PARTS_PER_ITEM} AND p.part < (i.seq + 1) * ${PARTS_PER_ITEM} AND p.body LIKE @like ESCAPE '\\'))`
          : ''
      } ORDER BY ${state === 'other' ? 's.item' : 'i.seq'} LIMIT @limit`,
    );
  const lists = new Map<string, ReturnType<typeof list>>();
  const size = db.prepare<[], { n: number }>('SELECT count(*) AS n FROM items');
  const newest = db.prepare<[], number>('SELECT coalesce(max(seq), 0) FROM items').pluck();
  const columns = db
    .prepare<[], [number, ItemId, number, number, Role, ItemState | null, string | null, number | null]>(
      'SELECT i.seq, i.id, i.component, i.cluster, i.role, s.state, s.classes, s.decided_by FROM items i LEFT JOIN item_state s ON s.item = i.seq ORDER BY i.seq',
    )
    .raw();
  const kinds = db.prepare<[], { kind: Part['kind']; n: number }>(
    'SELECT kind, count(DISTINCT item) AS n FROM parts GROUP BY kind',
  );
  const decided = db.prepare<[], number>('SELECT item FROM item_state ORDER BY item').pluck();
  const oracle = db.prepare<[], { item: number; classes: string }>('SELECT item, classes FROM oracle');

  const partsOf = (seq: number) => parts.all(seq * PARTS_PER_ITEM, (seq + 1) * PARTS_PER_ITEM).map(partOf);
  const recordOf = (row: ItemRow): ItemRecord => ({
    seq: row.seq,
    id: row.id as ItemId,
    name: row.name,
    group: row.group,
    cluster: row.cluster,
    component: row.component,
    role: row.role,
    source: row.source,
    addedAt: row.added_at,
    state: row.state,
    classes: row.classes === null ? null : fromJson<string[]>(row.classes),
    by: row.decided_by,
    parts: partsOf(row.seq),
  });

  function between(upTo: number, { after = 0, limit = 100, state, search = '' }: ListOptions): ItemRecord[] {
    const wanted = state === undefined ? 'any' : state === 'open' ? 'open' : 'other';
    const key = `${wanted} ${search === ''}`;
    const statement = lists.get(key) ?? list(wanted, search !== '');
    lists.set(key, statement);
    const like = `%${search.replace(/[\\%_]/g, '\\$&')}%`;
    return statement.all({ after, upTo, limit, state: state ?? '', like }).map(recordOf);
  }

  return {
    get(id) {
      const row = byId.get(id);
      return row ? recordOf(row) : null;
    },
    list: (options = {}) => between(Number.MAX_SAFE_INTEGER, options),
    page(options = {}) {
      const { after = 0, limit = 100, state, search = '' } = options;
      const isSought = search !== '' || state === 'open';
      const upTo = isSought ? after + LOOKED_THROUGH : Number.MAX_SAFE_INTEGER;
      const items = between(upTo, options);
      if (items.length === limit) return { items, next: items[limit - 1].seq };
      return { items, next: upTo < (newest.get() ?? 0) ? upTo : null };
    },
    poolRows: () =>
      db.transaction(() => {
        const count = size.get()?.n ?? 0;
        const rows: PoolRows = {
          count,
          seq: new Int32Array(count),
          id: new Array<ItemId>(count),
          component: new Int32Array(count),
          cluster: new Int32Array(count),
          role: new Uint8Array(count),
          state: new Uint8Array(count),
          classes: new Array<string[] | null>(count).fill(null),
          by: new Int32Array(count),
        };
        const parsed = new Map<string, string[]>();
        let i = 0;
        for (const [seq, id, component, cluster, role, state, classes, by] of columns.iterate()) {
          rows.seq[i] = seq;
          rows.id[i] = id;
          rows.component[i] = component;
          rows.cluster[i] = cluster;
          rows.role[i] = role === 'audit' ? 1 : 0;
          if (state !== null) rows.state[i] = ITEM_STATES.indexOf(state);
          if (by !== null) rows.by[i] = by;
          if (classes !== null) {
            const known = parsed.get(classes) ?? fromJson<string[]>(classes);
            parsed.set(classes, known);
            rows.classes[i] = known;
          }
          i++;
        }
        return rows;
      })(),
    partsOf: (seqs) => Array.from(seqs, partsOf),
    idsOf: (seqs) => Array.from(seqs, (seq) => idOf.get(seq)!.id as ItemId),
    partKinds() {
      const counts: Record<Part['kind'], number> = { image: 0, text: 0, numbers: 0 };
      for (const { kind, n } of kinds.all()) counts[kind] = n;
      return counts;
    },
    oracleOf: () => new Map(oracle.all().map(({ item, classes }) => [item, fromJson<string[]>(classes)])),
    decided: () => decided.all(),
    seqOf: (id) => seqOf.get(id)?.seq ?? null,
  };
}

function partOf(row: PartRow): Part {
  if (row.kind === 'image') {
    return {
      kind: 'image',
      path: row.path ?? '',
      sha256: row.sha256 ?? '',
      sizeBytes: row.size_bytes ?? 0,
      width: row.width ?? 0,
      height: row.height ?? 0,
      format: row.format ?? '',
    };
  }
  if (row.kind === 'text') return { kind: 'text', text: row.body ?? '', sha256: row.sha256 ?? '', path: row.path };
  return { kind: 'numbers', values: fromJson<Record<string, number | string | null>>(row.body ?? '{}') };
}
