/**
 * `npm run bench -- tuning-text`: what fine-tuning adds to the head on MedQuAD's answers, ten
 * classes, topics kept apart. First an encoder as others export it, but with drawn weights (a
 * transformer of four blocks): its frozen head beside adapters. Then the project's own
 * encoder: its head beside one that also has a network on the texts' terms. One thread.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Part } from '../../main/domain/item.ts';
import { type Matrix, matrix, row, takeRows } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import { fitEncoder, openEncoder, openSession, tensor } from '../../main/inference/index.ts';
import { divide, fitHead, poolPrior, predictPool } from '../../main/training/index.ts';
import { LEAST_TERMS_LABELS } from '../../main/domain/tuning.ts';
import {
  adaptedNetwork,
  type ExampleRow,
  Examples,
  extendedEncoder,
  fit,
  foldsOf,
  kept,
  Measuring,
  planFor,
  readFor,
  runTuning,
} from '../../main/tuning/index.ts';
import { transformer } from '../tuning/transformer.ts';

const ANSWERS = fileURLToPath(new URL('../../../shared/data/medquad/answers.jsonl', import.meta.url));
const session = { threads: 1 };
const watch = { between: () => undefined, notice: () => undefined };

interface Texts {
  texts: string[];
  labels: number[];
  topics: number[];
  classCount: number;
}

function read(): Texts {
  const lines = readFileSync(ANSWERS, 'utf8').trimEnd().split('\n');
  const all = lines.map((line) => JSON.parse(line) as { text: string; label: string; topic: string });
  const numbered = (values: string[]) => {
    const names = [...new Set(values)].sort();
    const places = new Map(names.map((name, i) => [name, i]));
    return { numbers: values.map((value) => places.get(value)!), count: names.length };
  };
  const { numbers: labels, count: classCount } = numbered(all.map(({ label }) => label));
  const { numbers: topics } = numbered(all.map(({ topic }) => topic));
  return { texts: all.map(({ text }) => text), labels, topics, classCount };
}

/** Labelled items, and others of other topics to measure on. */
function split({ labels, topics, classCount }: Texts, seed: number, labelled: number, measured: number) {
  const rng = createRng(seed);
  const ofClass = labels.map((own) => [own]);
  const part = divide(topics, ofClass, classCount, [0.7, 0.3], rng.derive('split'));
  const draw = (side: number, count: number) => {
    const all = Array.from(part, (_, i) => i).filter((i) => part[i] === side);
    return rng.sample(all.length, count).map((at) => all[at]);
  };
  return { training: draw(0, labelled), test: draw(1, measured) };
}

function shareRight(answers: Matrix, items: readonly number[], labels: readonly number[]): number {
  return (
    items.filter((i, at) => row(answers, at).indexOf(Math.max(...row(answers, at))) === labels[i]).length / items.length
  );
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

async function adapters(given: Texts, labelled: number, measured: number): Promise<void> {
  const { texts, labels, topics, classCount } = given;
  const [WORDS, TOKENS] = [8000, 64];
  const split_ = split(given, 7, labelled, measured);
  const words = texts.map((text) => text.toLowerCase().match(/\w+|[^\w\s]+/g) ?? []);
  const counts = new Map<string, number>();
  for (const own of words) for (const word of own) counts.set(word, (counts.get(word) ?? 0) + 1);
  const frequent = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).slice(0, WORDS - 1);
  const idOf = new Map(frequent.map(([word], i) => [word, i + 1]));
  const rowsOf = (i: number): ExampleRow[] => {
    const ids = words[i].map((word) => BigInt(idOf.get(word) ?? 0));
    return Array.from({ length: Math.max(1, Math.ceil(ids.length / TOKENS)) }, (_, w): ExampleRow => {
      const data = BigInt64Array.from(ids.slice(w * TOKENS, (w + 1) * TOKENS));
      const dims = [data.length];
      return { text_tokens: { data, dims }, text_mask: { data: new BigInt64Array(data.length).fill(1n), dims } };
    });
  };
  const encoder = transformer({ words: WORDS, longest: TOKENS, width: 128, heads: 4, blocks: 4 }, 3);
  const opened = await openSession(encoder, session);
  const embedded = async (items: readonly number[]) => {
    const result = matrix(items.length, 128);
    for (const [at, i] of items.entries()) {
      const rows = rowsOf(i);
      for (const { text_tokens: tokens, text_mask: mask } of rows) {
        const dims = [1, tokens.dims[0]];
        const [ids, real] = [tokens, mask].map(({ data }) => tensor(data as BigInt64Array, dims));
        const { embedding } = await opened.run({ text_tokens: ids, text_mask: real });
        (embedding.data as Float32Array).forEach((x, j) => (row(result, at)[j] += x / rows.length));
      }
    }
    return result;
  };
  const { training, test } = split_;
  const ofClass = (items: readonly number[]) => items.map((i) => [labels[i]]);
  const fitted = await fitHead({
    embedding: await embedded(training),
    labels: ofClass(training),
    task: 'classify',
    classCount,
    groups: training.map((i) => topics[i]),
    seed: 1,
  });
  const frozen = shareRight(await predictPool(fitted.head, await embedded(test), {}), test, labels);
  await opened.close();

  const card = { parts: [{ kind: 'text', method: 'tokens', maxTokens: TOKENS, padId: 0 }] } as never;
  const plan = planFor(card, {
    task: 'classify',
    labels: labelled,
    imported: { image: false, text: true },
    flip: false,
  });
  const [{ fit: schedule, augmentation, adapters: adapterPlan }] = plan.networks;
  const examples = (items: readonly number[]) =>
    new Examples(items.map(rowsOf), ofClass(items), { task: 'classify', classCount }, augmentation);
  const head = { weights: fitted.head.weights.data, bias: fitted.head.bias };
  const network = adaptedNetwork(encoder, head, adapterPlan, 1);
  const began = performance.now();
  const data = { training: examples(training), validation: null };
  const state = await fit(network, data, { ...schedule, patience: null }, 1, watch, session);
  const steps = state.optimizer.steps;
  const stepMs = (performance.now() - began) / steps;
  const measuring = new Measuring(network, session);
  const adapted = shareRight(await measuring.outputs(kept(state), examples(test)), test, labels);
  await measuring.close();
  const trained = Object.values(network.weights).reduce((sum, { length }) => sum + length, 0);
  console.log(
    `drawn transformer, ${labelled} labels, ${measured} others: frozen head ${percent(frozen)}, ` +
      `adapted ${percent(adapted)}; ${trained} trained numbers, ${steps} steps of ${stepMs.toFixed(0)} ms; ` +
      `encoder ${(encoder.length / 1e6).toFixed(1)} MB, adapted ${(network.finish(kept(state)).length / 1e6).toFixed(1)} MB`,
  );
}

