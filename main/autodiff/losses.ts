/**
 * Losses, as parts of the graph: each takes the model's output and a target that is fed with
 * every step, and gives one number, the mean over what counts. Classes are along axis 1, as
 * in PyTorch, so that the same loss serves items `[n, c]`, tokens `[n, c, t]` and pixels
 * `[n, c, h, w]`.
 */
import { assert } from '../domain/errors.ts';
import type { Graph } from './graph.ts';
import { type Value } from './ir.ts';
import { normalised } from './rules-reducing.ts';

/** What is minimised. Numbers named here are fixed in the graph; the target is an input of it. */
export type Loss =
  /** Class indices in [0, c), −100 (or `ignore`) where nothing is asked. Smoothing: Szegedy et al. 2016. */
  | { kind: 'cross-entropy'; classWeights?: readonly number[]; smoothing?: number; ignore?: number }
  /** A distribution over classes for each place, `[n, c, …]`. */
  | { kind: 'soft-cross-entropy'; classWeights?: readonly number[] }
  /** 0 or 1 (or between) for each class on its own. */
  | { kind: 'binary-cross-entropy'; classWeights?: readonly number[] }
  /** (1 − p)^γ · −log p of class indices (Lin et al. 2017). */
  | { kind: 'focal'; gamma?: number; classWeights?: readonly number[]; ignore?: number }
  /** 1 − mean over classes of 2·Σpt / (Σp + Σt), from class indices (Milletari et al. 2016). */
  | { kind: 'dice'; smooth?: number; ignore?: number }
  | { kind: 'mean-squared-error' }
  /** Rows 2i and 2i + 1 of `[n, d]` are two views of one item, all others are not; no target (van den Oord et al. 2018; Chen et al. 2020). */
  | { kind: 'info-nce'; temperature?: number };

/** The name of the graph input that carries the target. */
export const TARGET = 'target';

/** Adds a loss on `output`; its target, where it has one, becomes the graph input `target`. */
export function addLoss(g: Graph, loss: Loss, output: Value): Value {
  const { shape } = output;
  const [n, classes, ...space] = shape;
  const places = [n, ...space];
  switch (loss.kind) {
    case 'cross-entropy': {
      const { onehot, counts } = indexTarget(g, shape, loss.ignore ?? -100);
      const logs = g.op('LogSoftmax', [output], { axis: 1 });
      const weights = loss.classWeights ? perClass(g, loss.classWeights, shape) : null;
      const weighted = weights ? g.mul(onehot, weights) : onehot;
      const total = everything(g, weighted);
      const hit = g.over(everything(g, g.mul(weighted, logs)), total);
      const smoothing = loss.smoothing ?? 0;
      if (smoothing === 0) return g.op('Neg', [hit]);
      const counted = g.mul(logs, counts);
      const miss = g.over(everything(g, weights ? g.mul(counted, weights) : counted), total);
      return g.op('Neg', [g.plus(g.mul(hit, 1 - smoothing), g.mul(miss, smoothing / classes))]);
    }
    case 'soft-cross-entropy': {
      const target = g.input(TARGET, shape);
      const logs = g.op('LogSoftmax', [output], { axis: 1 });
      const weighted = loss.classWeights ? g.mul(target, perClass(g, loss.classWeights, shape)) : target;
      return g.mul(everything(g, g.mul(weighted, logs)), -1 / places.reduce((a, b) => a * b, 1));
    }
    case 'binary-cross-entropy': {
      const target = g.input(TARGET, shape);
      const each = g.minus(g.op('Softplus', [output]), g.mul(target, output));
      return average(g, loss.classWeights ? g.mul(each, perClass(g, loss.classWeights, shape)) : each);
    }
    case 'focal': {
      const { onehot } = indexTarget(g, shape, loss.ignore ?? -100);
      const logs = g.op('LogSoftmax', [output], { axis: 1 });
      const gamma = loss.gamma ?? 2;
      // 1 − p as a sum of the others would cancel; kept above 0 so that its power has a derivative
      const rest = g.op('Max', [g.minus(1, g.op('Exp', [logs])), g.scalar(1e-7)]);
      const focused = g.mul(g.op('Pow', [rest, g.scalar(gamma)]), logs);
      const weighted = loss.classWeights ? g.mul(onehot, perClass(g, loss.classWeights, shape)) : onehot;
      return g.op('Neg', [g.over(everything(g, g.mul(weighted, focused)), everything(g, onehot))]);
    }
    case 'dice': {
      const { onehot, counts } = indexTarget(g, shape, loss.ignore ?? -100);
      const p = g.mul(g.op('Softmax', [output], { axis: 1 }), counts);
      const axes = shape.flatMap((_, i) => (i === 1 ? [] : [i]));
      const smooth = loss.smooth ?? 1;
      const overlap = g.plus(g.mul(g.sum(g.mul(p, onehot), axes), 2), smooth);
      const total = g.plus(g.plus(g.sum(p, axes), g.sum(onehot, axes)), smooth);
      return g.minus(1, average(g, g.over(overlap, total)));
    }
    case 'mean-squared-error': {
      const difference = g.minus(output, g.input(TARGET, shape));
      return average(g, g.mul(difference, difference));
    }
    default: {
      // info-nce
      assert(shape.length === 2 && n % 2 === 0, 'an even number of embeddings', [...shape]);
      const unit = normalised(g, output, 1);
      const similar = g.mul(g.op('MatMul', [unit, g.flip(unit)]), 1 / (loss.temperature ?? 0.1));
      const self = g.floats(
        Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? -1e9 : 0)),
        [n, n],
      );
      const logs = g.op('LogSoftmax', [g.plus(similar, self)], { axis: 1 });
      const partner = Float32Array.from({ length: n * n }, (_, i) => (i % n === (Math.floor(i / n) ^ 1) ? 1 : 0));
      return g.mul(everything(g, g.mul(logs, g.floats(partner, [n, n]))), -1 / n);
    }
  }
}

/** Class indices as an input, one-hot along axis 1 (zeros where ignored), and 1 where they count. */
function indexTarget(g: Graph, shape: readonly number[], ignore: number): { onehot: Value; counts: Value } {
  const [n, classes, ...space] = shape;
  const target = g.input(TARGET, [n, ...space], 'int64');
  const wide = g.reshape(target, [n, 1, ...space]);
  const labels = g.reshape(g.ints([...Array(classes).keys()]), [classes, ...space.map(() => 1)]);
  const ignored = g.op('Equal', [wide, g.scalar(ignore, 'int64')]);
  const counts = g.cast(g.op('Not', [ignored]), 'float32');
  const onehot = g.mul(g.cast(g.op('Equal', [wide, labels]), 'float32'), counts);
  return { onehot, counts };
}

function perClass(g: Graph, weights: readonly number[], shape: readonly number[]): Value {
  assert(weights.length === shape[1], `${shape[1]} class weights`, weights.length);
  return g.floats(Float32Array.from(weights), [weights.length, ...shape.slice(2).map(() => 1)]);
}

const allAxes = (v: Value) => v.shape.map((_, i) => i);
const everything = (g: Graph, v: Value) => g.sum(v, allAxes(v));
const average = (g: Graph, v: Value) => g.mean(v, allAxes(v));
