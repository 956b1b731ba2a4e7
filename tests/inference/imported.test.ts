import { describe, expect, it } from 'vitest';
import type { Part, TextPart } from '../../main/domain/item.ts';
import { row } from '../../main/domain/matrix.ts';
import { fitEncoder, inspectImportedEncoder, openEncoder } from '../../main/inference/index.ts';
import { GraphBuilder } from '../../main/onnx/index.ts';

const text = (words: string): TextPart => ({ kind: 'text', text: words, sha256: '', path: null });

/** A tokenizer of four words between [CLS] (1) and [SEP] (2), in the tokenizer.json format. */
const TOKENIZER = JSON.stringify({
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: [
    { id: 0, content: '[PAD]', single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
    { id: 1, content: '[CLS]', single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
    { id: 2, content: '[SEP]', single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
  ],
  normalizer: { type: 'Lowercase' },
  pre_tokenizer: { type: 'Whitespace' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [
      { SpecialToken: { id: '[CLS]', type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
      { SpecialToken: { id: '[SEP]', type_id: 0 } },
    ],
    pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
    special_tokens: {
      '[CLS]': { id: '[CLS]', ids: [1], tokens: ['[CLS]'] },
      '[SEP]': { id: '[SEP]', ids: [2], tokens: ['[SEP]'] },
    },
  },
  decoder: null,
  model: {
    type: 'WordLevel',
    vocab: { '[PAD]': 0, '[CLS]': 1, '[SEP]': 2, fever: 3, cough: 4, rash: 5, '[UNK]': 6 },
    unk_token: '[UNK]',
  },
});

/** Token vectors: special tokens and padding 0, fever (3, 0), cough (0, 4), rash (1, 1), unknown (0, 0). */
function textModel(names = ['input_ids', 'attention_mask', 'token_type_ids']): Uint8Array {
  const g = new GraphBuilder('text');
  const inputs = names.map((name) => g.input(name, 'int64', ['batch', 'sequence']));
  const table = g.constant(Float32Array.of(0, 0, 0, 0, 0, 0, 3, 0, 0, 4, 1, 1, 0, 0), [7, 2]);
  g.output('last_hidden_state', 'float32', ['batch', 'sequence', 2], g.node('Gather', [table, inputs[0]]));
  return g.toModel();
}

/** Mean of each channel: a feature map by a 1 × 1 convolution that doubles, then nothing else. */
function imageModel(dims: (string | number)[] = ['n', 3, 4, 4], opset = 17): Uint8Array {
  const g = new GraphBuilder('image', { opset });
  const x = g.input('pixel_values', 'float32', dims);
  const double = g.constant(Float32Array.of(2, 0, 0, 0, 2, 0, 0, 0, 2), [3, 3, 1, 1]);
  g.output('map', 'float32', ['n', 3, 4, 4], g.node('Conv', [x, double]));
  return g.toModel();
}

describe('an imported text encoder', () => {
  it('is described, and gives the mean of its token vectors at unit length', async () => {
    const found = await inspectImportedEncoder(textModel(), { kind: 'text', tokenizer: TOKENIZER });
    expect(found.outputs).toEqual([{ name: 'last_hidden_state', dims: [2, 4, 2] }]);
    expect(found.card).toMatchObject({
      origin: 'imported',
      dims: 2,
      parts: [{ method: 'tokens', maxTokens: 512, padId: 0 }],
    });
    const encoder = await openEncoder(found.model, found.card);
    const { embedding } = await encoder.embed([[text('Fever cough')], [text('rash')]]);
    await encoder.close();
    const expected = [3 / 5, 4 / 5, Math.SQRT1_2, Math.SQRT1_2];
    expected.forEach((value, i) => expect(embedding.data[i]).toBeCloseTo(value, 4));
  });

  it('sees the whole of a long text, in windows that are averaged', async () => {
    const found = await inspectImportedEncoder(textModel(), { kind: 'text', tokenizer: TOKENIZER, maxTokens: 4 });
    const encoder = await openEncoder(found.model, found.card);
    // Windows of two words: (fever fever), (cough cough): unit vectors (1, 0) and (0, 1).
    const { embedding } = await encoder.embed([[text('fever fever cough cough')]]);
    await encoder.close();
    expect(embedding.data[0]).toBeCloseTo(0.5, 4);
    expect(embedding.data[1]).toBeCloseTo(0.5, 4);
  });

  it('can be one part of an encoder fitted on the pool, beside numbers', async () => {
    const text3 = await inspectImportedEncoder(textModel(['input_ids', 'attention_mask']), {
      kind: 'text',
      tokenizer: TOKENIZER,
    });
    const pool: Part[][] = ['fever', 'cough', 'rash', 'fever rash'].map((words, age) => [
      text(words),
      { kind: 'numbers', values: { age } },
    ]);
    const { model, card } = await fitEncoder(pool, { seed: 1, imported: { text: text3 } });
    expect(card.parts.map((part) => part.kind)).toEqual(['text', 'numbers']);
    const encoder = await openEncoder(model, card);
    const { embedding, problems } = await encoder.embed(pool);
    await encoder.close();
    expect(problems).toEqual([]);
    const squared = embedding.data.reduce((sum, value) => sum + value * value, 0) / embedding.rows;
    expect(squared).toBeCloseTo(1, 3);
    expect(row(embedding, 0)).not.toEqual(row(embedding, 1));
  });
});

describe('an imported image encoder', () => {
  it('takes its size from the file, and its feature map is averaged', async () => {
    const found = await inspectImportedEncoder(imageModel(), {
      kind: 'image',
      mean: [0.5, 0.5, 0.5],
      std: [0.5, 0.5, 0.5],
    });
    expect(found.outputs).toEqual([{ name: 'map', dims: [2, 3, 4, 4] }]);
    expect(found.card).toMatchObject({ dims: 3, parts: [{ kind: 'image', side: 4, channels: 3 }] });
  });

  it('may have its channels last', async () => {
    const g = new GraphBuilder('last');
    const x = g.input('x', 'float32', ['n', 4, 4, 3]);
    g.output('y', 'float32', ['n', 48], g.node('Flatten', [x]));
    const found = await inspectImportedEncoder(g.toModel(), { kind: 'image' });
    expect(found.card.dims).toBe(48);
  });
});

describe('what cannot be an encoder is refused with a reason', () => {
  const classifierOfIntegers = () => {
    const g = new GraphBuilder('integers');
    const x = g.input('x', 'float32', ['n', 3, 4, 4]);
    g.output('class', 'int64', ['n'], g.node('ArgMax', [g.node('Flatten', [x])], { axis: 1, keepdims: 0 }));
    return g.toModel();
  };
  const notFinite = () => {
    const g = new GraphBuilder('logarithm');
    const x = g.input('x', 'float32', ['n', 3, 4, 4]);
    g.output('y', 'float32', ['n', 48], g.node('Log', [g.node('Flatten', [x])]));
    return g.toModel();
  };
  it.each([
    ['a fixed batch', imageModel([1, 3, 4, 4]), /exactly 1 at a time/],
    ['an old opset', imageModel(undefined, 11), /opset 11/],
    ['two channels', imageModel(['n', 2, 4, 4]), /2 channels/],
    ['images that are not square', imageModel(['n', 3, 4, 6]), /not square/],
    ['an unknown size', imageModel(['n', 3, 'h', 'w']), /not known/],
    ['tokens', textModel(), /one input/],
    ['a class instead of a vector', classifierOfIntegers(), /No output/],
    ['a result that is not finite', notFinite(), /not finite/],
    ['no model', Uint8Array.of(1, 2, 3), /not a readable ONNX/],
  ])('%s', async (_, bytes, message) => {
    const refused = inspectImportedEncoder(bytes, { kind: 'image' });
    await expect(refused).rejects.toMatchObject({ code: 'encoder-invalid', message: expect.stringMatching(message) });
  });

  it('a tokenizer that cannot be read, inputs that are no tokens, a deviation of zero', async () => {
    const code = { code: 'encoder-invalid' };
    await expect(inspectImportedEncoder(textModel(), { kind: 'text', tokenizer: '{' })).rejects.toMatchObject(code);
    await expect(inspectImportedEncoder(imageModel(), { kind: 'text', tokenizer: TOKENIZER })).rejects.toMatchObject(
      code,
    );
    await expect(inspectImportedEncoder(imageModel(), { kind: 'image', std: [1, 0, 1] })).rejects.toMatchObject(code);
  });
});
