/**
 * The frozen prefix: prefix and suffix together are the model, whatever is trained and however
 * many items run at once; the suffix trains as the model does; and the cut is where few bytes
 * pass and no product is computed twice.
 */
import * as ort from 'onnxruntime-node';
import { describe, expect, it, test } from 'vitest';
import { cut, type Cut, GRADIENT, TARGET, trainingGraph, weightsOf, withAdapters } from '../../main/autodiff/index.ts';
import { narrowest } from '../../main/autodiff/narrowest.ts';
import { createRng } from '../../main/domain/rng.ts';
import { GraphBuilder, readModel } from '../../main/onnx/index.ts';
import { difference, type Feeds, floats, HAVE_CASES, inputsFor, readCase, run } from './running.ts';

const numbers = (...dims: number[]) => {
  const rng = createRng(dims.length);
  return [Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => 0.5 * rng.normal()), dims] as const;
};

/** The deepest `share` of what can be trained. */
const deepest = (model: Uint8Array, share: number) =>
  weightsOf(model).flatMap(({ name, depth }) => (depth >= 1 - share ? [name] : []));
const products = (model: Uint8Array) =>
  readModel(model).graph.node.filter(({ opType }) => /^(Conv|MatMul|Gemm)/.test(opType)).length;

/** Worst difference of suffix(prefix(x)) and model(x), for three items at once and for one. */
async function apart(model: Uint8Array, made: Cut): Promise<number> {
  let worst = 0;
  for (const n of [3, 1]) {
    const feeds = inputsFor(model, n, n);
    const kept = await run(made.prefix, feeds);
    for (const { name, dtype, shape } of made.tensors)
      expect([kept[name].type, kept[name].dims]).toEqual([dtype, [n, ...shape]]);
    const [got, expected] = [await run(made.suffix, kept), await run(model, feeds)];
    for (const name of Object.keys(expected)) worst = Math.max(worst, difference(got[name], expected[name]));
  }
  return worst;
}

describe.skipIf(!HAVE_CASES)('Prefix and suffix of a reference network are the network', () => {
  test.each(['cnn', 'resnet', 'mobilenet', 'vit', 'bert', 'bert-tokens', 'unet'])('%s', async (name) => {
    const { model } = readCase(name);
    for (const share of [0, 0.1, 0.3, 0.6]) {
      const made = cut(model, { trainable: deepest(model, share) })!;
      expect(products(made.prefix)).toBeGreaterThan(0);
      expect(await apart(model, made)).toBeLessThan(1e-6);
    }
  });

  test.each(['cnn', 'resnet', 'mobilenet', 'vit', 'bert', 'bert-tokens', 'unet'])(
    'no product of %s is computed in both',
    (name) => {
      const { model } = readCase(name);
      const made = cut(model, { trainable: deepest(model, 0.3) })!;
      expect(products(made.prefix) + products(made.suffix)).toBe(products(model));
    },
  );

  it('A single weight in the midst, or adapters, may be all that is trained', async () => {
    const { model } = readCase('bert');
    const one = cut(model, { trainable: ['layers.1.n2.weight'] })!;
    expect(await apart(model, one)).toBeLessThan(1e-6);
    // the layer's input passes, not its normalised copy too; and the mask at the end
    expect(one.tensors.map(({ shape }) => shape.join()).toSorted()).toEqual(['16,1', '16,48']);
    const targets = weightsOf(model).flatMap(({ name, shape, depth }) =>
      depth > 0.7 && shape.length === 2 ? [name] : [],
    );
    const adapted = withAdapters(model, { rank: 2, seed: 1, targets });
    expect(await apart(adapted.model, cut(adapted.model, adapted)!)).toBeLessThan(1e-6);
  });

  it('The suffix has the losses and gradients of the model', async () => {
    const { model } = readCase('vit');
    const trainable = deepest(model, 0.3);
    const { prefix, suffix } = cut(model, { trainable })!;
    const options = { loss: { kind: 'cross-entropy' }, trainable, batch: 4 } as const;
    const feeds = inputsFor(model, 4, 9);
    const step = async (graph: Uint8Array, inputs: Feeds) => {
      const made = trainingGraph(graph, options);
      const target = new ort.Tensor('int64', BigInt64Array.of(0n, 1n, 2n, 3n), [4]);
      const weights = Object.entries(made.weights).map(([name, w]) => [name, floats(w.initial, w.shape)] as const);
      return run(made.model, { ...inputs, [TARGET]: target, ...Object.fromEntries(weights) });
    };
    const [got, expected] = [await step(suffix, await run(prefix, feeds)), await step(model, feeds)];
    expect(Object.keys(got).toSorted()).toEqual(Object.keys(expected).toSorted());
    expect(trainable.map((name) => GRADIENT + name)).toEqual(
      expect.arrayContaining(Object.keys(got).filter((name) => name.startsWith(GRADIENT))),
    );
    for (const name of Object.keys(expected)) expect(difference(got[name], expected[name])).toBeLessThan(1e-5);
  });
});

