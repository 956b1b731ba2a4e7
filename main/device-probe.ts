/**
 * Entry of a throw-away process that tries one device, named as its argument, and prints
 * one JSON line: `{state: 'ready', speed, error}`, `{state: 'absent', reason}` or
 * `{state: 'failed', reason}`. It takes training steps of a small network there and on the
 * processor, compares loss and gradients, and measures both. A driver may crash or hang
 * meanwhile: that ends this process only. It does not outlive whoever started it.
 */
import { totalmem } from 'node:os';
import { trainingGraph, TARGET, type TrainingGraph } from './autodiff/index.ts';
import { DEVICES, type RealDevice, type Trial } from './domain/device.ts';
import { EngineError } from './domain/errors.ts';
import { createRng } from './domain/rng.ts';
import { openSession, tensor, type Feeds, type Session } from './inference/index.ts';
import { GraphBuilder } from './onnx/index.ts';
import { keepWatch } from './watchdog.ts';

const CLASSES = 10;
/** Batch and pixels of a side: small to compare, larger to measure. */
const SMALL = [2, 8] as const;
const LARGE = [8, 64] as const;
/** A device this much slower on the small one is not measured on the larger one: software that plays a graphics card would take minutes. */
const HOPELESS = 0.05;
/** As far as a device may be from the processor. */
const TOLERANCE = 1e-2;
/** Steps are timed until this much time is spent, and at least twice. */
const MEASURE_MS = 300;

/** Two convolutions and a product: what most networks spend their time on. */
function network(): Uint8Array {
  const rng = createRng(1);
  const g = new GraphBuilder('trial');
  const weights = (...dims: number[]) => {
    const fanIn = dims.slice(1).reduce((a, b) => a * b, 1);
    const size = dims[0] * fanIn;
    return g.constant(
      Float32Array.from({ length: size }, () => rng.normal() * Math.sqrt(2 / fanIn)),
      dims,
    );
  };
  const conv = (x: string, out: number, into: number) =>
    g.node('Relu', [g.node('Conv', [x, weights(out, into, 3, 3)], { pads: [1, 1, 1, 1] })]);
  const images = conv(conv(g.input('x', 'float32', ['n', 3, 'h', 'w']), 32, 3), 32, 32);
  const pooled = g.node('Flatten', [g.node('GlobalAveragePool', [images])]);
  g.output('logits', 'float32', ['n', CLASSES], g.node('Gemm', [pooled, weights(CLASSES, 32)], { transB: 1 }));
  return g.toModel();
}

function feedsOf(made: TrainingGraph, batch: number, side: number): Feeds {
  const rng = createRng(2);
  const x = Float32Array.from({ length: batch * 3 * side * side }, () => rng.normal());
  const target = BigInt64Array.from({ length: batch }, (_, i) => BigInt(i % CLASSES));
  const weights = Object.entries(made.weights).map(([name, { initial, shape }]) => [name, tensor(initial, shape)]);
  return { x: tensor(x, [batch, 3, side, side]), [TARGET]: tensor(target, [batch]), ...Object.fromEntries(weights) };
}

type Outputs = Awaited<ReturnType<Session['run']>>;

function differenceOf(got: Outputs, expected: Outputs): number {
  let worst = 0;
  for (const [name, { data }] of Object.entries(expected)) {
    const reference = data as Float32Array;
    const values = got[name].data as Float32Array;
    const magnitude = reference.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    reference.forEach((value, i) => {
      const difference = Math.abs(values[i] - value) / magnitude;
      if (!(difference <= worst)) worst = difference; // so that NaN stays
    });
  }
  return worst;
}

/** Milliseconds of the fastest step. */
async function fastest(session: Session, feeds: Feeds): Promise<number> {
  let best = Infinity;
  const start = performance.now();
  for (let steps = 0; steps < 2 || performance.now() - start < MEASURE_MS; steps++) {
    const before = performance.now();
    await session.run(feeds);
    best = Math.min(best, performance.now() - before);
  }
  return best;
}

/** Training steps of one size on the device and on the processor: how far apart, and how much faster. */
async function race(model: Uint8Array, device: RealDevice, [batch, side]: readonly [number, number]) {
  const shapes = { x: [batch, 3, side, side] };
  const made = trainingGraph(model, { loss: { kind: 'cross-entropy' }, shapes, portable: true });
  const feeds = feedsOf(made, batch, side);
  const there = await openSession(made.model, { device });
  const here = await openSession(made.model, { device: 'cpu' });
  const error = differenceOf(await there.run(feeds), await here.run(feeds));
  const speed = error <= TOLERANCE ? (await fastest(here, feeds)) / (await fastest(there, feeds)) : 0;
  await there.close();
  await here.close();
  return { error, speed };
}

async function tryDevice(device: RealDevice): Promise<Trial> {
  const model = network();
  // proves that the device itself computes: where ONNX Runtime would use the processor instead, this refuses
  await (await openSession(model, { device, whole: true })).close();
  let { error, speed } = await race(model, device, SMALL);
  if (error <= TOLERANCE && speed > HOPELESS) ({ error, speed } = await race(model, device, LARGE));
  if (error <= TOLERANCE) return { state: 'ready', speed, error };
  return { state: 'failed', reason: `It computes differently from the processor, by ${error.toPrecision(2)}.` };
}

// Whoever started it counts the time; here only what nobody would stop if that one were killed.
await keepWatch({ stuckMs: Infinity, memoryBytes: 0.9 * totalmem(), lookMs: 200 });
const device = DEVICES.find((name) => name === process.argv[2] && name !== 'auto') as RealDevice;
let trial: Trial;
try {
  trial = await tryDevice(device);
} catch (error) {
  if (error instanceof EngineError && error.code === 'device-unavailable') {
    trial = { state: 'absent', reason: String(error.context.reason) };
  } else trial = { state: 'failed', reason: error instanceof Error ? error.message : String(error) };
}
process.stdout.write(`${JSON.stringify(trial)}\n`);
