/**
 * Everything that runs models: encoders made from the pool or imported, and any model
 * version that takes an encoder's tensors. Runs block the thread: use it in compute.
 */
export {
  fitEncoder,
  openEncoder,
  type Encoder,
  type EncoderCard,
  type EncoderFile,
  type FitOptions,
} from './encoder.ts';
export { inspectImportedEncoder, type ImportedImage, type ImportedText, type Inspection } from './imported.ts';
export { openItemModel, type EmbedProblem, type ItemModel, type RunOptions } from './item-model.ts';
export {
  inputsOf,
  type Column,
  type ImagePreparation,
  type InputShape,
  type NumbersPreparation,
  type Preparation,
  type TermsPreparation,
  type TokensPreparation,
} from './block.ts';
export { decodePixels, type PixelShape } from './pixels.ts';
export { countTerms, type TermCounts } from './ngrams.ts';
export { type SparseMatrix } from './text-block.ts';
export {
  DEVICES,
  explainRunError,
  openSession,
  tensor,
  type Device,
  type Feeds,
  type RealDevice,
  type Session,
  type SessionOptions,
  type Tensor,
} from './session.ts';
