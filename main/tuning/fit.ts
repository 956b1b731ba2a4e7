/**
 * Trains one network: steps of gradient descent on batches, with warm-up and cosine rates,
 * clipping, averaged weights, validation after every epoch and early stopping. What it has
 * done so far is a value (`FitState`): from the same state on, the same seed gives the same
 * weights, so a run may end after any step and go on in another process. A loss that is not
 * finite stops it, naming the step; a device without enough memory gets half the batch.
 */
import { setImmediate } from 'node:timers/promises';
import { adamW, averageOf, clipByGlobalNorm, type Loss, type Tensors, warmupCosine } from '../autodiff/index.ts';
import { EngineError } from '../domain/errors.ts';
import type { Matrix } from '../domain/matrix.ts';
import { createRng } from '../domain/rng.ts';
import type { SessionOptions } from '../inference/index.ts';
import type { Examples } from './examples.ts';
import type { Network } from './networks.ts';
import { Measuring, Stepping } from './passes.ts';

/** How a network is trained. Everything in it decides the weights. */
export interface FitPlan {
  loss: Loss;
  epochs: number;
  /** Items per step; the last batch of an epoch is filled up from its beginning. */
  batch: number;
  /** Peak learning rate, reached after `warmup` of the steps and falling to 0 by half a cosine. */
  rate: number;
  /** Share of all steps, in [0, 1). */
  warmup: number;
  weightDecay: number;
  /** Largest length of a step's gradient over all weights. */
  clip: number;
  /** Decay of the averaged weights, which are those that are measured and kept; null keeps the last step's. */
  average: number | null;
  /** Epochs without a smaller validation loss after which it ends, with the weights of the best epoch; null trains all epochs and keeps the last. */
  patience: number | null;
}

/** Where a fit is, between two steps. Values are never changed, only replaced. */
export interface FitState {
  readonly epoch: number;
  /** Step within the epoch. */
  readonly step: number;
  /** Into how many parts a batch is divided, for devices without memory for a whole one. */
  readonly pieces: number;
  readonly weights: Tensors;
  readonly statistics: Tensors;
  readonly optimizer: { readonly first: Tensors; readonly second: Tensors; readonly steps: number };
  readonly average: Tensors | null;
  readonly best: { readonly epoch: number; readonly loss: number; readonly tensors: Tensors } | null;
  /** Sum of the losses of this epoch's steps. */
  readonly lossSum: number;
  readonly history: readonly { readonly loss: number; readonly validation: number | null }[];
  readonly done: boolean;
}

export interface FitWatch {
  /** Called between steps with what a checkpoint would hold. May wait (pause) or throw (cancel). */
  between(state: FitState, progress: { done: number; total: number }): Promise<void> | void;
  /** Something that the person should know. */
  notice(notice: { code: 'batch-halved'; batch: number }): void;
}

/** How much of a batch's statistics goes into those that are kept; PyTorch's default. */
const MOMENTUM = 0.1;

/** The weights and statistics that count: of the best epoch, averaged, or of the last step. */
export function kept({ best, average, weights, statistics }: FitState): Tensors {
  return best?.tensors ?? { ...(average ?? weights), ...statistics };
}

