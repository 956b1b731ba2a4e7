/**
 * What a run gives the project: members, networks that were each trained without one part of
 * the labelled items, joined into one block, and an encoder extended by it. The block's
 * features are the members' mean centred logits; for an item that members were trained on,
 * those of the one that was not (cross-fitting, van der Laan et al. 2007), so that a head
 * trained on them is not misled by networks that know the answers by heart.
 */
import { createHash } from 'node:crypto';
import type { Matrix } from '../domain/matrix.ts';
import type { EncoderFile } from '../inference/index.ts';
import { GraphBuilder, readModel } from '../onnx/index.ts';
import { LOGITS } from './networks.ts';

/** Logits beyond this are cut off: a network that is surer says no more. */
const SUREST = 10;

/** Joins members, each the mean of its networks: their inputs → 'tuned' `[n, c]`, the mean of all, and 'members' `[n, members · c]`. Scaled by `scale`. */
export function tunedBlock(members: readonly (readonly Uint8Array[])[], classCount: number, scale: number): Uint8Array {
  const models = members.flat().map((network) => readModel(network));
  const g = new GraphBuilder('tuned', { opset: Math.max(...models.map(({ opset }) => opset)) });
  const feeds: Record<string, string> = {};
  for (const { name, dtype, dims } of models.flatMap(({ inputs }) => inputs)) {
    if (feeds[name] === undefined && dtype !== 'other') feeds[name] = g.input(name, dtype, dims);
  }
  const c = classCount;
  const centring = Float32Array.from({ length: c * c }, (_, i) => scale * ((i % (c + 1) === 0 ? 1 : 0) - 1 / c));
  const centre = g.constant(centring, [c, c]);
  const mean = (each: readonly string[]) => {
    const sum = each.reduce((a, b) => g.node('Add', [a, b]));
    return each.length === 1 ? sum : g.node('Mul', [sum, g.scalar(1 / each.length)]);
  };
  const centred = (network: Uint8Array) => {
    const own = Object.fromEntries(readModel(network).inputs.map(({ name }) => [name, feeds[name]]));
    const logits = g.inline(network, own, [LOGITS])[LOGITS];
    return g.node('MatMul', [g.node('Clip', [logits, g.scalar(-SUREST), g.scalar(SUREST)]), centre]);
  };
  const each = members.map((networks) => mean(networks.map(centred)));
  g.output('tuned', 'float32', ['n', c], mean(each));
  g.output('members', 'float32', ['n', members.length * c], g.node('Concat', each, { axis: 1 }));
  return g.toModel(Object.assign({}, ...models.map(({ metadata }) => metadata)));
}

/** The factor that gives held-out logits `[n, c]` the mean squared norm `weight` after centring: beside an embedding of mean squared norm 1, how much they count. */
export function scaleOf({ data, rows, columns: c }: Matrix, weight: number): number {
  let squares = 0;
  for (let i = 0; i < rows; i++) {
    const row = Float64Array.from(data.subarray(i * c, (i + 1) * c), (z) => Math.min(SUREST, Math.max(-SUREST, z)));
    const mean = row.reduce((a, b) => a + b, 0) / c;
    for (const z of row) squares += (z - mean) ** 2 / rows;
  }
  return squares > 0 ? Math.sqrt(weight / squares) : 0;
}

/** An encoder that gives, after what `base` gives, the features of a tuned block; and 'members', for held-out items. `place` is the column of 'present' that says whether an item has what the block looks at; `trainedOn` is the encoder whose outputs it takes, where that is another than `base`. */
export function extendedEncoder(
  base: EncoderFile,
  block: Uint8Array,
  told: { classCount: number; members: number; place: number },
  trainedOn?: Uint8Array,
): EncoderFile {
  const own = readModel(base.model);
  const added = readModel(block);
  const g = new GraphBuilder('encoder', { opset: Math.max(own.opset, added.opset) });
  const feeds: Record<string, string> = {};
  for (const { name, dtype, dims } of own.inputs) if (dtype !== 'other') feeds[name] = g.input(name, dtype, dims);
  const outputs = g.inline(base.model, feeds);
  const inner = added.inputs.map(({ name }) => name).filter((name) => feeds[name] === undefined);
  const seen = trainedOn && inner.length > 0 ? g.inline(trainedOn, feeds, inner) : outputs;
  const taken = Object.fromEntries(added.inputs.map(({ name }) => [name, feeds[name] ?? seen[name]]));
  let { tuned, members } = g.inline(block, taken);
  if (feeds.present !== undefined) {
    const present = g.node('Gather', [feeds.present, g.ints(told.place)], { axis: 1 });
    [tuned, members] = [tuned, members].map((x) => g.node('Mul', [x, present]));
  }
  const { classCount: columns, members: count } = told;
  const { dims, reducedDims } = base.card;
  const join = (name: 'embedding' | 'reduced', width: number) =>
    g.output(name, 'float32', ['n', width + columns], g.node('Concat', [outputs[name], tuned], { axis: 1 }));
  join('embedding', dims);
  join('reduced', reducedDims);
  g.output('members', 'float32', ['n', count * columns], members);
  for (const { name, dtype, dims: shape } of own.outputs) {
    if (name === 'embedding' || name === 'reduced' || dtype === 'other') continue;
    g.output(name, dtype, shape, outputs[name]);
  }
  const model = g.toModel(own.metadata);
  return {
    model,
    card: {
      ...base.card,
      dims: dims + columns,
      reducedDims: reducedDims + columns,
      tuned: { columns, members: count },
      sha256: createHash('sha256').update(model).digest('hex'),
    },
  };
}
