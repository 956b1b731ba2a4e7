/**
 * Weights as int8: exact where a few bits say everything, within the bound of rounding
 * elsewhere, and never beyond what processors without VNNI can add up.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { describe, expect, it, test } from 'vitest';
import { createRng } from '../../main/domain/rng.ts';
import { float, GraphBuilder, quantize, readModel, tensorData } from '../../main/onnx/index.ts';

const FIXTURES = join(import.meta.dirname, '../../../shared/fixtures/gradients');
const K = 48;
const N = 40;

/** Whole numbers up to `most`, times a power of two per row; every row has ±`most`, so its scale is that power. */
function fewBits(rows: number, width: number, most: number): Float32Array {
  return Float32Array.from({ length: rows * width }, (_, at) => {
    const [i, j] = [Math.floor(at / width), at % width];
    const whole = j === i % width ? most * (i % 2 === 0 ? 1 : -1) : ((i * 7 + j * 13) % (2 * most + 1)) - most;
    return whole * 2 ** -(i % 5);
  });
}

/** Whole numbers from `low` to `low + 255`, both among them: their scale is 1. */
const wholes = (length: number, low: number) =>
  Float32Array.from({ length }, (_, i) => (i === 0 ? low : i === 1 ? low + 255 : low + ((i * 31) % 256)));

function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from(values, (_, at) => values[(at % rows) * columns + Math.floor(at / rows)]);
}

async function run(model: Uint8Array, feeds: Record<string, ort.Tensor>): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const outputs = await session.run(feeds);
  await session.release();
  return outputs[session.outputNames[0]].data as Float32Array;
}

const opsOf = (model: Uint8Array) => readModel(model).graph.node.map(({ opType }) => opType);
const floats = (data: Float32Array, dims: number[]) => new ort.Tensor('float32', data, dims);

/** A graph of one node over x; the constant weights are called w. */
function graphOf(input: (number | 'n')[], build: (g: GraphBuilder, x: string) => string): Uint8Array {
  const g = new GraphBuilder('one');
  g.output(
    'y',
    'float32',
    input.map(() => null),
    build(g, g.input('x', 'float32', input)),
  );
  return g.toModel({ classes: '["a"]' });
}

describe('Weights and inputs that few bits say', () => {
  const columns = fewBits(N, K, 64);
  const bias = Float32Array.from({ length: N }, (_, i) => i - 5);
  const cases: [string, Uint8Array][] = [
    ['MatMul', graphOf(['n', K], (g, x) => g.node('MatMul', [x, g.constant(transposed(columns, N, K), [K, N], 'w')]))],
    [
      'Gemm with everything',
      graphOf(['n', K], (g, x) =>
        g.node('Gemm', [x, g.constant(columns, [N, K], 'w'), g.constant(bias)], {
          transB: 1,
          alpha: float(0.5),
          beta: float(2),
        }),
      ),
    ],
    [
      'Gemm without addend',
      graphOf(['n', K], (g, x) => g.node('Gemm', [x, g.constant(transposed(columns, N, K), [K, N], 'w')])),
    ],
  ];

  it.each(cases)('give the float result exactly: %s', async (_, model) => {
    const small = quantize(model);
    expect(small).toMatchObject({ kept: [] });
    expect(small.quantized).toHaveLength(1);
    expect(opsOf(small.model)).toContain('MatMulInteger');
    for (const low of [0, -100]) {
      const feeds = { x: floats(wholes(3 * K, low), [3, K]) };
      expect(await run(small.model, feeds)).toEqual(await run(model, feeds));
    }
  });

  it('give the float result exactly: Conv, of which only the file becomes smaller', async () => {
    const kernel = fewBits(16, 8 * 9, 127);
    const model = graphOf(['n', 8, 6, 6], (g, x) =>
      g.node('Conv', [x, g.constant(kernel, [16, 8, 3, 3], 'w'), g.constant(bias.slice(0, 16))], {
        pads: [1, 1, 1, 1],
      }),
    );
    const small = quantize(model);
    expect(opsOf(small.model)).toEqual(['Cast', 'Mul', 'Conv', 'Identity']);
    const feeds = { x: floats(wholes(2 * 8 * 36, -7), [2, 8, 6, 6]) };
    expect(await run(small.model, feeds)).toEqual(await run(model, feeds));
    expect(small.model.length).toBeLessThan(0.35 * model.length);
  });

  it('give the rows of a table exactly, also of one that was kept as float16', async () => {
    const table = fewBits(64, 32, 127);
    for (const isHalf of [false, true]) {
      const g = new GraphBuilder('table');
      const ids = g.input('ids', 'int64', ['n', 'm']);
      const stored = g.constant(isHalf ? Float16Array.from(table) : table, [64, 32], 'w');
      const whole = isHalf ? g.node('Cast', [stored], { to: 1 }) : stored;
      g.output('y', 'float32', ['n', 'm', 32], g.node('Gather', [whole, ids]));
      const model = g.toModel();
      const small = quantize(model).model;
      const feeds = { ids: new ort.Tensor('int64', BigInt64Array.of(0n, 63n, 5n, 5n, 17n, 40n), [2, 3]) };
      expect(await run(small, feeds)).toEqual(await run(model, feeds));
      expect(readModel(small).graph.initializer.map(({ name }) => name)).toEqual(['w/int8', 'w/scale']);
    }
  });
});

