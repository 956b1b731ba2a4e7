/**
 * Replays the loop with an oracle's labels: what each query strategy would have reached
 * with how many labels. Test items are drawn by group and near-duplicate component, are
 * never queried and never trained on. Same features, labels and seed, same curve.
 * It measures; it promises nothing about another collection.
 */
import { select, type StrategyName } from '../acquisition/index.ts';
import { EngineError, assert } from '../domain/errors.ts';
import { matrix, takeRows, type Matrix } from '../domain/matrix.ts';
import { createRng, type Rng } from '../domain/rng.ts';
import type { Task } from '../domain/schema.ts';
import { findGuarantee } from '../evidence/index.ts';
import { evaluate, suggestions } from './evaluation.ts';
import { components, divide } from './folds.ts';
import { fitHead, predictPool, type HeadFit } from './head.ts';
import { poolPrior, type PoolPrior } from './prior.ts';

export interface SimulationInput {
  /** What the head learns from, `[n, d]`. */
  embedding: Matrix;
  /** What typicality and diversity look at, `[n, r]`. */
  reduced: Matrix;
  /** The oracle's classes of each item; null = none recorded: the item is not used. */
  labels: readonly (readonly number[] | null)[];
  task: Task;
  classCount: number;
  /** Group and near-duplicate cluster of each item, −1 = none. */
  groups?: Int32Array;
  duplicates?: Int32Array;
  strategies: readonly StrategyName[];
  /** Labels at the end, per round, and before the first model. */
  budget: number;
  batch: number;
  start: number;
  /** One curve per strategy and seed. */
  seeds: readonly number[];
  testFraction: number;
  /** Also try the guarantee: each final model, `trials` times, with a random half of the test items as audit set, on the other half and everything that was left unlabelled. */
  guarantee?: { alpha: number; delta: number; trials: number };
  signal?: AbortSignal;
  onProgress?: (progress: { done: number; total: number; strategy: StrategyName; seed: number }) => void;
}

export interface CurvePoint {
  labels: number;
  accuracy: number;
  macroF1: number;
  ece: number;
}

export interface Curve {
  strategy: StrategyName;
  seed: number;
  points: CurvePoint[];
}

export interface SimulatedGuarantee {
  alpha: number;
  delta: number;
  trials: number;
  /** Share of trials in which more than `alpha` of the settled items were wrong; should be at most `delta`. */
  violationRate: number;
  /** Mean share of items settled. */
  settledFraction: number;
}

export interface Simulation {
  curves: Curve[];
  guarantee?: SimulatedGuarantee;
}

/** Runs the simulation. Errors: `oracle-missing` where too few items have a recorded label for a pool and a test side; cancelling rejects with the signal's reason. */
export async function simulate(input: SimulationInput): Promise<Simulation> {
  const usable = input.labels.flatMap((classes, i) => (classes === null ? [] : [i]));
  if (usable.length === 0) throw oracleMissing(0);
  const restricted = restrict(input, usable);
  const world: World = { ...restricted, prior: await poolPrior(restricted.embedding, 0) };
  const curves: Curve[] = [];
  const rounds = 1 + Math.max(0, Math.ceil((input.budget - input.start) / input.batch));
  const total = input.strategies.length * input.seeds.length * rounds;
  const tally = { trials: 0, violations: 0, settled: 0 };
  let done = 0;
  for (const seed of input.seeds) {
    const { pool, test } = split(world, input, seed);
    if (pool.length < 2 || test.length < 1) throw oracleMissing(usable.length);
    for (const strategy of input.strategies) {
      const points: CurvePoint[] = [];
      const final = await replay(world, input, strategy, seed, pool, test, (point) => {
        points.push(point);
        done++;
        input.onProgress?.({ done, total, strategy, seed });
      });
      curves.push({ strategy, seed, points });
      if (input.guarantee)
        tryGuarantee(world, input, final, test, createRng(seed).derive(`guarantee ${strategy}`), tally);
    }
  }
  if (!input.guarantee) return { curves };
  const { alpha, delta } = input.guarantee;
  const trials = tally.trials;
  const guarantee = {
    alpha,
    delta,
    trials,
    violationRate: tally.violations / trials,
    settledFraction: tally.settled / trials,
  };
  return { curves, guarantee };
}

function oracleMissing(labelled: number): EngineError {
  return new EngineError(
    'oracle-missing',
    `A simulation needs recorded labels; ${labelled} items have one.`,
    'Import the items with their labels and “--labels oracle”.',
    { labelled },
  );
}

/** The input without the items that have no recorded label. */
interface World {
  embedding: Matrix;
  reduced: Matrix;
  labels: (readonly number[])[];
  groups?: Int32Array;
  duplicates?: Int32Array;
  prior: PoolPrior;
}

function restrict(input: SimulationInput, usable: number[]): Omit<World, 'prior'> {
  const pickFrom = (codes?: Int32Array) => codes && Int32Array.from(usable, (i) => codes[i]);
  const all = usable.length === input.labels.length;
  return {
    embedding: all ? input.embedding : takeRows(input.embedding, usable),
    reduced: all ? input.reduced : takeRows(input.reduced, usable),
    labels: usable.map((i) => input.labels[i]!),
    groups: pickFrom(input.groups),
    duplicates: pickFrom(input.duplicates),
  };
}

