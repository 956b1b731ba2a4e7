/**
 * A fine-tuning run, whole: labelled items, a plan and an encoder → a block of networks, what
 * they say of the items that they did not see, and which items those are. The same input and
 * seed give the same block, whether the run was interrupted or not.
 */
import type { Tensors } from '../autodiff/index.ts';
import { assert } from '../domain/errors.ts';
import { matrix, row, type Matrix } from '../domain/matrix.ts';
import { createRng } from '../domain/rng.ts';
import type { Encoder, EncoderFile, SessionOptions } from '../inference/index.ts';
import { divide } from '../training/index.ts';
import { Examples } from './examples.ts';
import type { FitPlan } from './fit.ts';
import { adaptedNetwork, imageNetwork, mapNetwork, type Network, textNetwork } from './networks.ts';
import { Measuring } from './passes.ts';
import type { NetworkPlan, TuningPlan } from './plan.ts';
import type { TuningRows } from './reading.ts';
import { type Finished, runStages, type RunState, type RunWatch, type Stage } from './stages.ts';
import { scaleOf, tunedBlock } from './tuned-encoder.ts';

export interface TuningInput {
  plan: TuningPlan;
  seed: number;
  rows: TuningRows;
  /** Rows of items without labels, for networks that learn from them first. */
  unlabelled?: TuningRows;
  /** Class numbers of each item; its fold, in [0, members). */
  classes: readonly (readonly number[])[];
  folds: ArrayLike<number>;
  task: 'classify' | 'classify-many';
  classCount: number;
  /** The project's encoder. */
  encoder: Encoder;
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
  const { plan, seed, classes, task, classCount } = input;
  const folds = Array.from(input.folds);
  const where = (keep: (fold: number) => boolean) => folds.flatMap((fold, i) => (keep(fold) ? [i] : []));
  const sets = plan.networks.map(({ kind, augmentation }) => {
    const { rows } = input.rows[kind]!;
    assert(folds.length === rows.length, `${rows.length} folds`, folds.length);
    return new Examples(rows, classes, { task, classCount }, augmentation);
  });
  // Member after member, each with all its networks.
  const networks = Array.from({ length: plan.members }, (_, member) => {
    const [seen, unseen] = [where((fold) => fold !== member), where((fold) => fold === member)];
    return plan.networks.map((network, n) => {
      const own = createRng(seed).derive(`member ${member}, network ${n}`).seed;
      return {
        seen,
        unseen,
        plan: network,
        make: () => networkFor(input, network, seen, own),
        seed: own,
        set: sets[n],
      };
    });
  });
  // Before them, what learns without labels: once for all members.
  const first = plan.networks.flatMap((network, n) => (network.pretraining ? [{ network, n }] : []));
  const before = first.map(({ network, n }): Stage => {
    const own = createRng(seed).derive(`pretraining ${n}`).seed;
    const training = input.rows[network.kind]!.rows.concat(input.unlabelled?.[network.kind]?.rows ?? []);
    const everything = new Examples(
      training,
      training.map(() => []),
      { task, classCount },
      network.augmentation,
    );
    return {
      network: async () => (await networkFor(input, network, [], own)).projected!(network.pretraining!.dims),
      data: { training: everything, validation: null },
      plan: pretrainingFit(network),
      seed: own,
    };
  });
  const stages = networks.flatMap((own) =>
    own.map(({ seen, unseen, plan: network, make, seed, set }, n): Stage => {
      const validation = unseen.length > 0 ? set.subset(unseen) : null;
      const start = first.findIndex((pretrained) => pretrained.n === n);
      return {
        network: async (before) => begunFrom(await make(), start < 0 ? {} : before[start]),
        data: { training: set.subset(seen), validation },
        plan: network.fit,
        seed,
      };
    }),
  );
  const finished = (await runStages([...before, ...stages], watch, options)).slice(before.length);

  const heldOut = matrix(classes.length, classCount);
  const files: Uint8Array[][] = [];
  for (const [m, own] of networks.entries()) {
    files.push([]);
    for (const [n, { unseen, make, set }] of own.entries()) {
      const made = await make();
      const { tensors } = finished[m * plan.networks.length + n];
      files[m].push(made.finish(tensors));
      const { data } = await outputsOf(made, tensors, set.subset(unseen), options);
      unseen.forEach((i, at) => {
        for (let j = 0; j < classCount; j++) row(heldOut, i)[j] += data[at * classCount + j] / own.length;
      });
    }
  }
  return {
    block: tunedBlock(files, classCount, scaleOf(heldOut, plan.weight)),
    heldOut,
    histories: finished.map(({ history }) => history),
  };
}

function pretrainingFit({ fit, pretraining }: NetworkPlan): FitPlan {
  const { epochs, batch, rate, temperature } = pretraining!;
  return { ...fit, loss: { kind: 'info-nce', temperature }, epochs, batch, rate, average: null, patience: null };
}

/** A network that begins with what it shares with one that was trained before. */
function begunFrom(network: Network, before: Tensors): Network {
  const shared = (own: Tensors): Tensors =>
    Object.fromEntries(Object.entries(own).map(([name, values]) => [name, before[name] ?? values]));
  return { ...network, weights: shared(network.weights), statistics: shared(network.statistics) };
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
  { plan, rows, encoder, imported, classCount }: TuningInput,
  own: NetworkPlan,
  seen: readonly number[],
  seed: number,
): Promise<Network> {
  const preparation = encoder.card.parts[plan.place];
  switch (own.kind) {
    case 'maps': {
      const { maps } = encoder.card;
      assert(maps !== undefined && rows.maps !== undefined, 'an encoder with maps', maps);
      return mapNetwork(maps, rows.maps.scaling, own, classCount, seed);
    }
    case 'image':
      assert(preparation.kind === 'image', 'an image part', preparation.kind);
      return imageNetwork(preparation, own, classCount, seed);
    case 'terms':
      assert(encoder.card.terms !== null, 'an encoder with terms', encoder.card.terms);
      return textNetwork(encoder.card.terms, classCount);
    default:
      assert(imported !== null, 'an imported encoder', imported);
      return adaptedNetwork(imported.file.model, await imported.head(seen), own.adapters, seed);
  }
}
