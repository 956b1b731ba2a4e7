/**
 * Evidence for a class: where seams lie, what log odds are, and that what all places get sums
 * to the difference of log odds (completeness; Sundararajan et al. 2017, proposition 1). Small
 * cases are worked by hand; occlusion, which needs no derivative, is the other opinion.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  ASKED,
  EVIDENCE,
  evidenceModel,
  imageSeam,
  LOG_ODDS,
  logOddsModel,
  tokenSeam,
  type Seam,
} from '../../main/autodiff/index.ts';
import { createRng } from '../../main/domain/rng.ts';
import { openSession, tensor, type Feeds } from '../../main/inference/index.ts';
import { integratedGradients, POINTS_AT_ONCE } from '../../main/integrated-gradients.ts';
import { GraphBuilder, readModel } from '../../main/onnx/index.ts';

const CASES = fileURLToPath(new URL('../../../shared/fixtures/gradients/', import.meta.url));

async function run(model: Uint8Array, feeds: Feeds): Promise<Record<string, number[]>> {
  const session = await openSession(model, { threads: 1 });
  try {
    const names = session.model.inputs.map(({ name }) => name);
    const found = await session.run(Object.fromEntries(names.map((name) => [name, feeds[name]])));
    return Object.fromEntries(Object.entries(found).map(([name, { data }]) => [name, [...(data as Float32Array)]]));
  } finally {
    await session.close();
  }
}

const asked = (index: number, count: number) =>
  tensor(
    Float32Array.from({ length: count }, (_, i) => (i === index ? 1 : 0)),
    [1, count],
  );

/** Scores as they are, then softmax, sigmoid, or the mean of two softmaxes of the same scores. */
function version(end: 'Softmax' | 'Sigmoid' | 'mean', opset = 17): Uint8Array {
  const g = new GraphBuilder('version', { opset });
  const x = g.input('numbers', 'float32', ['n', 3]);
  const soft = () => g.node('Softmax', [g.node('Mul', [x, g.scalar(1)])], { axis: -1 });
  const p = end === 'mean' ? g.node('Mul', [g.node('Add', [soft(), soft()]), g.scalar(0.5)]) : g.node(end, [x]);
  g.output('probabilities', 'float32', ['n', 3], p);
  return g.toModel();
}

/** A picture through a convolution, a bent activation and a second one, pooled, to two classes. */
function network(seed = 1): Uint8Array {
  const rng = createRng(seed);
  const weights = (...dims: number[]) =>
    Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => 0.4 * rng.normal());
  const g = new GraphBuilder('network');
  const x = g.input('image', 'float32', ['n', 1, 12, 12]);
  const first = g.node('Tanh', [g.node('Conv', [x, g.constant(weights(4, 1, 3, 3), [4, 1, 3, 3])])]);
  const second = g.node('Relu', [
    g.node('Conv', [first, g.constant(weights(5, 4, 3, 3), [5, 4, 3, 3])], { strides: [2, 2] }),
  ]);
  const pooled = g.node('Flatten', [g.node('GlobalAveragePool', [second])]);
  const scores = g.node('Gemm', [pooled, g.constant(weights(5, 2), [5, 2]), g.constant(weights(2))]);
  g.output('probabilities', 'float32', ['n', 2], g.node('Softmax', [scores], { axis: -1 }));
  return g.toModel();
}

/** The operator that makes each value of a seam. */
function makersOf(model: Uint8Array, seam: Seam | null): (string | undefined)[] {
  const { graph } = readModel(model);
  return seam?.at.map((name) => graph.node.find(({ output }) => output.includes(name))?.opType) ?? [];
}

describe('The log odds of a class', () => {
  it('are those against all others, whatever the probabilities are made by', async () => {
    const scores = [0.5, -1, 2];
    const numbers = tensor(Float32Array.from(scores), [1, 3]);
    const sum = scores.reduce((total, z) => total + Math.exp(z), 0);
    for (const [c, z] of scores.entries()) {
      const expected = Math.log(Math.exp(z) / (sum - Math.exp(z)));
      for (const model of [version('Softmax'), version('Softmax', 18), version('mean')]) {
        const { [LOG_ODDS]: odds } = await run(logOddsModel(model), { numbers, [ASKED]: asked(c, 3) });
        expect(odds[0]).toBeCloseTo(expected, 4);
      }
      const { [LOG_ODDS]: odds } = await run(logOddsModel(version('Sigmoid')), { numbers, [ASKED]: asked(c, 3) });
      expect(odds[0]).toBeCloseTo(z, 5);
    }
  });

  it('still tell differences where the probability is 1', async () => {
    const numbers = tensor(Float32Array.of(60, 0, 0, 90, 0, 0), [2, 3]);
    const { [LOG_ODDS]: odds } = await run(logOddsModel(version('Softmax')), { numbers, [ASKED]: asked(0, 3) });
    expect(odds[0]).toBeCloseTo(60 - Math.log(2), 3);
    expect(odds[1]).toBeCloseTo(90 - Math.log(2), 3);
  });
});

