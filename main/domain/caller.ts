/**
 * Who calls, as every call of the contract carries it: a header beside the input, percent-
 * encoded because headers are Latin-1. Without it the account of the machine counts as the
 * caller. Named accounts, roles and signatures will take this place.
 */
export const WHO_HEADER = 'marginalia-who';

const LONGEST = 200;

/** How a caller's name is put into the header. */
export function encodeWho(who: string): string {
  return encodeURIComponent(who.toWellFormed());
}

/** The caller's name from the header's value; null where there is none, or it makes no sense. */
export function decodeWho(value: string | null): string | null {
  if (value === null) return null;
  try {
    const who = decodeURIComponent(value).trim();
    return who === '' || who.length > LONGEST ? null : who;
  } catch {
    return null;
  }
}
