/**
 * `npm run bench -- prefix`: a training step on the suffix alone, from kept activations, beside
 * a step of the whole model, with 90 % of the layers frozen; the goal is 5 times faster. The
 * whole step trains every weight; also given is one that trains the same weights as the suffix,
 * which is what a frozen prefix saves of itself. Steps are interleaved, the lower quartile is
 * taken of each, one thread.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';
import { adamW, cut, GRADIENT, TARGET, type Tensors, trainingGraph, weightsOf } from '../../main/autodiff/index.ts';
import { createRng } from '../../main/domain/rng.ts';
import { GraphBuilder, readModel } from '../../main/onnx/index.ts';

const FROZEN = 0.9;
const GOAL = 5;
const CASES = fileURLToPath(new URL('../../../shared/fixtures/gradients/', import.meta.url));
const rng = createRng(1);

const normal = (size: number, scale: number) => Float32Array.from({ length: size }, () => scale * rng.normal());

/** ResNet-18 without its batch normalisations (He et al. 2016), as it is exported for use. */
function resnet18(): Uint8Array {
  const g = new GraphBuilder('resnet18', { opset: 17 });
  const conv = (x: string, from: number, to: number, k: number, stride: number) => {
    const w = g.constant(normal(to * from * k * k, Math.sqrt(1 / (from * k * k))), [to, from, k, k]);
    const pad = (k - 1) / 2;
    return g.node('Conv', [x, w, g.constant(new Float32Array(to))], {
      kernel_shape: [k, k],
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
    });
  };
  const relu = (x: string) => g.node('Relu', [x]);
  const input = g.input('pixels', 'float32', ['n', 3, 224, 224]);
  let x = g.node('MaxPool', [relu(conv(input, 3, 64, 7, 2))], {
    kernel_shape: [3, 3],
    strides: [2, 2],
    pads: [1, 1, 1, 1],
  });
  let from = 64;
  for (const to of [64, 128, 256, 512]) {
    for (const stride of [to === 64 ? 1 : 2, 1]) {
      const inner = conv(relu(conv(x, from, to, 3, stride)), to, to, 3, 1);
      x = relu(g.node('Add', [inner, stride === 1 ? x : conv(x, from, to, 1, 2)]));
      from = to;
    }
  }
  const flat = g.node('Flatten', [g.node('GlobalAveragePool', [x])]);
  const head = [g.constant(normal(512 * 4, 0.04), [4, 512]), g.constant(new Float32Array(4))];
  g.output('logits', 'float32', ['n', 4], g.node('Gemm', [flat, ...head], { transB: 1 }));
  return g.toModel();
}

type Feeds = Record<string, ort.Tensor>;

const opened = (model: Uint8Array) =>
  ort.InferenceSession.create(model, {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
    logSeverityLevel: 3,
  });

function inputs(model: Uint8Array, batch: number): Feeds {
  return Object.fromEntries(
    readModel(model).inputs.map(({ name, dtype, dims }) => {
      const shape = [batch, ...dims.slice(1).map(Number)];
      const size = shape.reduce((a, b) => a * b, 1);
      if (dtype === 'float32') return [name, new ort.Tensor('float32', normal(size, 1), shape)];
      const ids = BigInt64Array.from({ length: size }, () => (name.includes('mask') ? 1n : BigInt(1 + rng.int(199))));
      return [name, new ort.Tensor('int64', ids, shape)];
    }),
  );
}

/** A step: feeds copied together, loss, gradients, AdamW. */
async function stepper(model: Uint8Array, trainable: readonly string[], batch: number) {
  const made = trainingGraph(model, { loss: { kind: 'cross-entropy' }, trainable, batch });
  const session = await opened(made.model);
  const optimizer = adamW();
  let weights: Tensors = Object.fromEntries(Object.entries(made.weights).map(([w, { initial }]) => [w, initial]));
  let state = optimizer.init(weights);
  const optimizing: number[] = [];
  const target = new ort.Tensor(
    'int64',
    BigInt64Array.from({ length: batch }, (_, i) => BigInt(i % 3)),
    [batch],
  );
  const step = async (data: Feeds) => {
    const feeds: Feeds = { [TARGET]: target };
    for (const name in data) {
      // items come from a store, one after the other
      const own = data[name].data as Float32Array;
      feeds[name] = new ort.Tensor(data[name].type as 'float32', own.slice(), data[name].dims);
    }
    for (const w in weights) feeds[w] = new ort.Tensor('float32', weights[w], made.weights[w].shape);
    const out = await session.run(feeds);
    const gradients = Object.fromEntries(Object.keys(weights).map((w) => [w, out[GRADIENT + w].data as Float32Array]));
    const began = performance.now();
    ({ weights, state } = optimizer.update(weights, gradients, state, 1e-5));
    optimizing.push(performance.now() - began);
  };
  return { step, optimizing, close: () => session.release() };
}

async function measure(name: string, model: Uint8Array, batch: number, repeats: number): Promise<void> {
  const weights = weightsOf(model);
  const trained = weights.filter(({ depth }) => depth >= FROZEN).map((weight) => weight.name);
  const divided = cut(model, { trainable: trained })!;
  const data = inputs(model, batch);
  const prefix = await opened(divided.prefix);
  const kept = await prefix.run(data);
  const all = await stepper(
    model,
    weights.map((weight) => weight.name),
    batch,
  );
  const same = await stepper(model, trained, batch);
  const suffix = await stepper(divided.suffix, trained, batch);
  const works: [string, () => Promise<unknown>][] = [
    ['whole', () => all.step(data)],
    ['same', () => same.step(data)],
    ['suffix', () => suffix.step({ ...kept })],
    ['prefix', () => prefix.run(data)],
  ];
  const times: Record<string, number[]> = { whole: [], same: [], suffix: [], prefix: [] };
  for (let i = 0; i < repeats + 2; i++) {
    for (const [what, work] of works) {
      const began = performance.now();
      await work();
      if (i >= 2) times[what].push(performance.now() - began);
    }
  }
  for (const { close } of [all, same, suffix]) await close();
  await prefix.release();
  const quartile = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 4)];
  const ms = (what: string) => quartile(times[what]);
  const bytes = divided.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  console.log(
    `${name}, batch ${batch}: whole step ${ms('whole').toFixed(1)} ms, the same weights in the whole model ` +
      `${ms('same').toFixed(1)} ms, prefix once ${ms('prefix').toFixed(1)} ms, suffix step ${ms('suffix').toFixed(2)} ms ` +
      `(AdamW ${quartile(suffix.optimizing).toFixed(2)} ms): ` +
      `${(ms('whole') / ms('suffix')).toFixed(1)} and ${(ms('same') / ms('suffix')).toFixed(1)} times faster, goal ${GOAL}; ` +
      `${trained.length} of ${weights.length} weights, ${(bytes / 1024).toFixed(1)} KiB kept per item`,
  );
}

if (existsSync(CASES)) {
  for (const name of ['vit', 'bert', 'mobilenet', 'resnet'])
    await measure(name, readFileSync(`${CASES}${name}/model.onnx`), 16, 60);
} else console.log('The reference networks are not here; only one made here is measured.');
await measure('ResNet-18 at 224 pixels', resnet18(), 8, 6);
