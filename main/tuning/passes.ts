/**
 * Runs a network: forwards and backwards for a step, forwards alone for measuring. A graph is
 * made for the shapes of a batch when they first come, and few graphs are kept, because each
 * holds the whole network.
 */
import { setImmediate } from 'node:timers/promises';
import {
  drawDropout,
  GRADIENT,
  type Loss,
  meanGradients,
  OUTPUT,
  STATISTIC,
  TARGET,
  type Tensors,
  trainingGraph,
  type TrainingGraph,
} from '../autodiff/index.ts';
import { matrix, type Matrix } from '../domain/matrix.ts';
import type { Rng } from '../domain/rng.ts';
import { blockSize, type Feeds, openSession, type Session, type SessionOptions, tensor } from '../inference/index.ts';
import type { Batch, Examples } from './examples.ts';
import type { Network } from './networks.ts';

type Shapes = Record<string, readonly number[]>;

/** How a model is written for shapes, and for a device's convolutions: `block` as in `LoadOptions`. */
type Make = (shapes: Shapes, how: { block: number | null }) => TrainingGraph;

/** A graph that runs, and what is drawn for it at every step. */
interface Opened {
  session: Session;
  dropout: TrainingGraph['dropout'];
}

/** Graphs kept at once. */
const MOST = 6;
/** Rows per forward pass. */
const ROWS = 16;

class Sessions {
  readonly #make: Make;
  readonly #options: SessionOptions;
  readonly #open = new Map<string, Opened>();

  constructor(make: Make, options: SessionOptions) {
    this.#make = make;
    this.#options = options;
  }

  /** The session for a batch's shapes; the one that was not used for longest makes room. */
  async for(batch: Batch): Promise<Opened> {
    const shapes = Object.fromEntries(Object.entries(batch.feeds).map(([name, { dims }]) => [name, dims]));
    const key = JSON.stringify(shapes);
    let opened = this.#open.get(key);
    if (!opened) {
      const block = elsewhere(this.#options) ? null : await blockSize();
      const { model, dropout } = this.#make(shapes, { block });
      opened = { session: await openSession(model, this.#options), dropout };
      const [oldest] = this.#open;
      if (oldest && this.#open.size >= MOST) {
        this.#open.delete(oldest[0]);
        await oldest[1].session.close();
      }
    }
    this.#open.delete(key);
    this.#open.set(key, opened);
    return opened;
  }

  async close(): Promise<void> {
    for (const { session } of this.#open.values()) await session.close();
    this.#open.clear();
  }
}

/** Whether a network runs elsewhere than on the processor. */
function elsewhere({ device }: SessionOptions): boolean {
  return device !== undefined && device !== 'cpu';
}

function feedsOf({ shapes }: Network, weights: Tensors, batch: Batch): Feeds {
  const feeds: Feeds = {};
  for (const [name, { data, dims }] of Object.entries(batch.feeds)) feeds[name] = tensor(data, dims);
  for (const [name, data] of Object.entries(weights)) feeds[name] = tensor(data, shapes[name]);
  if (batch.target) feeds[TARGET] = tensor(batch.target.data, batch.target.dims);
  return feeds;
}

/** What a step learns from its batch. */
export interface Taken {
  loss: number;
  gradients: Tensors;
  /** Mean and variance of the batch, by the names of the network's own. */
  statistics: Tensors;
}

/** Forwards and backwards. */
export class Stepping {
  readonly #network: Network;
  readonly #sessions: Sessions;

  constructor(network: Network, loss: Loss, options: SessionOptions) {
    this.#network = network;
    const { model, output } = network;
    const trainable = Object.keys(network.weights);
    const batchStatistics = Object.keys(network.statistics).length > 0;
    const portable = elsewhere(options);
    this.#sessions = new Sessions(
      (shapes, how) =>
        trainingGraph(model, { loss, output, trainable, shapes, batchStatistics, portable, dropout: true, ...how }),
      options,
    );
  }

  /** Loss, gradients and statistics of a batch in parts: means weighted by their numbers of items. What is dropped is drawn from `rng`. */
  async take(weights: Tensors, parts: readonly Batch[], rng: Rng): Promise<Taken> {
    const each = [];
    for (const part of parts) {
      const { session, dropout } = await this.#sessions.for(part);
      const drawn = Object.entries(drawDropout(dropout, rng)).map(([name, data]) => [
        name,
        tensor(data, [data.length]),
      ]);
      const fed = { ...feedsOf(this.#network, weights, part), ...(Object.fromEntries(drawn) as Feeds) };
      const out = await session.run(fed);
      const named = (names: object, prefix: string): Tensors =>
        Object.fromEntries(Object.keys(names).map((name) => [name, out[prefix + name].data as Float32Array]));
      each.push({
        count: part.count,
        loss: (out.loss.data as Float32Array)[0],
        gradients: named(weights, GRADIENT),
        statistics: named(this.#network.statistics, STATISTIC),
      });
    }
    if (each.length === 1) return each[0];
    const total = each.reduce((sum, { count }) => sum + count, 0);
    return {
      loss: each.reduce((sum, { loss, count }) => sum + (loss * count) / total, 0),
      gradients: meanGradients(each),
      statistics: meanGradients(each.map(({ statistics, count }) => ({ gradients: statistics, count }))),
    };
  }

  close(): Promise<void> {
    return this.#sessions.close();
  }
}

/** Forwards, with any weights. */
export class Measuring {
  readonly #network: Network;
  readonly #sessions: Sessions;

  constructor(network: Network, options: SessionOptions) {
    this.#network = network;
    const { model, output } = network;
    const trainable = Object.keys({ ...network.weights, ...network.statistics });
    this.#sessions = new Sessions(
      (shapes, how) => trainingGraph(model, { loss: null, trainable, shapes, keep: [output], ...how }),
      options,
    );
  }

  /** The network's output for every example, `[n, c]`, unchanged; the mean where one has several rows. */
  async outputs(weights: Tensors, examples: Examples): Promise<Matrix> {
    let result: Matrix | null = null;
    const { itemOf } = examples;
    const rowsOf = new Float64Array(examples.size);
    for (const item of itemOf) rowsOf[item]++;
    const wanted = OUTPUT + this.#network.output;
    for (let start = 0; start < itemOf.length; start += ROWS) {
      const batch = examples.take(start, Math.min(start + ROWS, itemOf.length));
      const { session } = await this.#sessions.for(batch);
      const out = await session.run(feedsOf(this.#network, weights, batch), [wanted]);
      const values = out[wanted].data as Float32Array;
      const columns = out[wanted].dims[1];
      result ??= matrix(examples.size, columns);
      for (let r = 0; r < batch.count; r++) {
        const item = itemOf[start + r];
        for (let j = 0; j < columns; j++) result.data[item * columns + j] += values[r * columns + j] / rowsOf[item];
      }
      await setImmediate();
    }
    return result ?? matrix(0, 0);
  }

  close(): Promise<void> {
    return this.#sessions.close();
  }
}
