/**
 * Replays the loop with an oracle's labels: what each query strategy would have reached
 * with how many labels. Test items are drawn by group and near-duplicate component, are
 * never queried and never trained on. Same features, labels and seed, same curve.
 * It measures; it promises nothing about another collection.
 */
import { needsOf, select, type Asked, type Pick, type StrategyName } from '../acquisition/index.ts';
import { EngineError, assert } from '../domain/errors.ts';
import { matrix, takeRows, type Matrix } from '../domain/matrix.ts';
import { createRng } from '../domain/rng.ts';
import type { Task } from '../domain/schema.ts';
import { fitCommittee } from './committee.ts';
import { evaluate, suggestions } from './evaluation.ts';
import { components, divide } from './folds.ts';
import { fitHead, predictPool, type HeadFit, type HeadInput } from './head.ts';
import { poolPrior, type PoolPrior } from './prior.ts';
import { products } from './products.ts';
import { drawSides, GuaranteeTrials, type Round, type SimulatedGuarantee } from './simulated-guarantee.ts';

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
  /** Also try the guarantee, `trials` times in all: audit samples are drawn from the test items, and what is left unlabelled may be settled. Test items are then drawn by chance alone, as the app draws its audit set. */
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
  const splits = input.strategies.length * input.seeds.length;
  const trials = input.guarantee && new GuaranteeTrials({ ...input.guarantee, splits, budget: input.budget });
  let done = 0;
  for (const seed of input.seeds) {
    const component = components(world.labels.length, world.groups, world.duplicates);
    const { pool, test } = split(world, component, input, seed);
    if (pool.length < 2 || test.length < 1) throw oracleMissing(usable.length);
    for (const strategy of input.strategies) {
      const points: CurvePoint[] = [];
      const rounds: Round[] = [];
      await replay(world, input, strategy, seed, pool, test, (point, { known, open }) => {
        points.push(point);
        if (trials) rounds.push({ labels: point.labels, open, ...suggestions(known, world.labels, input.task) });
        done++;
        input.onProgress?.({ done, total, strategy, seed });
      });
      curves.push({ strategy, seed, points });
      trials?.try({ rounds, frame: test, component }, createRng(seed).derive(`guarantee ${strategy}`));
    }
  }
  return trials ? { curves, guarantee: trials.result() } : { curves };
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

function split(world: World, component: Int32Array, input: SimulationInput, seed: number) {
  const { testFraction, classCount, guarantee } = input;
  assert(testFraction > 0 && testFraction < 1, 'a test fraction between 0 and 1', testFraction);
  const rng = createRng(seed).derive('test split');
  if (guarantee) return drawSides(component, testFraction, rng);
  const part = divide(component, world.labels, classCount, [1 - testFraction, testFraction], rng);
  const all = Array.from(part, (_, i) => i);
  return { pool: all.filter((i) => part[i] === 0), test: all.filter((i) => part[i] === 1) };
}

/** One curve; reports after every refit, with the probabilities of every item and what is still open. */
async function replay(
  world: World,
  input: SimulationInput,
  strategy: StrategyName,
  seed: number,
  pool: number[],
  test: number[],
  report: (point: CurvePoint, state: { known: Matrix; open: readonly number[] }) => void,
): Promise<void> {
  const { task, classCount, signal } = input;
  const rng = createRng(seed).derive('rounds');
  const testLabels = test.map((i) => world.labels[i]);
  const budget = Math.min(input.budget, pool.length);
  const labelled: number[] = [];
  let open = pool;
  let fit: HeadFit | null = null;
  let probabilities: Matrix | undefined;
  const bandit: Asked[] = [];
  for (;;) {
    signal?.throwIfAborted();
    const first = labelled.length === 0;
    const wanted = Math.min(first ? input.start : input.batch, budget - labelled.length);
    // Without a model only typicality (or chance) can choose.
    const chosenBy = strategy === 'random' || probabilities ? strategy : 'typicality';
    const committee =
      fit && needsOf(chosenBy).includes('committee')
        ? await refitCommittee(world, input, labelled, fit, seed)
        : undefined;
    const picks = await select(chosenBy, {
      candidates: open,
      labelled,
      batch: wanted,
      seed: rng.int(2 ** 31),
      task,
      probabilities,
      reduced: world.reduced,
      embedding: world.embedding,
      committee,
      products,
      duplicates: world.duplicates,
      groups: world.groups,
      soFar: soFar(world, labelled, classCount, fit),
      asked: bandit,
      signal,
    });
    if (probabilities) bandit.push(...whatWasAsked(world, picks, probabilities, task));
    const asked = new Set(picks.map(({ index }) => index));
    // Fewer than wanted: what is left are near duplicates, which would come one by one, a round for each.
    if (picks.length < wanted) for (const i of open) if (asked.size < wanted) asked.add(i);
    labelled.push(...asked);
    open = open.filter((i) => !asked.has(i));
    fit = await refit(world, input, labelled, seed);
    probabilities = fit ? await predictPool(fit.head, world.embedding, { signal }) : undefined;
    const known = probabilities ?? classShares(world, labelled, classCount);
    const { accuracy, macroF1, ece } = evaluate(takeRows(known, test), testLabels, task);
    report({ labels: labelled.length, accuracy: accuracy.value, macroF1, ece }, { known, open });
    if (labelled.length >= budget || picks.length === 0) return;
    // Lets a cancel message in: a round is synchronous work otherwise.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** What the bandit learns from a batch: whether the suggestions were right before anything was learned from it. */
function whatWasAsked(world: World, picks: readonly Pick[], probabilities: Matrix, task: Task): Asked[] {
  const rows = picks.map(({ index }) => index);
  const labels = rows.map((i) => world.labels[i]);
  const { correct } = suggestions(takeRows(probabilities, rows), labels, task);
  return picks.flatMap(({ why }, i) => (why.bandit ? [{ ...why.bandit, correct: correct[i] }] : []));
}

function refit(world: World, input: SimulationInput, labelled: number[], seed: number): Promise<HeadFit> | null {
  const head = headInput(world, input, labelled, seed);
  return input.task === 'classify' && new Set(head.labels.flat()).size < 2 ? null : fitHead(head);
}

function refitCommittee(world: World, input: SimulationInput, labelled: number[], fit: HeadFit, seed: number) {
  const beside = { strength: fit.strength, temperature: fit.head.temperature };
  return fitCommittee(headInput(world, input, labelled, seed), beside, world.embedding);
}

function headInput(world: World, input: SimulationInput, labelled: number[], seed: number): HeadInput {
  const { task, classCount, signal } = input;
  const codes = (all?: Int32Array) => all && Int32Array.from(labelled, (i) => all[i]);
  return {
    embedding: takeRows(world.embedding, labelled),
    labels: labelled.map((i) => world.labels[i]),
    task,
    classCount,
    groups: codes(world.groups),
    duplicates: codes(world.duplicates),
    prior: world.prior,
    seed,
    signal,
  };
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
