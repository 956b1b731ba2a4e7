/**
 * Whether a candidate version may replace the live one: both answer the same audit items,
 * so only the items on which they differ say anything (McNemar 1947, exact binomial).
 * “Not worse” means: at least as many right, or fewer by no more than chance makes likely.
 * The reason comes as data; nothing here promotes anything.
 */
import { binomialAtMost, clopperPearson, type Interval } from '../evidence/index.ts';
import { assert } from '../domain/errors.ts';

export interface Decision {
  promote: boolean;
  /** `first`: there is no live version. `better`, `equal`: more right, or as many. `not-worse`: fewer right, within chance. `worse`: fewer right than chance explains. `no-audit`: nothing to compare on yet. */
  code: 'first' | 'better' | 'equal' | 'not-worse' | 'worse' | 'no-audit';
  n: number;
  candidate: Interval;
  live: Interval | null;
  /** Audit items only the candidate has right, and only the live version. */
  gained: number;
  lost: number;
  /** Probability of so few gains among the items that differ if both were equally good; 1 where none differ. */
  pValue: number;
}

/** Fewer right than this likely by chance counts as worse. One-sided and lenient on purpose: a wrong promotion costs more than a late one. */
export const WORSE_BELOW = 0.2;

/** Decides from whether each audit item, in the same order, is right under each version; `live` null = there is none. Without audit items a candidate is promoted, since the live version has shown nothing either. */
export function decidePromotion(candidate: readonly boolean[], live: readonly boolean[] | null): Decision {
  const n = candidate.length;
  const share = (answers: readonly boolean[]) => clopperPearson(answers.filter(Boolean).length, n);
  const own = share(candidate);
  if (live === null) {
    return { promote: true, code: 'first', n, candidate: own, live: null, gained: 0, lost: 0, pValue: 1 };
  }
  assert(live.length === n, `${n} answers of the live version`, live.length);
  const gained = candidate.filter((own, i) => own && !live[i]).length;
  const lost = live.filter((theirs, i) => theirs && !candidate[i]).length;
  const pValue = gained + lost === 0 ? 1 : binomialAtMost(gained, gained + lost, 0.5);
  const numbers = { n, candidate: own, live: share(live), gained, lost, pValue };
  if (n === 0) return { promote: true, code: 'no-audit', ...numbers };
  if (gained > lost) return { promote: true, code: 'better', ...numbers };
  if (gained === lost) return { promote: true, code: 'equal', ...numbers };
  if (pValue >= WORSE_BELOW) return { promote: true, code: 'not-worse', ...numbers };
  return { promote: false, code: 'worse', ...numbers };
}
