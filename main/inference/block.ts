/**
 * A block is the part of an encoder that serves one kind of part: a graph from that part's
 * tensors to features whose mean squared norm over the pool is 1, so that blocks can be
 * put side by side, and the preparation that makes those tensors from a part.
 */
import type { Matrix } from '../domain/matrix.ts';
import type { PartKind } from '../domain/item.ts';
import type { Dim, DType, GraphBuilder } from '../onnx/index.ts';

/** How an image becomes the tensor `image`: float32 `[k, channels, side, side]`, (value / 255 − mean) / std where given, else 0–255. */
export interface ImagePreparation {
  kind: 'image';
  side: number;
  channels: 1 | 3;
  fit: 'fill' | 'cover';
  mean: number[] | null;
  std: number[] | null;
}

/** How a text becomes `text_ids` int64 and `text_counts` float32, both `[k, terms]`: hashed n-grams and their counts, padded with count 0. */
export interface TermsPreparation {
  kind: 'text';
  method: 'terms';
  buckets: number;
}

/** How a text becomes `text_tokens` and `text_mask`, both int64 `[k, tokens]`: windows of a tokenizer's ids; the tokenizer is in the model's metadata. */
export interface TokensPreparation {
  kind: 'text';
  method: 'tokens';
  maxTokens: number;
  padId: number;
}

/** One column of numbers; a category becomes its place in `categories`, or missing where it is not among them. */
export type Column = { name: string; categories: string[] | null };

/** How numbers become the tensor `numbers`: float32 `[k, columns]`, NaN where missing. */
export interface NumbersPreparation {
  kind: 'numbers';
  columns: Column[];
}

export type Preparation = ImagePreparation | TermsPreparation | TokensPreparation | NumbersPreparation;

/** A tensor that a preparation feeds. */
export interface InputShape {
  name: string;
  dtype: DType;
  dims: Dim[];
}

/** The tensors of a preparation, in order. */
export function inputsOf(preparation: Preparation): InputShape[] {
  if (preparation.kind === 'image') {
    const { channels, side } = preparation;
    return [{ name: 'image', dtype: 'float32', dims: ['n', channels, side, side] }];
  }
  if (preparation.kind === 'numbers') {
    return [{ name: 'numbers', dtype: 'float32', dims: ['n', preparation.columns.length] }];
  }
  return preparation.method === 'terms'
    ? [
        { name: 'text_ids', dtype: 'int64', dims: ['n', 'terms'] },
        { name: 'text_counts', dtype: 'float32', dims: ['n', 'terms'] },
      ]
    : [
        { name: 'text_tokens', dtype: 'int64', dims: ['n', 'tokens'] },
        { name: 'text_mask', dtype: 'int64', dims: ['n', 'tokens'] },
      ];
}

/** One part's share of an encoder. `model` has the inputs of its preparation and an output 'features' `[k, dims]`; text blocks of terms also 'term_rows' and 'term_weights'. */
export interface Block {
  kind: PartKind;
  model: Uint8Array;
  preparation: Preparation;
  dims: number;
  /** Size of the vocabulary behind 'term_rows', for blocks that have it. */
  terms?: number;
  /** Size of the output 'maps' `[k, channels, side, side]`, for blocks that have it: what an image shows where. */
  maps?: { channels: number; side: number };
  /** Metadata that the finished model must carry, such as a tokenizer. */
  metadata?: Record<string, string>;
  /** How many parts it was fitted on. */
  fittedOn: number;
  /** Features of the parts it was fitted on, where they are at hand. */
  features: Matrix | null;
}

/** Progress and cancelling, through every stage of a fit. */
export interface FitWatch {
  signal?: AbortSignal;
  /** `fraction` in [0, 1] of this stage. Lets other work run before it resolves. */
  report(stage: string, fraction: number): Promise<void>;
}

/** Per column: subtract `shift`, multiply by `factor`. */
export interface Affine {
  shift: Float32Array;
  factor: Float32Array;
}

/** (x − mean) / (std · √d): the mean squared norm over the pool becomes 1. A column that hardly varies is left small rather than blown up. */
export function standardisation(m: Matrix): Affine {
  const { mean, std } = moments(m);
  const typical = Math.sqrt(std.reduce((sum, s) => sum + s * s, 0) / std.length) || 1;
  const factor = Float32Array.from(std, (s) => 1 / (Math.max(s, typical * 1e-2) * Math.sqrt(m.columns)));
  return { shift: Float32Array.from(mean), factor };
}

/** Adds an affine scaling of `[n, d]` features to a graph. */
export function addAffine(g: GraphBuilder, features: string, { shift, factor }: Affine): string {
  const centred = g.node('Sub', [features, g.constant(shift, [1, shift.length])]);
  return g.node('Mul', [centred, g.constant(factor, [1, factor.length])]);
}

/** The same scaling, in place; returns its argument. */
export function applyAffine(m: Matrix, { shift, factor }: Affine): Matrix {
  for (let i = 0; i < m.rows; i++) {
    const at = i * m.columns;
    for (let j = 0; j < m.columns; j++) m.data[at + j] = (m.data[at + j] - shift[j]) * factor[j];
  }
  return m;
}

/** Mean and standard deviation of every column. */
function moments(m: Matrix): { mean: Float64Array; std: Float64Array } {
  const mean = new Float64Array(m.columns);
  const std = new Float64Array(m.columns);
  for (let i = 0; i < m.rows; i++) {
    for (let j = 0; j < m.columns; j++) mean[j] += m.data[i * m.columns + j] / m.rows;
  }
  for (let i = 0; i < m.rows; i++) {
    for (let j = 0; j < m.columns; j++) std[j] += (m.data[i * m.columns + j] - mean[j]) ** 2 / m.rows;
  }
  for (let j = 0; j < m.columns; j++) std[j] = Math.sqrt(std[j]);
  return { mean, std };
}