describe('A seam', () => {
  it('is the last feature map of a network, and the picture itself where there is none', () => {
    const model = network();
    expect(makersOf(model, imageSeam(model))).toEqual(['Relu']);
    const g = new GraphBuilder('flat');
    const flat = g.node('Flatten', [g.input('image', 'float32', ['n', 1, 2, 2])]);
    g.output('probabilities', 'float32', ['n', 4], g.node('Softmax', [flat], { axis: -1 }));
    expect(imageSeam(g.toModel())).toEqual({ at: ['image'], held: [], productsAfter: 0 });
  });

  it('goes across every branch, and holds what comes from beside', () => {
    const g = new GraphBuilder('two scales');
    const image = g.input('image', 'float32', ['n', 1, 8, 8]);
    const numbers = g.input('numbers', 'float32', ['n', 2]);
    const kernel = g.constant(new Float32Array(9).fill(1), [1, 1, 3, 3]);
    const fine = g.node('Relu', [g.node('Conv', [image, kernel])]);
    const coarse = g.node('Relu', [
      g.node('Conv', [g.node('AveragePool', [image], { kernel_shape: [2, 2], strides: [2, 2] }), kernel]),
    ]);
    const pooled = [fine, coarse].map((map) => g.node('Flatten', [g.node('GlobalAveragePool', [map])]));
    const beside = g.node('Mul', [numbers, g.scalar(2)]);
    const all = g.node('Concat', [...pooled, beside], { axis: 1 });
    g.output('probabilities', 'float32', ['n', 4], g.node('Softmax', [all], { axis: -1 }));
    const seam = imageSeam(g.toModel());
    expect(new Set(seam.at)).toEqual(new Set([fine, coarse]));
    expect(seam.held).toEqual([beside]);
  });

  it.skipIf(!existsSync(CASES))('is found in the networks that PyTorch exports', () => {
    const model = (name: string) => readFileSync(`${CASES}${name}/model.onnx`);
    const images = ['resnet', 'mobilenet', 'vit'].map((name) => {
      const bytes = model(name);
      const seam = imageSeam(bytes, readModel(bytes).inputs[0].name);
      return [name, ...makersOf(bytes, seam), seam.productsAfter];
    });
    expect(images).toEqual([
      ['resnet', 'Relu', 1],
      ['mobilenet', 'Clip', 1],
      ['vit', 'Conv', 19],
    ]);
    const bert = model('bert');
    const tokens = tokenSeam(bert, ['input_ids', 'attention_mask']);
    expect(makersOf(bert, tokens)).toEqual(['Gather']);
    // the mask masks, and the ids say how long the text is
    expect(tokens?.held).toEqual(['attention_mask', 'input_ids']);
  });
});

