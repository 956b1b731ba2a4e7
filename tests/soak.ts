/**
 * `npm run soak`: what takes too long for `npm test`. Each part is a file
 * tests/soak/NAME.soak.ts, run in a process of its own; it prints its number and ends with
 * exit code 0, or says what failed and ends with another. Code 77 says that this machine
 * cannot run it, and why is its last line. Parts that measure speed run alone, the others
 * two at a time. `--only a,b` runs some parts, `--list` names them, `--lanes=1` runs one
 * after the other; any other word starting with `--` goes to the parts. The last line counts.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from '../hosts/build.ts';
import { shareCompiledModules } from './compile-cache.ts';
import { summary } from './counts.ts';

shareCompiledModules();
const FOLDER = fileURLToPath(new URL('soak', import.meta.url));
/** What a part's exit code says when this machine lacks what it needs. */
const CANNOT_RUN = 77;
/** Parts that measure speed. */
const ALONE = new Set(['million']);
/** These take longest and begin first, so that none is left over at the end. */
const LONGEST = ['hours', 'kills', 'models'];

const running = new Set<ChildProcess>();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    for (const child of running) child.kill(signal);
  });
}

/** Runs one part to its end; gives its exit code, and what it said where it was not shown meanwhile. */
function runPart(name: string, flags: string[], isShown: boolean): Promise<{ code: number; said: string }> {
  const child = spawn(process.execPath, [join(FOLDER, `${name}.soak.ts`), ...flags], {
    stdio: ['ignore', ...(isShown ? (['inherit', 'inherit'] as const) : (['pipe', 'pipe'] as const))],
  });
  running.add(child);
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((done) => {
    const end = (code: number) => {
      running.delete(child);
      done({ code, said: Buffer.concat(chunks).toString() });
    };
    child.on('error', () => end(1));
    child.on('close', (code) => end(code ?? 1));
  });
}

const all = existsSync(FOLDER)
  ? readdirSync(FOLDER)
      .filter((file) => file.endsWith('.soak.ts'))
      .map((file) => basename(file, '.soak.ts'))
      .toSorted()
  : [];

const place = (name: string) => (LONGEST.includes(name) ? LONGEST.indexOf(name) : LONGEST.length);

async function main(argv: string[]): Promise<number> {
  if (argv.includes('--list')) {
    console.log(all.join('\n'));
    return 0;
  }
  const at = argv.indexOf('--only');
  const wanted = at < 0 ? all : (argv[at + 1] ?? '').split(',');
  const words = (at < 0 ? argv : argv.toSpliced(at, 2)).filter((word) => word.startsWith('--'));
  const flags = words.filter((word) => !word.startsWith('--lanes='));
  const unknown = wanted.filter((name) => !all.includes(name));
  if (unknown.length > 0) {
    console.error(`There is no part “${unknown.join(', ')}”. Choose among ${all.join(', ')}.`);
    return 2;
  }
  const asked = Number(words.find((word) => word.startsWith('--lanes='))?.slice('--lanes='.length) ?? 2);
  // Some parts serve the desk, or run the engine's bundle.
  if ((await build('desktop')) !== 0) {
    console.error('The build failed: no part was run.');
    return 1;
  }
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const began = performance.now();

  async function part(name: string, isShown: boolean): Promise<void> {
    const from = performance.now();
    if (isShown) console.log(`\n${name}`);
    const { code, said } = await runPart(name, flags, isShown);
    const outcome = code === 0 ? 'passed' : code === CANNOT_RUN ? 'skipped' : 'failed';
    counts[outcome]++;
    if (!isShown) process.stdout.write(`\n${name}\n${said}`);
    console.log(`${outcome}  ${name}  ${((performance.now() - from) / 1000).toFixed(0)} s`);
  }

  for (const name of wanted.filter((one) => ALONE.has(one))) await part(name, true);
  const others = wanted.filter((one) => !ALONE.has(one)).toSorted((a, b) => place(a) - place(b));
  const lanes = Math.max(1, Math.min(asked, availableParallelism(), others.length));
  const lane = async () => {
    for (let name = others.shift(); name !== undefined; name = others.shift()) await part(name, lanes === 1);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  console.log(`\n${((performance.now() - began) / 60_000).toFixed(1)} min in all`);
  console.log(summary(counts));
  return counts.failed > 0 || counts.passed === 0 ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
