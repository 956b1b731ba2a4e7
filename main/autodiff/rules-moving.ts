/**
 * Derivatives of operators that move, repeat, cut or pick elements: each adjoint is moved
 * back, and what was repeated or picked several times is summed where it came from.
 */
import type { Graph } from './graph.ts';
import { axisOf, given, int, ints, knownInts, type Node, sizeOf, type Value, word } from './ir.ts';
import { resizeMatrices } from './resize.ts';
import { type Rule, unbroadcast } from './rule.ts';
import { padsOf, sliceOf } from './shapes.ts';

const back: Rule = ({ g, x, dy }) => [g.reshape(dy, x[0].shape)];

const zeros = (g: Graph, shape: readonly number[]) => g.expand(g.scalar(0), shape);

/** Puts a slice's adjoint back among zeros: spread out where the slice stepped, then padded. */
const slice: Rule = ({ g, node, x, dy }) => {
  const rank = x[0].shape.length;
  const pads = Array.from({ length: 2 * rank }, () => 0);
  let d = dy;
  for (const { axis, start, step, count } of sliceOf(node)) {
    if (count === 0) return [zeros(g, x[0].shape)];
    let first = start;
    if (step < 0) {
      d = g.slice(d, [axis], [-1], [-(2 ** 31)], [-1]);
      first = start + (count - 1) * step;
    }
    d = dilate(g, d, axis, Math.abs(step));
    pads[axis] = first;
    pads[axis + rank] = x[0].shape[axis] - first - d.shape[axis];
  }
  return [g.pad(d, pads)];
};

/** `step − 1` zeros between neighbours along one axis. */
export function dilate(g: Graph, v: Value, axis: number, step: number): Value {
  const n = v.shape[axis];
  if (step === 1 || n === 1) return v;
  const apart = g.reshape(v, [...v.shape.slice(0, axis + 1), 1, ...v.shape.slice(axis + 1)]);
  const rank = apart.shape.length;
  const pads = Array.from({ length: 2 * rank }, (_, i) => (i === rank + axis + 1 ? step - 1 : 0));
  const wide = g.reshape(
    g.pad(apart, pads),
    v.shape.map((dim, i) => (i === axis ? dim * step : dim)),
  );
  return g.slice(wide, [axis], [0], [(n - 1) * step + 1]);
}

const concat: Rule = ({ g, node, x, dy, needs }) => {
  const axis = axisOf(int(node, 'axis', 0), dy.shape.length);
  let start = 0;
  return x.map((v, i) => {
    const from = start;
    start += v.shape[axis];
    return needs(i) ? g.slice(dy, [axis], [from], [start]) : null;
  });
};

const split: Rule = ({ g, node, dys }) => {
  const axis = axisOf(int(node, 'axis', 0), given(node, 0).shape.length);
  return [
    g.concat(
      dys.map((dy, i) => dy ?? zeros(g, node.outputs[i].shape)),
      axis,
    ),
  ];
};

/** Adjoints of picked rows are added up where they came from. */
const gather: Rule = ({ g, node, x, dy }) => {
  const [table, indices] = x;
  const axis = axisOf(int(node, 'axis', 0), table.shape.length);
  const known = indices.constant;
  if (known && known.data.length === 1) {
    const at = axisOf(Number(known.data[0]), table.shape[axis]);
    const rank = table.shape.length;
    const one = g.reshape(
      dy,
      table.shape.map((dim, i) => (i === axis ? 1 : dim)),
    );
    const pads = Array.from({ length: 2 * rank }, (_, i) =>
      i === axis ? at : i === axis + rank ? table.shape[axis] - at - 1 : 0,
    );
    return [g.pad(one, pads)];
  }
  const n = sizeOf(indices.shape);
  const outer = table.shape.slice(0, axis);
  const inner = table.shape.slice(axis + 1);
  const rows = g.reshape(dy, [sizeOf(outer), n, sizeOf(inner)]);
  const where = g.expand(g.reshape(indices, [1, n, 1]), rows.shape);
  const empty = zeros(g, [sizeOf(outer), table.shape[axis], sizeOf(inner)]);
  const summed = g.op('ScatterElements', [empty, where, rows], { axis: 1, reduction: 'add' });
  return [g.reshape(summed, table.shape)];
};

const gatherElements: Rule = ({ g, node, x, dy }) => [
  g.op('ScatterElements', [zeros(g, x[0].shape), x[1], dy], { axis: int(node, 'axis', 0), reduction: 'add' }),
];

/** Index tuples become positions in the flattened tensor. */
const gatherNd: Rule = ({ g, node, x, dy }) => {
  const [table, indices] = x;
  const batch = int(node, 'batch_dims', 0);
  const depth = indices.shape.at(-1)!;
  const outer = sizeOf(table.shape.slice(0, batch));
  const picked = table.shape.slice(batch, batch + depth);
  const inner = sizeOf(table.shape.slice(batch + depth));
  const steps = picked.map((_, i) => sizeOf(picked.slice(i + 1)));
  const sizes = g.ints(picked);
  const counted = g.where(g.op('Less', [indices, g.scalar(0, 'int64')]), g.plus(indices, sizes), indices);
  const flat = g.sum(g.mul(counted, g.ints(steps)), [indices.shape.length - 1]);
  const rows = g.reshape(dy, [outer, sizeOf(dy.shape) / (outer * inner), inner]);
  const where = g.expand(g.reshape(flat, [outer, rows.shape[1], 1]), rows.shape);
  const summed = g.op('ScatterElements', [zeros(g, [outer, sizeOf(picked), inner]), where, rows], {
    axis: 1,
    reduction: 'add',
  });
  return [g.reshape(summed, table.shape)];
};

