/**
 * Fine-tuning on texts with the app's own encoder: a network on a text's terms, held against
 * sums by hand, in a whole run; and when it is not offered, because it would gain nothing.
 */
import { describe, expect, it } from 'vitest';
import type { EngineError } from '../../main/domain/errors.ts';
import type { Part } from '../../main/domain/item.ts';
import { row } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import { fitEncoder, openEncoder, openSession, tensor } from '../../main/inference/index.ts';
import type { EncoderCard, Preparation } from '../../main/inference/index.ts';
import { LEAST_TERMS_LABELS } from '../../main/domain/tuning.ts';
import {
  extendedEncoder,
  foldsOf,
  planFor,
  readFor,
  runTuning,
  textNetwork,
  type TuningPlan,
} from '../../main/tuning/index.ts';

const threads = 1;

const TERMS: Preparation = { kind: 'text', method: 'terms', buckets: 8 };
const TOKENS: Preparation = { kind: 'text', method: 'tokens', maxTokens: 8, padId: 0 };
const cardOf = (part: Preparation): EncoderCard => ({
  format: 1,
  origin: 'pool',
  dims: 2,
  reducedDims: 2,
  parts: [part],
  terms: 9,
  fittedOn: { text: 1 },
  seed: 1,
  sha256: '',
});
const plan = (part: Preparation, labels: number): TuningPlan =>
  planFor(cardOf(part), { task: 'classify', labels, imported: { image: false, text: part === TOKENS }, flip: false });

describe('A network on terms', () => {
  it('adds up what a text’s terms say, as they are weighted', async () => {
    const network = textNetwork(3, 2);
    const file = network.finish({
      'terms/table': Float32Array.of(9, 9, 1, -2, 0.5, 4),
      'terms/bias': Float32Array.of(10, 20),
    });
    const session = await openSession(file, { threads });
    const { logits } = await session.run({
      term_rows: tensor(BigInt64Array.of(1n, 2n, 2n, 0n), [2, 2]),
      term_weights: tensor(Float32Array.of(0.6, 0.8, 1, 0), [2, 2]),
    });
    await session.close();
    // 0.6·(1, −2) + 0.8·(0.5, 4) and 1·(0.5, 4), where a padded place weighs nothing
    expect([...(logits.data as Float32Array)].map((x) => Math.round(x * 1e4) / 1e4)).toEqual([11, 22, 10.5, 24]);
  });

  it('is planned where the labelled items are texts, although the pool has images too', () => {
    const image: Preparation = { kind: 'image', resize: 'squash', side: 8, mean: [0, 0, 0], std: [1, 1, 1] } as never;
    const card = { ...cardOf(TERMS), parts: [image, TERMS] };
    const planned = (labels: { image: number; text: number }) =>
      planFor(card, { task: 'classify', labels, imported: { image: false, text: false }, flip: false });
    expect(planned({ image: 0, text: 5000 })).toMatchObject({ place: 1, networks: [{ kind: 'terms' }] });
    expect(planned({ image: 500, text: 500 }).place).toBe(0);
    expect(() => planned({ image: 3, text: 2 })).toThrow('There are 3 labelled items');
  });

  it('is not offered below the labels from which it gains, and says what helps sooner', () => {
    try {
      plan(TERMS, LEAST_TERMS_LABELS - 1);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: 'tuning-unavailable', context: { needed: LEAST_TERMS_LABELS } });
      expect((error as EngineError).hint).toContain('Label 1 more');
      expect((error as EngineError).hint).toContain('import a text encoder');
    }
    expect(plan(TERMS, LEAST_TERMS_LABELS).networks[0].kind).toBe('terms');
    expect(plan(TOKENS, 60).networks[0].kind).toBe('adapters');
  });

  it('joins the project’s encoder, which gives held-out texts what the network without them said', async () => {
    const rng = createRng(4);
    const fillers = Array.from({ length: 30 }, (_, i) => `filler${i}`);
    const texts = Array.from({ length: 48 }, (_, i) =>
      [...rng.sample(30, 8).map((f) => fillers[f]), i % 2 ? 'fever' : 'fracture', i % 3 ? 'today' : 'yesterday'].join(
        ' ',
      ),
    );
    const items = texts.map((text): Part[] => [{ kind: 'text', text, sha256: '', path: null }]);
    const base = await fitEncoder(items, { seed: 1 });
    const encoder = await openEncoder(base.model, base.card, { threads });
    const classes = texts.map((_, i) => [i % 2]);
    const folds = foldsOf(
      texts.map((_, i) => i),
      classes,
      2,
      2,
      1,
    );
    const whole = planFor(base.card, {
      task: 'classify',
      labels: LEAST_TERMS_LABELS,
      imported: { image: false, text: false },
      flip: false,
    });
    const [network] = whole.networks;
    const short = { ...network, fit: { ...network.fit, epochs: 10, batch: 8, rate: 0.1 } };
    const tuning: TuningPlan = { ...whole, members: 2, networks: [short] };
    const own = { model: base.model, opened: encoder };
    const rows = await readFor(tuning, items, own, { seed: 1, session: { threads } });
    const { block, heldOut } = await runTuning(
      {
        plan: tuning,
        seed: 3,
        rows,
        classes,
        folds,
        task: 'classify',
        classCount: 2,
        encoder,
        imported: null,
      },
      { between: () => undefined, notice: () => undefined },
      { threads },
    );
    await encoder.close();
    const right = classes.filter(([own], i) => row(heldOut, i)[own] > row(heldOut, i)[1 - own]).length;
    expect(right).toBeGreaterThan(36);

    const extended = extendedEncoder(base, block, { classCount: 2, members: 2, place: 0 });
    const opened = await openEncoder(extended.model, extended.card, { threads });
    const { embedding } = await opened.embed(items, { heldOut: [...folds] });
    await opened.close();
    const told = (i: number) => row(embedding, i).subarray(base.card.dims);
    const centred = (i: number) => (row(heldOut, i)[0] - row(heldOut, i)[1]) / 2;
    const scale = told(0)[0] / centred(0);
    expect(scale).toBeGreaterThan(0);
    for (let i = 0; i < texts.length; i++) {
      expect(told(i)[0]).toBeCloseTo(scale * centred(i), 4);
      expect(told(i)[1]).toBeCloseTo(-scale * centred(i), 4);
    }
  });
});