function split(world: World, input: SimulationInput, seed: number): { pool: number[]; test: number[] } {
  const { testFraction } = input;
  assert(testFraction > 0 && testFraction < 1, 'a test fraction between 0 and 1', testFraction);
  const component = components(world.labels.length, world.groups, world.duplicates);
  const shares = [1 - testFraction, testFraction];
  const part = divide(component, world.labels, input.classCount, shares, createRng(seed).derive('test split'));
  const all = Array.from(part, (_, i) => i);
  return { pool: all.filter((i) => part[i] === 0), test: all.filter((i) => part[i] === 1) };
}

/** One curve; returns the final probabilities of every item, and the items left unlabelled. */
async function replay(
  world: World,
  input: SimulationInput,
  strategy: StrategyName,
  seed: number,
  pool: number[],
  test: number[],
  report: (point: CurvePoint) => void,
): Promise<{ probabilities: Matrix; open: number[] }> {
  const { task, classCount, signal } = input;
  const rng = createRng(seed).derive('rounds');
  const testLabels = test.map((i) => world.labels[i]);
  const budget = Math.min(input.budget, pool.length);
  const labelled: number[] = [];
  let open = pool;
  let fit: HeadFit | null = null;
  let probabilities: Matrix | undefined;
  for (;;) {
    signal?.throwIfAborted();
    const first = labelled.length === 0;
    const wanted = Math.min(first ? input.start : input.batch, budget - labelled.length);
    // Without a model only typicality (or chance) can choose.
    const chosenBy = strategy === 'random' || probabilities ? strategy : 'typicality';
    const picks = await select(chosenBy, {
      candidates: open,
      labelled,
      batch: wanted,
      seed: rng.int(2 ** 31),
      task,
      probabilities,
      reduced: world.reduced,
      duplicates: world.duplicates,
      groups: world.groups,
      soFar: soFar(world, labelled, classCount, fit),
      signal,
    });
    const asked = new Set(picks.map(({ index }) => index));
    labelled.push(...asked);
    open = open.filter((i) => !asked.has(i));
    fit = await refit(world, input, labelled, seed);
    probabilities = fit ? await predictPool(fit.head, world.embedding, { signal }) : undefined;
    const known = probabilities ?? classShares(world, labelled, classCount);
    const { accuracy, macroF1, ece } = evaluate(takeRows(known, test), testLabels, task);
    report({ labels: labelled.length, accuracy: accuracy.value, macroF1, ece });
    if (labelled.length >= budget || picks.length === 0) return { probabilities: known, open };
    // Lets a cancel message in: a round is synchronous work otherwise.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function refit(world: World, input: SimulationInput, labelled: number[], seed: number): Promise<HeadFit | null> {
  const { task, classCount, signal } = input;
  const labels = labelled.map((i) => world.labels[i]);
  if (task === 'classify' && new Set(labels.flat()).size < 2) return null;
  const codes = (all?: Int32Array) => all && Int32Array.from(labelled, (i) => all[i]);
  return fitHead({
    embedding: takeRows(world.embedding, labelled),
    labels,
    task,
    classCount,
    groups: codes(world.groups),
    duplicates: codes(world.duplicates),
    prior: world.prior,
    seed,
    signal,
  });
}

function soFar(world: World, labelled: number[], classCount: number, fit: HeadFit | null) {
  const counts = new Array<number>(classCount).fill(0);
  for (const i of labelled) for (const j of world.labels[i]) counts[j]++;
  return { counts, correct: fit?.crossValidation?.correct ?? 0, tested: fit?.crossValidation?.tested ?? 0 };
}

/** What is known without a head: the class shares so far. */
function classShares(world: World, labelled: number[], classCount: number): Matrix {
  const rows = world.labels.length;
  const result = matrix(rows, classCount);
  for (const i of labelled) for (const j of world.labels[i]) result.data[j] += 1 / labelled.length;
  for (let i = 1; i < rows; i++) result.data.copyWithin(i * classCount, 0, classCount);
  return result;
}

function tryGuarantee(
  world: World,
  input: SimulationInput,
  final: { probabilities: Matrix; open: number[] },
  test: number[],
  rng: Rng,
  tally: { trials: number; violations: number; settled: number },
): void {
  const { alpha, delta, trials } = input.guarantee!;
  const { confidence, correct } = suggestions(final.probabilities, world.labels, input.task);
  for (let trial = 0; trial < trials; trial++) {
    const order = rng.sample(test.length, test.length).map((i) => test[i]);
    const audit = order.slice(0, Math.floor(test.length / 2));
    const rest = [...order.slice(audit.length), ...final.open];
    const { threshold } = findGuarantee({
      auditConfidence: audit.map((i) => confidence[i]),
      auditCorrect: audit.map((i) => correct[i]),
      poolConfidence: rest.map((i) => confidence[i]),
      alpha,
      delta,
    });
    const settled = threshold === null ? [] : rest.filter((i) => confidence[i] >= threshold);
    const wrong = settled.filter((i) => !correct[i]).length;
    tally.trials++;
    tally.settled += settled.length / rest.length;
    if (wrong > alpha * settled.length) tally.violations++;
  }
}
