/**
 * What every call of the contract says besides its input: whether it changes the project
 * (a call that does leaves exactly one entry in the audit trail, in the transaction that
 * changes it; a test walks all of them), and who calls (`domain/caller.ts`).
 */
import { oc } from '@orpc/contract';

export interface CallMeta {
  /** Whether it changes the project. */
  mutates: boolean;
}

/** A procedure that leaves the project as it is. */
export const ask = oc.$meta<CallMeta>({ mutates: false });

/** A procedure that changes the project. */
export const act = ask.meta({ mutates: true });
