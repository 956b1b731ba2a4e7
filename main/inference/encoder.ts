/**
 * Encoders: item → embedding. `fitEncoder` makes one from the pool itself, for whichever
 * kinds of parts its items have, with no weights from elsewhere; `openEncoder` runs it.
 * An encoder is one ONNX file and a card that says how parts become its tensors. Same
 * items, same order and same seed give the same encoder.
 */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { RealDevice } from '../domain/device.ts';
import { EngineError } from '../domain/errors.ts';
import type { ImagePart, Part, PartKind } from '../domain/item.ts';
import { row, type Matrix } from '../domain/matrix.ts';
import { createRng, type Rng } from '../domain/rng.ts';
import { GraphBuilder, readModel, withOutputs } from '../onnx/index.ts';
import { assemble, fitReduction, isWide } from './assemble.ts';
import {
  addAffine,
  applyAffine,
  type Block,
  type FitWatch,
  inputsOf,
  type Preparation,
  standardisation,
} from './block.ts';
import { fitImageBlock, IMAGE_SAMPLE } from './image-block.ts';
import { type EmbedProblem, openItemModel, type RunOptions } from './item-model.ts';
import { BUCKETS, countTerms, type TermCounts } from './ngrams.ts';
import { NumbersStatistics } from './numbers-block.ts';
import type { SessionOptions } from './session.ts';
import { fitTextBlock, type SparseMatrix } from './text-block.ts';
import { TOKENIZER_KEY } from './tokens.ts';

/** What an encoder is, as JSON. Kept beside the model's bytes; everything needed to use them. */
export interface EncoderCard {
  format: 1;
  origin: 'pool' | 'imported';
  /** Width of 'embedding' and of 'reduced'. */
  dims: number;
  reducedDims: number;
  /** How parts become tensors, in the order of the columns of 'present'. */
  parts: Preparation[];
  /** Size of the vocabulary of 'term_rows'; null where the encoder gives no sparse vectors. */
  terms: number | null;
  /** Size of its output 'maps', where it has one. */
  maps?: { channels: number; side: number };
  /** Parts of each kind it was fitted on. */
  fittedOn: Partial<Record<PartKind, number>>;
  seed: number;
  /** Where fine-tuned networks were added: how many columns at the end of both vectors are theirs, and how many networks they are the mean of. */
  tuned?: { columns: number; members: number };
  /** Of the model's bytes: the encoder's version. */
  sha256: string;
}

/** An encoder as it is stored. */
export interface EncoderFile {
  model: Uint8Array;
  card: EncoderCard;
}

export interface FitOptions {
  seed: number;
  signal?: AbortSignal;
  /** `fraction` in [0, 1] within the named stage. */
  onProgress?: (progress: { stage: string; fraction: number }) => void;
  /** Imported encoders to use for a kind of part, instead of one made from the pool. */
  imported?: Partial<Record<'image' | 'text', EncoderFile>>;
}

/** Texts whose terms the decomposition looks at; document frequencies come from all. */
const TEXT_SAMPLE = 8192;
const TERMS = ['term_rows', 'term_weights'];
const JOINT_SAMPLE = 1000;

/** An opened encoder. */
export interface Encoder {
  readonly card: EncoderCard;
  /** Where it runs now: the device that was asked for, or the processor after that gave up. */
  readonly device: RealDevice;
  /** `[n, dims]` and `[n, reducedDims]`, rows in the order of the items. What cannot be read becomes a problem, and a zero row where nothing is left of an item. `heldOut` names, per item, the fine-tuned network that was trained without it. Rejects with the signal's reason when aborted. */
  embed(
    items: readonly (readonly Part[])[],
    options?: RunOptions & { heldOut?: readonly (number | null)[] },
  ): Promise<{ embedding: Matrix; reduced: Matrix; problems: EmbedProblem[] }>;
  /** Sparse TF-IDF rows of unit length, `[n, terms]`. Only where `card.terms` is not null. */
  terms(
    items: readonly (readonly Part[])[],
    options?: RunOptions,
  ): Promise<{ matrix: SparseMatrix; problems: EmbedProblem[] }>;
  close(): Promise<void>;
}

