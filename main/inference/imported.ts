/**
 * Encoders that others made: any ONNX file with an image input, or with token inputs and a
 * tokenizer.json. It is read, wrapped so that it takes the same tensors and gives the same
 * outputs as our own, and tried on a tiny batch before anything else happens with it.
 */
import { EngineError } from '../domain/errors.ts';
import { type Dim, GraphBuilder, type OnnxModel, readModel, scanModel, type TensorInfo } from '../onnx/index.ts';
import { assemble } from './assemble.ts';
import { type Block, type ImagePreparation, inputsOf, type Preparation, type TokensPreparation } from './block.ts';
import { cardOf, type EncoderCard, type EncoderFile } from './encoder.ts';
import { unitLength } from './text-block.ts';
import { TOKENIZER_KEY } from './tokens.ts';
import { type TrialFeed, type TrialOutput, type Trials, trialsHere } from './trial.ts';

/** What the publisher's card says about an image encoder. `side` may be left out where the file fixes it. */
export interface ImportedImage {
  kind: 'image';
  side?: number;
  /** Of values in 0–1; usually ImageNet's .485/.456/.406 and .229/.224/.225. */
  mean?: number[];
  std?: number[];
  fit?: 'fill' | 'cover';
  /** Output to use; default: the first that can serve. */
  output?: string;
}

/** What belongs to a text encoder: the text of its tokenizer.json, and how many tokens it takes at once. */
export interface ImportedText {
  kind: 'text';
  tokenizer: string;
  /** Default 512. */
  maxTokens?: number;
  output?: string;
}

/** What was found: the outputs with the shapes they really have for two items, and the encoder that uses `output`. */
export interface Inspection extends EncoderFile {
  outputs: { name: string; dims: number[] }[];
  output: string;
  card: EncoderCard;
}

const OLDEST_OPSET = 13;
const NEWEST_OPSET = 22;
/** Pixels of a side; a batch is held in memory. */
const LARGEST_SIDE = 4096;
/** Numbers per item; the embeddings of a pool are held in memory. */
const WIDEST = 16_384;

/** Checks an encoder by running it on two blank items, wherever `trials` does that (default: in this process, which it may take along). Errors: `encoder-invalid`, saying what is wrong and what to do; `out-of-memory`. */
export async function inspectImportedEncoder(
  bytes: Uint8Array,
  told: ImportedImage | ImportedText,
  trials: Trials = trialsHere,
): Promise<Inspection> {
  scanModel(bytes);
  const model = readModel(bytes);
  if (model.opset < OLDEST_OPSET || model.opset > NEWEST_OPSET) {
    throw invalid(
      `The model is written in opset ${model.opset}; ${OLDEST_OPSET} to ${NEWEST_OPSET} can be used.`,
      'Export the model again with an opset in that range, for example 17.',
    );
  }
  const fixed = model.inputs.find((input) => typeof input.dims[0] === 'number');
  if (fixed) {
    throw invalid(
      `The input “${fixed.name}” takes exactly ${fixed.dims[0]} at a time.`,
      'Export the model again with a free batch size (a dynamic first axis).',
    );
  }
  const { preparation, feeds } = await (told.kind === 'image'
    ? imageTrial(model, told)
    : tokensTrial(model, told, trials));
  const outputs = (await trials.model(bytes, feeds)).filter(({ type }) => type === 'float32');
  const usable = outputs.filter(({ dims }) => dims[0] === 2 && rankServes(dims, preparation));
  const chosen = told.output ? usable.find(({ name }) => name === told.output) : prefer(usable);
  if (!chosen) {
    const list = outputs.map(({ name, dims }) => `${name} [${dims.join(', ')}]`).join(', ') || 'none of float32';
    throw invalid(
      `No output of the model gives a vector of numbers per item. Its outputs: ${list}.`,
      'Choose a model that gives one vector per item, or a feature map, as float32.',
    );
  }
  const width = widthOf(chosen);
  if (width < 1 || width > WIDEST) {
    throw invalid(
      `The output “${chosen.name}” gives ${width} numbers per item; 1 to ${WIDEST} can be used.`,
      'Name another output of the model, or choose a model that gives one vector per item.',
    );
  }
  if (!chosen.finite) {
    throw invalid(
      `The output “${chosen.name}” is not finite for a blank item.`,
      'Check the mean and the standard deviation of the pixels, or export the model in float32.',
    );
  }
  const block = wrap(bytes, model, preparation, chosen, told.kind === 'text' ? told.tokenizer : null);
  const joined = assemble([block], null);
  // Running the joined file proves that the wrapping is valid too, and this time the items are not blank.
  await trials.model(joined, joinedFeeds(preparation));
  return {
    outputs: outputs.map(({ name, dims }) => ({ name, dims })),
    output: chosen.name,
    model: joined,
    card: cardOf(joined, [block], 'imported', 0),
  };
}

