/**
 * A model version opened for explaining: log odds of rows, the values at its seams, and
 * sessions for the evidence there, which are made when first asked for and kept while sizes
 * stay the same.
 */
import { setImmediate } from 'node:timers/promises';
import { ASKED, evidenceModel, imageSeam, LOG_ODDS, logOddsModel, tokenSeam, type Seam } from './autodiff/index.ts';
import {
  feedsOf,
  openSession,
  openTokenizer,
  tensor,
  TOKENIZER_KEY,
  type Feeds,
  type Preparation,
  type Row,
  type Session,
  type Tensor,
  type TextTokenizer,
} from './inference/index.ts';

/** Rows per run: explaining may be given up between two of them. */
const BATCH = 8;
/** Sessions for evidence kept; texts of different lengths need one each. */
const KEPT = 4;

export class ExplainedVersion {
  readonly version: number;
  readonly classes: readonly string[];
  readonly preparations: readonly Preparation[];
  readonly imageSeam: Seam | null;
  readonly tokenSeam: Seam | null;
  readonly tokenizer: TextTokenizer | null;
  readonly #bytes: Uint8Array;
  readonly #forward: Session;
  readonly #evidence = new Map<string, Session>();

  private constructor(
    about: Pick<ExplainedVersion, 'version' | 'classes' | 'preparations'>,
    bytes: Uint8Array,
    seams: Pick<ExplainedVersion, 'imageSeam' | 'tokenSeam'>,
    forward: Session,
    tokenizer: TextTokenizer | null,
  ) {
    this.version = about.version;
    this.classes = about.classes;
    this.preparations = about.preparations;
    this.imageSeam = seams.imageSeam;
    this.tokenSeam = seams.tokenSeam;
    this.tokenizer = tokenizer;
    this.#bytes = bytes;
    this.#forward = forward;
  }

  /** Opens a version's file. Errors: `encoder-invalid`. */
  static async open(
    about: Pick<ExplainedVersion, 'version' | 'classes' | 'preparations'>,
    bytes: Uint8Array,
  ): Promise<ExplainedVersion> {
    const takesTokens = about.preparations.some((p) => p.kind === 'text' && p.method === 'tokens');
    const seams = {
      imageSeam: about.preparations.some((p) => p.kind === 'image') ? imageSeam(bytes) : null,
      tokenSeam: takesTokens ? tokenSeam(bytes) : null,
    };
    const used = [seams.imageSeam, seams.tokenSeam].filter((seam) => seam !== null);
    const forward = await openSession(logOddsModel(bytes, used));
    const tokenizer = takesTokens ? openTokenizer(forward.model.metadata[TOKENIZER_KEY]) : null;
    return new ExplainedVersion(about, bytes, seams, forward, tokenizer);
  }

  /** The rows as the version takes them, and the class that is asked about. */
  feeds(rows: readonly Row[], asked: number): Feeds {
    const names = this.#forward.model.inputs.map(({ name }) => name);
    return { ...feedsOf(rows, this.preparations, names), ...this.asked(asked) };
  }

  asked(index: number): Feeds {
    const { length } = this.classes;
    const one = Float32Array.from({ length }, (_, i) => (i === index ? 1 : 0));
    return { [ASKED]: tensor(one, [1, length]) };
  }

  /** How much each row speaks for the class: its log odds against all others. Rejects with the signal's reason when aborted. */
  async logOdds(rows: readonly Row[], asked: number, signal?: AbortSignal): Promise<number[]> {
    const odds: number[] = [];
    for (let start = 0; start < rows.length; start += BATCH) {
      signal?.throwIfAborted();
      const { [LOG_ODDS]: found } = await this.#forward.run(this.feeds(rows.slice(start, start + BATCH), asked), [
        LOG_ODDS,
      ]);
      odds.push(...(found.data as Float32Array));
      await setImmediate();
    }
    return odds;
  }

  /** The values at a seam and those beside it, for some rows. */
  async valuesAt(seam: Seam, rows: readonly Row[]): Promise<Record<string, Tensor>> {
    const feeds = this.feeds(rows, 0);
    const names = [...seam.at, ...seam.held];
    const inner = names.filter((name) => !(name in feeds));
    const found = { ...feeds, ...(inner.length > 0 ? await this.#forward.run(feeds, inner) : {}) };
    return Object.fromEntries(names.map((name) => [name, found[name]]));
  }

  /** One item's values as often as a session wants them, without those of the seam itself; and all their shapes. */
  repeated(values: Readonly<Record<string, Tensor>>, seam: Seam, times: number, asked: number) {
    const feeds: Feeds = this.asked(asked);
    const shapes: Record<string, readonly number[]> = {};
    for (const [name, { dims, data }] of Object.entries(values)) {
      shapes[name] = seam.at.includes(name) ? dims : [times, ...dims.slice(1)];
      if (!seam.at.includes(name))
        feeds[name] = tensor(repeat(data as Float32Array | BigInt64Array, times), shapes[name]);
    }
    return { feeds, shapes };
  }

  /** A session for the evidence at a seam, for tensors of these shapes. Errors: `encoder-invalid` for an operator without derivative. */
  async evidenceAt(seam: Seam, shapes: Readonly<Record<string, readonly number[]>>, points: number): Promise<Session> {
    const key = JSON.stringify([seam.at, shapes, points]);
    let session = this.#evidence.get(key);
    this.#evidence.delete(key);
    session ??= await openSession(evidenceModel(this.#bytes, seam, { shapes, points }));
    this.#evidence.set(key, session);
    for (const [oldest, other] of this.#evidence) {
      if (this.#evidence.size <= KEPT) break;
      this.#evidence.delete(oldest);
      await other.close();
    }
    return session;
  }

  async close(): Promise<void> {
    for (const session of this.#evidence.values()) await session.close();
    this.#evidence.clear();
    await this.#forward.close();
  }
}

function repeat<T extends Float32Array | BigInt64Array>(data: T, times: number): T {
  const all = new (data.constructor as new (length: number) => T)(data.length * times);
  for (let k = 0; k < times; k++) all.set(data as never, k * data.length);
  return all;
}
