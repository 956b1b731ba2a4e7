/**
 * Checking derivatives by differences: a small graph is built twice, once for its outputs and
 * once for its gradients, both are run by ONNX Runtime, and each element of each input is
 * moved a little both ways. Differences of outputs are taken in float64, to fourth order
 * (Richardson), so that float32 leaves about five digits.
 */
import * as ort from 'onnxruntime-node';
import { gradients, Graph } from '../../main/autodiff/index.ts';
import { createRng } from '../../main/domain/rng.ts';

export type Value = ReturnType<Graph['input']>;

/** What a case builds with: the graph and inputs whose derivatives are checked. */
export interface Maker {
  readonly g: Graph;
  /** An input with distinct elements, none nearer to a multiple of 0.1 than 0.05. */
  x(shape: readonly number[], range?: { from?: number; step?: number }): Value;
}

export type Build = (maker: Maker) => Value | readonly Value[];

const STEP = 0.02;

interface Input {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Builds with the same random inputs each time it is called with the same seed. */
function built(build: Build, seed: number): { g: Graph; inputs: Input[]; outputs: readonly Value[]; values: Value[] } {
  const rng = createRng(seed);
  const g = new Graph();
  const inputs: Input[] = [];
  const values: Value[] = [];
  const made = build({
    g,
    x(shape, { from, step = 0.1 } = {}) {
      const size = shape.reduce((a, b) => a * b, 1);
      const start = from ?? -step * Math.floor(size / 2);
      const order = rng.shuffle([...Array(size).keys()]);
      const data = Float32Array.from(order, (i) => start + step * (i + 0.5));
      const name = `x${inputs.length}`;
      inputs.push({ name, shape, data });
      values.push(g.input(name, shape));
      return values.at(-1)!;
    },
  });
  return { g, inputs, outputs: Array.isArray(made) ? (made as Value[]) : [made as Value], values };
}

type Run = (inputs: readonly Input[]) => Promise<Record<string, Float32Array>>;

export async function opened<T>(model: Uint8Array, work: (run: Run) => Promise<T>): Promise<T> {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const wanted = new Set(session.inputNames);
  try {
    return await work(async (inputs) => {
      const fed = inputs.filter(({ name }) => wanted.has(name));
      const feeds = fed.map(({ name, data, shape }) => [name, new ort.Tensor('float32', data, [...shape])] as const);
      const out = await session.run(Object.fromEntries(feeds));
      return Object.fromEntries(Object.entries(out).map(([name, t]) => [name, t.data as Float32Array]));
    });
  } finally {
    await session.release();
  }
}

export interface Comparison {
  /** Operators that were in the forward graph. */
  readonly operators: readonly string[];
  /** Largest difference between derivative and differences, relative to the largest derivative of that input. */
  readonly error: number;
  /** Whether two step lengths agree: they do not where a kink lies between. */
  readonly smooth: boolean;
}

/** Compares the derivative of a weighted sum of all outputs with differences, for every element of every input. */
export async function compare(build: Build, seed: number): Promise<Comparison> {
  const forward = built(build, seed);
  forward.outputs.forEach((y, i) => forward.g.output(`y${i}`, y));
  const rng = createRng(seed).derive('weights');
  const weights = forward.outputs.map(({ shape }) =>
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => rng.normal()),
  );
  const backward = built(build, seed);
  const { g } = backward;
  const terms = backward.outputs.map((y, i) => {
    const product = g.mul(y, g.floats(weights[i], y.shape));
    return g.sum(product, [...y.shape.keys()]);
  });
  const loss = terms.reduce((sum, term) => g.plus(sum, term));
  gradients(g, loss, backward.values).forEach((value, i) => g.output(`d${i}`, value));
  const derivative = await opened(g.toModel(), (run) => run(backward.inputs));
  const { inputs } = forward;
  return opened(forward.g.toModel(), async (run) => {
    const lossAt = async (input: number, element: number, move: number) => {
      const data = inputs[input].data.slice();
      data[element] += move;
      const out = await run(inputs.map((own, i) => (i === input ? { ...own, data } : own)));
      const sums = weights.map((w, i) => w.reduce((sum, weight, j) => sum + weight * out[`y${i}`][j], 0));
      // the step that float32 really took
      return { loss: sums.reduce((a, b) => a + b, 0), at: data[element] };
    };
    const difference = async (input: number, element: number, step: number) => {
      const [up, down] = [await lossAt(input, element, step), await lossAt(input, element, -step)];
      return (up.loss - down.loss) / (up.at - down.at);
    };
    let error = 0;
    let roughness = 0;
    for (const [i, { data }] of inputs.entries()) {
      const own = derivative[`d${i}`];
      // below 0.05 the rounding of the outputs shows in the differences
      const scale = Math.max(...own.map(Math.abs), 0.05);
      for (let j = 0; j < data.length; j++) {
        const [near, far] = [await difference(i, j, STEP), await difference(i, j, 2 * STEP)];
        error = Math.max(error, Math.abs(own[j] - (4 * near - far) / 3) / scale);
        roughness = Math.max(roughness, Math.abs(near - far) / scale);
      }
    }
    return { operators: forward.g.live().map(({ op }) => op), error, smooth: roughness < 0.01 };
  });
}
