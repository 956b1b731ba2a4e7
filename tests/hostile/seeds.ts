/**
 * Whole files that mutants are made of: encoders of ours, small networks, and what PyTorch
 * exported where the shared fixtures lie.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createRng } from '../../main/domain/rng.ts';
import { fitEncoder, type ImportedImage, type ImportedText } from '../../main/inference/index.ts';
import { GraphBuilder, makeTensor, quantize } from '../../main/onnx/index.ts';
import { plain } from './crafted.ts';

export interface Seed {
  name: string;
  bytes: Uint8Array;
  told: ImportedImage | ImportedText;
}

/** A tokenizer of five words. */
export const TOKENIZER = JSON.stringify({
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: [0, 1].map((id) => ({
    ...{ id, content: ['[PAD]', '[CLS]'][id], single_word: false, lstrip: false, rstrip: false },
    ...{ normalized: false, special: true },
  })),
  normalizer: { type: 'Lowercase' },
  pre_tokenizer: { type: 'Whitespace' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '[CLS]', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
    special_tokens: { '[CLS]': { id: '[CLS]', ids: [1], tokens: ['[CLS]'] } },
  },
  decoder: null,
  model: { type: 'WordLevel', vocab: { '[PAD]': 0, '[CLS]': 1, fever: 2, cough: 3, '[UNK]': 4 }, unk_token: '[UNK]' },
});

/** A tokenizer of pieces, with a pattern to split at and one to replace. */
export const PIECES = JSON.stringify({
  ...(JSON.parse(TOKENIZER) as object),
  normalizer: {
    type: 'Sequence',
    normalizers: [{ type: 'NFKC' }, { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' }],
  },
  pre_tokenizer: {
    type: 'Split',
    pattern: { Regex: "'s|\\p{L}+|\\p{N}+|[^\\s\\p{L}\\p{N}]+|\\s+" },
    behavior: 'Isolated',
    invert: false,
  },
  model: {
    ...{ type: 'BPE', dropout: null, unk_token: '[UNK]', continuing_subword_prefix: null, end_of_word_suffix: null },
    ...{ fuse_unk: false, byte_fallback: false, ignore_merges: false },
    vocab: { '[PAD]': 0, '[CLS]': 1, '[UNK]': 2, f: 3, e: 4, v: 5, r: 6, fe: 7, fev: 8, er: 9, fever: 10 },
    merges: [
      ['f', 'e'],
      ['fe', 'v'],
      ['e', 'r'],
      ['fev', 'er'],
    ],
  },
});

/** Token vectors of five words. */
export function words(): Uint8Array {
  const g = new GraphBuilder('words');
  const ids = g.input('input_ids', 'int64', ['batch', 'sequence']);
  const mask = g.input('attention_mask', 'int64', ['batch', 'sequence']);
  const table = g.constant(
    Float32Array.from({ length: 10 }, (_, i) => i / 10),
    [5, 2],
  );
  const seen = g.node('Cast', [g.node('Unsqueeze', [mask, g.ints(-1)])], { to: 1 });
  g.output('hidden', 'float32', ['batch', 'sequence', 2], g.node('Mul', [g.node('Gather', [table, ids]), seen]));
  return g.toModel();
}

/** Shapes that are computed, a choice between two graphs, and what makes much of little. */
function shapes(): Uint8Array {
  const g = new GraphBuilder('shapes');
  const x = g.input('pixels', 'float32', ['n', 3, 4, 4]);
  const rows = g.node('Slice', [g.node('Shape', [x]), g.ints(0), g.ints(1)]);
  const zeros = g.node('ConstantOfShape', [g.node('Concat', [rows, g.ints(48)], { axis: 0 })], {
    value: makeTensor('', Float32Array.of(1)),
  });
  const wide = g.node('Tile', [g.node('Flatten', [x]), g.ints(1, 2)]);
  const bent = g.node('Resize', [x, '', g.constant(Float32Array.of(1, 1, 2, 2))], { mode: 'nearest' });
  const pooled = g.node('Flatten', [g.node('MaxPool', [bent], { kernel_shape: [2, 2], strides: [2, 2] })]);
  const spread = g.node('Expand', [g.node('ReduceMean', [wide], { axes: [1], keepdims: 1 }), g.ints(1, 48)]);
  g.output('y', 'float32', ['n', 48], g.node('Sum', [zeros, pooled, spread]));
  return g.toModel();
}

/** One of each of many operators; what comes out of each is one number. */
function various(): Uint8Array {
  const g = new GraphBuilder('various');
  const x = g.input('pixels', 'float32', ['n', 3, 4, 4]);
  const flat = g.node('Flatten', [x]);
  const weights = (...dims: number[]) =>
    g.constant(
      Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i)),
      dims,
    );
  const rows = g.node('Reshape', [x, g.ints(0, 6, 8)]);
  const sequence = g.node('Transpose', [rows], { perm: [1, 0, 2] });
  const norm = [g.constant(new Float32Array(8).fill(1)), g.constant(new Float32Array(8))];
  const two = (op: string, inputs: string[], told: Record<string, number> = {}) => g.nodeWith(op, inputs, told, 2)[0];
  const ours = (op: string, inputs: string[], told: Record<string, number> = {}) =>
    g.nodeWith(op, inputs, told, 1, 'com.microsoft')[0];
  const sizes = g.node('Concat', [g.node('Slice', [g.node('Shape', [x]), g.ints(0), g.ints(2)]), g.ints(6, 6)], {
    axis: 0,
  });
  const bytes = g.node('QuantizeLinear', [x, g.scalar(0.1), g.constant(Uint8Array.of(9), [])]);
  const made = [
    g.node('Resize', [x, '', '', sizes], { mode: 'cubic' }),
    g.node('LayerNormalization', [rows, ...norm]),
    g.node('BatchNormalization', [x, ...[1, 2, 3, 4].map(() => g.constant(Float32Array.of(1, 2, 3)))]),
    g.node('InstanceNormalization', [x, ...[1, 2].map(() => g.constant(Float32Array.of(1, 2, 3)))]),
    two('TopK', [flat, g.ints(3)]),
    g.node('GatherElements', [flat, g.node('ArgMax', [flat], { axis: 1 })], { axis: 1 }),
    g.node('GatherND', [rows, g.constant(BigInt64Array.of(0n, 1n), [1, 2])]),
    g.node('ScatterND', [rows, g.constant(BigInt64Array.of(0n, 1n), [1, 2]), weights(1, 8)]),
    g.node('ScatterElements', [rows, g.constant(BigInt64Array.of(0n), [1, 1, 1]), weights(1, 1, 1)], { axis: 2 }),
    two('Split', [rows, g.ints(3, 5)], { axis: 2 }),
    g.node('CumSum', [flat, g.constant(BigInt64Array.of(1n), [])]),
    g.node('Einsum', [rows, weights(8, 2)], { equation: 'nij,jk->nik' }),
    two('LSTM', [sequence, weights(1, 16, 8), weights(1, 16, 4)], { hidden_size: 4 }),
    two('GRU', [sequence, weights(1, 12, 8), weights(1, 12, 4)], { hidden_size: 4 }),
    g.node('Pad', [x, g.ints(0, 0, 1, 1, 0, 0, 1, 1)], { mode: 'reflect' }),
    g.node('SpaceToDepth', [x], { blocksize: 2 }),
    g.node('GridSample', [x, g.node('Reshape', [x, g.ints(0, 4, 6, 2)])]),
    g.node('DequantizeLinear', [bytes, g.scalar(0.1), g.constant(Uint8Array.of(9), [])]),
    g.node('ConvTranspose', [x, weights(3, 2, 2, 2)], { strides: [2, 2] }),
    g.node('AveragePool', [x], { kernel_shape: [2, 2] }),
    g.node('LRN', [x], { size: 3 }),
    g.node('Trilu', [rows]),
    g.node('Where', [g.node('Greater', [flat, g.scalar(0)]), flat, g.scalar(1)]),
    ours('FastGelu', [rows]),
    ours('MultiHeadAttention', [rows, rows, rows], { num_heads: 2 }),
    ours('Attention', [rows, weights(8, 24), weights(24)], { num_heads: 2 }),
    ours('SkipLayerNormalization', [rows, rows, ...norm]),
    ours('FusedMatMul', [rows, rows], { transB: 1 }),
  ];
  const means = made.map((value) => g.node('ReduceMean', [value], { keepdims: 0 }));
  g.output('y', 'float32', ['n', 48], g.node('Sum', [flat, ...means]));
  return g.toModel();
}

