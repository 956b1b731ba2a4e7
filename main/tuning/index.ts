/**
 * Fine-tuning: labelled items → networks trained on them → an encoder that is extended by
 * what they learned. Runs in a compute process of its own: may take minutes, stops between
 * any two steps, and goes on from a checkpoint to the same weights.
 */
export { changedImage, thinned, UNCHANGED, type Augmentation, type ImageChanges } from './augment.ts';
export { readCheckpoint, removeCheckpoint, writeCheckpoint, type Checkpoint } from './checkpoint.ts';
export { Examples, type Batch, type ExampleRow, type Labelling } from './examples.ts';
export { fit, kept, type FitPlan, type FitState, type FitWatch } from './fit.ts';
export {
  adaptedNetwork,
  imageNetwork,
  mapNetwork,
  textNetwork,
  type AdapterPlan,
  type Layer,
  type MapScaling,
  type Network,
} from './networks.ts';
export { Measuring, Stepping } from './passes.ts';
export { planFor, type NetworkPlan, type PlanOptions, type Pretraining, type TuningPlan } from './plan.ts';
export { readable, readFor, rowsOf, type ReadWatch, type TuningRows } from './reading.ts';
export { foldsOf, runTuning, type TuningInput, type TuningResult } from './run.ts';
export { packed, runStages, unpacked, type Finished, type RunState, type RunWatch, type Stage } from './stages.ts';
export { extendedEncoder, scaleOf, tunedBlock } from './tuned-encoder.ts';
