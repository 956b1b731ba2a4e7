/**
 * Which items are worth the expert's time: acquisition scores, query strategies, the
 * automatic policy and the audit draw. Pure functions over arrays; no files, no models,
 * no clock.
 */
export { drawAudit, type AuditDraw } from './audit-draw.ts';
export type { Asked } from './bandit.ts';
export { selectBatch, type Wishes } from './batch.ts';
export { toUnitRows } from './directions.ts';
export { learnLetters, type LetterModel } from './letters.ts';
export { findUnusual, neighbourDistances, usualRange } from './outliers.ts';
export { choosePhase, type LabelsSoFar, type Phase } from './policy.ts';
export { expectedSeconds, fitTimeModel, type TimeFeatures, type TimeModel } from './time-model.ts';
export { uncertainty, type Uncertainty } from './scores.ts';
export { needsOf, possible, scoresOf, select, STRATEGIES, strategyNamed } from './strategies.ts';
export type { Committee, Pick, SelectionInput, Strategy, StrategyName, Why } from './strategy.ts';
