/**
 * Whether two fingerprints mean the same thing seen twice. Bands only find pairs worth
 * asking about; this is the answer.
 */
import type { Fingerprint } from '../domain/item.ts';
import { IMAGE_SIMILARITY, imageSimilarity } from './fingerprint-image.ts';
import { TEXT_SIMILARITY, textSimilarity } from './fingerprint-text.ts';

/** Exact check on the codes, symmetric. Fingerprints of different kinds never match. */
export function isNearDuplicate(a: Fingerprint, b: Fingerprint): boolean {
  if (a.kind !== b.kind) return false;
  return a.kind === 'image'
    ? imageSimilarity(a.code, b.code) >= IMAGE_SIMILARITY
    : textSimilarity(a.code, b.code) >= TEXT_SIMILARITY;
}