/** Trains to the end, from `from` where given. Errors: `training-diverged`, `encoder-invalid`, `out-of-memory`, `device-lost`, and what `watch.between` throws. */
export async function fit(
  network: Network,
  data: { training: Examples; validation: Examples | null },
  plan: FitPlan,
  seed: number,
  watch: FitWatch,
  options: SessionOptions & { from?: FitState | null } = {},
): Promise<FitState> {
  const { training, validation } = data;
  const { from, ...session } = options;
  const batch = Math.min(plan.batch, training.size);
  const perEpoch = Math.ceil(training.size / batch);
  const total = perEpoch * plan.epochs;
  const optimizer = adamW({ weightDecay: (name) => (network.decays(name) ? plan.weightDecay : 0) });
  const rateAt = warmupCosine({ peak: plan.rate, warmup: Math.floor(plan.warmup * total), total });
  const stepping = new Stepping(network, plan.loss, session);
  const measuring = validation && new Measuring(network, session);
  const rng = createRng(seed);
  const views = plan.loss.kind === 'info-nce' ? 2 : 1;

  const stepOf = async (state: FitState): Promise<FitState> => {
    const { epoch, step } = state;
    const order = rng.derive(`order ${epoch}`).shuffle(Array.from({ length: training.size }, (_, i) => i));
    const picked = Array.from({ length: batch }, (_, i) => order[(step * batch + i) % training.size]);
    const { taken, pieces } = await withHalving(state.pieces, batch, watch, (pieces) => {
      const draw = rng.derive(`draw ${epoch} ${step}`);
      return stepping.take(
        state.weights,
        divided(picked, pieces).map((part) => training.draw(part, draw, views)),
        draw,
      );
    });
    const { gradients, norm } = clipByGlobalNorm(taken.gradients, plan.clip);
    if (!Number.isFinite(taken.loss) || !Number.isFinite(norm)) throw diverged(epoch, step);
    const at = epoch * perEpoch + step;
    // The first step of a warm-up from 0 would be lost.
    const rate = rateAt(at + (plan.warmup > 0 ? 1 : 0));
    const next = optimizer.update(
      state.weights,
      gradients,
      state.optimizer,
      (name) => rate * (network.rates?.[name] ?? 1),
    );
    return {
      ...state,
      step: step + 1,
      pieces,
      weights: next.weights,
      statistics: averageOf(state.statistics, taken.statistics, 1 - MOMENTUM),
      optimizer: next.state,
      // A young average forgets its beginning faster.
      average: state.average && averageOf(state.average, next.weights, Math.min(plan.average!, (1 + at) / (10 + at))),
      lossSum: state.lossSum + taken.loss,
    };
  };

  let state = from ?? begin(network, optimizer.init(network.weights), plan);
  try {
    while (!state.done) {
      await watch.between(state, { done: state.epoch * perEpoch + state.step, total });
      // Between two steps the process can hear that it should pause or stop.
      await setImmediate();
      state = await stepOf(state);
      if (state.step < perEpoch) continue;
      const now = { ...(state.average ?? state.weights), ...state.statistics };
      const loss = measuring && logLoss(await measuring.outputs(now, validation), validation.classes, plan.loss);
      state = endEpoch(state, now, plan, perEpoch, loss);
    }
    return state;
  } finally {
    await stepping.close();
    await measuring?.close();
  }
}

function begin(network: Network, optimizer: FitState['optimizer'], plan: FitPlan): FitState {
  const { weights, statistics } = network;
  return {
    epoch: 0,
    step: 0,
    pieces: 1,
    weights,
    statistics,
    optimizer,
    average: plan.average === null ? null : weights,
    best: null,
    lossSum: 0,
    history: [],
    done: plan.epochs === 0,
  };
}

function endEpoch(state: FitState, now: Tensors, plan: FitPlan, steps: number, validation: number | null): FitState {
  const { epoch, lossSum } = state;
  const { patience } = plan;
  const history = [...state.history, { loss: lossSum / steps, validation }];
  let { best } = state;
  if (patience !== null && validation !== null && (best === null || validation < best.loss)) {
    best = { epoch, loss: validation, tensors: now };
  }
  const isStale = best !== null && patience !== null && epoch - best.epoch >= patience;
  return { ...state, epoch: epoch + 1, step: 0, lossSum: 0, history, best, done: epoch + 1 >= plan.epochs || isStale };
}

function diverged(epoch: number, step: number): EngineError {
  return new EngineError(
    'training-diverged',
    `The training stopped at step ${step + 1} of epoch ${epoch + 1}: the loss is not a finite number any more.`,
    'Try again with another seed, or check the labels and files of the last import.',
    { epoch: epoch + 1, step: step + 1 },
  );
}

/** Runs with a batch in `pieces`; where memory is short, in twice as many, down to single items. */
async function withHalving<T>(
  pieces: number,
  batch: number,
  watch: FitWatch,
  run: (pieces: number) => Promise<T>,
): Promise<{ taken: T; pieces: number }> {
  for (let now = pieces; ; now *= 2) {
    try {
      return { taken: await run(now), pieces: now };
    } catch (error) {
      if (!(error instanceof EngineError) || error.code !== 'out-of-memory' || now >= batch) throw error;
      watch.notice({ code: 'batch-halved', batch: Math.ceil(batch / (2 * now)) });
    }
  }
}

function divided(indices: readonly number[], pieces: number): number[][] {
  const size = Math.ceil(indices.length / pieces);
  return Array.from({ length: Math.ceil(indices.length / size) }, (_, p) => indices.slice(p * size, (p + 1) * size));
}

/** Mean negative log-likelihood of the classes under logits `[n, c]`. */
function logLoss({ data, rows, columns: c }: Matrix, classes: Examples['classes'], loss: Loss): number {
  let sum = 0;
  for (let i = 0; i < rows; i++) {
    const row = data.subarray(i * c, (i + 1) * c);
    if (loss.kind === 'binary-cross-entropy') {
      row.forEach((x, j) => (sum += softplus(classes[i].includes(j) ? -x : x)));
    } else sum += logSumExp(row) - row[classes[i][0]];
  }
  return sum / Math.max(1, rows);
}

const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

function logSumExp(row: Float32Array): number {
  const most = row.reduce((a, b) => Math.max(a, b), -Infinity);
  return most + Math.log(row.reduce((sum, x) => sum + Math.exp(x - most), 0));
}