describe('Products with few outputs', () => {
  it('are stored as int8 and computed as floats', async () => {
    for (const [transB, dims] of [
      [0, [K, 24]],
      [1, [24, K]],
    ] as const) {
      const w = transB === 1 ? fewBits(24, K, 127) : transposed(fewBits(24, K, 127), 24, K);
      const model = graphOf(['n', K], (g, x) => g.node('Gemm', [x, g.constant(w, dims, 'w')], { transB }));
      const small = quantize(model).model;
      expect(opsOf(small)).toEqual(['Cast', 'Mul', 'Gemm', 'Identity']);
      const feeds = { x: floats(wholes(2 * K, -30), [2, K]) };
      expect(await run(small, feeds)).toEqual(await run(model, feeds));
    }
  });
});

describe('Products of any numbers', () => {
  it('stay within the bound of rounding of a float64 reference', async () => {
    const rng = createRng(11);
    for (const spread of [1e-3, 1, 1e3]) {
      const rows = 5;
      const w = Float32Array.from({ length: K * N }, () => spread * rng.normal());
      const x = Float32Array.from({ length: rows * K }, () => rng.normal() + 0.5);
      const model = graphOf(['n', K], (g, input) => g.node('MatMul', [input, g.constant(w, [K, N], 'w')]));
      const y = await run(quantize(model).model, { x: floats(x, [rows, K]) });
      const step = (Math.max(0, ...x) - Math.min(0, ...x)) / 255;
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < N; j++) {
          const column = Array.from({ length: K }, (_, k) => w[k * N + j]);
          const unit = Math.max(...column.map(Math.abs)) / 64;
          const exact = column.reduce((sum, value, k) => sum + value * x[i * K + k], 0);
          // The zero point is rounded too, and weights for their sum's sake: both are off by at most one step.
          const bound = column.reduce(
            (sum, v, k) => sum + Math.abs(v) * step + (Math.abs(x[i * K + k]) + step) * unit,
            0,
          );
          expect(Math.abs(y[i * N + j] - exact)).toBeLessThanOrEqual(bound);
        }
      }
    }
  });

  it('never add two products beyond 16 bits, where processors without VNNI saturate', async () => {
    const w = new Float32Array(K * N).fill(3);
    const model = graphOf(['n', K], (g, x) => g.node('MatMul', [x, g.constant(w, [K, N], 'w')]));
    const small = quantize(model).model;
    const stored = readModel(small).graph.initializer.find(({ name }) => name === 'w/int8')!;
    const most = Math.max(...Array.from(tensorData(stored) as Int8Array, Math.abs));
    expect(2 * 255 * most).toBeLessThan(2 ** 15);
    const y = await run(small, { x: floats(new Float32Array(K).fill(255), [1, K]) });
    expect(Math.max(...y)).toBeCloseTo(3 * 255 * K, 1);
  });
});

describe('Sums of weights', () => {
  it('are kept, so that a filter that sees no brightness stays one', async () => {
    const rng = createRng(3);
    const rows = 24;
    const kernel = Float32Array.from({ length: rows * 75 }, () => rng.normal());
    for (let i = 0; i < rows; i++) {
      const own = kernel.subarray(i * 75, (i + 1) * 75);
      const mean = own.reduce((sum, value) => sum + value / 75, 0);
      own.forEach((value, j) => (own[j] = value - mean));
    }
    const model = graphOf(['n', 3, 5, 5], (g, x) => g.node('Conv', [x, g.constant(kernel, [rows, 3, 5, 5], 'w')]));
    const y = await run(quantize(model).model, { x: floats(new Float32Array(75).fill(255), [1, 3, 5, 5]) });
    expect(Math.max(...y.map(Math.abs))).toBeLessThan(0.01);
  });
});