describe('Evidence', () => {
  const rng = createRng(7);
  const picture = Float32Array.from({ length: 144 }, () => rng.normal());

  it('along a path sums to the difference of log odds, for the picture and for its feature maps', async () => {
    const model = network();
    const maps = imageSeam(model);
    const [name] = maps.at;
    const both = tensor(Float32Array.of(...picture, ...new Float32Array(144)), [2, 1, 12, 12]);
    const found = await run(logOddsModel(model, [maps]), { image: both, [ASKED]: asked(1, 2) });
    const difference = found[LOG_ODDS][0] - found[LOG_ODDS][1];
    const half = found[name].length / 2;
    const values: [Seam, number[], Float32Array, Float32Array][] = [
      [{ at: ['image'], held: [], productsAfter: 0 }, [1, 1, 12, 12], new Float32Array(144), picture],
      [maps, [1, 5, 4, 4], Float32Array.from(found[name].slice(half)), Float32Array.from(found[name].slice(0, half))],
    ];
    for (const [seam, dims, from, to] of values) {
      const shapes = { [seam.at[0]]: dims };
      const session = await openSession(evidenceModel(model, seam, { shapes, points: POINTS_AT_ONCE }), { threads: 1 });
      const fixed = { [ASKED]: asked(1, 2) };
      const [evidence] = await integratedGradients(session, [{ name: seam.at[0], dims, from, to }], fixed, 8);
      await session.close();
      expect(evidence).toHaveLength(dims[2] * dims[3]);
      const sum = evidence.reduce((total, own) => total + own, 0);
      expect(Math.abs(sum - difference)).toBeLessThan(5e-3 * Math.abs(difference));
    }
  });

  it('by Grad-CAM is activation times mean gradient, worked by hand', async () => {
    const g = new GraphBuilder('by hand');
    const image = g.input('image', 'float32', ['n', 1, 2, 2]);
    const map = g.node('Conv', [image, g.constant(Float32Array.of(1, -2), [2, 1, 1, 1])]);
    const pooled = g.node('Flatten', [g.node('GlobalAveragePool', [map])]);
    const scores = g.node('MatMul', [pooled, g.constant(Float32Array.of(3, 0, 1, 0), [2, 2])]);
    g.output('probabilities', 'float32', ['n', 2], g.node('Softmax', [scores], { axis: -1 }));
    const model = g.toModel();
    const shapes = { [map]: [1, 2, 2, 2] };
    const values = Float32Array.of(1, 2, 3, 4, -2, -4, -6, -8);
    const feeds = { [map]: tensor(values, [1, 2, 2, 2]), [ASKED]: asked(0, 2) };
    const { [EVIDENCE + map]: evidence } = await run(
      evidenceModel(model, imageSeam(model), { shapes, points: 0 }),
      feeds,
    );
    // the log odds are 3·mean(A₁) + mean(A₂): mean gradients 3/4 and 1/4
    expect(evidence.map((x) => Math.round(1e5 * x) / 1e5)).toEqual([0.25, 0.5, 0.75, 1]);
  });

  it('agrees with occlusion on where the one patch is that decides', async () => {
    // sums the upper left 3 × 3 pixels of each 4 × 4 cell, but only cell (2, 1) has weight
    const g = new GraphBuilder('one patch');
    const image = g.input('image', 'float32', ['n', 1, 12, 12]);
    const kernel = g.constant(new Float32Array(9).fill(1 / 9), [1, 1, 3, 3]);
    const map = g.node('Tanh', [g.node('Conv', [image, kernel], { strides: [4, 4] })]);
    const weights = Float32Array.from({ length: 18 }, (_, i) => (i === 2 * (2 * 3 + 1) ? 5 : 0));
    const scores = g.node('MatMul', [g.node('Flatten', [map]), g.constant(weights, [9, 2])]);
    g.output('probabilities', 'float32', ['n', 2], g.node('Softmax', [scores], { axis: -1 }));
    const model = g.toModel();
    const bright = new Float32Array(144).fill(1);
    const covered = Float32Array.from({ length: 9 * 144 }, (_, i) => {
      const [cell, y, x] = [Math.floor(i / 144), Math.floor((i % 144) / 12), i % 12];
      return Math.floor(y / 4) * 3 + Math.floor(x / 4) === cell ? 0 : 1;
    });
    const images = tensor(Float32Array.of(...bright, ...covered), [10, 1, 12, 12]);
    const { [LOG_ODDS]: odds } = await run(logOddsModel(model), { image: images, [ASKED]: asked(0, 2) });
    const lost = odds.slice(1).map((own) => odds[0] - own);
    const seam: Seam = { at: ['image'], held: [], productsAfter: 0 };
    const dims = [1, 1, 12, 12];
    const session = await openSession(evidenceModel(model, seam, { shapes: { image: dims }, points: POINTS_AT_ONCE }), {
      threads: 1,
    });
    const path = { name: 'image', dims, from: new Float32Array(144), to: bright };
    const [evidence] = await integratedGradients(session, [path], { [ASKED]: asked(0, 2) }, 2);
    await session.close();
    const cells = new Float64Array(9);
    evidence.forEach((own, i) => (cells[Math.floor(i / 12 / 4) * 3 + Math.floor((i % 12) / 4)] += own));
    cells.forEach((own, cell) => expect(own).toBeCloseTo(lost[cell], 4));
    expect(lost.indexOf(Math.max(...lost))).toBe(7);
  });
});
