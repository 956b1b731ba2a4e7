/**
 * Running models in tests of the gradient engine: the processor, one thread, plain arrays in
 * and out; and random inputs for the reference networks, which are exported with a free batch.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';
import { createRng } from '../../main/domain/rng.ts';
import { readModel } from '../../main/onnx/index.ts';

export type Feeds = Record<string, ort.Tensor>;

const CASES = fileURLToPath(new URL('../../../shared/fixtures/gradients/', import.meta.url));

/** Whether the reference networks lie beside the repository. */
export const HAVE_CASES = existsSync(CASES);

export interface Case {
  readonly model: Uint8Array;
  readonly trainable: readonly string[];
}

export function readCase(name: string): Case {
  const { trainable } = JSON.parse(readFileSync(`${CASES}${name}/case.json`, 'utf8')) as { trainable: string[] };
  return { model: readFileSync(`${CASES}${name}/model.onnx`), trainable };
}

export function floats(data: Float32Array | readonly number[], shape: readonly number[]): ort.Tensor {
  return new ort.Tensor('float32', Float32Array.from(data), [...shape]);
}

/** Random pixels, or tokens below 200 with a mask, for `n` items. */
export function inputsFor(model: Uint8Array, n: number, seed: number): Feeds {
  const rng = createRng(seed);
  return Object.fromEntries(
    readModel(model).inputs.map(({ name, dtype, dims }) => {
      const shape = dims.map((dim) => (typeof dim === 'number' ? dim : n));
      const size = shape.reduce((a, b) => a * b, 1);
      if (dtype === 'float32')
        return [
          name,
          floats(
            Float32Array.from({ length: size }, () => rng.normal()),
            shape,
          ),
        ];
      const isMask = name.includes('mask');
      const ids = BigInt64Array.from({ length: size }, (_, i) => BigInt(isMask ? +(i % 7 < 5) : 1 + rng.int(199)));
      return [name, new ort.Tensor('int64', ids, shape)];
    }),
  );
}

/** The outputs of a model. Feeds that it does not take are passed over. */
export async function run(model: Uint8Array, feeds: Feeds): Promise<Record<string, ort.Tensor>> {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  try {
    return { ...(await session.run(Object.fromEntries(session.inputNames.map((name) => [name, feeds[name]])))) };
  } finally {
    await session.release();
  }
}

/** Largest difference of two outputs, over the largest magnitude expected. */
export function difference(got: ort.Tensor, expected: ort.Tensor): number {
  const [a, b] = [got, expected].map((t) => Array.from(t.data as ArrayLike<number | bigint>, Number));
  if (got.dims.join() !== expected.dims.join()) return Infinity;
  const scale = Math.max(...b.map(Math.abs), 1e-6);
  return Math.max(...b.map((value, i) => Math.abs(value - a[i]))) / scale;
}
