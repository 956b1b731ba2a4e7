/**
 * A whole run: members that each miss one part of the items, the block that joins them, and
 * the encoder that it extends. What an item's features are for the head is held against the
 * members' own outputs.
 */
import { describe, expect, it } from 'vitest';
import { row } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import type { EncoderCard } from '../../main/inference/index.ts';
import { openSession, tensor, type Encoder } from '../../main/inference/index.ts';
import { GraphBuilder } from '../../main/onnx/index.ts';
import {
  extendedEncoder,
  foldsOf,
  runTuning,
  scaleOf,
  UNCHANGED,
  type NetworkPlan,
  type RunState,
  type TuningInput,
  type TuningPlan,
} from '../../main/tuning/index.ts';
import { GREY, LAYERS, PLAN, SIDE, striped } from './textures.ts';

const threads = 1;
const MEMBERS = 3;

const [grouped, batched] = (['group', 'batch'] as const).map((norm): NetworkPlan => ({
  kind: 'image',
  fit: { ...PLAN, epochs: 3 },
  augmentation: UNCHANGED,
  layers: LAYERS,
  norm,
  dropout: 0.2,
  adapters: { rank: 1, alpha: 1, headRate: 1 },
  pretraining: norm === 'group' ? { epochs: 2, batch: 8, rate: 1e-2, dims: 8, temperature: 0.2 } : null,
}));
const plan: TuningPlan = { format: 1, place: 0, members: MEMBERS, networks: [grouped, batched], weight: 2 };

/** An encoder that gives an image's mean and its square. */
function base() {
  const g = new GraphBuilder('encoder');
  const image = g.input('image', 'float32', ['n', 1, SIDE, SIDE]);
  const mean = g.node('Flatten', [g.node('GlobalAveragePool', [image])]);
  g.output('embedding', 'float32', ['n', 2], g.node('Concat', [mean, g.node('Mul', [mean, mean])], { axis: 1 }));
  g.output('reduced', 'float32', ['n', 1], mean);
  const card: EncoderCard = {
    format: 1,
    origin: 'pool',
    dims: 2,
    reducedDims: 1,
    parts: [GREY],
    terms: null,
    fittedOn: { image: 1 },
    seed: 1,
    sha256: '',
  };
  return { model: g.toModel(), card };
}

const material = striped(30);
const folds = foldsOf(
  material.classes.map((_, i) => Math.floor(i / 2)),
  material.classes,
  2,
  MEMBERS,
  1,
);
const input: TuningInput = {
  plan,
  seed: 11,
  rows: { image: { rows: material.rows } },
  unlabelled: { image: { rows: striped(10, 5).rows } },
  classes: material.classes,
  folds,
  task: 'classify',
  classCount: 2,
  encoder: { card: base().card } as Encoder,
  imported: null,
};
const silent = { between: () => undefined, notice: () => undefined };

describe('Folds of a run', () => {
  it('keep components whole and give each member something of each class', () => {
    for (let i = 0; i < 30; i += 2) expect(folds[i]).toBe(folds[i + 1]);
    for (let fold = 0; fold < MEMBERS; fold++) {
      const own = material.classes.filter((_, i) => folds[i] === fold).map(([c]) => c);
      expect(new Set(own)).toEqual(new Set([0, 1]));
    }
  });
});

describe('Pretraining', () => {
  it('tells images apart by two changed views of each, without labels, and members begin with what it learned', async () => {
    const changes = { shift: 0.2, scale: 0, rotate: 0, brightness: 0.1, contrast: 0.2, flip: false };
    const network: NetworkPlan = {
      ...grouped,
      augmentation: { ...UNCHANGED, image: changes },
      pretraining: { epochs: 8, batch: 16, rate: 2e-2, dims: 8, temperature: 0.2 },
    };
    const states: RunState[] = [];
    const watch = { between: (state: RunState) => void states.push(state), notice: () => undefined };
    await runTuning({ ...input, plan: { ...plan, networks: [network] } }, watch, { threads });
    const [pretrained] = states.at(-1)!.finished;
    // ln(2n − 1) is what guessing costs
    expect(pretrained.history[0].loss).toBeLessThan(Math.log(31) + 0.5);
    expect(pretrained.history.at(-1)!.loss).toBeLessThan(pretrained.history[0].loss - 0.5);
    const begun = states.find(({ finished, fit }) => finished.length === 1 && fit?.step === 0 && fit.epoch === 0)!;
    expect(begun.fit!.weights['layer0/kernel']).toEqual(pretrained.tensors['layer0/kernel']);
    expect(begun.fit!.weights['head/weight'].every((w) => w === 0)).toBe(true);
  });
});

describe('A run', () => {
  it('gives the same block when it was stopped in every member and went on', async () => {
    const whole = await runTuning(input, silent, { threads });
    let state: RunState | null = null;
    for (const stopAfter of [2, 20, 12]) {
      let steps = 0;
      const stopping = {
        between(now: RunState) {
          state = now;
          if (steps++ === stopAfter) throw new Error('killed');
        },
        notice: () => undefined,
      };
      await expect(runTuning(input, stopping, { threads, from: state })).rejects.toThrow('killed');
    }
    const resumed = await runTuning(input, silent, { threads, from: state });
    expect(Buffer.from(resumed.block).equals(Buffer.from(whole.block))).toBe(true);
    expect(resumed.heldOut).toEqual(whole.heldOut);
  });

  it('extends an encoder by the members’ mean, and by the one that missed it for an item they were trained on', async () => {
    const { block, heldOut } = await runTuning(input, silent, { threads });
    const scale = scaleOf(heldOut, plan.weight);
    const centred = (logits: ArrayLike<number>) => {
      const mean = (logits[0] + logits[1]) / 2;
      return [scale * (logits[0] - mean), scale * (logits[1] - mean)];
    };
    // The held-out features have the mean squared norm that was asked for.
    let squares = 0;
    for (let i = 0; i < 30; i++) for (const z of centred(row(heldOut, i))) squares += (z * z) / 30;
    expect(squares).toBeCloseTo(plan.weight, 4);

    const extended = extendedEncoder(base(), block, { classCount: 2, members: MEMBERS, place: 0 });
    expect(extended.card).toMatchObject({ dims: 4, reducedDims: 3, tuned: { columns: 2, members: MEMBERS } });
    const session = await openSession(extended.model, { threads });
    const rng = createRng(1);
    for (const i of [0, 7, rng.int(30)]) {
      const { data } = material.rows[i][0].image;
      const out = await session.run({
        image: tensor(Float32Array.from(data as Uint8ClampedArray), [1, 1, SIDE, SIDE]),
      });
      const members = out.members.data as Float32Array;
      const embedding = out.embedding.data as Float32Array;
      const own = members.subarray(2 * folds[i], 2 * folds[i] + 2);
      centred(row(heldOut, i)).forEach((value, j) => expect(own[j]).toBeCloseTo(value, 3));
      for (let j = 0; j < 2; j++) {
        const mean = [0, 1, 2].reduce((sum, m) => sum + members[2 * m + j] / MEMBERS, 0);
        expect(embedding[2 + j]).toBeCloseTo(mean, 4);
        expect((out.reduced.data as Float32Array)[1 + j]).toBeCloseTo(mean, 4);
      }
    }
    await session.close();
  });
});