/** Two products with a wide and a narrow place between them; a second output from the frozen part; open axes. */
function branching(): Uint8Array {
  const g = new GraphBuilder('net', { opset: 17 });
  const x = g.input('x', 'float32', ['n', 't', 6]);
  const first = g.node('MatMul', [x, g.constant(...numbers(6, 8), 'first')]);
  const mean = g.node('ReduceMean', [first], { axes: [1], keepdims: 0 });
  const wide = g.node('Concat', [mean, g.node('Relu', [mean]), g.node('Tanh', [mean])], { axis: 1 });
  g.output('early', 'float32', ['n', 8], mean);
  g.output('logits', 'float32', ['n', 3], g.node('Gemm', [wide, g.constant(...numbers(24, 3), 'last')]));
  return g.toModel();
}

describe('Where a model is cut', () => {
  const shapes = { x: [1, 5, 6] };

  it('is the narrowest place after the last frozen product', async () => {
    const made = cut(branching(), { trainable: ['last'], shapes })!;
    expect(made.tensors.map(({ dtype, shape, sizeBytes }) => [dtype, shape, sizeBytes])).toEqual([
      ['float32', [8], 32],
    ]);
    const feeds = { x: floats(numbers(2, 5, 6)[0], [2, 5, 6]) };
    const [got, expected] = [await run(made.suffix, await run(made.prefix, feeds)), await run(branching(), feeds)];
    for (const name of ['early', 'logits']) expect(difference(got[name], expected[name])).toBeLessThan(1e-6);
    expect(readModel(cut(branching(), { trainable: ['last'], shapes, output: 'logits' })!.suffix).outputs).toHaveLength(
      1,
    );
  });

  it('is nowhere where no product is frozen', () => {
    expect(cut(branching(), { trainable: ['first'], shapes })).toBeNull();
    expect(cut(branching(), { trainable: ['first', 'last'], shapes, output: 'logits' })).toBeNull();
  });

  it('is nowhere where items cannot be told apart', () => {
    const g = new GraphBuilder('net', { opset: 17 });
    const product = g.node('MatMul', [g.input('x', 'float32', ['n', 4]), g.constant(...numbers(4, 4), 'w')]);
    const turned = g.node('Transpose', [product], { perm: [1, 0] });
    const y = g.node('Mul', [turned, g.constant(...numbers(4, 1), 'scale')]);
    g.output('y', 'float32', [4, 'n'], y);
    // it is cut before it is turned
    expect(cut(g.toModel(), { trainable: ['scale'] })!.tensors.map(({ shape }) => shape)).toEqual([[4]]);
    const h = new GraphBuilder('net', { opset: 17 });
    const turnedInput = h.node('Transpose', [h.input('x', 'float32', [4, 'n'])], { perm: [1, 0] });
    h.output('y', 'float32', ['n', 4], h.node('MatMul', [turnedInput, h.constant(...numbers(4, 4), 'w')]));
    expect(() => cut(h.toModel(), { trainable: ['w'] })).toThrow(/“x” has no fixed size along axis 1/);
  });

  it('must be asked for by an output and weights that there are', () => {
    expect(() => cut(branching(), { trainable: ['none'], shapes })).toThrow(/“none”/);
    expect(() => cut(branching(), { trainable: ['last'], shapes, output: 'none' })).toThrow(/Choose|“none”/);
    expect(() => cut(branching(), { trainable: ['last'] })).toThrow(/“x” has no fixed size along axis 1/);
  });
});

