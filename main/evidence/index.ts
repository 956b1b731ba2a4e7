/**
 * What can be believed, and how firmly: exact intervals and the guarantee, from what was
 * drawn at random. Pure functions over arrays; no files, no models, no clock.
 */
export {
  classKappas,
  cohenKappa,
  fleissKappa,
  krippendorffAlpha,
  pairTable,
  type Coefficient,
  type Kappa,
} from './agreement.ts';
export { estimateAnnotators } from './annotators.ts';
export { binomialAtMost, clopperPearson, upperBound, type Interval } from './binomial.ts';
export { nextLookAt, planLooks, spentAt } from './claims.ts';
export { embeddingShift, predictionShift, type EmbeddingShift, type PredictionShift } from './drift.ts';
export { fitCurve, forecast, type Bounded, type CurveMeasurement, type CurvePosterior } from './forecast.ts';
export { fuse } from './fusion.ts';
export {
  findGuarantee,
  guaranteesAt,
  guaranteesByClass,
  PREVIEWED_ALPHAS,
  smallestAudit,
  type Guarantee,
  type GuaranteeInput,
  type GuaranteeSample,
  type Level,
} from './guarantee.ts';
export { judgeLabels, type Answer } from './judging.ts';
export {
  auditMetrics,
  meanOf,
  type AuditMetrics,
  type ClassMeasures,
  type Measured,
  type MetricsInput,
} from './metrics.ts';
export { median, paceAt, sessionsOf } from './pace.ts';
export { measureSaving, type Saving, type SavingInput } from './saving.ts';
export { adviseStopping } from './stopping.ts';
export { groupColumn, supportedGaps, type Gap, type GroupedColumn } from './subgroups.ts';
