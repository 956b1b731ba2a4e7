/**
 * From an ONNX model to one that trains it: forward, loss and gradients as a single graph of
 * ordinary ONNX operators, which ONNX Runtime executes on whatever device it has; the
 * optimizers that take the step; low-rank adapters, and cutting off what is frozen. Nothing
 * here runs a model.
 */
export { mergeAdapters, withAdapters, type AdapterOptions } from './adapters.ts';
export {
  adamW,
  averageOf,
  clipByGlobalNorm,
  meanGradients,
  sgd,
  warmupCosine,
  type AdamWState,
  type Optimizer,
  type SgdState,
  type Tensors,
} from './optimizers.ts';
export {
  ALONG,
  ASKED,
  EVIDENCE,
  evidenceModel,
  FROM,
  imageSeam,
  LOG_ODDS,
  logOddsModel,
  TO,
  tokenSeam,
  WEIGHTS,
  type Seam,
} from './attribution.ts';
export { gradients } from './backward.ts';
export { drawDropout, type DropoutInput } from './dropout.ts';
export { Graph } from './graph.ts';
export { loadGraph, type Loaded, type LoadOptions } from './load.ts';
export { addLoss, TARGET, type Loss } from './losses.ts';
export { cut, weightsOf, type Cut, type CutOptions, type CutTensor, type WeightInfo } from './prefix.ts';
export { RULES } from './rules.ts';
export {
  GRADIENT,
  OUTPUT,
  STATISTIC,
  trainingGraph,
  type TrainingGraph,
  type TrainingOptions,
} from './training-graph.ts';
