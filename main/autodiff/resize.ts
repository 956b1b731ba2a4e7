/**
 * Resize as matrices: along each axis, output i is a weighted sum of inputs (ONNX's Resize,
 * versions 13 to 19: nearest, linear and cubic; every coordinate transformation but the
 * cropping one). Weights are computed as the specification states them.
 */
import { given, int, knownInts, type Node, real, unsupported, word } from './ir.ts';

export interface AxisMatrix {
  axis: number;
  /** `[out, n]`, row-major: which inputs make each output. */
  matrix: Float32Array;
  n: number;
}

/** One matrix for each axis that changes its size. Errors: `encoder-invalid` for modes not known here. */
export function resizeMatrices(node: Node): AxisMatrix[] {
  const from = given(node, 0).shape;
  const to = node.outputs[0].shape;
  const scales = node.inputs[2]?.constant ? knownInts(node, 2)! : [];
  if (int(node, 'antialias', 0) === 1)
    throw unsupported(node, 'smooths while it shrinks (antialias), which has no derivative here');
  return from.flatMap((n, axis) => {
    if (to[axis] === n && (scales[axis] ?? 1) === 1) return [];
    const matrix = new Float32Array(to[axis] * n);
    for (let i = 0; i < to[axis]; i++) {
      for (const [at, weight] of tapsOf(node, coordinate(node, i, n, to[axis], scales[axis] ?? to[axis] / n))) {
        matrix[i * n + Math.min(Math.max(at, 0), n - 1)] += weight;
      }
    }
    return [{ axis, matrix, n }];
  });
}

function coordinate(node: Node, i: number, n: number, out: number, scale: number): number {
  const mode = word(node, 'coordinate_transformation_mode', 'half_pixel');
  switch (mode) {
    case 'half_pixel':
      return (i + 0.5) / scale - 0.5;
    case 'pytorch_half_pixel':
      return out > 1 ? (i + 0.5) / scale - 0.5 : 0;
    case 'half_pixel_symmetric':
      return (n / 2) * (1 - out / (scale * n)) + (i + 0.5) / scale - 0.5;
    case 'asymmetric':
      return i / scale;
    case 'align_corners':
      return out > 1 ? (i * (n - 1)) / (out - 1) : 0;
    default:
      throw unsupported(node, `places its pixels by “${mode}”, which has no derivative here`);
  }
}

/** Inputs around `x` and their weights; those outside belong to the border. */
function tapsOf(node: Node, x: number): [number, number][] {
  const mode = word(node, 'mode', 'nearest');
  const base = Math.floor(x);
  const t = x - base;
  if (mode === 'linear') {
    return [
      [base, 1 - t],
      [base + 1, t],
    ];
  }
  if (mode === 'cubic') {
    if (int(node, 'exclude_outside', 0) === 1)
      throw unsupported(node, 'leaves out pixels at the border, which has no derivative here');
    const a = real(node, 'cubic_coeff_a', -0.75);
    // Keys 1981
    const inner = (d: number) => ((a + 2) * d - (a + 3)) * d * d + 1;
    const outer = (d: number) => ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
    return [
      [base - 1, outer(1 + t)],
      [base, inner(t)],
      [base + 1, inner(1 - t)],
      [base + 2, outer(2 - t)],
    ];
  }
  switch (word(node, 'nearest_mode', 'round_prefer_floor')) {
    case 'floor':
      return [[base, 1]];
    case 'ceil':
      return [[Math.ceil(x), 1]];
    case 'round_prefer_ceil':
      return [[Math.floor(x + 0.5), 1]];
    default:
      return [[Math.ceil(x - 0.5), 1]];
  }
}
