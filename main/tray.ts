/**
 * Which items something is unusual about, so that no strategy mistakes them for interesting
 * ones: blank, of another kind than the rest, blurred, far from everything. Judged against
 * the pool as it is now; one reason each, the plainest first. Audit items are measured with
 * the others but never held back: the accuracy is about all items, the unusual ones too.
 */
import { findUnusual, usualRange } from './acquisition/index.ts';
import { measuresOf, type Measures } from './artefacts.ts';
import type { Examined } from './compute-api.ts';
import { POOL, type EmbeddedItems } from './embedded-items.ts';
import type { LearnerParts, Report } from './learner.ts';
import type { TrayFinding } from './store/index.ts';

/** What may be wrong with a measure, and by how much it must differ for anybody to care. In the order in which reasons are given. */
const JUDGED: readonly [keyof Measures, { side: 'high' | 'low' | 'both'; least: number }][] = [
  ['colour', { side: 'both', least: 0.03 }],
  ['aspect', { side: 'both', least: 0.4 }],
  ['surprise', { side: 'high', least: 0.4 }],
  ['sharpness', { side: 'low', least: 0.25 }],
  ['distance', { side: 'high', least: 0 }],
];

/** `known`: the key of what was found last; where nothing came or changed since, it is not found again. */
export async function examine(
  parts: LearnerParts,
  known: string | null,
  report: Report,
  signal?: AbortSignal,
): Promise<Examined> {
  const items = await parts.items(report, signal);
  const { rows, space } = items;
  const key = JSON.stringify([space.encoder, space.embedded, rows.count]);
  if (key === known) return { kind: 'examined', key, found: null };
  const findings = judge(items, await measuresOf(parts, items, report, signal));
  return { kind: 'examined', key, found: { encoder: space.encoder, findings } };
}

function judge({ rows }: EmbeddedItems, measures: Measures): TrayFinding[] {
  const reasons = new Map<number, Omit<TrayFinding, 'item'>>();
  const note = (row: number, reason: keyof Measures, usual: { low: number; high: number }) => {
    if (rows.role[row] !== POOL || reasons.has(row)) return;
    reasons.set(row, { reason, score: measures[reason][row], usualLow: usual.low, usualHigh: usual.high });
  };
  const shown = measures.content.filter((_, row) => measures.blank[row] === 0).sort();
  const usual = shown.length > 0 ? usualRange(shown) : { low: 0, high: 0 };
  measures.blank.forEach((blank, row) => blank === 1 && note(row, 'content', usual));
  for (const [measure, limits] of JUDGED) {
    const { beyond, usual } = findUnusual(measures[measure], limits);
    for (const row of beyond) note(row, measure, usual);
  }
  return [...reasons].map(([row, reason]) => ({ item: rows.id[row], ...reason }));
}
