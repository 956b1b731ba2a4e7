/**
 * How well the live version does in the groups of each attribute, on the audit set: what
 * compute finds out for the engine, and the groups that choosing may even out. Metrics
 * weigh every audit item; gaps are tested on those that were drawn by chance from all.
 */
import type { SubgroupColumnData } from './api-evidence.ts';
import { auditWeights } from './audit-sample.ts';
import type { SubgroupsFound, SubgroupsQuestion } from './compute-api.ts';
import { hashString, createRng } from './domain/rng.ts';
import { takeRows } from './domain/matrix.ts';
import { AUDIT, LABELLED, rowsIn, type EmbeddedItems } from './embedded-items.ts';
import { auditMetrics, groupColumn, meanOf, supportedGaps, type GroupedColumn } from './evidence/index.ts';
import type { LearnerParts } from './learner.ts';
import { widened } from './measuring.ts';
import type { ProjectReader } from './store/index.ts';
import { suggestions, type VersionCard } from './training/index.ts';

/** A column of the pool as groups, a number for each row; null where it has none to compare, or there is no such column. */
export function attributeGroups(
  reader: ProjectReader,
  { rows }: Pick<EmbeddedItems, 'rows'>,
  name: string,
): GroupedColumn | null {
  const values = reader.attributes.valuesOf(name);
  return groupColumn(Array.from(rows.seq, (seq) => values.get(seq) ?? null));
}

/** Metrics by subgroup, and the gaps that the numbers support. `known`: the key of what is on record; the same is not found again. */
export async function findSubgroups(
  { reader, measuring, items: embedded }: LearnerParts,
  { seed, known }: SubgroupsQuestion,
  signal?: AbortSignal,
): Promise<SubgroupsFound> {
  const items = await embedded(undefined, signal);
  const { rows, space, schema } = items;
  const live = reader.versions.live();
  const auditing = rowsIn(items, AUDIT, LABELLED);
  const names = reader.attributes.names();
  const columns = names.flatMap((name) => {
    const column = attributeGroups(reader, items, name);
    return column ? [{ name, column }] : [];
  });
  const key = keyOf([
    live?.version,
    seed,
    auditing.map((i) => rows.by[i]),
    columns.map(({ name, column }) => [name, column.groups, auditing.map((i) => column.of[i])]),
  ]);
  if (key === known) return { key, found: null };
  const measured = live && (await measuring.onAudit(live, items, auditing));
  if (!live || !measured) return { key, found: { modelVersion: null, columns: [] } };

  const classes = widened((live.card as VersionCard).classes, schema.classes);
  const labels = auditing.map((i) => (rows.classes[i] ?? []).map((name) => classes.indexOf(name)));
  const weights = auditWeights(reader, items, auditing);
  const metricsOf = (members: readonly number[]) => {
    const own = members.map((k) => labels[k]);
    const probabilities = takeRows(measured.probabilities, members);
    return auditMetrics({
      probabilities,
      labels: own,
      suggested: suggestions(probabilities, own, schema.task),
      classCount: classes.length,
      component: members.map((k) => rows.component[auditing[k]]),
      weights: weights && members.map((k) => weights[k]),
      seed,
      // Nothing that is shown here comes from the bootstrap.
      draws: 1,
    });
  };
  const spotChecks = new Set(reader.reports.auditDraws().map(({ item }) => item));
  const base = [...auditing.keys()].filter((k) => !spotChecks.has(rows.id[auditing[k]]));
  const gaps = supportedGaps({
    columns: columns.map(({ column }) => base.map((k) => column.of[auditing[k]])),
    correct: base.map((k) => measured.correct[k]),
    components: base.map((k) => rows.component[auditing[k]]),
    rng: createRng(seed).derive('gaps'),
  });
  const found = columns.map(({ name, column }, j): SubgroupColumnData => {
    const gap = gaps[j];
    return {
      name,
      kind: column.kind,
      groups: column.groups.map((value, g) => {
        const metrics = metricsOf([...auditing.keys()].filter((k) => column.of[auditing[k]] === g));
        const { accuracy, balancedAccuracy, perClass } = metrics;
        return {
          value,
          items: column.of.reduce((n, of, i) => n + Number(of === g && space.present[i] === 1), 0),
          audited: metrics.n,
          accuracy,
          balancedAccuracy,
          sensitivity: balancedAccuracy,
          specificity: meanOf(
            perClass.map(({ specificity }) => specificity).filter(({ value: own }) => own !== null),
            metrics.n,
          ),
        };
      }),
      gap: gap && {
        best: column.groups[gap.best],
        worst: column.groups[gap.worst],
        difference: { n: gap.n, value: gap.difference, low: gap.low, high: gap.high },
        pValue: gap.pValue,
      },
    };
  });
  return { key, found: { modelVersion: live.version, columns: found } };
}

const keyOf = (facts: unknown) => hashString(JSON.stringify(facts)).toString(16);
