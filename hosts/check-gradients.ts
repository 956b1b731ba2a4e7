/**
 * `npm run -s check:gradients -- DIR…`: runs the gradient engine against cases that another
 * program computed (model.onnx, case.json, tensors.bin) and prints one JSON line each:
 * `{case, maxGradError, maxAdamwError, maxSgdError, maxLossError, ok}`. Errors are relative
 * to the largest magnitude in the tensor. `--device webgpu` runs them there. `--against cpu
 * [--steps N]` takes the processor's own numbers after N steps as what is expected, within
 * 1e-2. Exit code 1 where a case fails.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';

import { adamW, GRADIENT, type Optimizer, sgd, TARGET, type Tensors, trainingGraph } from '../main/autodiff/index.ts';
import type { RealDevice } from '../main/domain/device.ts';
import { openSession, type Session } from '../main/inference/index.ts';
import { blockSize, ort } from '../main/inference/index.ts';

type Numbers = Float32Array | BigInt64Array | Int32Array | Uint8Array;
interface Entry {
  name: string;
  role: string;
  dtype: string;
  shape: number[];
  offset: number;
}
interface Case {
  name: string;
  trainable: string[];
  tensors: Entry[];
}

/** How tensors.bin holds each element type. */
const READ: Record<string, (bytes: ArrayBuffer) => Numbers> = {
  float32: (bytes) => new Float32Array(bytes),
  float64: (bytes) => Float32Array.from(new Float64Array(bytes)),
  int64: (bytes) => new BigInt64Array(bytes),
  int32: (bytes) => new Int32Array(bytes),
  uint8: (bytes) => new Uint8Array(bytes),
  bool: (bytes) => new Uint8Array(bytes),
};

const TOLERANCE = { maxGradError: 1e-4, maxAdamwError: 1e-3, maxSgdError: 1e-4, maxLossError: 1e-4 };
/** How far two devices may be apart. */
const BETWEEN_DEVICES = 1e-2;
const STEPS = 5;
/** Elements whose gradient is below this part of their tensor's largest are not compared after Adam: there it follows rounding noise. */
const ADAM_NOISE = 1e-5;
/** A gradient that is zero in exact arithmetic (a key's bias under softmax) is rounding noise of this part of the case's largest. */
const ZERO = 1e-6;

const tensors = (entries: readonly Entry[], bytes: Buffer, role: string): Map<string, Numbers> =>
  new Map(
    entries
      .filter((entry) => entry.role === role)
      .map(({ name, dtype, shape, offset }) => {
        const size = shape.reduce((a, b) => a * b, 1);
        const size4 = dtype === 'float32' || dtype === 'int32';
        const width = size4 ? 4 : dtype === 'bool' || dtype === 'uint8' ? 1 : 8;
        const copy = new Uint8Array(bytes.subarray(offset, offset + size * width)).buffer;
        return [name, READ[dtype](copy)] as const;
      }),
  );

function largest(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

/** Largest difference, over the elements that count, relative to the largest magnitude expected, or to `scale` where all of it is noise. */
function errorOf(got: Float32Array, expected: Float32Array, scale: number, counts?: (i: number) => boolean): number {
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    if (counts && !counts(i)) continue;
    const difference = Math.abs(got[i] - expected[i]);
    if (!(difference <= worst)) worst = difference; // so that NaN stays
  }
  const magnitude = largest(expected);
  return got.length === expected.length ? worst / (magnitude > ZERO * scale ? magnitude : scale) : Infinity;
}

interface Measured {
  gradients: Tensors;
  adamw: Tensors;
  sgd: Tensors;
  losses: Float32Array;
}

/** Kept open to the end: WebGPU compiles its shaders anew after the last session was closed. */
const sessions: Session[] = [];

