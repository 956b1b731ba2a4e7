import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import type { ItemId } from '../../main/domain/item.ts';
import { matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import type { LabelSchema } from '../../main/domain/schema.ts';
import { GraphBuilder, readModel } from '../../main/onnx/index.ts';
import {
  composeModelVersion,
  freezeSnapshot,
  poolPrior,
  predictPool,
  readHead,
  sha256,
  snapshotHash,
  trainVersion,
} from '../../main/training/index.ts';

const D = 6;

/** An encoder with two inputs: x is turned by a fixed matrix, through tanh, and added to the numbers. */
function encoder(): Uint8Array {
  const rng = createRng(77);
  const g = new GraphBuilder('encoder');
  const x = g.input('x', 'float32', ['k', 4]);
  const numbers = g.input('numbers', 'float32', ['k', D]);
  const turned = g.node('MatMul', [
    x,
    g.constant(
      Float32Array.from({ length: 4 * D }, () => rng.normal()),
      [4, D],
    ),
  ]);
  const embedding = g.node('Add', [g.node('Tanh', [turned]), numbers]);
  g.output('embedding', 'float32', ['k', D], embedding);
  g.output('reduced', 'float32', ['k', D], g.node('Relu', [embedding]));
  return g.toModel({ tokenizer: 'of the encoder' });
}

async function embed(x: Float32Array, numbers: Float32Array, rows: number) {
  const session = await ort.InferenceSession.create(encoder());
  const { embedding } = await session.run({
    x: new ort.Tensor('float32', x, [rows, 4]),
    numbers: new ort.Tensor('float32', numbers, [rows, D]),
  });
  return matrix(rows, D, Float32Array.from(embedding.data as Float32Array));
}

const rng = createRng(5);
const rows = 40;
const x = Float32Array.from({ length: rows * 4 }, () => rng.normal());
const numbers = Float32Array.from({ length: rows * D }, () => 0.2 * rng.normal());
const item = (i: number) => ({
  id: i.toString(16).padStart(16, '0') as ItemId,
  classes: [x[4 * i] > 0 ? 'yes' : 'no'],
  group: i % 3 === 0 ? `g${i % 9}` : null,
});
const items = Array.from({ length: rows }, (_, i) => item(i));
const schema: LabelSchema = { version: 2, task: 'classify', classes: ['no', 'yes'] };

describe('a model version', () => {
  it.each(['classify', 'classify-many'] as const)(
    'is one file whose probabilities are the head’s on embeddings (%s)',
    async (task) => {
      const embedding = await embed(x, numbers, rows);
      const { model } = await trainVersion({
        items,
        embedding,
        schema: { ...schema, task },
        encoder: encoder(),
        seed: 3,
      });
      const { head, classes } = readHead(model);
      expect(classes).toEqual(['no', 'yes']);
      expect(readModel(model).metadata).toMatchObject({ tokenizer: 'of the encoder', task });
      const session = await ort.InferenceSession.create(model);
      expect(session.outputNames).toEqual(['probabilities']);
      const { probabilities } = await session.run({
        x: new ort.Tensor('float32', x, [rows, 4]),
        numbers: new ort.Tensor('float32', numbers, [rows, D]),
      });
      const expected = await predictPool(head, embedding);
      (probabilities.data as Float32Array).forEach((p, i) => expect(p).toBeCloseTo(expected.data[i], 5));
    },
  );

  it('is byte-identical for the same snapshot, in whatever order the items come', async () => {
    const embedding = await embed(x, numbers, rows);
    const prior = await poolPrior(embedding, 1);
    const train = (order: number[], seed = 3) => {
      const shuffled = matrix(rows, D);
      order.forEach((i, at) => shuffled.data.set(embedding.data.subarray(i * D, (i + 1) * D), at * D));
      return trainVersion({
        items: order.map((i) => items[i]),
        embedding: shuffled,
        schema,
        encoder: encoder(),
        prior,
        seed,
      });
    };
    const order = Array.from({ length: rows }, (_, i) => i);
    const [a, b] = [await train(order), await train(createRng(1).shuffle([...order]))];
    expect(sha256(b.model)).toBe(sha256(a.model));
    expect(b.card).toEqual(a.card);
    expect((await train(order, 4)).card.snapshot).not.toBe(a.card.snapshot);
  });

  it('has a card that names what it was made from and how good it is', async () => {
    const embedding = await embed(x, numbers, rows);
    const audit = { items: items.slice(0, 10), embedding: matrix(10, D, embedding.data.slice(0, 10 * D)) };
    const rest = { items: items.slice(10), embedding: matrix(30, D, embedding.data.slice(10 * D)) };
    const { model, card, snapshot, auditCorrect } = await trainVersion({
      ...rest,
      audit,
      schema,
      encoder: encoder(),
      seed: 3,
    });
    expect(card).toMatchObject({
      classes: ['no', 'yes'],
      schemaVersion: 2,
      seed: 3,
      labels: { total: 30 },
      encoder: { sha256: sha256(encoder()), dims: D },
    });
    expect(card.snapshot).toBe(snapshotHash(snapshot));
    expect(card.model).toBe(sha256(model));
    expect(card.audit!.n).toBe(10);
    expect(card.audit!.accuracy.value).toBe(auditCorrect.filter(Boolean).length / 10);
    expect(readModel(model).metadata).toMatchObject({ snapshot: card.snapshot, task: 'classify' });
    expect(JSON.parse(JSON.stringify(card))).toEqual(card);
  });

  it('refuses encoders without the output, classes that are not in the schema, and files that are no version', async () => {
    const head = { task: 'classify' as const, weights: matrix(D, 2), bias: new Float32Array(2), temperature: 1 };
    expect(() =>
      composeModelVersion({ encoder: encoder(), embeddingOutput: 'features', head, classes: ['a', 'b'] }),
    ).toThrowError(expect.objectContaining({ code: 'encoder-invalid' }));
    expect(() => readHead(encoder())).toThrowError(expect.objectContaining({ code: 'encoder-invalid' }));
    const embedding = matrix(2, D);
    const strange = [{ ...items[0], classes: ['maybe'] }, items[1]];
    await expect(
      trainVersion({ items: strange, embedding, schema, encoder: encoder(), seed: 1 }),
    ).rejects.toMatchObject({ code: 'class-unknown', context: { class: 'maybe' } });
  });
});

describe('a snapshot', () => {
  const draft = {
    schema,
    encoder: 'e',
    seed: 1,
    config: { head: 'linear', procedure: 2, strengths: [1, 10], prior: null } as const,
    items: items.slice(0, 3),
  };
  const freeze = (more: object = {}) =>
    freezeSnapshot({ ...draft, config: { ...draft.config, strengths: [1, 10] }, ...more });

  it('has the same hash in any order, and plain JSON is its canonical text', () => {
    const turned = freeze({ items: [...draft.items].reverse() });
    expect(snapshotHash(turned)).toBe(snapshotHash(freeze()));
    expect(snapshotHash(freeze())).toBe(sha256(new TextEncoder().encode(JSON.stringify(freeze()))));
  });

  it('has another hash when anything in it differs', () => {
    const [first, ...rest] = draft.items;
    const changed = [
      { seed: 2 },
      { encoder: 'f' },
      { schema: { ...schema, version: 3 } },
      { items: rest },
      { items: [{ ...first, classes: ['maybe'] }, ...rest] },
    ];
    expect(new Set([{}, ...changed].map((more) => snapshotHash(freeze(more)))).size).toBe(6);
  });

  it('holds every item once', () => {
    expect(() => freeze({ items: [items[0], items[0]] })).toThrowError('every item once');
  });
});
