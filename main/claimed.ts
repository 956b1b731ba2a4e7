/**
 * A claim's items as they lie in a blob: which items need no eyes, and what each was
 * suggested to be. They are frozen: the claim is about these suggestions, so that a later
 * model version does not void it. An item of a claim is settled as long as it is open.
 */
import type { Blobs, ClaimRecord, ReportReader } from './store/index.ts';

export interface ClaimedItems {
  /** What the class numbers below are called. */
  classes: string[];
  /** Claimed items by `seq`, and the suggested classes of each. */
  items: number[];
  suggested: number[][];
  /** Items of the audit set, labelled or not, that were as sure: they stand for claimed ones. */
  audit: number[];
}

export function claimBytes(claimed: ClaimedItems): Buffer {
  return Buffer.from(JSON.stringify(claimed));
}

/** Errors: `project-damaged`. */
export function claimedIn(blobs: Pick<Blobs, 'read'>, sha256: string): ClaimedItems {
  return JSON.parse(blobs.read(sha256).toString()) as ClaimedItems;
}

/** The newest claim that settles anything, withdrawn or not; null where there is none. A look that found nothing takes nothing back. */
export function lastClaim(reports: Pick<ReportReader, 'claims'>): (ClaimRecord & { settled: string }) | null {
  const settling = reports.claims().filter((claim) => claim.settled !== null);
  return (settling.at(-1) ?? null) as (ClaimRecord & { settled: string }) | null;
}

/** That claim unless it was withdrawn: what it names is settled. */
export function claimInForce(
  reports: Pick<ReportReader, 'claims' | 'withdrawal'>,
): (ClaimRecord & { settled: string }) | null {
  const last = lastClaim(reports);
  return last && reports.withdrawal(last.look) === null ? last : null;
}
