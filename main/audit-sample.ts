/**
 * What the audit set is a sample of. Its base was drawn by chance from all items; of each
 * component the guarantee counts one, the earliest. Spot checks were drawn from settled
 * items alone: with them in, every item weighs one over the probability with which it could
 * come into the set, either way (Horvitz & Thompson 1952; two frames: Hartley 1962).
 */
import { claimedIn } from './claimed.ts';
import { AUDIT, LABELLED, OPEN, rowsIn, rowsWhere, type EmbeddedItems } from './embedded-items.ts';
import type { AuditDraw, ProjectReader } from './store/index.ts';

/** Labelled audit rows that were drawn by chance from all items: without spot checks, whose share of right ones is another. */
export function drawnFromAll(items: EmbeddedItems, draws: readonly AuditDraw[]): number[] {
  const checks = new Set(draws.map(({ item }) => item));
  return rowsIn(items, AUDIT, LABELLED).filter((i) => !checks.has(items.rows.id[i]));
}

/** Those that the guarantee counts: of each component one, the earliest. */
export function baseAudit(items: EmbeddedItems, draws: readonly AuditDraw[]): number[] {
  const { rows } = items;
  const met = new Set<number>();
  return drawnFromAll(items, draws)
    .sort((a, b) => rows.by[a] - rows.by[b])
    .filter((i) => {
      const isFirst = !met.has(rows.component[i]);
      met.add(rows.component[i]);
      return isFirst;
    });
}

/** The weight of each of the given labelled audit rows; undefined where none was drawn as a spot check, since all weigh the same then. */
export function auditWeights(
  { reports, blobs }: Pick<ProjectReader, 'reports' | 'blobs'>,
  items: EmbeddedItems,
  auditing: readonly number[],
): number[] | undefined {
  const { rows } = items;
  const at = new Map(rows.id.map((id, i) => [id, i]));
  const drawn = new Set<number>();
  const batches = new Map<string, { look: number; probability: number; asked: number; answered: number }>();
  for (const { item, look, seed, probability } of reports.auditDraws()) {
    const i = at.get(item);
    if (i === undefined) continue;
    const key = `${look} ${seed}`;
    const batch = batches.get(key) ?? { look, probability, asked: 0, answered: 0 };
    batches.set(key, batch);
    batch.asked++;
    if (rows.state[i] !== LABELLED) continue;
    batch.answered++;
    drawn.add(i);
  }
  if (!auditing.some((i) => drawn.has(i))) return undefined;
  const base = auditing.filter((i) => !drawn.has(i)).length / rows.count;
  const settled = new Map(
    reports.claims().flatMap(({ look, settled: blob }): [number, Set<number>][] => {
      if (blob === null) return [];
      const claimed = claimedIn(blobs, blob);
      return [[look, new Set([...claimed.items, ...claimed.audit])]];
    }),
  );
  return auditing.map((i) => {
    let missed = 1 - base;
    for (const { look, probability, asked, answered } of batches.values()) {
      // Who was drawn and not answered yet is as if not drawn.
      if (settled.get(look)?.has(rows.seq[i])) missed *= 1 - (probability * answered) / asked;
    }
    // Without a base, what was never settled could not come in at all; it is not in either.
    return 1 / Math.max(1 - missed, Number.EPSILON);
  });
}

/** Audit rows that could be settled if they were in the pool. */
export function auditRows(items: EmbeddedItems): number[] {
  const { rows, space } = items;
  return rowsWhere(
    items,
    (i) => rows.role[i] === AUDIT && (rows.state[i] === OPEN || rows.state[i] === LABELLED) && space.present[i] === 1,
  );
}
