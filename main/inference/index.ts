/**
 * Everything that runs models: encoders made from the pool or imported, and any model
 * version that takes an encoder's tensors. Runs block the thread: use it in compute.
 */
export { blockSize } from './block-size.ts';
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

/** ONNX Runtime, for tensors and for sessions of graphs made here; silenced. */
export { ort } from './runtime.ts';
export { BETWEEN_TEXTS, feedsOf, prepareItem, type Row } from './rows.ts';
export { openTokenizer, TOKENIZER_KEY, type TextTokenizer } from './tokens.ts';
export { type SparseMatrix } from './text-block.ts';
export {
  explainRunError,
  openSession,
  tensor,
  type Feeds,
  type Session,
  type SessionOptions,
  type Tensor,
} from './session.ts';
export { trialsHere, type TrialFeed, type TrialOutput, type Trials } from './trial.ts';
