/**
 * A fine-tuning run, whole: labelled items, a plan and an encoder → a block of networks, what
 * they say of the items that they did not see, and which items those are. The same input and
 * seed give the same block, whether the run was interrupted or not.
 */
import type { Tensors } from '../autodiff/index.ts';
import { assert } from '../domain/errors.ts';
import { matrix, type Matrix } from '../domain/matrix.ts';
import { createRng } from '../domain/rng.ts';
import type { Encoder, EncoderFile, SessionOptions } from '../inference/index.ts';
import { divide } from '../training/index.ts';
import { Examples, type ExampleRow } from './examples.ts';
import { adaptedNetwork, imageNetwork, mapNetwork, type MapScaling, type Network, textNetwork } from './networks.ts';
import { Measuring } from './passes.ts';
import type { TuningPlan } from './plan.ts';
import { type Finished, runStages, type RunState, type RunWatch, type Stage } from './stages.ts';
import { scaleOf, tunedBlock } from './tuned-encoder.ts';

export interface TuningInput {
  plan: TuningPlan;
  seed: number;
  /** Rows of each item; class numbers; the fold of each, in [0, members). */
  rows: readonly (readonly ExampleRow[])[];
  classes: readonly (readonly number[])[];
  folds: ArrayLike<number>;
  task: 'classify' | 'classify-many';
  classCount: number;
  /** The project's encoder. */
  encoder: Encoder;
  /** How the rows were scaled, where they are maps. */
  scaling: MapScaling | null;
  /** For adapters: the encoder that was made elsewhere, and the head that a network begins with, fitted on the named items. */
  imported: {
    file: EncoderFile;
    head(items: readonly number[]): Promise<{ weights: Float32Array; bias: Float32Array }>;
  } | null;
}

export interface TuningResult {
  /** 'tuned' and 'members': see `tunedBlock`. */
  block: Uint8Array;
  /** Logits of each item from the network that was trained without it, `[n, c]`. */
  heldOut: Matrix;
  histories: Finished['history'][];
}

/** Which items each network is trained without: whole components, classes spread evenly. */
export function foldsOf(
  components: ArrayLike<number>,
  classes: readonly (readonly number[])[],
  classCount: number,
  members: number,
  seed: number,
): Int32Array {
  const shares = new Array<number>(members).fill(1 / members);
  return divide(components, classes, classCount, shares, createRng(seed).derive('tuning folds'));
}

/** Runs to the end, from `from` where given. Errors as `fit`. */
export async function runTuning(
  input: TuningInput,
  watch: RunWatch,
  options: SessionOptions & { from?: RunState | null } = {},
): Promise<TuningResult> {
  const { plan, seed, rows, classes, task, classCount } = input;
  const folds = Array.from(input.folds);
  assert(folds.length === rows.length, `${rows.length} folds`, folds.length);
  const all = new Examples(rows, classes, { task, classCount }, plan.augmentation);
  const members = Array.from({ length: plan.members }, (_, member) => {
    const where = (keep: (fold: number) => boolean) => folds.flatMap((fold, i) => (keep(fold) ? [i] : []));
    const [seen, unseen] = [where((fold) => fold !== member), where((fold) => fold === member)];
    const own = createRng(seed).derive(`member ${member}`).seed;
    return { seen, unseen, network: () => networkFor(input, seen, own), seed: own };
  });
  const stages = members.map(({ seen, unseen, network, seed }): Stage => {
    const validation = unseen.length > 0 ? all.subset(unseen) : null;
    return { network, data: { training: all.subset(seen), validation }, plan: plan.fit, seed };
  });
  const finished = await runStages(stages, watch, options);

  const heldOut = matrix(rows.length, classCount);
  const files: Uint8Array[] = [];
  for (const [m, { unseen, network }] of members.entries()) {
    const made = await network();
    const { tensors } = finished[m];
    files.push(made.finish(tensors));
    const logits = await outputsOf(made, tensors, all.subset(unseen), options);
    unseen.forEach((i, at) =>
      heldOut.data.set(logits.data.subarray(at * classCount, (at + 1) * classCount), i * classCount),
    );
  }
  return {
    block: tunedBlock(files, classCount, scaleOf(heldOut, plan.weight)),
    heldOut,
    histories: finished.map(({ history }) => history),
  };
}

async function outputsOf(
  network: Network,
  tensors: Tensors,
  examples: Examples,
  options: SessionOptions,
): Promise<Matrix> {
  const measuring = new Measuring(network, { device: options.device, threads: options.threads });
  try {
    return await measuring.outputs(tensors, examples);
  } finally {
    await measuring.close();
  }
}

async function networkFor(
  { plan, encoder, imported, scaling, classCount }: TuningInput,
  seen: readonly number[],
  seed: number,
): Promise<Network> {
  const preparation = encoder.card.parts[plan.place];
  if (plan.kind === 'adapters') {
    assert(imported !== null, 'an imported encoder', imported);
    return adaptedNetwork(imported.file.model, await imported.head(seen), plan.adapters, seed);
  }
  if (plan.kind === 'maps') {
    const { maps } = encoder.card;
    assert(maps !== undefined && scaling !== null, 'an encoder with maps', maps);
    return mapNetwork(maps, scaling, plan.layers, classCount, seed, plan.dropout);
  }
  if (plan.kind === 'image') {
    assert(preparation.kind === 'image', 'an image part', preparation.kind);
    return imageNetwork(preparation, plan.layers, classCount, seed, plan.dropout);
  }
  assert(encoder.card.terms !== null, 'an encoder with terms', encoder.card.terms);
  return textNetwork(encoder.card.terms, plan.dims, classCount, seed);
}
