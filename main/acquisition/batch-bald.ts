/**
 * BatchBALD (Kirsch, van Amersfoort & Gal 2019): the batch whose labels together say most
 * about the model, picked greedily. An item's gain is its own mutual information less what
 * the batch's labels already tell of its label:
 * I(y; model | batch) = I(y; model) − I(y; y_batch).
 * The batch's joint labels are kept in blocks of at most `MOST_JOINT` values. Within one
 * block this is exact; with several, the block that tells most counts, and since
 * I(y; y_batch) is at least that, the gain is then an upper bound. It is chosen among the
 * items with the most information of their own (`shortlist` says among how many).
 */
import { createGuard, takeInOrder } from './batch-rules.ts';
import { information, mostInformative, whyDisagree } from './committee.ts';
import { lazyGreedy } from './lazy-greedy.ts';
import { createPace } from './pace.ts';
import { rankingOf } from './ranking.ts';
import type { SelectionInput, Strategy } from './strategy.ts';

const MOST_JOINT = 1024;
const SHORTLIST = { least: 500, perPick: 20 };

/** Probabilities of the values of one label, or of several labels jointly, under each member: `[values, m]`. */
type Joint = Float64Array;

export const batchBald: Strategy = {
  needs: ['committee'],
  cites: 'Kirsch, van Amersfoort & Gal 2019, BatchBALD: efficient and diverse batch acquisition',
  many: 'of each item the class with the most mutual information, as a yes or no',
  async select(input) {
    const pace = createPace(input.signal);
    const own = await information('batch-bald', input, pace);
    const ranking = rankingOf(own);
    const size = Math.max(SHORTLIST.least, SHORTLIST.perPick * input.batch);
    const shortlistGuard = createGuard({ ...input, maxPerGroup: undefined });
    const shortlist = (await takeInOrder(input, ranking, size, shortlistGuard, pace)).sort((a, b) => a - b);
    const candidates = shortlist.map((position) => input.candidates[position]);
    const labels = await labelsOf(input, candidates);
    const bounds = Float64Array.from(shortlist, (position) => own[position]);
    const batch = new JointLabels(input.committee!.members);
    const known = new Int32Array(candidates.length);
    const redundant = new Float64Array(candidates.length);
    const scores = new Map<number, number>();
    const guard = createGuard(input);
    const taken = await lazyGreedy(
      {
        candidates,
        bounds,
        refine(position) {
          redundant[position] = Math.max(redundant[position], batch.tells(labels[position], known[position]));
          known[position] = batch.size;
          bounds[position] = Math.max(0, own[shortlist[position]] - redundant[position]);
          return true;
        },
        take(position) {
          scores.set(shortlist[position], bounds[position]);
          batch.add(labels[position]);
        },
      },
      input.batch,
      guard,
      pace,
    );
    const positions = taken.map((position) => shortlist[position]);
    // The group rule may have used up the shortlist.
    positions.push(...(await takeInOrder(input, ranking, input.batch - positions.length, guard, pace)));
    return positions.map((position) => ({
      index: input.candidates[position],
      score: scores.get(position) ?? 0,
      strategy: 'batch-bald' as const,
      why: { ...whyDisagree(input, input.candidates[position]), shortlist: shortlist.length },
    }));
  },
};

/** The label of each item: its class, or whether it has the class on which the members share most. */
async function labelsOf({ committee, task }: SelectionInput, items: readonly number[]): Promise<Joint[]> {
  const { members: m, classes: c, predict } = committee!;
  const p = await predict(items);
  const shape = { m, n: items.length, c };
  return items.map((_, i) => {
    const at = (member: number, j: number) => p[(member * items.length + i) * c + j];
    if (task === 'classify-many') {
      const j = mostInformative(p, i, shape);
      return Float64Array.from({ length: 2 * m }, (_, k) => (k < m ? at(k, j) : 1 - at(k - m, j)));
    }
    return Float64Array.from({ length: c * m }, (_, k) => at(k % m, Math.floor(k / m)));
  });
}

/** The batch's labels, jointly in blocks. */
class JointLabels {
  readonly #members: number;
  readonly #blocks: Joint[] = [];
  /** The block that each label went to. */
  readonly #blockOf: number[] = [];

  constructor(members: number) {
    this.#members = members;
  }

  get size(): number {
    return this.#blockOf.length;
  }

  add(label: Joint): void {
    const last = this.#blocks.at(-1);
    const together = last && (last.length / this.#members) * (label.length / this.#members) <= MOST_JOINT;
    if (together) this.#blocks[this.#blocks.length - 1] = joined(last, label, this.#members);
    else this.#blocks.push(label);
    this.#blockOf.push(this.#blocks.length - 1);
  }

  /** I(label; block) of the block that tells most, among those changed since the batch had `known` labels. */
  tells(label: Joint, known: number): number {
    let most = 0;
    for (let block = this.#blockOf[known] ?? Infinity; block < this.#blocks.length; block++) {
      most = Math.max(most, sharedInformation(label, this.#blocks[block], this.#members));
    }
    return most;
  }
}

/** Every value of the one with every value of the other; given a member, labels are independent. */
function joined(a: Joint, b: Joint, m: number): Joint {
  const result = new Float64Array((a.length * b.length) / m);
  let at = 0;
  for (let i = 0; i < a.length; i += m) {
    for (let j = 0; j < b.length; j += m) for (let k = 0; k < m; k++) result[at++] = a[i + k] * b[j + k];
  }
  return result;
}

/** I(a; b) = Σ P(a, b) log(P(a, b) / P(a) P(b)), probabilities being means over the members. */
function sharedInformation(a: Joint, b: Joint, m: number): number {
  const meanOf = (joint: Joint, from: number) => {
    let sum = 0;
    for (let k = 0; k < m; k++) sum += joint[from + k];
    return sum / m;
  };
  const meansOfA = Float64Array.from({ length: a.length / m }, (_, i) => meanOf(a, i * m));
  let information = 0;
  for (let j = 0; j < b.length; j += m) {
    const pb = meanOf(b, j);
    for (let i = 0; i < a.length; i += m) {
      let both = 0;
      for (let k = 0; k < m; k++) both += a[i + k] * b[j + k];
      both /= m;
      if (both > 0) information += both * Math.log(both / (pb * meansOfA[i / m]));
    }
  }
  return information;
}
