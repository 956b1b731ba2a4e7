/**
 * `npm run bench -- tuning`: what fine-tuning gains on chest X-rays, in five folds with near
 * duplicates kept together, against the head on the frozen encoder in the same folds; and how
 * long a run takes beside the twenty minutes that it may. `--folds N` runs the first N only,
 * `--seed S` divides otherwise, `--labels N` trains on so many of each fold's items.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { takeRows, type Matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import { fitEncoder, openEncoder, type EncoderFile } from '../../main/inference/index.ts';
import { Project } from '../../main/project.ts';
import { openReader } from '../../main/store/index.ts';
import { divide, poolPrior, trainVersion } from '../../main/training/index.ts';
import { extendedEncoder, foldsOf, planFor, readFor, rowsOf, runTuning } from '../../main/tuning/index.ts';

const LIMIT_MINUTES = 20;
const FOLDS = 5;
const CLASSES = ['covid-19', 'no-findings', 'pneumonia'];
const source = fileURLToPath(new URL('../../../shared/data/chest-xray', import.meta.url));
const option = (name: string, fallback: number) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : Number(process.argv[at + 1]);
};
const [folds, seed, labelsWanted] = [option('folds', FOLDS), option('seed', 1), option('labels', Infinity)];

if (!existsSync(source)) {
  console.log('tuning: skipped, the X-rays are not there');
  process.exit();
}

const work = mkdtempSync(join(tmpdir(), 'marginalia-bench-'));
try {
  const dir = join(work, 'project');
  const project = await Project.create(dir, { classes: CLASSES, seed: 1 }, { resume: false });
  const options = { sources: [source], mapping: {}, labelsFromFolders: true, labels: 'oracle' as const };
  await project.startImport(options).finished;
  await project.close();
  const reader = openReader(dir);
  const rows = reader.items.poolRows();
  const parts = reader.items.partsOf(rows.seq);
  const oracle = reader.items.oracleOf();
  const labels = Array.from(rows.seq, (seq) => oracle.get(seq)!.map((name) => CLASSES.indexOf(name)));
  reader.close();

  const base = await fitEncoder(parts, { seed: 1 });
  const schema = { version: 1, task: 'classify' as const, classes: CLASSES };
  const fold = divide(rows.component, labels, CLASSES.length, Array<number>(FOLDS).fill(1 / FOLDS), createRng(seed));
  const where = (keep: (i: number) => boolean) => Array.from(fold, (_, i) => i).filter(keep);
  const itemsOf = (indices: readonly number[]) =>
    indices.map((i) => ({ id: rows.id[i], classes: [CLASSES[labels[i][0]]], group: String(rows.component[i]) }));

  /** Share of the test items that a head on these embeddings has right. */
  const accuracy = async (encoder: EncoderFile, embedding: Matrix, training: number[], test: number[]) => {
    const { auditCorrect } = await trainVersion({
      items: itemsOf(training),
      embedding: takeRows(embedding, training),
      audit: { items: itemsOf(test), embedding: takeRows(embedding, test) },
      schema,
      encoder: encoder.model,
      prior: await poolPrior(embedding, 1),
      seed: 1,
    });
    return auditCorrect.filter(Boolean).length / test.length;
  };
  const embed = async (encoder: EncoderFile, heldOut?: (number | null)[]) => {
    const opened = await openEncoder(encoder.model, encoder.card);
    const { embedding } = await opened.embed(parts, { heldOut });
    await opened.close();
    return embedding;
  };
  const frozen = await embed(base);
  const opened = await openEncoder(base.model, base.card);
  const plan = planFor(base.card, {
    task: 'classify',
    labels: Math.min(labelsWanted, parts.length),
    imported: { image: false, text: false },
    flip: false,
  });
  const session = { threads: option('threads', availableParallelism()) };
  // Once for all folds; a run reads only what it learns from.
  const readingBegan = performance.now();
  const read = await readFor(plan, parts, { model: base.model, opened }, { seed, session });
  const readMinutes = (performance.now() - readingBegan) / 60_000;
  const means = { frozen: 0, tuned: 0 };
  let slowest = 0;
  for (let f = 0; f < folds; f++) {
    const test = where((i) => fold[i] === f);
    const training = createRng(seed)
      .derive(`labels ${f}`)
      .shuffle(where((i) => fold[i] !== f))
      .slice(0, labelsWanted)
      .sort((a, b) => a - b);
    const own = training.map((i) => labels[i]);
    const began = performance.now();
    const members = foldsOf(
      training.map((i) => rows.component[i]),
      own,
      CLASSES.length,
      plan.members,
      seed,
    );
    const { block, histories } = await runTuning(
      {
        plan,
        seed,
        rows: rowsOf(read, training),
        classes: own,
        folds: members,
        task: 'classify',
        classCount: CLASSES.length,
        encoder: opened,
        imported: null,
      },
      { between: () => undefined, notice: (notice) => console.log(notice) },
      session,
    );
    const minutes = (performance.now() - began) / 60_000 + (readMinutes * training.length) / parts.length;
    slowest = Math.max(slowest, minutes);
    const told = { classCount: CLASSES.length, members: plan.members, place: 0 };
    const encoder = extendedEncoder(base, block, told);
    const heldOut = new Map(training.map((i, at) => [i, members[at]]));
    const tuned = await embed(
      encoder,
      parts.map((_, i) => heldOut.get(i) ?? null),
    );
    const before = await accuracy(base, frozen, training, test);
    const after = await accuracy(encoder, tuned, training, test);
    means.frozen += before / folds;
    means.tuned += after / folds;
    const losses = histories.map((history) => history.at(-1)!.validation?.toFixed(3)).join(' ');
    console.log(
      `fold ${f + 1}: ${training.length} labels, ${test.length} tested; frozen ${before.toFixed(3)}, fine-tuned ${after.toFixed(3)}; ` +
        `${minutes.toFixed(1)} min with reading; validation losses ${losses}`,
    );
  }
  await opened.close();
  console.log(
    `mean of ${folds} folds (seed ${seed}): frozen ${means.frozen.toFixed(3)}, fine-tuned ${means.tuned.toFixed(3)}; ` +
      `slowest run ${slowest.toFixed(1)} min, ${(slowest / LIMIT_MINUTES).toFixed(2)} of the ${LIMIT_MINUTES} it may take`,
  );
} finally {
  rmSync(work, { recursive: true, force: true });
}
process.exit();