async function terms(given: Texts, counts: readonly number[], seeds: readonly number[]): Promise<void> {
  const { texts, labels, topics, classCount } = given;
  const items = texts.map((text): Part[] => [{ kind: 'text', text, sha256: '', path: null }]);
  const base = await fitEncoder(items, { seed: 1 });
  const encoder = await openEncoder(base.model, base.card, session);
  const whole = planFor(base.card, {
    task: 'classify',
    labels: LEAST_TERMS_LABELS,
    imported: { image: false, text: false },
    flip: false,
  });
  for (const labelled of counts) {
    for (const seed of seeds) {
      const { training, test } = split(given, seed, labelled, 1200);
      const sample = createRng(seed).derive('prior').sample(items.length, 800);
      const ofClass = training.map((i) => [labels[i]]);
      const groups = training.map((i) => topics[i]);
      const partsOf = (indices: readonly number[]) => indices.map((i) => items[i]);
      /** Accuracy of the head under an encoder; `heldOut` is the fold of each labelled item. */
      const accuracy = async (under: typeof encoder, heldOut: readonly number[] | null) => {
        const foldOf = new Map(training.map((i, at) => [i, heldOut?.[at] ?? null]));
        const vectors = async (indices: readonly number[]) => {
          const folds = indices.map((i) => foldOf.get(i) ?? null);
          return (await under.embed(partsOf(indices), { heldOut: folds })).embedding;
        };
        const prior = await poolPrior(await vectors(sample), 1);
        const embedding = await vectors(training);
        const input = { embedding, labels: ofClass, task: 'classify' as const, classCount, groups, prior, seed: 1 };
        const { head } = await fitHead(input);
        return shareRight(await predictPool(head, await vectors(test), {}), test, labels);
      };
      const alone = await accuracy(encoder, null);
      const folds = foldsOf(groups, ofClass, classCount, whole.members, seed);
      const own = { model: base.model, opened: encoder };
      const rows = await readFor(whole, partsOf(training), own, { seed, session });
      const began = performance.now();
      const { block, heldOut } = await runTuning(
        { plan: whole, seed, rows, classes: ofClass, folds, task: 'classify', classCount, encoder, imported: null },
        watch,
        session,
      );
      const seconds = (performance.now() - began) / 1000;
      const extended = extendedEncoder(base, block, { classCount, members: whole.members, place: 0 });
      const opened = await openEncoder(extended.model, extended.card, session);
      const both = await accuracy(opened, [...folds]);
      await opened.close();
      const network = shareRight(
        takeRows(
          heldOut,
          training.map((_, at) => at),
        ),
        training,
        labels,
      );
      console.log(
        `own encoder, ${labelled} labels, seed ${seed}: head ${percent(alone)}, with a network on terms ${percent(both)} ` +
          `of 1200; the network itself ${percent(network)} of what it did not see; ${seconds.toFixed(0)} s`,
      );
    }
  }
  await encoder.close();
}

if (existsSync(ANSWERS)) {
  const given = read();
  await adapters(given, 400, 500);
  await terms(given, [420, 1500], [1, 2]);
} else console.log('MedQuAD is not here.');