describe('What stays', () => {
  it('is named with its reason, and computes as before', async () => {
    const g = new GraphBuilder('kept');
    const x = g.input('x', 'float32', ['n', K]);
    const wide = (fill: number) => new Float32Array(K * K).fill(fill);
    const asked = g.node('MatMul', [x, g.constant(wide(0.25), [K, K], 'head')]);
    const small = g.node('MatMul', [asked, g.constant(new Float32Array(K * 2).fill(0.5), [K, 2], 'few')]);
    const endless = g.node('MatMul', [x, g.constant(wide(Infinity), [K, K], 'endless')]);
    const across = g.node('Gemm', [x, g.constant(wide(2), [K, K], 'across')], { transA: 1 });
    for (const [i, from] of [small, endless, across].entries()) g.output(`y${i}`, 'float32', [null, null], from);
    const model = g.toModel();
    const result = quantize(model, { keep: ['head'] });
    expect(result.quantized).toEqual([]);
    expect(result.kept.map(({ why }) => why)).toEqual(['asked', 'small', 'not-finite', 'form']);
    const feeds = { x: floats(wholes(K * K, -9), [K, K]) };
    expect(await run(result.model, feeds)).toEqual(await run(model, feeds));
  });

  it('are inputs, outputs and metadata; equal models give equal bytes', () => {
    const model = graphOf(['n', K], (g, x) => g.node('MatMul', [x, g.constant(fewBits(K, N, 9), [K, N], 'w')]));
    const small = quantize(model).model;
    const [before, after] = [readModel(model), readModel(small)];
    expect(after.inputs).toEqual(before.inputs);
    expect(after.outputs).toEqual(before.outputs);
    expect(after.metadata).toEqual({ classes: '["a"]', quantized: 'int8' });
    expect(quantize(model).model).toEqual(small);
  });

  it('is one copy of what several nodes share: a weight, and an input that is quantised', () => {
    const model = graphOf(['n', K], (g, x) => {
      const w = g.constant(fewBits(K, K, 9), [K, K], 'w');
      return g.node('Add', [g.node('MatMul', [x, w]), g.node('MatMul', [x, w])]);
    });
    const small = quantize(model).model;
    expect(readModel(small).graph.initializer).toHaveLength(2);
    expect(opsOf(small).filter((op) => op === 'DynamicQuantizeLinear')).toHaveLength(1);
  });

  it('is refused where the operator set has no integer products', () => {
    const g = new GraphBuilder('old', { opset: 9 });
    g.output('y', 'float32', ['n'], g.node('Abs', [g.input('x', 'float32', ['n'])]));
    expect(() => quantize(g.toModel())).toThrow(expect.objectContaining({ code: 'encoder-invalid' }));
  });
});

describe.skipIf(!existsSync(FIXTURES))('Networks that PyTorch exported', () => {
  test.each(['bert', 'vit', 'resnet', 'mobilenet'])('are at most 0.4 of their size and agree: %s', async (name) => {
    const model = readFileSync(join(FIXTURES, name, 'model.onnx'));
    const small = quantize(model).model;
    expect(small.length).toBeLessThan(0.4 * model.length);
    const rng = createRng(5);
    const feeds: Record<string, ort.Tensor> = {};
    for (const { name: input, dtype, dims } of readModel(model).inputs) {
      const shape = dims.map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? 4 : 16));
      const length = shape.reduce((a, b) => a * b, 1);
      feeds[input] =
        dtype === 'int64'
          ? new ort.Tensor(
              'int64',
              BigInt64Array.from({ length }, () => 1n),
              shape,
            )
          : floats(
              Float32Array.from({ length }, () => rng.normal()),
              shape,
            );
    }
    const [y, near] = [await run(model, feeds), await run(small, feeds)];
    const largest = y.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const apart = y.reduce((most, value, i) => Math.max(most, Math.abs(value - near[i])), 0);
    expect(apart / largest).toBeLessThan(0.04);
  });
});
