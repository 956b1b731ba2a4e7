/**
 * Who acts where nobody has given a name: the account of this machine that the program
 * runs under. Names come with calls (`WHO_HEADER`); this stands in for them.
 */
import { userInfo } from 'node:os';

function nameOfAccount(): string {
  try {
    return userInfo().username || 'account';
  } catch {
    // An account that the system's list does not know, as in some containers.
    return 'account';
  }
}

/** The account's name. */
export const ACCOUNT = nameOfAccount();
