/**
 * A first run of what others made, on almost nothing: a model on tensors of one value, a
 * tokenizer on texts that are unlike each other. Says what comes out, not the values.
 * Whoever calls this decides in which process: what is tried may hang, crash or take all
 * memory, and nothing here prevents it.
 */
import { EngineError } from '../domain/errors.ts';
import type { DType } from '../onnx/index.ts';
import { openSession, type Tensor, tensor } from './session.ts';
import { openTokenizer } from './tokens.ts';

/** An input of one value. */
export interface TrialFeed {
  name: string;
  dtype: DType | 'other';
  dims: number[];
  fill: number;
}

/** What came out under a name. */
export interface TrialOutput {
  name: string;
  type: string;
  dims: number[];
  /** Whether every number is finite; true for what has no fractions. */
  finite: boolean;
}

/** Who tries. Errors: `encoder-invalid`, `out-of-memory`. */
export interface Trials {
  model(bytes: Uint8Array, feeds: readonly TrialFeed[]): Promise<TrialOutput[]>;
  tokenizer(json: string): Promise<{ padId: number }>;
}

/** Letters, spaces and signs in rows, where patterns that look back may begin to search without end. */
const PROBES = [
  'The patient has a fever, and was given 500 mg twice a day (see p. 3).',
  '患者发热三天。',
  ...['a', ' ', '1', '.', 'é', '\n', 'aA', '-_', "'s "].map((row) => row.repeat(2000 / row.length)),
  '',
];

/** Tries in this very process. */
export const trialsHere: Trials = {
  async model(bytes, feeds) {
    const session = await openSession(bytes, { threads: 1 });
    try {
      const outputs = await session.run(Object.fromEntries(feeds.map((feed) => [feed.name, filled(feed)])));
      return session.model.outputs.flatMap(({ name }) => {
        if (!Object.hasOwn(outputs, name)) return [];
        const { type, dims, data } = outputs[name];
        const finite = !(data instanceof Float32Array) || data.every(Number.isFinite);
        return [{ name, type, dims: [...dims], finite }];
      });
    } finally {
      await session.close();
    }
  },
  async tokenizer(json) {
    const tokenizer = openTokenizer(json);
    try {
      for (const text of PROBES) await tokenizer.windows(text, 64);
    } catch (cause) {
      throw new EngineError(
        'encoder-invalid',
        `The tokenizer of this text encoder cannot take a text: ${cause instanceof Error ? cause.message : String(cause)}.`,
        'Choose the tokenizer.json that was published with the model.',
        {},
        cause,
      );
    }
    return { padId: tokenizer.padId };
  },
};

function filled({ dtype, dims, fill }: TrialFeed): Tensor {
  const size = dims.reduce((product, dim) => product * dim, 1);
  if (dtype === 'int32') return tensor(new Int32Array(size).fill(fill), dims);
  if (dtype === 'int64') return tensor(new BigInt64Array(size).fill(BigInt(fill)), dims);
  return tensor(new Float32Array(size).fill(fill), dims);
}
