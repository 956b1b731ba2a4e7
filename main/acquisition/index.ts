/**
 * Which items are worth the expert's time: acquisition scores, query strategies, the
 * automatic policy and the audit draw. Pure functions over arrays; no files, no models,
 * no clock.
 */
export { kMeans, squaredDistance, type Clusters } from './k-means.ts';
export { drawAudit, type AuditDraw } from './audit-draw.ts';
export { choosePhase, type LabelsSoFar, type Phase } from './policy.ts';
export { competing, uncertainty, type Uncertainty } from './scores.ts';
export {
  select,
  STRATEGIES,
  strategyNamed,
  type Pick,
  type SelectionInput,
  type Strategy,
  type StrategyName,
  type Why,
} from './strategies.ts';
