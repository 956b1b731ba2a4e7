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

function words(): Uint8Array {
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

/** The seeds, always in the same order; those of the shared fixtures last. */
export async function seeds(): Promise<Seed[]> {
  const numbers = Array.from({ length: 12 }, (_, i) => [{ kind: 'numbers' as const, values: { age: i, size: i * i } }]);
  const own = await fitEncoder(numbers, { seed: 1 });
  const found = ['cnn', 'unet'].filter((name) => existsSync(`${FIXTURES}${name}/model.onnx`));
  return [
    { name: 'plain', bytes: plain(), told: { kind: 'image' } },
    { name: 'words', bytes: words(), told: { kind: 'text', tokenizer: TOKENIZER } },
    { name: 'shapes', bytes: shapes(), told: { kind: 'image' } },
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