function network(): Uint8Array {
  const rng = createRng(3);
  const weights = (...dims: number[]) =>
    g.constant(
      Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => rng.normal() / 4),
      dims,
    );
  const g = new GraphBuilder('network');
  const x = g.input('pixels', 'float32', ['n', 1, 8, 8]);
  const first = g.node('Relu', [g.node('Conv', [x, weights(4, 1, 3, 3)], { pads: [1, 1, 1, 1] })]);
  const map = g.node('Conv', [
    g.node('MaxPool', [first], { kernel_shape: [2, 2], strides: [2, 2] }),
    weights(8, 4, 3, 3),
  ]);
  g.output('map', 'float32', ['n', 8, 2, 2], map);
  g.output('logits', 'float32', ['n', 3], g.node('Gemm', [g.node('Flatten', [map]), weights(32, 3)]));
  return g.toModel();
}

const FIXTURES = fileURLToPath(new URL('../../../shared/fixtures/gradients/', import.meta.url));

/** A tokenizer that aborts its process on any text. */
export const ABORTING = PIECES.replace('"continuing_subword_prefix":null', '"continuing_subword_prefix":"##"');

/** The seeds, always in the same order; those of the shared fixtures last. */
export async function seeds(): Promise<Seed[]> {
  const numbers = Array.from({ length: 12 }, (_, i) => [{ kind: 'numbers' as const, values: { age: i, size: i * i } }]);
  const own = await fitEncoder(numbers, { seed: 1 });
  const found = ['cnn', 'unet'].filter((name) => existsSync(`${FIXTURES}${name}/model.onnx`));
  return [
    { name: 'plain', bytes: plain(), told: { kind: 'image' } },
    { name: 'words', bytes: words(), told: { kind: 'text', tokenizer: TOKENIZER } },
    { name: 'shapes', bytes: shapes(), told: { kind: 'image' } },
    { name: 'various', bytes: various(), told: { kind: 'image' } },
    { name: 'network', bytes: network(), told: { kind: 'image' } },
    { name: 'network of 8 bits', bytes: quantize(network()).model, told: { kind: 'image' } },
    { name: 'our own', bytes: own.model, told: { kind: 'image' } },
    ...found.map((name): Seed => ({
      name,
      bytes: readFileSync(`${FIXTURES}${name}/model.onnx`),
      told: { kind: 'image' },
    })),
  ];
}
