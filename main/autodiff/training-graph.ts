/**
 * The training graph of a model: forward, loss and gradients as one ONNX model made of
 * ordinary operators. Inputs are the model's own, `target`, the weights that are trained, and
 * with `dropout` what is drawn for it; outputs are `loss`, the model's outputs (`output:NAME`)
 * where asked, one `gradient:NAME` for each trained weight, and with `batchStatistics` one
 * `statistic:NAME` for each mean and variance that a batch normalisation keeps.
 */
import { EngineError } from '../domain/errors.ts';
import { gradients } from './backward.ts';
import type { DropoutInput } from './dropout.ts';
import { loadGraph, type LoadOptions } from './load.ts';
import { addLoss, type Loss } from './losses.ts';

export interface TrainingOptions extends LoadOptions {
  /** Null for a graph that only hands out what is kept. */
  readonly loss: Loss | null;
  /** The output that the loss is about; default: the first. */
  readonly output?: string;
  /** Outputs of the model to hand out beside the loss. */
  readonly keep?: readonly string[];
  /** False for the loss alone, for measuring on a validation split. */
  readonly gradients?: boolean;
}

export interface TrainingGraph {
  /** The ONNX model. */
  readonly model: Uint8Array;
  /** Inputs that every step feeds, besides weights and target. */
  readonly inputs: readonly { name: string; shape: readonly number[] }[];
  /** Trained weights by their names in the model, with their values there. */
  readonly weights: Readonly<Record<string, { shape: readonly number[]; initial: Float32Array }>>;
  /** With `dropout`: further inputs, which `drawDropout` draws for every step. */
  readonly dropout: readonly DropoutInput[];
}

/** Prefixes of the graph's outputs: a model's own names may be anything. */
export const GRADIENT = 'gradient:';
export const OUTPUT = 'output:';
export const STATISTIC = 'statistic:';

/** Makes the training graph of an ONNX model. Errors: `encoder-invalid`, naming node, operator and what to do. */
export function trainingGraph(bytes: Uint8Array, options: TrainingOptions): TrainingGraph {
  const { graph, inputs, outputs, weights, statistics, dropout } = loadGraph(bytes, options);
  const name = options.output ?? [...outputs.keys()][0];
  const logits = outputs.get(name);
  if (!logits) {
    throw new EngineError(
      'encoder-invalid',
      `The model has no output “${name}”.`,
      `Choose one of: ${[...outputs.keys()].join(', ')}.`,
    );
  }
  const loss = options.loss && addLoss(graph, options.loss, logits);
  if (loss) graph.output('loss', loss);
  for (const [name, value] of statistics) graph.output(STATISTIC + name, value);
  for (const kept of options.keep ?? []) graph.output(OUTPUT + kept, outputs.get(kept)!);
  if (loss && options.gradients !== false) {
    const names = [...weights.keys()];
    const found = gradients(
      graph,
      loss,
      names.map((weight) => weights.get(weight)!.value),
    );
    found.forEach((value, i) => graph.output(GRADIENT + names[i], value));
  }
  return {
    model: graph.toModel(),
    inputs: [...inputs].map(([input, value]) => ({ name: input, shape: value.shape })),
    weights: Object.fromEntries(
      [...weights].map(([weight, { value, initial }]) => [weight, { shape: value.shape, initial }]),
    ),
    dropout,
  };
}
