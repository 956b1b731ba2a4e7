/**
 * What can be believed, and how firmly: exact intervals and the guarantee, from what was
 * drawn at random. Pure functions over arrays; no files, no models, no clock.
 */
export { binomialAtMost, clopperPearson, upperBound, type Interval } from './binomial.ts';
export { findGuarantee, smallestAudit, type Guarantee, type GuaranteeInput } from './guarantee.ts';
