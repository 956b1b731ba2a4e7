/**
 * Part `models` of `npm run soak`: every crafted model in its trial; 20,000 mutants each of models, tokenizers, images and
 * tables, 4,000 of projects and backups, in watched children, a tenth of them traced where
 * strace is; and a model that behaves in its trial and takes all memory on real items.
 * Promises of each: decided within 5 s, typed, nothing reached. `--few` runs a fiftieth.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { createRng } from '../../main/domain/rng.ts';
import { trialsApart } from '../../main/encoder-trial.ts';
import { inspectImportedEncoder } from '../../main/inference/index.ts';
import { CRAFTED, sum } from '../hostile/crafted.ts';
import { judge } from '../hostile/judge.ts';
import { modelApart, type Kind } from '../hostile/kinds.ts';
import { runMutants, TRACER } from '../hostile/mutants.ts';
import { runJson } from '../served-desk.ts';

const few = process.argv.includes('--few') ? 50 : 1;
const COUNTS: Record<Kind, number> = {
  ...{ model: 20_000, tokenizer: 20_000, image: 20_000, table: 20_000, project: 2000, backup: 2000 },
};
const SEED = 7;
/** The least time that a trial lives, and what starting and ending its process adds on a busy machine. */
const TRIED_MS = 5000 + 3000;
const failures: string[] = [];

for (const { name, bytes, expect, why } of CRAFTED.filter(({ runs }) => runs)) {
  const began = performance.now();
  const { code, message } = await judge(() => inspectImportedEncoder(bytes(), { kind: 'image' }, trialsApart()));
  const seconds = (performance.now() - began) / 1000;
  if (!(expect as string[]).includes(code) || !why.test(message)) failures.push(`${name}: ${code} ${message}`);
  console.log(`  ${name}: ${code} after ${seconds.toFixed(1)} s`);
}

/** A model that takes long in several steps is no matter for the watchdog of the mutants; its trial ends by the clock. */
async function tryApart(index: number, ms: number): Promise<void> {
  const began = performance.now();
  const { code, message } = await judge(() => modelApart(createRng(SEED).derive(`model ${index}`), index));
  const tookMs = performance.now() - began;
  const told = `model ${index}: ${ms} ms among the mutants, ${code} after ${Math.round(tookMs)} ms where it is tried`;
  console.log(`    ${told}`);
  if (tookMs > TRIED_MS || code === 'untyped') failures.push(`${told}: ${message}`);
}

for (const [kind, count] of Object.entries(COUNTS) as [Kind, number][]) {
  const began = performance.now();
  const wanted = Math.ceil(count / few);
  const traced = TRACER !== null ? Math.ceil(wanted / 10) : 0;
  const tallies = [await runMutants(kind, 0, traced, SEED, true), await runMutants(kind, traced, wanted, SEED)];
  const codes: Record<string, number> = {};
  for (const tally of tallies)
    for (const [code, n] of Object.entries(tally.codes)) codes[code] = (codes[code] ?? 0) + n;
  const contained = tallies.flatMap((tally) => tally.contained);
  const decided = tallies.reduce((all, { mutants }) => all + mutants, 0);
  const slowest = Math.max(...tallies.map(({ slowestMs }) => slowestMs));
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  console.log(
    `  ${kind}: ${decided} mutants, ${traced} of them traced, ${seconds} s, slowest ${slowest} ms; ${JSON.stringify(codes)}`,
  );
  const hows = contained.map(({ index, how }) => `${index} ${how}`).join(', ');
  if (hows !== '') console.log(`    ended their process: ${hows}`);
  if (decided !== wanted) failures.push(`${kind}: ${decided} of ${wanted} were decided`);
  for (const { index, ms } of tallies.flatMap(({ slow }) => slow)) {
    if (kind === 'model') await tryApart(index, ms);
    else failures.push(`${kind} ${index}: took ${ms} ms`);
  }
  for (const { index, message } of tallies.flatMap(({ untyped }) => untyped))
    failures.push(`${kind} ${index}: ${message}`);
  for (const call of tallies.flatMap(({ reached }) => reached)) failures.push(`${kind} reached ${call}`);
  // where the work goes on in the same process, it must not end
  if (kind !== 'model' && kind !== 'tokenizer')
    failures.push(...contained.map(({ index, how }) => `${kind} ${index}: ${how}`));
}

/** Quiet on what trials show it, 4 GB on pictures that are bright somewhere. */
function sleeper(): Uint8Array {
  return sum((g, x) => {
    const bright = g.node('Greater', [g.node('ReduceMax', [x], { keepdims: 0 }), g.scalar(0.9)]);
    const size = g.node('Add', [g.node('Mul', [g.node('Cast', [bright], { to: 7 }), g.ints(2 ** 26)]), g.ints(1)]);
    const spread = (by: number) => g.node('Sin', [g.node('Expand', [g.scalar(by), size])]);
    return g.node(
      'Concat',
      Array.from({ length: 16 }, (_, i) => spread(i)),
      { axis: 0 },
    );
  });
}

const folder = mkdtempSync(join(tmpdir(), 'marginalia-sleeper-'));
try {
  process.env.MARGINALIA_MODEL_MEMORY_MB = '1200';
  const [project, images, model] = ['project', 'images', 'model.onnx'].map((name) => join(folder, name));
  mkdirSync(images);
  for (let i = 0; i < 24; i++) {
    const background = { r: (i * 37) % 256, g: (i * 91) % 256, b: 255 };
    await sharp({ create: { width: 32, height: 32, channels: 3, background } })
      .png()
      .toFile(join(images, `${i}.png`));
  }
  writeFileSync(model, sleeper());
  await runJson('new', project, '--classes', 'a,b');
  await runJson('import', project, images);
  const taken = await runJson<{ code: string }>('encoder', project, model);
  const after = await runJson<{ items: number }>('status', project);
  const back = await runJson('encoder', project, '--own');
  const queue = await runJson<{ items: unknown[] }>('queue', project, '--count', '3');
  const deaths = taken.stderr.split('"ended":"memory"').length - 1;
  console.log(
    `  a sleeper: ${taken.json.code} after ${deaths} tries, ${after.json.items} items as before, own encoder again ${back.code === 0}`,
  );
  if (taken.json.code !== 'compute-died' || deaths !== 2)
    failures.push(`the sleeper: ${JSON.stringify(taken.json)}, ${deaths} tries`);
  if (after.json.items !== 24 || back.code !== 0 || queue.json.items.length === 0)
    failures.push('the sleeper left a project that does not go on');
} finally {
  rmSync(folder, { recursive: true, force: true });
}

for (const failure of failures) console.log(`  WRONG ${failure}`);
process.exitCode = failures.length > 0 ? 1 : 0;
