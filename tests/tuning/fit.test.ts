/**
 * Training one network: that it learns, that it stops and goes on to the same weights, that
 * it ends early, and what it says when it cannot go on.
 */
import { describe, expect, it } from 'vitest';
import { EngineError } from '../../main/domain/errors.ts';
import { createRng } from '../../main/domain/rng.ts';
import { GraphBuilder } from '../../main/onnx/index.ts';
import { openSession, tensor } from '../../main/inference/index.ts';
import {
  Examples,
  fit,
  kept,
  Measuring,
  packed,
  Stepping,
  UNCHANGED,
  unpacked,
  type FitPlan,
  type FitState,
  type FitWatch,
  type Network,
} from '../../main/tuning/index.ts';
import { examples, network, PLAN, striped } from './textures.ts';

const silent: FitWatch = { between: () => undefined, notice: () => undefined };
const threads = 1;

async function shareRight(made: Network, state: FitState, on: Examples): Promise<number> {
  const measuring = new Measuring(made, { threads });
  const { data } = await measuring.outputs(kept(state), on);
  await measuring.close();
  return on.classes.filter(([own], i) => (data[2 * i + 1] > data[2 * i] ? 1 : 0) === own).length / on.size;
}

describe('A fit', () => {
  it('learns what the mean of an image does not tell', async () => {
    const made = network();
    const test = examples(striped(40, 2));
    const state = await fit(made, { training: examples(striped(32)), validation: test }, PLAN, 1, silent, { threads });
    expect(await shareRight(made, state, test)).toBeGreaterThan(0.9);
    expect(state.history).toHaveLength(PLAN.epochs);
    expect(state.history.at(-1)!.loss).toBeLessThan(state.history[0].loss);
    expect(state.history.at(-1)!.validation).toBeLessThan(0.5);
  });

  it('goes on from any step to the same weights, through bytes', async () => {
    const made = network();
    const changes = { shift: 0.1, scale: 0.1, rotate: 5, brightness: 0.1, contrast: 0.1, flip: false };
    const training = examples(striped(30), { image: changes, words: 0, copies: 0 });
    const plan = { ...PLAN, epochs: 2 };
    const whole = await fit(made, { training, validation: null }, plan, 7, silent, { threads });
    for (const stopAt of [1, 4, 7]) {
      let steps = 0;
      let left: FitState | null = null;
      const stopping: FitWatch = {
        between(state) {
          left = state;
          if (steps++ === stopAt) throw new Error('killed');
        },
        notice: () => undefined,
      };
      await expect(fit(made, { training, validation: null }, plan, 7, stopping, { threads })).rejects.toThrow('killed');
      const checkpoint = packed({ finished: [], fit: left }, null);
      const { run } = unpacked({ state: JSON.parse(JSON.stringify(checkpoint.state)), tensors: checkpoint.tensors });
      const resumed = await fit(made, { training, validation: null }, plan, 7, silent, { threads, from: run.fit });
      expect(resumed).toEqual(whole);
    }
  });

  it('gives other weights for another seed', async () => {
    const training = examples(striped(16));
    const plan = { ...PLAN, epochs: 1 };
    const [a, b] = await Promise.all(
      [1, 2].map((seed) => fit(network(), { training, validation: null }, plan, seed, silent, { threads })),
    );
    expect(a.weights).not.toEqual(b.weights);
  });

  it('ends early, with the weights of the best epoch, where validation gets worse', async () => {
    const { rows, classes } = striped(24);
    // Against labels that say the opposite, every epoch after the first makes it worse.
    const opposite = examples({ rows, classes: classes.map(([own]) => [1 - own]) });
    const plan: FitPlan = { ...PLAN, epochs: 30, average: null, patience: 2 };
    const state = await fit(
      network(),
      { training: examples({ rows, classes }), validation: opposite },
      plan,
      1,
      silent,
      {
        threads,
      },
    );
    expect(state.epoch).toBeLessThan(30);
    expect(state.best!.epoch).toBe(state.epoch - 3);
    const losses = state.history.map(({ validation }) => validation!);
    expect(state.best!.loss).toBe(Math.min(...losses));
    expect(kept(state)).toBe(state.best!.tensors);
  });

  it('stops where the loss is not finite, and names the step', async () => {
    const { rows, classes } = striped(8);
    const broken = { image: { data: new Float32Array(256).fill(NaN), dims: [1, 16, 16] } };
    const training = examples({ rows: [[broken], ...rows.slice(1)], classes });
    const error: unknown = await fit(network(), { training, validation: null }, PLAN, 1, silent, { threads }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(EngineError);
    expect(error).toMatchObject({ code: 'training-diverged', context: { epoch: 1, step: 1 } });
  });

  it('halves the batch where memory is short, says so, and still takes the whole batch', async () => {
    // x · w spread over n⁹ places: 16 items ask for 256 GiB, 8 for half of one.
    const g = new GraphBuilder('net');
    const x = g.input('x', 'float32', ['n', 2]);
    const w = g.constant(Float32Array.of(0.5, -0.5, 0.25, 0.75), [2, 2], 'head/weight');
    const n = g.node('Gather', [g.node('Shape', [x]), g.ints(0)], { axis: 0 });
    const shape = g.node('Concat', Array<string>(9).fill(n), { axis: 0 });
    const huge = g.node('Expand', [
      g.node('Sqrt', [g.node('ReduceSum', [g.node('Mul', [x, x])], { keepdims: 0 })]),
      shape,
    ]);
    const nothing = g.node('Mul', [g.node('ReduceMax', [huge], { keepdims: 0 }), g.scalar(0)]);
    g.output('logits', 'float32', ['n', 2], g.node('Add', [g.node('MatMul', [x, w]), nothing]));
    const made: Network = {
      model: g.toModel(),
      output: 'logits',
      weights: { 'head/weight': Float32Array.of(0.5, -0.5, 0.25, 0.75) },
      statistics: {},
      shapes: { 'head/weight': [2, 2] },
      decays: () => false,
      finish: () => new Uint8Array(),
    };
    const rng = createRng(3);
    const rows = Array.from({ length: 16 }, () => [
      { x: { data: Float32Array.of(rng.normal(), rng.normal()), dims: [2] } },
    ]);
    const training = new Examples(
      rows,
      rows.map((_, i) => [i % 2]),
      { task: 'classify', classCount: 2 },
      UNCHANGED,
    );
    const notices: unknown[] = [];
    const plan = { ...PLAN, epochs: 1, batch: 16, average: null, clip: 1e9, warmup: 0 };
    const state = await fit(
      made,
      { training, validation: null },
      plan,
      1,
      { ...silent, notice: (n) => notices.push(n) },
      { threads },
    );
    expect(notices).toEqual([{ code: 'batch-halved', batch: 8 }]);
    expect(state.pieces).toBe(2);
    // The loss of the step is that of all sixteen: by hand from the same weights.
    const by = rows.map(([{ x }], i) => {
      const [a, b] = x.data;
      const logits = [0.5 * a + 0.25 * b, -0.5 * a + 0.75 * b];
      return Math.log(Math.exp(logits[0]) + Math.exp(logits[1])) - logits[i % 2];
    });
    expect(state.history[0].loss).toBeCloseTo(by.reduce((p, q) => p + q, 0) / 16, 5);
  });
});

describe('A network that is finished', () => {
  it('is a file without normalisations that says what the trained network says', async () => {
    const made = network();
    const training = examples(striped(24));
    const state = await fit(made, { training, validation: null }, { ...PLAN, epochs: 2 }, 1, silent, { threads });
    const measuring = new Measuring(made, { threads });
    const expected = await measuring.outputs(kept(state), training);
    await measuring.close();
    const session = await openSession(made.finish(kept(state)), { threads });
    const { feeds } = training.take(0, training.size);
    const { logits } = await session.run({ image: tensor(feeds.image.data, feeds.image.dims) });
    await session.close();
    (logits.data as Float32Array).forEach((value, i) => expect(value).toBeCloseTo(expected.data[i], 4));
  });

  it('has statistics that follow the batches as PyTorch’s do', async () => {
    // running = 0.9 · running + 0.1 · batch, from mean 0 and variance 1
    const made = network();
    const training = examples(striped(8));
    const plan = { ...PLAN, epochs: 1 };
    const stepping = new Stepping(made, plan.loss, { threads });
    const order = createRng(5)
      .derive('order 0')
      .shuffle(Array.from({ length: 8 }, (_, i) => i));
    const batch = training.draw(order, createRng(5).derive('draw 0 0'));
    const { statistics } = await stepping.take(made.weights, [batch], createRng(5));
    await stepping.close();
    const state = await fit(made, { training, validation: null }, plan, 5, silent, { threads });
    state.statistics['layer0/mean'].forEach((value, i) =>
      expect(value).toBeCloseTo(0.1 * statistics['layer0/mean'][i], 6),
    );
    state.statistics['layer1/variance'].forEach((value, i) =>
      expect(value).toBeCloseTo(0.9 + 0.1 * statistics['layer1/variance'][i], 5),
    );
  });
});