/** Opens an encoder. Errors: `encoder-invalid`, also where the bytes are not those that the card is of. */
export async function openEncoder(
  model: Uint8Array,
  card: EncoderCard,
  options: SessionOptions = {},
): Promise<Encoder> {
  if (sha256(model) !== card.sha256) {
    throw new EngineError(
      'encoder-invalid',
      'The encoder is not the one that its card describes: its bytes have changed.',
      'Fit the encoder again, or restore the project from a backup.',
      { expected: card.sha256 },
    );
  }
  // ONNX Runtime computes every output of a graph, wanted or not.
  const outputs = ['embedding', 'reduced', ...(card.tuned ? ['members'] : []), ...(card.terms === null ? [] : TERMS)];
  const items = await openItemModel(withOutputs(model, outputs), card.parts, options);
  return {
    card,
    get device() {
      return items.session.device;
    },
    async embed(parts, runOptions) {
      const heldOut = runOptions?.heldOut?.some((member) => member !== null) ? runOptions.heldOut : null;
      const wanted = ['embedding', 'reduced', ...(heldOut && card.tuned ? ['members'] : [])];
      const { outputs, problems } = await items.run(parts, wanted, runOptions);
      const { embedding, reduced, members } = outputs;
      const columns = card.tuned?.columns ?? 0;
      heldOut?.forEach((member, i) => {
        if (member === null || columns === 0) return;
        const own = row(members, i).subarray(member * columns, (member + 1) * columns);
        for (const vectors of [embedding, reduced]) row(vectors, i).set(own, vectors.columns - columns);
      });
      return { embedding, reduced, problems };
    },
    async terms(parts, runOptions) {
      if (card.terms === null) throw new Error('Expected an encoder with sparse terms');
      return items.runSparse(parts, card.terms, runOptions);
    },
    close: () => items.close(),
  };
}

/**
 * Makes an encoder from the pool. Items are read once, in order; files are read for a
 * sample of at most 2,000 images. Errors: `encoder-missing` where no item has anything to
 * learn from; rejects with the signal's reason when aborted.
 */
export async function fitEncoder(
  items: AsyncIterable<readonly Part[]> | Iterable<readonly Part[]>,
  options: FitOptions,
): Promise<EncoderFile> {
  const rng = createRng(options.seed).derive('encoder');
  const watch: FitWatch = {
    signal: options.signal,
    async report(stage, fraction) {
      options.signal?.throwIfAborted();
      options.onProgress?.({ stage, fraction: Math.min(1, fraction) });
      await setImmediate();
    },
  };
  const images = reservoir<ImagePart>(IMAGE_SAMPLE, rng.derive('image sample'));
  const texts = reservoir<TermCounts>(TEXT_SAMPLE, rng.derive('text sample'));
  const joint = reservoir<readonly Part[]>(JOINT_SAMPLE, rng.derive('joint sample'));
  const frequencies = new Int32Array(BUCKETS);
  const numbers = new NumbersStatistics();
  let textCount = 0;
  let seen = 0;
  for await (const parts of items) {
    if (seen++ % 64 === 0) await watch.report('reading items', 0);
    joint.add(parts);
    const written: string[] = [];
    for (const part of parts) {
      if (part.kind === 'image') images.add(part);
      else if (part.kind === 'numbers') numbers.add(part);
      else written.push(part.text);
    }
    if (written.length === 0 || options.imported?.text) continue;
    const terms = countTerms(written.join('\n\n'));
    for (const id of terms.ids) frequencies[id]++;
    texts.add(terms);
    textCount++;
  }
  const sample = joint.values;
  const has = (kind: PartKind) => sample.some((parts) => parts.some((part) => part.kind === kind));

  const blocks: Block[] = [];
  const add = (block: Block | null) => block && blocks.push(block);
  if (options.imported?.image && has('image')) add(await importedBlock(options.imported.image, sample, watch));
  else if (images.values.length > 0) {
    add(
      await fitImageBlock(
        images.values.map((part) => part.path),
        rng.derive('image'),
        watch,
      ),
    );
  }
  if (options.imported?.text && has('text')) add(await importedBlock(options.imported.text, sample, watch));
  else if (textCount > 0) add(await fitTextBlock(texts.values, frequencies, textCount, rng.derive('text'), watch));
  add(numbers.fit());
  if (blocks.length === 0) {
    throw new EngineError(
      'encoder-missing',
      `None of the ${seen} items has an image, a text or a measurement that can be learned from.`,
      'Import items whose files can be read.',
      { items: seen },
    );
  }

  let reduction = null;
  if (isWide(blocks)) {
    const features = blocks.length === 1 ? blocks[0].features : null;
    const embedded = features ?? (await embedSample(blocks, sample, watch));
    reduction = await fitReduction(embedded, rng.derive('reduction'), watch);
  }
  const model = assemble(blocks, reduction);
  return { model, card: cardOf(model, blocks, 'pool', options.seed) };
}

