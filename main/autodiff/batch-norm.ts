/**
 * Batch normalisation with the statistics of the batch (Ioffe & Szegedy 2015), for images
 * whose convolutions are in blocks. What is done to a channel (take its mean off, scale it)
 * is written as a convolution of that channel by one number, which keeps the blocks and
 * costs one pass over memory; the derivative is stated in the same operators.
 */
import type { Graph } from './graph.ts';
import { sizeOf, type Value } from './ir.ts';

export interface Normalised {
  readonly y: Value;
  /** Of each channel, over images and positions. */
  readonly mean: Value;
  /** Mean square of the distance from the mean. */
  readonly variance: Value;
}

/** [n, channels, h, w] to mean `bias` and deviation `scale` in each channel. */
export function normaliseChannels(g: Graph, x: Value, scale: Value, bias: Value, epsilon: number): Normalised {
  const count = sizeOf(x.shape) / x.shape[1];
  const ones = g.floats(new Float32Array(x.shape[1]).fill(1), [x.shape[1]]);
  const mean = g.mul(g.sum(x, [0, 2, 3]), 1 / count);
  const centred = channelwise(g, x, ones, g.op('Neg', [mean]));
  const variance = g.mul(products(g, centred, centred), 1 / count);
  const inverse = g.over(1, g.op('Sqrt', [g.plus(variance, epsilon)]));
  const slope = g.mul(scale, inverse);
  const y = g.stated(channelwise(g, centred, slope, bias), [x, scale, bias], (dy) => {
    const [total, along] = [g.sum(dy, [0, 2, 3]), products(g, dy, centred)];
    const perItem = g.mul(slope, -1 / count);
    // slope · (dy − mean dy − x̂ · mean(dy · x̂)), x̂ = centred · inverse
    const towards = channelwise(g, dy, slope, g.mul(perItem, total));
    const across = channelwise(g, centred, g.mul(perItem, g.mul(along, g.mul(inverse, inverse))), null);
    return [g.plus(towards, across), g.mul(along, inverse), total];
  });
  return { y, mean, variance };
}

/** Each channel times its factor, plus its shift. */
function channelwise(g: Graph, x: Value, factors: Value, shifts: Value | null): Value {
  const channels = x.shape[1];
  const inputs = [x, g.reshape(factors, [channels, 1, 1, 1]), ...(shifts ? [shifts] : [])];
  return g.op('Conv', inputs, { kernel_shape: [1, 1], group: channels });
}

/** Σ a · b of each channel: images are convolved by images where channels fill their blocks. */
function products(g: Graph, a: Value, b: Value): Value {
  const [n, channels, h, w] = a.shape;
  if (channels % (g.block ?? 1) !== 0) return g.sum(g.mul(a, b), [0, 2, 3]);
  const all = n * channels;
  const each = g.op('Conv', [g.reshape(a, [1, all, h, w]), g.reshape(b, [all, 1, h, w])], {
    kernel_shape: [h, w],
    group: all,
  });
  return g.sum(g.reshape(each, [n, channels]), [0]);
}
