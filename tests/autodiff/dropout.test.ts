/**
 * Dropout in training graphs: what is dropped is random but decided by what is fed, the rest
 * is scaled up, and the gradient goes where the values went.
 */
import { expect, it } from 'vitest';
import { drawDropout, GRADIENT, OUTPUT, TARGET, trainingGraph, withAdapters } from '../../main/autodiff/index.ts';
import { createRng } from '../../main/domain/rng.ts';
import { float, GraphBuilder } from '../../main/onnx/index.ts';
import { floats, run } from './running.ts';

const ROWS = 24;
const COLUMNS = 50;

/** y = dropout(x + b) for the whole of b, `[n, 24, 50]`, dropped at 0.25. */
function dropping(opset = 17): Uint8Array {
  const g = new GraphBuilder('net', { opset });
  const x = g.input('x', 'float32', ['n', ROWS, COLUMNS]);
  const sum = g.node('Add', [x, g.constant(new Float32Array(ROWS * COLUMNS).fill(1), [ROWS, COLUMNS], 'b')]);
  g.output('y', 'float32', ['n', ROWS, COLUMNS], g.node('Dropout', [sum, g.scalar(0.25)]));
  return g.toModel();
}

const loss = { kind: 'mean-squared-error' } as const;
const zeros = (n: number) => floats(new Float32Array(n * ROWS * COLUMNS), [n, ROWS, COLUMNS]);

async function step(dropout: boolean | number, seed: number, n = 2) {
  const made = trainingGraph(dropping(), { loss, batch: n, dropout, keep: ['y'] });
  const drawn = drawDropout(made.dropout, createRng(seed));
  const fed = made.dropout.map(({ name, shape }) => [name, floats(drawn[name], shape)] as const);
  const b = floats(made.weights.b.initial, [ROWS, COLUMNS]);
  const out = await run(made.model, { x: zeros(n), [TARGET]: zeros(n), b, ...Object.fromEntries(fed) });
  return { y: out[`${OUTPUT}y`].data as Float32Array, gradient: out[`${GRADIENT}b`].data as Float32Array };
}

it('Dropout keeps its share of the elements, scaled up, and others with every draw', async () => {
  const kept = new Float64Array(2 * ROWS * COLUMNS);
  const together = { both: 0, pairs: 0 };
  for (let seed = 0; seed < 40; seed++) {
    const { y } = await step(true, seed);
    expect([...new Set(y)].toSorted((a, b) => a - b)).toEqual([0, Math.fround(4 / 3)]);
    y.forEach((v, i) => (kept[i] += v === 0 ? 0 : 1 / 40));
    // neighbours in a row and in a column
    for (const apart of [1, COLUMNS]) {
      for (let i = 0; i + apart < y.length; i += 7) {
        together.pairs++;
        if (y[i] === 0 && y[i + apart] === 0) together.both++;
      }
    }
  }
  expect(kept.reduce((a, b) => a + b, 0) / kept.length).toBeCloseTo(0.75, 2);
  expect(Math.min(...kept)).toBeGreaterThan(0.35);
  expect(Math.max(...kept)).toBeLessThanOrEqual(1);
  expect(together.both / together.pairs).toBeCloseTo(0.25 ** 2, 2);
});

it('The same draw drops the same, and the gradient passes where the values passed', async () => {
  const [{ y, gradient }, again] = [await step(0.5, 7), await step(0.5, 7)];
  expect(again.y).toEqual(y);
  expect([...new Set(y)].toSorted((a, b) => a - b)).toEqual([0, 2]);
  // loss = mean y², y = 2·(x + b) where kept: d/db = Σ over items of 2·y·2 / count
  const expected = Array.from(
    { length: ROWS * COLUMNS },
    (_, i) => (4 * (y[i] + y[i + ROWS * COLUMNS])) / (2 * ROWS * COLUMNS),
  );
  expect(Math.max(...expected.map((v, i) => Math.abs(v - gradient[i])))).toBeLessThan(1e-8);
});

it('Nothing is dropped, and nothing more is fed, where it is not asked for', async () => {
  expect(trainingGraph(dropping(), { loss, batch: 1 }).dropout).toEqual([]);
  expect(trainingGraph(dropping(), { loss, batch: 1, dropout: 0 }).dropout).toEqual([]);
  expect(new Set((await step(false, 1)).y)).toEqual(new Set([1]));
});

it('Adapters drop their own input only', async () => {
  const g = new GraphBuilder('net', { opset: 17 });
  const eye = Float32Array.from({ length: 64 }, (_, i) => (i % 9 === 0 ? 1 : 0));
  g.output(
    'y',
    'float32',
    ['n', 8],
    g.node('Gemm', [g.input('x', 'float32', ['n', 8]), g.constant(eye, [8, 8], 'w')], { alpha: float(1) }),
  );
  const { model, trainable } = withAdapters(g.toModel(), { rank: 2, seed: 1, dropout: 0.5 });
  const made = trainingGraph(model, { loss, batch: 3, trainable, dropout: true });
  expect(made.dropout.map(({ shape }) => shape)).toEqual([[3 + 8]]);
  const drawn = drawDropout(made.dropout, createRng(3));
  const x = floats(
    Float32Array.from({ length: 24 }, (_, i) => i - 12),
    [3, 8],
  );
  const weights = Object.entries(made.weights).map(
    ([name, { shape, initial }]) => [name, floats(initial, shape)] as const,
  );
  const [{ name, shape }] = made.dropout;
  const feeds = { x, [TARGET]: x, [name]: floats(drawn[name], shape), ...Object.fromEntries(weights) };
  // the adapter starts at nothing, so y = x whatever it drops
  expect((await run(made.model, feeds)).loss.data[0]).toBe(0);
});
