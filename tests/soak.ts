/**
 * `npm run soak`: what takes too long for `npm test`. Each part is a file
 * tests/soak/NAME.soak.ts, run alone in a process of its own; it prints its number and ends
 * with exit code 0, or says what failed and ends with another. Code 77 says that this
 * machine cannot run it, and why is its last line. `--only a,b` runs some parts, `--list`
 * names them; any other word starting with `--` goes to the parts. The last line counts.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { summary } from './counts.ts';

const FOLDER = fileURLToPath(new URL('soak', import.meta.url));
/** What a part's exit code says when this machine lacks what it needs. */
const CANNOT_RUN = 77;

/** Runs one part to its end and gives its exit code; Ctrl-C and kill reach it. */
function runPart(name: string, flags: string[]): Promise<number> {
  const child = spawn(process.execPath, [join(FOLDER, `${name}.soak.ts`), ...flags], { stdio: 'inherit' });
  const pass = (signal: NodeJS.Signals) => void child.kill(signal);
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, pass);
  return new Promise((done) => {
    child.on('error', () => done(1));
    child.on('exit', (code) => {
      for (const signal of signals) process.off(signal, pass);
      done(code ?? 1);
    });
  });
}

const all = existsSync(FOLDER)
  ? readdirSync(FOLDER)
      .filter((file) => file.endsWith('.soak.ts'))
      .map((file) => basename(file, '.soak.ts'))
      .toSorted()
  : [];

async function main(argv: string[]): Promise<number> {
  if (argv.includes('--list')) {
    console.log(all.join('\n'));
    return 0;
  }
  const at = argv.indexOf('--only');
  const wanted = at < 0 ? all : (argv[at + 1] ?? '').split(',');
  const flags = (at < 0 ? argv : argv.toSpliced(at, 2)).filter((word) => word.startsWith('--'));
  const unknown = wanted.filter((name) => !all.includes(name));
  if (unknown.length > 0) {
    console.error(`There is no part “${unknown.join(', ')}”. Choose among ${all.join(', ')}.`);
    return 2;
  }
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const began = performance.now();
  for (const name of wanted) {
    console.log(`\n${name}`);
    const from = performance.now();
    const code = await runPart(name, flags);
    const outcome = code === 0 ? 'passed' : code === CANNOT_RUN ? 'skipped' : 'failed';
    counts[outcome]++;
    console.log(`${outcome}  ${name}  ${((performance.now() - from) / 1000).toFixed(0)} s`);
  }
  console.log(`\n${((performance.now() - began) / 60_000).toFixed(1)} min in all`);
  console.log(summary(counts));
  return counts.failed > 0 || counts.passed === 0 ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
