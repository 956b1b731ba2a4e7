/**
 * `npm run bench -- training`: the time of a fine-tuning step (forward, loss, every gradient,
 * AdamW) over the time of three forward passes of the same model in ONNX Runtime, batch 16,
 * for four of the reference networks. The goal is at most 1.5. Runs are interleaved and the
 * lower quartile is taken of each, because other work on the machine only ever adds. Then the
 * images per second of a network such as is trained from nothing.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';
import { adamW, GRADIENT, TARGET, type Tensors, type TrainingGraph, trainingGraph } from '../../main/autodiff/index.ts';
import { createRng } from '../../main/domain/rng.ts';
import { blockSize } from '../../main/inference/index.ts';
import { GraphBuilder } from '../../main/onnx/index.ts';

const BATCH = 16;
const GOAL = 1.5;
const CASES = fileURLToPath(new URL('../../../shared/fixtures/gradients/', import.meta.url));
const NAMES = ['mobilenet', 'resnet', 'vit', 'bert'];

interface Entry {
  name: string;
  role: string;
  dtype: string;
  shape: number[];
}

const quartile = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 4)];

/** Milliseconds that work takes: of the processor on one thread, which other work does not lengthen much, else of the clock. */
async function timed(threads: number, work: () => Promise<unknown>): Promise<number> {
  const now = () => {
    const { user, system } = process.cpuUsage();
    return threads === 1 ? (user + system) / 1000 : performance.now();
  };
  const began = now();
  await work();
  return now() - began;
}

function onProcessor(threads: number): ort.InferenceSession.SessionOptions {
  return {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
    logSeverityLevel: 3,
  };
}

/** A whole step on the same batch again and again; gives the milliseconds that the optimizer took of it. */
async function stepping(
  made: TrainingGraph,
  data: Record<string, ort.Tensor>,
  batch: number,
  options: ort.InferenceSession.SessionOptions,
) {
  const rng = createRng(2);
  const session = await ort.InferenceSession.create(made.model, options);
  const target = new ort.Tensor(
    'int64',
    BigInt64Array.from({ length: batch }, () => BigInt(rng.int(3))),
    [batch],
  );
  const optimizer = adamW();
  let weights: Tensors = Object.fromEntries(Object.entries(made.weights).map(([w, { initial }]) => [w, initial]));
  let state = optimizer.init(weights);
  const step = async (): Promise<number> => {
    const feeds: Record<string, ort.Tensor> = { ...data, [TARGET]: target };
    for (const w in weights) feeds[w] = new ort.Tensor('float32', weights[w], made.weights[w].shape);
    const out = await session.run(feeds);
    const gradients = Object.fromEntries(Object.keys(weights).map((w) => [w, out[GRADIENT + w].data as Float32Array]));
    const began = performance.now();
    ({ weights, state } = optimizer.update(weights, gradients, state, 1e-5));
    return performance.now() - began;
  };
  return { step, release: () => session.release() };
}

type Halving = 'strides' | 'pools';

/** Six convolutions, each normalised by its batch and rectified, of grey images. */
function sixConvolutions(side: number, halving: Halving): Uint8Array {
  const rng = createRng(4);
  const g = new GraphBuilder('network');
  const numbers = (shape: number[], deviation: number, mean = 0) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return g.constant(
      Float32Array.from({ length: size }, () => mean + deviation * rng.normal()),
      shape,
    );
  };
  let x = g.input('x', 'float32', ['n', 1, side, side]);
  const channels = [1, 16, 32, 64, 96, 128, 128];
  for (let i = 1; i < channels.length; i++) {
    const [from, to, half] = [channels[i - 1], channels[i], i < channels.length - 1];
    const stride = half && halving === 'strides' ? 2 : 1;
    const kernel = numbers([to, from, 3, 3], Math.sqrt(2 / (9 * from)));
    x = g.node('Conv', [x, kernel], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [stride, stride] });
    const own = [1, 0, 0, 1].map((value) => numbers([to], 0, value));
    x = g.node('Relu', [g.node('BatchNormalization', [x, ...own])]);
    if (half && halving === 'pools') x = g.node('MaxPool', [x], { kernel_shape: [2, 2], strides: [2, 2] });
  }
  const pooled = g.node('Flatten', [g.node('GlobalAveragePool', [x])]);
  g.output('logits', 'float32', ['n', 3], g.node('MatMul', [pooled, numbers([128, 3], 0.1)]));
  return g.toModel();
}

