/**
 * Snapshot → model version: heads on cached embeddings, calibration, evaluation, promotion,
 * and the simulation that replays the whole loop. Runs in the compute process: every call
 * may block its thread, takes an AbortSignal, and is deterministic for its seed.
 */
export { expectedCalibrationError, fitTemperature, toProbabilities } from './calibration.ts';
export { evaluate, suggestions, type ClassMetrics, type Metrics } from './evaluation.ts';
export { fitCommittee } from './committee.ts';
export { components, divide } from './folds.ts';
export { fitHead, predictPool, type CrossValidation, type Head, type HeadFit, type HeadInput } from './head.ts';
export { composeModelVersion, readHead, sha256, type VersionCard, type VersionParts } from './model-version.ts';
export { poolPrior, type PoolPrior } from './prior.ts';
export { products } from './products.ts';
export { decidePromotion, type Decision } from './promotion.ts';
export { simulate, type Curve, type CurvePoint, type Simulation, type SimulationInput } from './simulate.ts';
export type { SimulatedGuarantee } from './simulated-guarantee.ts';
export {
  canonicalJson,
  freezeSnapshot,
  snapshotHash,
  type Snapshot,
  type SnapshotItem,
  type TrainingConfig,
} from './snapshot.ts';
export {
  groupNumbers,
  measure,
  trainVersion,
  type LabelledItem,
  type TrainedVersion,
  type TrainInput,
} from './train.ts';
