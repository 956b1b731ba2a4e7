#!/usr/bin/env node
/**
 * Checks an audit trail that Marginalia exported (`marginalia audit DIR --out FILE`), with
 * nothing but Node: `node verify-audit.mjs FILE ["ENTRY HASH"]`. Each line is one entry,
 * {hash, previousHash, body}: `body` is the JSON text [entry, at, who, call, subject], and
 * `hash` the SHA-256 of the previous hash, a line feed and `body`. Where a head that was
 * noted earlier is given, the trail must still contain it: nothing was cut off since.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const [file, noted] = process.argv.slice(2);
const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
const problems = [];
let previous = '0'.repeat(64);
let last = 0;
let before = 0;
let hasNoted = noted === undefined;

lines.forEach((line, i) => {
  try {
    const { hash, previousHash, body } = JSON.parse(line);
    const [entry, at] = JSON.parse(body);
    const computed = createHash('sha256').update(`${previousHash}\n${body}`).digest('hex');
    if (computed !== hash) problems.push(`line ${i + 1}: what it says does not match its hash`);
    if (previousHash !== previous) problems.push(`line ${i + 1}: it does not follow from the line before`);
    if (entry !== last + 1) problems.push(`line ${i + 1}: entry ${last + 1} should come here`);
    if (at < before - 1000) console.log(`note: before line ${i + 1} the clock was set back by ${before - at} ms`);
    if (noted === `${entry} ${hash}`) hasNoted = true;
    [previous, last, before] = [hash, entry, at];
  } catch {
    problems.push(`line ${i + 1}: it is not an entry`);
  }
});
if (last === 0) problems.push('there is no entry in it');
if (!hasNoted) problems.push(`the head that was noted (${noted}) is not in it`);

for (const problem of problems) console.log(problem);
if (problems.length === 0) console.log(`${last} entries, in order and unchanged. Head: ${last} ${previous}`);
process.exitCode = problems.length === 0 ? 0 : 1;