/** What was written over has no adjoint; what was written takes its own; with 'add' both keep theirs. */
const scatterElements: Rule = ({ g, node, x: [, indices, updates], dy, needs }) => {
  const axis = int(node, 'axis', 0);
  const own = needs(2) ? g.op('GatherElements', [dy, indices], { axis }) : null;
  if (word(node, 'reduction', 'none') === 'add') return [dy, null, own];
  const covered = needs(0) ? g.op('ScatterElements', [dy, indices, zeros(g, updates.shape)], { axis }) : null;
  return [covered, null, own];
};

const scatterNd: Rule = ({ g, node, x: [, indices, updates], dy, needs }) => {
  const own = needs(2) ? g.op('GatherND', [dy, indices]) : null;
  if (word(node, 'reduction', 'none') === 'add') return [dy, null, own];
  return [needs(0) ? g.op('ScatterND', [dy, indices, zeros(g, updates.shape)]) : null, null, own];
};

/** Cuts the margin off; for 'reflect', 'edge' and 'wrap' the margin's adjoint is folded back by one matrix per axis. */
const pad: Rule = ({ g, node, x, dy }) => {
  const { shape } = x[0];
  const rank = shape.length;
  const pads = padsOf(node);
  const mode = word(node, 'mode', 'constant');
  const axes = shape.map((_, i) => i).filter((i) => pads[i] !== 0 || pads[i + rank] !== 0);
  if (mode === 'constant') {
    // a negative pad cuts forwards, so it pads backwards
    const inverse = pads.map((p) => -p);
    return [g.op('Pad', [dy, g.ints(inverse)])];
  }
  return [
    axes.reduce((d, axis) => {
      const n = shape[axis];
      const source = (i: number) => {
        if (mode === 'edge') return Math.min(Math.max(i, 0), n - 1);
        if (mode === 'wrap') return ((i % n) + n) % n;
        const period = Math.max(1, 2 * (n - 1));
        const at = ((i % period) + period) % period;
        return at < n ? at : period - at;
      };
      const wide = dy.shape[axis];
      const fold = new Float32Array(wide * n);
      for (let i = 0; i < wide; i++) fold[i * n + source(i - pads[axis])] = 1;
      return contract(g, d, axis, fold, n);
    }, dy),
  ];
};

/** v contracted along `axis` with a matrix of `[v.shape[axis], n]`. */
function contract(g: Graph, v: Value, axis: number, data: Float32Array, n: number): Value {
  const rank = v.shape.length;
  const matrix = g.floats(data, [v.shape[axis], n]);
  if (axis === rank - 1) return g.op('MatMul', [v, matrix]);
  if (axis === rank - 2) return g.op('MatMul', [g.transpose(matrix, [1, 0]), v]);
  const perm = v.shape.map((_, i) => (i === axis ? rank - 1 : i === rank - 1 ? axis : i));
  return g.transpose(g.op('MatMul', [g.transpose(v, perm), matrix]), perm);
}

const tile: Rule = ({ g, node, x, dy }) => {
  const repeats = knownInts(node, 1)!;
  const apart = g.reshape(
    dy,
    x[0].shape.flatMap((dim, i) => [repeats[i], dim]),
  );
  return [
    g.sum(
      apart,
      repeats.map((_, i) => 2 * i),
    ),
  ];
};

const transpose: Rule = ({ g, node, dy }) => {
  const perm = ints(node, 'perm')!;
  return [
    g.transpose(
      dy,
      perm.map((_, i) => perm.indexOf(i)),
    ),
  ];
};

/** Interpolation is one matrix per axis, whatever its mode; backwards it is the transposed one. */
const resize: Rule = ({ g, node, dy }) => [
  resizeMatrices(node).reduce((d, { axis, matrix, n }) => contract(g, d, axis, matrix, n), dy),
];

/** Blocks of channels to blocks of pixels, and back. */
const inverseBlocks = (g: Graph, node: Node, dy: Value): Value => {
  const attributes = { blocksize: int(node, 'blocksize', 1) };
  if (node.op === 'SpaceToDepth') return g.op('DepthToSpace', [dy], attributes);
  if (word(node, 'mode', 'DCR') === 'DCR') return g.op('SpaceToDepth', [dy], attributes);
  const [n, c, h, w] = given(node, 0).shape;
  const b = attributes.blocksize;
  const apart = g.reshape(dy, [n, c / (b * b), h, b, w, b]);
  return g.reshape(g.transpose(apart, [0, 1, 3, 5, 2, 4]), [n, c, h, w]);
};

export const MOVING_RULES = {
  Reshape: back,
  Flatten: back,
  Squeeze: back,
  Unsqueeze: back,
  Transpose: transpose,
  Expand: ({ g, x, dy }) => [unbroadcast(g, dy, x[0].shape)],
  Tile: tile,
  Slice: slice,
  Split: split,
  Concat: concat,
  Pad: pad,
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherNd,
  ScatterElements: scatterElements,
  ScatterND: scatterNd,
  Resize: resize,
  DepthToSpace: ({ g, node, dy }) => [inverseBlocks(g, node, dy)],
  SpaceToDepth: ({ g, node, dy }) => [inverseBlocks(g, node, dy)],
  Trilu: ({ g, node, x, dy }) => [g.op('Trilu', x[1] ? [dy, x[1]] : [dy], { upper: int(node, 'upper', 1) })],
  Shape: 'flat',
  Size: 'flat',
  Range: 'flat',
  OneHot: 'flat',
} satisfies Record<string, Rule | 'flat'>;
