/**
 * Makes mutants of one kind of file and judges each in this process, within a watchdog's
 * limits, as whoever imports it would: `KIND FROM TO SEED FOLDER`. Prints one JSON line for each,
 * `[index, code, ms]` and the message of what is no `EngineError`; from the watchdog
 * `{ended}`. Touches the path BEGIN before the first mutant, so that a record of system
 * calls shows where the program's own files end.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { createRng } from '../../main/domain/rng.ts';
import { keepWatch } from '../../main/watchdog.ts';
import { judge } from './judge.ts';
import { judgesOf, type Kind } from './kinds.ts';

const [kind, from, to, seed, root] = process.argv.slice(2);
/** Each is decided within so long, and in so much memory. */
const LIMITS = { stuckMs: 5000, memoryBytes: 1536 * 2 ** 20 };

const folder = mkdtempSync(join(root, 'marginalia-mutants-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
process.chdir(folder);
const one = await judgesOf(kind as Kind, folder);
Object.freeze(Object.prototype);
await keepWatch(LIMITS, 1);
await judge(() => one.whole()); // loads what is loaded once
existsSync('/BEGIN');
for (let i = Number(from); i < Number(to); i++) {
  const rng = createRng(Number(seed)).derive(`${kind} ${i}`);
  await setImmediate(); // so that the watchdog sees each begin
  const began = performance.now();
  const { code, message } = await judge(() => one.mutant(rng, i));
  const line = [i, code, Math.round(performance.now() - began), ...(code === 'untyped' ? [message] : [])];
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
process.exit(0);