/** The card of an assembled model. */
export function cardOf(
  model: Uint8Array,
  blocks: readonly Block[],
  origin: EncoderCard['origin'],
  seed: number,
): EncoderCard {
  const width = (name: string) => Number(readModel(model).outputs.find((output) => output.name === name)?.dims[1]);
  const maps = blocks.find((block) => block.maps)?.maps;
  return {
    format: 1,
    origin,
    dims: width('embedding'),
    reducedDims: width('reduced'),
    parts: blocks.map((block) => block.preparation),
    terms: blocks.find((block) => block.terms !== undefined)?.terms ?? null,
    ...(maps && { maps }),
    fittedOn: Object.fromEntries(blocks.map((block) => [block.kind, block.fittedOn])),
    seed,
    sha256: sha256(model),
  };
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function embedSample(
  blocks: readonly Block[],
  sample: readonly (readonly Part[])[],
  watch: FitWatch,
): Promise<Matrix> {
  const model = await openItemModel(
    assemble(blocks, null),
    blocks.map((block) => block.preparation),
  );
  try {
    const { outputs } = await model.run(sample, ['embedding'], { signal: watch.signal });
    return outputs.embedding;
  } finally {
    await model.close();
  }
}

/** An imported encoder as a block: its embedding, standardised over a sample of the pool. */
async function importedBlock(
  file: EncoderFile,
  items: readonly (readonly Part[])[],
  watch: FitWatch,
): Promise<Block | null> {
  const [preparation] = file.card.parts;
  const usable = items.filter((parts) => parts.some((part) => part.kind === preparation.kind));
  const model = await openItemModel(file.model, file.card.parts);
  try {
    await watch.report(`imported ${preparation.kind} encoder`, 0);
    const { outputs, problems } = await model.run(usable, ['embedding'], { signal: watch.signal });
    if (problems.length === usable.length) return null;
    const scaling = standardisation(outputs.embedding);
    const { opset, metadata } = readModel(file.model);
    const g = new GraphBuilder(preparation.kind, { opset });
    const inputs = inputsOf(preparation).map(({ name, dtype, dims }) => [name, g.input(name, dtype, dims)]);
    const { embedding } = g.inline(file.model, Object.fromEntries(inputs), ['embedding']);
    g.output('features', 'float32', ['n', file.card.dims], addAffine(g, embedding, scaling));
    return {
      kind: preparation.kind,
      model: g.toModel(),
      preparation,
      dims: file.card.dims,
      metadata: metadata[TOKENIZER_KEY] === undefined ? {} : { [TOKENIZER_KEY]: metadata[TOKENIZER_KEY] },
      fittedOn: usable.length - problems.length,
      features: usable.length === items.length ? applyAffine(outputs.embedding, scaling) : null,
    };
  } finally {
    await model.close();
  }
}

/** A uniform sample of a stream of unknown length (Vitter 1985, algorithm R). */
function reservoir<T>(size: number, rng: Rng): { values: T[]; add(value: T): void } {
  const values: T[] = [];
  let seen = 0;
  return {
    values,
    add(value) {
      seen++;
      if (values.length < size) values.push(value);
      else {
        const at = rng.int(seen);
        if (at < size) values[at] = value;
      }
    },
  };
}