async function measureOwn(halving: Halving, repeats: number, threads: number): Promise<void> {
  const [batch, side] = [32, 112];
  const shape = [batch, 1, side, side];
  const made = trainingGraph(sixConvolutions(side, halving), {
    loss: { kind: 'cross-entropy' },
    batchStatistics: true,
    shapes: { x: shape },
    block: await blockSize(),
  });
  const rng = createRng(3);
  const pixels = Float32Array.from({ length: batch * side * side }, () => rng.normal());
  const data = { x: new ort.Tensor('float32', pixels, shape) };
  const { step, release } = await stepping(made, data, batch, onProcessor(threads));
  const steps: number[] = [];
  for (let i = 0; i < repeats; i++) steps.push(await timed(threads, step));
  await release();
  console.log(
    `six convolutions, halved by ${halving}, ${threads} threads: step of ${batch} ${quartile(steps).toFixed(1)} ms, ` +
      `${((1000 * batch) / quartile(steps)).toFixed(0)} images/s`,
  );
}

async function measure(name: string, repeats: number, threads: number): Promise<void> {
  const bytes = readFileSync(`${CASES}${name}/model.onnx`);
  const { tensors, trainable } = JSON.parse(readFileSync(`${CASES}${name}/case.json`, 'utf8')) as {
    tensors: Entry[];
    trainable: string[];
  };
  const rng = createRng(1);
  const inputs = tensors
    .filter(({ role }) => role === 'input')
    .map((entry) => ({ ...entry, shape: [BATCH, ...entry.shape.slice(1)] }));
  const data: Record<string, ort.Tensor> = {};
  for (const { name, dtype, shape } of inputs) {
    const size = shape.reduce((a, b) => a * b, 1);
    data[name] =
      dtype === 'float32'
        ? new ort.Tensor(
            'float32',
            Float32Array.from({ length: size }, () => rng.normal()),
            shape,
          )
        : new ort.Tensor(
            'int64',
            BigInt64Array.from({ length: size }, () => (name.includes('mask') ? 1n : BigInt(1 + rng.int(199)))),
            shape,
          );
  }
  const made = trainingGraph(bytes, {
    loss: { kind: 'cross-entropy' },
    trainable,
    block: await blockSize(),
    shapes: Object.fromEntries(inputs.map((entry) => [entry.name, entry.shape])),
  });
  const options = onProcessor(threads);
  const forward = await ort.InferenceSession.create(bytes, options);
  const { step, release } = await stepping(made, data, BATCH, options);
  const [passes, steps, updates]: number[][] = [[], [], []];
  for (let i = 0; i < repeats + 3; i++) {
    const pass = await timed(threads, () => forward.run(data));
    let optimizing = 0;
    const whole = await timed(threads, async () => (optimizing = await step()));
    if (i < 3) continue; // warm up
    passes.push(pass);
    steps.push(whole);
    updates.push(optimizing);
  }
  await forward.release();
  await release();
  const ratio = quartile(steps) / (3 * quartile(passes));
  console.log(
    `${name}, ${threads} threads: forward ${quartile(passes).toFixed(2)} ms, step ${quartile(steps).toFixed(2)} ms ` +
      `(optimizer ${quartile(updates).toFixed(2)} ms); step / 3 forward = ${ratio.toFixed(2)}, goal ${GOAL}`,
  );
}

if (existsSync(CASES)) {
  for (const threads of [1, 2]) for (const name of NAMES) await measure(name, 60, threads);
} else console.log('The reference networks are not here; nothing was measured.');
for (const threads of [1, 2])
  for (const halving of ['strides', 'pools'] as const) await measureOwn(halving, 20, threads);
