/**
 * The audit draw: which items measure the model next. Items are drawn uniformly, and an item
 * of a component (a patient, near duplicates) that has been audited already waits while there
 * are others: answers within a component are not independent, and the guarantee counts one
 * of each, the earliest drawn. The first item of a component then comes with a chance
 * proportional to the component's size, so that it is the share of items, not of patients,
 * that is estimated, as long as many components are left.
 */
import { createRng } from '../domain/rng.ts';

export interface AuditDraw {
  /** Open items of the audit set, by row. */
  candidates: readonly number[];
  /** What must not be split, by row. */
  component: ArrayLike<number>;
  /** Components with an item that is labelled or about to be asked. */
  audited: ReadonlySet<number>;
  count: number;
  seed: number;
}

/** Rows in the order of asking; fewer where fewer are left. Same input and seed, same draw. */
export function drawAudit({ candidates, component, audited, count, seed }: AuditDraw): number[] {
  const order = createRng(seed).shuffle([...candidates]);
  const met = new Set(audited);
  const later: number[] = [];
  const first = order.filter((i) => {
    if (met.has(component[i])) {
      later.push(i);
      return false;
    }
    met.add(component[i]);
    return true;
  });
  return [...first, ...later].slice(0, count);
}
