/**
 * `npm run bench -- noise`: how early wrong labels come up among second looks. In the handed
 * medical answers and chest X-rays one label in twenty is changed at random; every label is
 * then judged as the app does it, and the labels are ordered by what it says. Printed is the
 * share of the changed labels within the first tenth: chance gives .10, .60 is asked for.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Part } from '../../main/domain/item.ts';
import { takeRows, type Matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import { judgeLabels } from '../../main/evidence/index.ts';
import { fitEncoder, openEncoder } from '../../main/inference/index.ts';
import { fitHead, poolPrior } from '../../main/training/index.ts';

const DATA = join(import.meta.dirname, '../../../shared/data');
const SEEDS = [1, 2, 3];
const FLIPPED = 0.05;

interface Labelled {
  parts: Part[];
  label: string;
}

function answers(): Labelled[] {
  const lines = readFileSync(join(DATA, 'medquad/answers.jsonl'), 'utf8').trim().split('\n');
  return lines.map((line) => {
    const { text, label } = JSON.parse(line) as { text: string; label: string };
    return { parts: [{ kind: 'text', text, sha256: '', path: null }], label };
  });
}

function xrays(): Labelled[] {
  const root = join(DATA, 'chest-xray');
  const image = (path: string): Part => ({
    kind: 'image',
    path,
    sha256: '',
    sizeBytes: 0,
    width: 0,
    height: 0,
    format: 'jpeg',
  });
  return readdirSync(root).flatMap((label) =>
    readdirSync(join(root, label)).map((name) => ({ parts: [image(join(root, label, name))], label })),
  );
}

async function embedded(items: readonly Labelled[]): Promise<Matrix> {
  const { model, card } = await fitEncoder(
    items.map(({ parts }) => parts),
    { seed: 1 },
  );
  const encoder = await openEncoder(model, card);
  const { embedding } = await encoder.embed(items.map(({ parts }) => parts));
  await encoder.close();
  return embedding;
}

/** Shares of the changed labels within the first tenth, and of the suspected ones that were changed. */
async function measured(embedding: Matrix, truth: readonly number[], c: number, count: number, seed: number) {
  const rng = createRng(seed);
  const rows = rng.sample(truth.length, Math.min(count, truth.length));
  const flipped = new Set(rng.sample(rows.length, Math.round(FLIPPED * rows.length)));
  const given = rows.map((i, k) => [flipped.has(k) ? (truth[i] + 1 + rng.int(c - 1)) % c : truth[i]]);
  const prior = await poolPrior(embedding, 1);
  const began = performance.now();
  const { crossValidation } = await fitHead({
    embedding: takeRows(embedding, rows),
    labels: given,
    task: 'classify',
    classCount: c,
    prior,
    seed,
  });
  const readings = given.map((classes, item) => ({ item, annotator: 0, classes }));
  const { probabilities, correct } = crossValidation!;
  const judged = judgeLabels({ task: 'classify', model: probabilities, given, readings, annotators: 1 });
  const seconds = (performance.now() - began) / 1000;
  const order = rows.map((_, k) => k).sort((a, b) => judged.right[a] - judged.right[b]);
  const found = order.slice(0, Math.ceil(rows.length / 10)).filter((k) => flipped.has(k)).length;
  const listed = order.filter((k) => judged.suspected[k] || judged.fused[k].classes[0] !== given[k][0]);
  return {
    found: found / flipped.size,
    listed: listed.length,
    precision: listed.filter((k) => flipped.has(k)).length / Math.max(1, listed.length),
    accuracy: correct / rows.length,
    seconds,
  };
}

for (const [name, folder, load, counts] of [
  ['medical answers', 'medquad', answers, [300, 1000, Infinity]],
  ['chest X-rays', 'chest-xray', xrays, [300, Infinity]],
] as const) {
  if (!existsSync(join(DATA, folder))) {
    console.log(`${name}: not there, left out`);
    continue;
  }
  const items = load();
  const classes = [...new Set(items.map(({ label }) => label))].toSorted((a, b) => (a < b ? -1 : 1));
  const truth = items.map(({ label }) => classes.indexOf(label));
  const embedding = await embedded(items);
  for (const count of counts) {
    const runs: Awaited<ReturnType<typeof measured>>[] = [];
    for (const seed of SEEDS) runs.push(await measured(embedding, truth, classes.length, count, seed));
    const mean = (of: (run: (typeof runs)[number]) => number) =>
      runs.reduce((sum, run) => sum + of(run), 0) / runs.length;
    console.log(
      `${name}, ${Math.min(count, truth.length)} labels, cross-validated ${mean((r) => r.accuracy).toFixed(3)}: ` +
        `${mean((r) => r.found).toFixed(2)} of the changed labels within the first tenth ` +
        `(${runs.map((r) => r.found.toFixed(2)).join(', ')}); list of ${mean((r) => r.listed).toFixed(0)}, ` +
        `${mean((r) => r.precision).toFixed(2)} of it changed; ${mean((r) => r.seconds).toFixed(1)} s`,
    );
  }
}