/** Gradients at the start, and weights after a few steps of each optimizer, on one device. */
async function measure(folder: string, device: RealDevice, steps: number): Promise<Measured> {
  const { trainable, tensors: entries } = readCase(folder);
  const bytes = readFileSync(join(folder, 'tensors.bin'));
  const shapes = Object.fromEntries(entries.filter((e) => e.role === 'input').map((e) => [e.name, e.shape]));
  const made = trainingGraph(readFileSync(join(folder, 'model.onnx')), {
    loss: { kind: 'cross-entropy' },
    output: 'logits',
    trainable,
    shapes,
    portable: device !== 'cpu',
    block: device === 'cpu' ? await blockSize() : null,
  });
  const session = await openSession(made.model, { device });
  sessions.push(session);
  const feeds: Record<string, ort.Tensor> = {};
  for (const entry of entries) {
    if (entry.role !== 'input' && entry.role !== 'labels') continue;
    const data = tensors([entry], bytes, entry.role).get(entry.name)!;
    // labels may be of any integer type; the graph takes int64
    const isTarget = entry.role === 'labels';
    const fed = isTarget ? BigInt64Array.from(data as Iterable<number | bigint>, BigInt) : data;
    const dtype = isTarget ? 'int64' : entry.dtype === 'float64' ? 'float32' : (entry.dtype as 'float32');
    feeds[isTarget ? TARGET : entry.name] = new ort.Tensor(dtype, fed as Float32Array, entry.shape);
  }
  const step = async (weights: Tensors) => {
    const fed = Object.entries(weights).map(([w, data]) => [w, new ort.Tensor('float32', data, made.weights[w].shape)]);
    const out = await session.run({ ...feeds, ...(Object.fromEntries(fed) as typeof feeds) });
    const gradients = Object.keys(weights).map((w) => [w, out[GRADIENT + w].data as Float32Array]);
    return { loss: (out.loss.data as Float32Array)[0], gradients: Object.fromEntries(gradients) as Tensors };
  };
  const initial: Tensors = Object.fromEntries(Object.entries(made.weights).map(([w, { initial }]) => [w, initial]));
  const first = await step(initial);
  const train = async <S>(optimizer: Optimizer<S>, rate: number) => {
    let weights = initial;
    let state = optimizer.init(weights);
    const losses: number[] = [];
    for (let i = 0; i < steps; i++) {
      const { loss, gradients } = i === 0 ? first : await step(weights);
      losses.push(loss);
      ({ weights, state } = optimizer.update(weights, gradients, state, rate));
    }
    return { weights, losses };
  };
  const adam = await train(adamW({ weightDecay: 0.01 }), 1e-3);
  const descent = await train(sgd({ momentum: 0.9 }), 1e-2);
  return {
    gradients: first.gradients,
    adamw: adam.weights,
    sgd: descent.weights,
    losses: Float32Array.from([...adam.losses, (await step(adam.weights)).loss]),
  };
}

/** The same, as the other program computed it. */
function recorded(folder: string): Measured {
  const bytes = readFileSync(join(folder, 'tensors.bin'));
  const of = (role: string) => Object.fromEntries(tensors(readCase(folder).tensors, bytes, role)) as Tensors;
  return { gradients: of('grad'), adamw: of('adamw'), sgd: of('sgd'), losses: of('losses').losses };
}

const readCase = (folder: string) => JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')) as Case;

async function check(folder: string, options: Options): Promise<Record<string, unknown> & { ok: boolean }> {
  const { device, against, steps } = options;
  const got = await measure(folder, device, steps);
  const expected = against === null ? recorded(folder) : await measure(folder, against, steps);
  const grads = expected.gradients;
  const scale = Math.max(...Object.values(grads).map(largest));
  const worst = (role: 'gradients' | 'adamw' | 'sgd', scale: number, counts?: (w: string) => (i: number) => boolean) =>
    Math.max(...Object.entries(expected[role]).map(([w, data]) => errorOf(got[role][w], data, scale, counts?.(w))));
  const matters = (w: string) => {
    const reference = grads[w];
    const least = Math.max(ADAM_NOISE * largest(reference), ZERO * scale);
    return (i: number) => Math.abs(reference[i]) > least;
  };
  const errors = {
    maxGradError: worst('gradients', scale),
    maxAdamwError: worst('adamw', 0, matters),
    maxSgdError: worst('sgd', 0),
    maxLossError: errorOf(got.losses, expected.losses, 0),
  };
  const ok = Object.entries(TOLERANCE).every(
    ([key, limit]) => errors[key as keyof typeof errors] <= (against === null ? limit : BETWEEN_DEVICES),
  );
  return { case: readCase(folder).name, ...errors, ok };
}

interface Options {
  device: RealDevice;
  /** The device whose numbers are expected; null for those on record. */
  against: RealDevice | null;
  steps: number;
}

const { values, positionals } = parseArgs({
  options: { device: { type: 'string' }, against: { type: 'string' }, steps: { type: 'string' } },
  allowPositionals: true,
});
const options: Options = {
  device: (values.device ?? 'cpu') as RealDevice,
  against: (values.against ?? null) as RealDevice | null,
  // the recorded weights are those after five steps
  steps: values.against === undefined ? STEPS : Number(values.steps ?? STEPS),
};
const folders = positionals.flatMap((folder) => {
  if (existsSync(join(folder, 'case.json'))) return [folder];
  const inside = existsSync(folder) ? readdirSync(folder).toSorted() : [];
  return inside.map((name) => join(folder, name)).filter((path) => existsSync(join(path, 'case.json')));
});
if (folders.length === 0) {
  console.error('Name a case folder, or a folder of them: npm run -s check:gradients -- DIR …');
  process.exitCode = 2;
}
for (const folder of folders) {
  let line: Record<string, unknown> & { ok: boolean };
  try {
    line = await check(folder, options);
  } catch (error) {
    line = { case: basename(folder), ok: false, error: error instanceof Error ? error.message : String(error) };
  }
  console.log(JSON.stringify(line));
  if (!line.ok) process.exitCode = 1;
}
for (const session of sessions) await session.close();
