/**
 * Which items are worth the expert's time, and which are proven not to be: acquisition
 * scores, query strategies, the automatic policy, the audit draw and the guarantee.
 * Pure functions over arrays; no files, no models, no clock.
 */
export { binomialAtMost, clopperPearson, upperBound, type Interval } from './binomial.ts';
export { findGuarantee, smallestAudit, type Guarantee, type GuaranteeInput } from './guarantee.ts';
export { kMeans, squaredDistance, type Clusters } from './k-means.ts';
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