function rankServes(dims: readonly number[], { kind }: Preparation): boolean {
  return dims.length === 2 || (dims.length === 3 && kind === 'text') || (dims.length === 4 && kind === 'image');
}

/** Vectors before feature maps; among them the first. */
function prefer<T extends { dims: number[] }>(outputs: readonly T[]): T | undefined {
  return outputs.find(({ dims }) => dims.length === 2) ?? outputs[0];
}

/** Vector [n, d], token vectors [n, tokens, d], feature map [n, d, height, width]. */
const widthOf = ({ dims }: { dims: readonly number[] }) => dims[dims.length === 3 ? 2 : 1];

/** How items become tensors, and the tensors of two blank ones. */
interface Trial {
  preparation: ImagePreparation | TokensPreparation;
  feeds: TrialFeed[];
}

function imageTrial(model: OnnxModel, told: ImportedImage): Trial {
  const preparation = imagePreparation(model, told);
  const { side, channels } = preparation;
  const [input] = model.inputs;
  const dims = layout(input).last ? [2, side, side, channels] : [2, channels, side, side];
  return { preparation, feeds: [{ name: input.name, dtype: 'float32', dims, fill: 0 }] };
}

async function tokensTrial(model: OnnxModel, told: ImportedText, trials: Trials): Promise<Trial> {
  checkTokenInputs(model);
  const { padId } = await trials.tokenizer(told.tokenizer);
  const fills: Record<string, number> = { input_ids: padId, attention_mask: 1, token_type_ids: 0 };
  const feeds = model.inputs.map(({ name, dtype }) => ({ name, dtype, dims: [2, 4], fill: fills[name] }));
  return { preparation: { kind: 'text', method: 'tokens', maxTokens: told.maxTokens ?? 512, padId }, feeds };
}

function joinedFeeds(preparation: ImagePreparation | TokensPreparation): TrialFeed[] {
  return inputsOf(preparation).map(({ name, dtype, dims }) => {
    const fill = preparation.kind === 'image' ? 0.5 : name === 'text_tokens' ? preparation.padId : 1;
    return { name, dtype, dims: dims.map((dim) => (typeof dim === 'number' ? dim : dim === 'tokens' ? 5 : 2)), fill };
  });
}

function imagePreparation(model: OnnxModel, told: ImportedImage): ImagePreparation {
  const [input] = model.inputs;
  if (model.inputs.length !== 1 || input.dtype !== 'float32' || input.dims.length !== 4) {
    throw invalid(
      `An image encoder has one input [n, channels, height, width] of float32; this model has ${describe(model.inputs)}.`,
      'Choose a model that takes only an image, as float32.',
    );
  }
  const { channels, height, width } = layout(input);
  if (channels !== 1 && channels !== 3) {
    throw invalid(
      `The input “${input.name}” has ${channels ?? 'an unknown number of'} channels.`,
      'Choose a model that takes grey (1) or RGB (3) images.',
    );
  }
  const side = typeof height === 'number' ? height : told.side;
  if (side === undefined || (typeof width === 'number' && width !== side)) {
    throw invalid(
      `The size of the images for “${input.name}” is ${side === undefined ? 'not known' : 'not square'}.`,
      side === undefined
        ? 'Give the side in pixels from the model’s card, for example 224.'
        : 'Choose a model that takes square images.',
    );
  }
  if (side < 1 || side > LARGEST_SIDE) {
    throw invalid(
      `The model takes images of ${side} × ${side} pixels; 1 to ${LARGEST_SIDE} a side can be used.`,
      'Choose a model that takes smaller images.',
    );
  }
  if (told.side !== undefined && told.side !== side) {
    throw invalid(
      `The model takes ${side} × ${side} pixels, not ${told.side}.`,
      `Give ${side} as the side, or leave it out.`,
    );
  }
  const perChannel = (values: number[] | undefined, fallback: number) => {
    const list = values ?? Array<number>(channels).fill(fallback);
    if (list.length !== channels || list.some((v) => !Number.isFinite(v))) {
      throw invalid(
        `The mean or deviation has ${list.length} values for ${channels} channels.`,
        'Give one value per channel.',
      );
    }
    return list;
  };
  const mean = perChannel(told.mean, 0);
  const std = perChannel(told.std, 1);
  if (std.some((v) => v <= 0))
    throw invalid('A standard deviation is not positive.', 'Give the values from the model’s card.');
  return { kind: 'image', side, channels, fit: told.fit ?? 'fill', mean, std };
}

