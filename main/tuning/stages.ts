/**
 * A run: networks trained one after another, each a stage. Where it is, is a value that fits
 * into a checkpoint; from it, another process goes on to the same weights.
 */
import type { Tensors } from '../autodiff/index.ts';
import { assert } from '../domain/errors.ts';
import type { SessionOptions } from '../inference/index.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { Examples } from './examples.ts';
import { fit, kept, type FitPlan, type FitState, type FitWatch } from './fit.ts';
import type { Network } from './networks.ts';

export interface Stage {
  /** The network to begin with; `before` are the tensors that earlier stages ended with. */
  network(before: readonly Tensors[]): Network | Promise<Network>;
  data: { training: Examples; validation: Examples | null };
  plan: FitPlan;
  seed: number;
}

/** What a stage ended with. */
export interface Finished {
  tensors: Tensors;
  history: FitState['history'];
}

export interface RunState {
  finished: readonly Finished[];
  /** Of the stage that is on. */
  fit: FitState | null;
}

export interface RunWatch {
  /** Called between steps. May wait (pause) or throw (cancel). */
  between(state: RunState, progress: { done: number; total: number }): Promise<void> | void;
  notice: FitWatch['notice'];
}

/** Trains the stages that are not finished in `from`. Errors as `fit`. */
export async function runStages(
  stages: readonly Stage[],
  watch: RunWatch,
  options: SessionOptions & { from?: RunState | null } = {},
): Promise<readonly Finished[]> {
  const { from, ...session } = options;
  const finished = [...(from?.finished ?? [])];
  let at: FitState | null = from?.fit ?? null;
  const steps = stages.map(({ data, plan }) => Math.ceil(data.training.size / plan.batch) * plan.epochs);
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
  for (let s = finished.length; s < stages.length; s++) {
    const { network, data, plan, seed } = stages[s];
    const before = sum(steps.slice(0, s));
    const made = await network(finished.map(({ tensors }) => tensors));
    const state = await fit(
      made,
      data,
      plan,
      seed,
      {
        between: (state, { done }) =>
          watch.between({ finished: [...finished], fit: state }, { done: before + done, total: sum(steps) }),
        notice: (notice) => watch.notice(notice),
      },
      { ...session, from: at },
    );
    at = null;
    finished.push({ tensors: kept(state), history: state.history });
    await watch.between({ finished: [...finished], fit: null }, { done: before + steps[s], total: sum(steps) });
  }
  return finished;
}

const GROUPS = ['weights', 'statistics', 'average', 'first', 'second', 'best'] as const;

/** A run's state as a checkpoint, with what the caller wants to find beside it. */
export function packed({ finished, fit }: RunState, beside: unknown): Checkpoint {
  const tensors: Record<string, Float32Array> = {};
  const add = (prefix: string, group: Tensors | null | undefined) => {
    for (const [name, values] of Object.entries(group ?? {})) tensors[`${prefix}/${name}`] = values;
  };
  finished.forEach((stage, s) => add(`finished ${s}`, stage.tensors));
  const histories = finished.map(({ history }) => history);
  if (!fit) return { state: { beside, histories, fit: null }, tensors };
  const { weights, statistics, average, optimizer, best, ...numbers } = fit;
  const groups = {
    weights,
    statistics,
    average,
    first: optimizer.first,
    second: optimizer.second,
    best: best?.tensors,
  };
  for (const group of GROUPS) add(group, groups[group]);
  const told = {
    ...numbers,
    steps: optimizer.steps,
    hasAverage: average !== null,
    best: best && { epoch: best.epoch, loss: best.loss },
  };
  return { state: { beside, histories, fit: told }, tensors };
}

type Told = Omit<FitState, 'weights' | 'statistics' | 'average' | 'optimizer' | 'best'> & {
  steps: number;
  hasAverage: boolean;
  best: { epoch: number; loss: number } | null;
};

/** The reverse of `packed`. */
export function unpacked({ state, tensors }: Checkpoint): { run: RunState; beside: unknown } {
  const { beside, histories, fit } = state as {
    beside: unknown;
    histories: FitState['history'][];
    fit: Told | null;
  };
  const group = (prefix: string): Tensors =>
    Object.fromEntries(
      Object.entries(tensors).flatMap(([name, values]) =>
        name.startsWith(`${prefix}/`) ? [[name.slice(prefix.length + 1), values] as const] : [],
      ),
    );
  const finished = histories.map((history, s) => ({ history, tensors: group(`finished ${s}`) }));
  assert(
    finished.every((stage) => Object.keys(stage.tensors).length > 0),
    'tensors of every stage',
    histories.length,
  );
  if (!fit) return { run: { finished, fit: null }, beside };
  const { steps, hasAverage, best, ...numbers } = fit;
  const resumed: FitState = {
    ...numbers,
    weights: group('weights'),
    statistics: group('statistics'),
    average: hasAverage ? group('average') : null,
    optimizer: { first: group('first'), second: group('second'), steps },
    best: best && { ...best, tensors: group('best') },
  };
  return { run: { finished, fit: resumed }, beside };
}
