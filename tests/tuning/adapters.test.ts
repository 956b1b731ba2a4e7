/**
 * Fine-tuning an encoder that was made elsewhere. What decides a text's class here is a pair
 * of words of which neither says anything alone: the mean over an unadapted encoder's tokens
 * can hardly tell, an adapted encoder can. What comes out is held against running the model
 * that was trained, and against the file that went in.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { matrix, type Matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import { openSession, tensor } from '../../main/inference/index.ts';
import { readModel } from '../../main/onnx/index.ts';
import { fitHead, predictPool } from '../../main/training/index.ts';
import {
  adaptedNetwork,
  type ExampleRow,
  Examples,
  fit,
  type FitPlan,
  kept,
  Measuring,
  type Network,
  UNCHANGED,
} from '../../main/tuning/index.ts';
import { transformer } from './transformer.ts';

const threads = 1;
const WORDS = 12;
const LENGTH = 10;
const encoder = transformer({ words: WORDS, longest: 32, width: 16, heads: 2, blocks: 1 }, 3);

interface Pairs {
  rows: ExampleRow[];
  classes: number[];
}

/** Texts of fillers with word 1 or 2, and word 3 or 4, somewhere among them; class 1 where these are 1 and 3, or 2 and 4. */
function pairs(count: number, seed: number): Pairs {
  const rng = createRng(seed);
  const classes: number[] = [];
  const rows = Array.from({ length: count }, (): ExampleRow => {
    const tokens = Array.from({ length: LENGTH }, () => 5 + rng.int(WORDS - 5));
    const [here, there] = rng.sample(LENGTH, 2);
    const [first, second] = [rng.int(2), rng.int(2)];
    tokens[here] = 1 + first;
    tokens[there] = 3 + second;
    classes.push(first === second ? 1 : 0);
    const dims = [LENGTH];
    return {
      text_tokens: { data: BigInt64Array.from(tokens, BigInt), dims },
      text_mask: { data: new BigInt64Array(LENGTH).fill(1n), dims },
    };
  });
  return { rows, classes };
}

const examplesOf = ({ rows, classes }: Pairs) =>
  new Examples(
    rows.map((row) => [row]),
    classes.map((own) => [own]),
    { task: 'classify', classCount: 2 },
    UNCHANGED,
  );

/** A file's output for texts as they are, not filled up. */
async function outputOf(model: Uint8Array, { rows }: Pairs, output: string): Promise<Matrix> {
  const session = await openSession(model, { threads });
  const joined = (name: string) => BigInt64Array.from(rows.flatMap((row) => [...(row[name].data as BigInt64Array)]));
  const feeds = Object.fromEntries(
    ['text_tokens', 'text_mask'].map((name) => [name, tensor(joined(name), [rows.length, LENGTH])]),
  );
  const { data, dims } = (await session.run(feeds, [output]))[output];
  await session.close();
  return matrix(dims[0], dims[1], data as Float32Array<ArrayBuffer>);
}

function shareRight({ data, rows, columns: c }: Matrix, classes: readonly number[]): number {
  const right = classes.filter((own, i) => {
    const row = data.subarray(i * c, (i + 1) * c);
    return row.indexOf(Math.max(...row)) === own;
  });
  return right.length / rows;
}

const PLAN: FitPlan = {
  loss: { kind: 'cross-entropy' },
  epochs: 12,
  batch: 16,
  rate: 2e-2,
  warmup: 0.1,
  weightDecay: 0.01,
  clip: 5,
  average: null,
  patience: null,
};

const seen = pairs(240, 5);
const unseen = pairs(160, 6);
const watch = { between: () => undefined, notice: () => undefined };
let head: { weights: Float32Array; bias: Float32Array };
let frozen: number;
let network: Network;
let file: Uint8Array;
let weights: Network['weights'];

beforeAll(async () => {
  const embedding = await outputOf(encoder, seen, 'embedding');
  const labels = seen.classes.map((own) => [own]);
  const fitted = (await fitHead({ embedding, labels, task: 'classify', classCount: 2, seed: 1 })).head;
  frozen = shareRight(await predictPool(fitted, await outputOf(encoder, unseen, 'embedding'), {}), unseen.classes);
  head = { weights: fitted.weights.data, bias: fitted.bias };
  network = adaptedNetwork(encoder, head, { rank: 4, alpha: 8, headRate: 1 }, 1);
  weights = kept(await fit(network, { training: examplesOf(seen), validation: null }, PLAN, 2, watch, { threads }));
  file = network.finish(weights);
});

describe('an encoder with adapters', () => {
  it('begins as the encoder and the head that it was given', async () => {
    const { data, rows } = await outputOf(encoder, unseen, 'embedding');
    const begun = await outputOf(network.finish(network.weights), unseen, 'logits');
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < 2; j++) {
        let expected = head.bias[j];
        for (let d = 0; d < 16; d++) expected += data[i * 16 + d] * head.weights[d * 2 + j];
        expect(begun.data[i * 2 + j]).toBeCloseTo(expected, 4);
      }
    }
  });

  it('learns what its own frozen head cannot', async () => {
    const adapted = shareRight(await outputOf(file, unseen, 'logits'), unseen.classes);
    expect(frozen).toBeLessThan(0.7);
    expect(adapted).toBeGreaterThan(0.95);
  });

  it('is finished as the encoder with other numbers in its products, and nothing else', () => {
    const before = readModel(encoder).graph;
    const after = readModel(file).graph;
    expect(after.initializer.filter(({ name }) => name.includes('lora'))).toEqual([]);
    const ofBefore = new Map(before.initializer.map((tensor) => [tensor.name, tensor]));
    const changed: string[] = [];
    for (const tensor of after.initializer) {
      const name = tensor.name.replace(/^[^/]*\//, '');
      const old = ofBefore.get(name);
      if (old && Buffer.compare(old.rawData, tensor.rawData) !== 0) changed.push(name);
    }
    const products = ['query', 'key', 'value', 'joined', 'inward', 'outward'].map((part) => `0/${part}/weight`);
    expect(changed.sort()).toEqual(products.sort());
    const added = after.node.slice(before.node.length).map(({ opType }) => opType);
    expect(added.filter((opType) => opType !== 'Identity')).toEqual(['Gemm']);
  });

  it('gives as a file what it gave while it was trained, however far texts are filled up', async () => {
    const measuring = new Measuring(network, { threads });
    const trained = await measuring.outputs(weights, examplesOf(unseen));
    await measuring.close();
    const finished = await outputOf(file, unseen, 'logits');
    const largest = Math.max(...trained.data.map(Math.abs));
    trained.data.forEach((value, i) => expect(Math.abs(value - finished.data[i])).toBeLessThan(1e-4 * largest));
  });

  it('ends with the same weights for the same seed', async () => {
    const few = { rows: seen.rows.slice(0, 32), classes: seen.classes.slice(0, 32) };
    const once = async () => {
      const own = adaptedNetwork(encoder, head, { rank: 2, alpha: 4, headRate: 1 }, 1);
      const data = { training: examplesOf(few), validation: null };
      return kept(await fit(own, data, { ...PLAN, epochs: 2 }, 2, watch, { threads }));
    };
    expect(await once()).toEqual(await once());
  });
});