function layout(input: TensorInfo): { channels: Dim; height: Dim; width: Dim; last: boolean } {
  const [, a, b, c] = input.dims;
  const last = (c === 1 || c === 3) && a !== 1 && a !== 3;
  return last ? { channels: c, height: a, width: b, last } : { channels: a, height: b, width: c, last };
}

const TOKEN_INPUTS = new Set(['input_ids', 'attention_mask', 'token_type_ids']);

function checkTokenInputs(model: OnnxModel): void {
  const names = model.inputs.map((input) => input.name);
  const wrong = model.inputs.find((i) => !TOKEN_INPUTS.has(i.name) || (i.dtype !== 'int64' && i.dtype !== 'int32'));
  if (!names.includes('input_ids') || wrong) {
    throw invalid(
      `A text encoder takes input_ids, attention_mask and token_type_ids as integers; this model has ${describe(model.inputs)}.`,
      'Choose a model that was exported with these inputs.',
    );
  }
}

/** The model between our tensors and one vector per item: feature maps averaged over positions, token vectors over real tokens and scaled to unit length. */
function wrap(
  bytes: Uint8Array,
  model: OnnxModel,
  preparation: ImagePreparation | TokensPreparation,
  { name, dims }: TrialOutput,
  tokenizer: string | null,
): Block {
  const g = new GraphBuilder('imported', { opset: model.opset });
  const inputs = inputsOf(preparation).map((input) => g.input(input.name, input.dtype, input.dims));
  const feeds = Object.create(null) as Record<string, string>; // the file names its inputs, “__proto__” among them
  if (preparation.kind === 'image') {
    const [input] = model.inputs;
    feeds[input.name] = layout(input).last ? g.node('Transpose', [inputs[0]], { perm: [0, 2, 3, 1] }) : inputs[0];
  } else {
    for (const input of model.inputs) {
      let from = input.name === 'input_ids' ? inputs[0] : inputs[1];
      if (input.name === 'token_type_ids') from = g.node('Mul', [inputs[1], g.constant(BigInt64Array.of(0n), [])]);
      feeds[input.name] = input.dtype === 'int32' ? g.node('Cast', [from], { to: 6 }) : from;
    }
  }
  let features = g.inline(bytes, feeds, [name])[name];
  if (dims.length === 4) features = g.node('Flatten', [g.node('GlobalAveragePool', [features])]);
  if (dims.length === 3) {
    const mask = g.node('Cast', [g.node('Unsqueeze', [inputs[1], g.ints(-1)])], { to: 1 });
    const sum = g.node('ReduceSum', [g.node('Mul', [features, mask]), g.ints(1)], { keepdims: 0 });
    const count = g.node('ReduceSum', [mask, g.ints(1)], { keepdims: 0 });
    features = unitLength(g, g.node('Div', [sum, count]));
  }
  const width = widthOf({ dims });
  g.output('features', 'float32', ['n', width], features);
  return {
    kind: preparation.kind,
    model: g.toModel(),
    preparation,
    dims: width,
    metadata: tokenizer === null ? {} : { [TOKENIZER_KEY]: tokenizer },
    fittedOn: 0,
    features: null,
  };
}

function describe(inputs: readonly TensorInfo[]): string {
  return (
    inputs.map(({ name, dtype, dims }) => `${name} ${dtype} [${dims.map((d) => d ?? '?').join(', ')}]`).join('; ') ||
    'none'
  );
}

function invalid(message: string, hint: string): EngineError {
  return new EngineError('encoder-invalid', message, hint);
}
