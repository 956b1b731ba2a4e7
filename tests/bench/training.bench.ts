/**
 * `npm run bench -- training`: the time of a fine-tuning step (forward, loss, every gradient,
 * AdamW) over the time of three forward passes of the same model in ONNX Runtime, batch 16,
 * for four of the reference networks. The goal is at most 1.5. Runs are interleaved and the
 * lower quartile is taken of each, because other work on the machine only ever adds.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';
import { adamW, GRADIENT, TARGET, type Tensors, trainingGraph } from '../../main/autodiff/index.ts';
import { createRng } from '../../main/domain/rng.ts';
import { blockSize } from '../../main/inference/index.ts';

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

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
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
  const options: ort.InferenceSession.SessionOptions = {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
    logSeverityLevel: 3,
  };
  const forward = await ort.InferenceSession.create(bytes, options);
  const training = await ort.InferenceSession.create(made.model, options);
  const target = new ort.Tensor(
    'int64',
    BigInt64Array.from({ length: BATCH }, () => BigInt(rng.int(3))),
    [BATCH],
  );
  const optimizer = adamW();
  let weights: Tensors = Object.fromEntries(Object.entries(made.weights).map(([w, { initial }]) => [w, initial]));
  let state = optimizer.init(weights);
  let optimizing = 0;
  const step = async () => {
    const feeds: Record<string, ort.Tensor> = { ...data, [TARGET]: target };
    for (const w in weights) feeds[w] = new ort.Tensor('float32', weights[w], made.weights[w].shape);
    const out = await training.run(feeds);
    const gradients = Object.fromEntries(Object.keys(weights).map((w) => [w, out[GRADIENT + w].data as Float32Array]));
    const began = performance.now();
    ({ weights, state } = optimizer.update(weights, gradients, state, 1e-5));
    optimizing = performance.now() - began;
  };
  const [passes, steps, updates]: number[][] = [[], [], []];
  for (let i = 0; i < repeats + 3; i++) {
    const pass = await timed(() => forward.run(data));
    const whole = await timed(step);
    if (i < 3) continue; // warm up
    passes.push(pass);
    steps.push(whole);
    updates.push(optimizing);
  }
  await forward.release();
  await training.release();
  const ratio = quartile(steps) / (3 * quartile(passes));
  console.log(
    `${name}, ${threads} threads: forward ${quartile(passes).toFixed(2)} ms, step ${quartile(steps).toFixed(2)} ms ` +
      `(optimizer ${quartile(updates).toFixed(2)} ms); step / 3 forward = ${ratio.toFixed(2)}, goal ${GOAL}`,
  );
}

if (existsSync(CASES)) {
  for (const threads of [1, 2]) for (const name of NAMES) await measure(name, 60, threads);
} else console.log('The reference networks are not here; nothing was measured.');
