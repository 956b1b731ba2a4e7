/**
 * A model version: one self-contained ONNX file, item tensors → calibrated probabilities,
 * that needs nothing else to be run anywhere, and the card that says what it is. The
 * encoder's graph is inlined; after it come the head, the temperature, and softmax or
 * sigmoids. Deterministic: the same encoder and head give the same bytes, so neither file
 * nor card holds a time.
 */
import { createHash } from 'node:crypto';
import { EngineError, assert } from '../domain/errors.ts';
import type { Task } from '../domain/schema.ts';
import { GraphBuilder, readModel, tensorData } from '../onnx/index.ts';
import type { Metrics } from './evaluation.ts';
import type { Head } from './head.ts';
import type { TrainingConfig } from './snapshot.ts';

/** What a model version is, for people and for the project: JSON without times. */
export interface VersionCard {
  format: 1;
  task: Task;
  schemaVersion: number;
  /** In the order of the output's columns. */
  classes: string[];
  /** SHA-256 of the encoder's file and the width of its embedding. */
  encoder: { sha256: string; dims: number };
  /** SHA-256 of the training set's snapshot. */
  snapshot: string;
  seed: number;
  config: TrainingConfig;
  labels: { total: number; perClass: number[] };
  head: { strength: number; temperature: number; loss: number; iterations: number };
  /** Out of fold on the training labels, which were not drawn at random; null with too few labels. */
  crossValidation: Metrics | null;
  /** On the audit set: the number to show. null where there is none yet. */
  audit: Metrics | null;
  /** SHA-256 of the model file. */
  model: string;
}

export interface VersionParts {
  /** The encoder's ONNX file, with an output called `embedding` unless named otherwise. */
  encoder: Uint8Array;
  embeddingOutput?: string;
  head: Head;
  classes: readonly string[];
  /** More for the file's metadata, e.g. the snapshot's hash. */
  metadata?: Record<string, string>;
}

/** Joins encoder and head into one ONNX file: the encoder's inputs → `probabilities` `[k, c]`. Metadata: the encoder's, `classes` (JSON), `task`, `temperature`. Errors: `encoder-invalid` where the encoder has no such output or cannot be joined. */
export function composeModelVersion(parts: VersionParts): Uint8Array {
  const { encoder, embeddingOutput = 'embedding', head, classes, metadata } = parts;
  const c = classes.length;
  assert(head.weights.columns === c && head.bias.length === c, `a head of ${c} classes`, head.weights.columns);
  const { inputs, outputs, opset, metadata: own } = readModel(encoder);
  if (!outputs.some(({ name }) => name === embeddingOutput)) {
    throw new EngineError(
      'encoder-invalid',
      `The encoder has no output called “${embeddingOutput}”.`,
      `Choose one of its outputs: ${outputs.map(({ name }) => name).join(', ')}.`,
      { outputs: outputs.map(({ name }) => name) },
    );
  }
  const g = new GraphBuilder('marginalia', { opset });
  const feeds: Record<string, string> = {};
  for (const { name, dtype, dims } of inputs) {
    assert(dtype !== 'other', `a tensor type for the encoder's input “${name}”`);
    feeds[name] = g.input(name, dtype, dims);
  }
  const embedding = g.inline(encoder, feeds, [embeddingOutput])[embeddingOutput];
  const weights = g.constant(head.weights.data, [head.weights.rows, c], 'head/weights');
  const bias = g.constant(head.bias, [c], 'head/bias');
  const logits = g.node('Gemm', [embedding, weights, bias]);
  const calibrated = g.node('Div', [logits, g.constant(Float32Array.of(head.temperature), [], 'head/temperature')]);
  const probabilities =
    head.task === 'classify' ? g.node('Softmax', [calibrated], { axis: -1 }) : g.node('Sigmoid', [calibrated]);
  g.output('probabilities', 'float32', ['k', c], probabilities);
  return g.toModel({
    // Of an encoder of tokens its tokenizer, without which nobody could feed it.
    ...own,
    ...metadata,
    classes: JSON.stringify(classes),
    task: head.task,
    temperature: String(head.temperature),
  });
}

/** SHA-256 of a file's bytes, hex. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The head inside a composed model version, for predicting from cached embeddings. Errors: `encoder-invalid` where the file is not one. */
export function readHead(model: Uint8Array): { head: Head; classes: string[] } {
  const { graph, metadata } = readModel(model);
  const find = (name: string) => graph.initializer.find((tensor) => tensor.name === name);
  const [weights, bias, temperature] = ['head/weights', 'head/bias', 'head/temperature'].map((name) => {
    const tensor = find(name);
    const values = tensor && tensorData(tensor);
    if (!tensor || !(values instanceof Float32Array)) {
      throw new EngineError(
        'encoder-invalid',
        'This file is not a model version of Marginalia: its head is missing.',
        'Choose a model version that this program made.',
        { missing: name },
      );
    }
    return { dims: tensor.dims.map(Number), values };
  });
  const [rows, columns] = weights.dims;
  return {
    head: {
      task: metadata.task === 'classify-many' ? 'classify-many' : 'classify',
      weights: { data: weights.values, rows, columns },
      bias: bias.values,
      temperature: temperature.values[0],
    },
    classes: JSON.parse(metadata.classes) as string[],
  };
}
