/**
 * A small text encoder of the form that BERT has, with normalisation before each part: from
 * 'text_tokens' and 'text_mask' to one vector of unit length, the mean over a text's tokens.
 * Weights are drawn, not trained. Stands in for an encoder that was made elsewhere.
 */
import { createRng } from '../../main/domain/rng.ts';
import { float, GraphBuilder } from '../../main/onnx/index.ts';

export interface TransformerShape {
  words: number;
  /** Tokens that a text has at most. */
  longest: number;
  width: number;
  heads: number;
  blocks: number;
}

/** The encoder's file; the same seed gives the same bytes. */
export function transformer({ words, longest, width, heads, blocks }: TransformerShape, seed: number): Uint8Array {
  const rng = createRng(seed);
  const g = new GraphBuilder('transformer');
  const ids = g.input('text_tokens', 'int64', ['n', 'tokens']);
  const mask = g.input('text_mask', 'int64', ['n', 'tokens']);
  const drawn = (name: string, shape: readonly number[], deviation: number) => {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => deviation * rng.normal());
    return g.constant(values, shape, name);
  };
  const normalised = (x: string) => {
    const [scale, shift] = [1, 0].map((value) => g.constant(new Float32Array(width).fill(value)));
    return g.node('LayerNormalization', [x, scale, shift], { axis: -1, epsilon: float(1e-5) });
  };
  const linear = (x: string, name: string, from: number, to: number) => {
    const product = g.node('MatMul', [x, drawn(`${name}/weight`, [from, to], 1 / Math.sqrt(from))]);
    return g.node('Add', [product, g.constant(new Float32Array(to), [to], `${name}/bias`)]);
  };

  const length = g.node('Gather', [g.node('Shape', [ids]), g.ints(1)]);
  const places = g.node('Slice', [drawn('places', [longest, width], 0.5), g.ints(0), length, g.ints(0)]);
  let x = g.node('Add', [g.node('Gather', [drawn('words', [words, width], 1), ids]), places]);
  const real = g.node('Cast', [mask], { to: 1 });
  const absent = g.node('Mul', [g.node('Sub', [g.scalar(1), real]), g.scalar(-1e4)]);
  const unseen = g.node('Unsqueeze', [absent, g.ints(1, 2)]);
  const size = width / heads;
  for (let b = 0; b < blocks; b++) {
    const before = normalised(x);
    const [query, key, value] = ['query', 'key', 'value'].map((part) => {
      const all = g.node('Reshape', [linear(before, `${b}/${part}`, width, width), g.ints(0, 0, heads, size)]);
      return g.node('Transpose', [all], { perm: part === 'key' ? [0, 2, 3, 1] : [0, 2, 1, 3] });
    });
    const scores = g.node('Mul', [g.node('MatMul', [query, key]), g.scalar(1 / Math.sqrt(size))]);
    const attention = g.node('Softmax', [g.node('Add', [scores, unseen])], { axis: -1 });
    const mixed = g.node('Transpose', [g.node('MatMul', [attention, value])], { perm: [0, 2, 1, 3] });
    const together = g.node('Reshape', [mixed, g.ints(0, 0, width)]);
    x = g.node('Add', [x, linear(together, `${b}/joined`, width, width)]);
    const inner = linear(normalised(x), `${b}/inward`, width, 4 * width);
    const gelu = g.node('Mul', [inner, g.node('Sigmoid', [g.node('Mul', [inner, g.scalar(1.702)])])]);
    x = g.node('Add', [x, linear(gelu, `${b}/outward`, 4 * width, width)]);
  }
  const weights = g.node('Unsqueeze', [real, g.ints(2)]);
  const sum = g.node('ReduceSum', [g.node('Mul', [normalised(x), weights]), g.ints(1)], { keepdims: 0 });
  const squares = g.node('ReduceSum', [g.node('Mul', [sum, sum]), g.ints(1)], { keepdims: 1 });
  g.output('embedding', 'float32', ['n', width], g.node('Div', [sum, g.node('Sqrt', [squares])]));
  return g.toModel();
}