describe('The narrowest cut', () => {
  /** Whether the flow from what begins still reaches an end without passing through `cut`. */
  const isOpen = (
    before: readonly (readonly number[] | null)[],
    ends: readonly number[],
    without: ReadonlySet<number>,
  ) => {
    const open = (v: number): boolean => !without.has(v) && (before[v]?.some(open) ?? true);
    return ends.some(open);
  };

  it('costs what the cheapest of all cuts costs', () => {
    const rng = createRng(11);
    for (let trial = 0; trial < 100; trial++) {
      const before = Array.from({ length: 8 }, (_, v) => (v < 2 ? null : rng.sample(v, Math.min(v, 1 + rng.int(3)))));
      const costs = before.map(() => (rng.int(6) === 0 ? Infinity : 1 + rng.int(9)));
      const ends = [7, 5];
      const costOf = (cutting: readonly number[]) => cutting.reduce((sum, v) => sum + costs[v], 0);
      const all = Array.from({ length: 256 }, (_, bits) => before.flatMap((_v, v) => ((bits >> v) & 1 ? [v] : [])));
      const cheapest = Math.min(...all.filter((some) => !isOpen(before, ends, new Set(some))).map(costOf));
      const found = narrowest(
        ends.map(String),
        (v) => before[Number(v)]?.map(String) ?? null,
        (v) => costs[Number(v)],
      );
      if (!found) expect(cheapest).toBe(Infinity);
      else {
        const own = found.map(Number);
        expect([costOf(own), isOpen(before, ends, new Set(own))]).toEqual([cheapest, false]);
      }
    }
  });

  it('is the latest of equals', () => {
    const before: Record<string, string[] | null> = { a: null, b: ['a'], c: ['b'] };
    expect(
      narrowest(
        ['c'],
        (name) => before[name],
        () => 4,
      ),
    ).toEqual(['c']);
  });
});

describe('The weights of a model', () => {
  it('are listed as it uses them, from depth 0 to 1', () => {
    expect(weightsOf(branching())).toEqual([
      { name: 'first', shape: [6, 8], size: 48, depth: 0 },
      { name: 'last', shape: [24, 3], size: 72, depth: 1 },
    ]);
  });

  it('count where they are used, not where they are copied, and only as float32', () => {
    const g = new GraphBuilder('net', { opset: 17 });
    const copy = g.node('Identity', [g.constant(...numbers(4, 4), 'w')]);
    const bias = g.constant(...numbers(4), 'b');
    const x = g.node('Add', [
      g.node('MatMul', [g.input('x', 'float32', ['n', 4]), g.constant(...numbers(4, 4), 'v')]),
      bias,
    ]);
    const half = g.node('MatMul', [
      g.node('Cast', [x], { to: 10 }),
      g.constant(Float16Array.of(1, 2, 3, 4), [4, 1], 'half'),
    ]);
    g.output('y', 'float32', ['n', 4], g.node('Mul', [g.node('MatMul', [x, copy]), g.node('Cast', [half], { to: 1 })]));
    expect(weightsOf(g.toModel()).map(({ name, depth }) => [name, depth])).toEqual([
      ['v', 0],
      ['b', 0],
      ['w', 1],
    ]);
  });

  test.skipIf(!HAVE_CASES).each(['cnn', 'resnet', 'mobilenet', 'vit', 'bert', 'bert-tokens', 'unet'])(
    'of %s are those that its maker trained',
    (name) => {
      const { model, trainable } = readCase(name);
      const found = weightsOf(model);
      expect(trainable.filter((weight) => !found.some((own) => own.name === weight))).toEqual([]);
      expect(found.map(({ depth }) => depth)).toEqual(found.map(({ depth }) => depth).toSorted((a, b) => a - b));
      expect([found[0].depth, found.at(-1)!.depth]).toEqual([0, 1]);
    },
  );
});
