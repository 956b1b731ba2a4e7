/**
 * What a project is like at this moment, in one value: what is on record, and what the loop
 * knows beside it. Cheap enough to be asked after every act.
 */
import type { GuaranteeData, IntervalData, Status } from './api.ts';
import { systemClock } from './domain/clock.ts';
import { labelsSinceTraining, trainAfter } from './due.ts';
import type { ProjectStore } from './store/index.ts';
import { canTune, labelsUntilTuning, tuningSettings } from './tuning-due.ts';
import { encoderViews, NOTHING_MEASURED } from './views.ts';

/** What is not on record. */
export interface Now extends Pick<
  Status,
  'policy' | 'canRedo' | 'device' | 'deviceChoice' | 'deviceSpeed' | 'forecast' | 'trayed' | 'secondLooks' | 'jobs'
> {
  /** Versions by number on today's audit set. */
  auditNow: ReadonlyMap<number, IntervalData>;
  guarantee: GuaranteeData | null;
  tuning: Pick<Status['tuning'], 'paused' | 'forExpert' | 'last'>;
}

export function statusOf(store: ProjectStore, now: Now): Status {
  const { pool, audit, items, problems } = store.counts();
  const schema = store.schema.current();
  const live = store.versions.live();
  const measured =
    live === null
      ? NOTHING_MEASURED
      : (now.auditNow.get(live.version) ?? (live.metrics as { audit: IntervalData }).audit);
  const settled = now.guarantee?.settled ?? 0;
  const open = pool.open + audit.open;
  const today = systemClock();
  const perClass = Object.fromEntries(
    schema.classes.map((name) => [name, (pool.classes[name] ?? 0) + (audit.classes[name] ?? 0)]),
  );
  return {
    name: store.facts.name,
    dir: store.dir,
    task: schema.task,
    classes: [...schema.classes],
    schemaVersion: schema.version,
    simulated: store.settings.get('simulated') === true,
    items,
    labelled: pool.labelled + audit.labelled,
    skipped: pool.skipped + audit.skipped,
    flagged: pool.flagged + audit.flagged,
    excluded: pool.excluded + audit.excluded,
    open,
    perClass,
    modelVersion: live?.version ?? null,
    audit: measured,
    auditShare: store.facts.auditShare,
    settled,
    uncertain: Math.max(0, open - settled),
    guarantee: now.guarantee,
    forecast: now.forecast,
    trayed: now.trayed,
    secondLooks: now.secondLooks,
    policy: now.policy,
    labelsSinceTraining: labelsSinceTraining(store),
    trainAfter: trainAfter(store),
    problems,
    canUndo: store.annotations.head().sequence > 0,
    canRedo: now.canRedo,
    // Nothing of a day to come, which a wrong clock may have put on record.
    today: store.annotations.pace(new Date(today).setHours(0, 0, 0, 0), today + 60_000),
    encoder: encoderViews(store)[0] ?? null,
    device: now.device,
    deviceChoice: now.deviceChoice,
    deviceSpeed: now.deviceSpeed,
    tuning: {
      ...tuningSettings(store),
      possible: canTune(store),
      labelsNeeded: labelsUntilTuning(store),
      ...now.tuning,
    },
    jobs: now.jobs,
  };
}
