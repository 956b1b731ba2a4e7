/**
 * `npm test`: every check this project has, on one Node: types, lint and build side by side,
 * then unit and integration tests (some serve the desk that was built), then end to end in a
 * real Chromium. All of it runs even when something fails; passing steps are one line,
 * failing ones are shown in full, and the last line counts: `N passed, N failed`. Nothing
 * tested is a failure.
 *
 * `--only types,lint,build,unit,e2e` runs some steps; other arguments go to the test
 * runners as filters (`npm test -- --only unit tests/store`).
 */
import { compile } from '@inlang/paraglide-js';
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { countPlaywright, countVitest, summary, type Counts } from './counts.ts';
import { messageOptions } from '../renderer/vite.config.ts';
import { provideChromium } from './chromium.ts';
import { shareCompiledModules } from './compile-cache.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const RESULTS = join(ROOT, 'test-results');
shareCompiledModules();

interface Step extends Counts {
  name: string;
  seconds: number;
}

interface Ended {
  code: number | null;
  output: string;
}

/** Runs one of node_modules' programs to its end and keeps what it said. */
function runModule(script: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const child = spawn(process.execPath, [join(ROOT, 'node_modules', script), ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0', ...env },
  });
  children.add(child);
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((done) => {
    child.on('close', (code) => {
      children.delete(child);
      done({ code, output: stripVTControlCharacters(Buffer.concat(chunks).toString('utf8')).trim() });
    });
  });
}
const children = new Set<ReturnType<typeof spawn>>();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    for (const child of children) child.kill(signal);
    process.exit(1);
  });
}

const steps: Step[] = [];

/** Times one step, prints its line, and its output when something in it failed. */
async function step(name: string, work: () => Promise<Counts & { output: string }>): Promise<void> {
  const began = performance.now();
  const { output, ...counts } = await work();
  const seconds = (performance.now() - began) / 1000;
  steps.push({ name, seconds, ...counts });
  const failed = counts.failed > 0;
  if (failed) console.log(`\n${output}\n`);
  const count = counts.passed + counts.failed + counts.skipped > 1 ? `  ${summary(counts)}` : '';
  console.log(`${failed ? 'FAILED' : 'ok    '}  ${name.padEnd(28)} ${seconds.toFixed(1).padStart(6)} s${count}`);
}

/** A check that either passes or fails as one. */
function check(name: string, script: string, args: string[], env?: NodeJS.ProcessEnv): Promise<void> {
  return step(name, async () => {
    const { code, output } = await runModule(script, args, env);
    return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0, output: `${name}:\n${output}` };
  });
}

/** A test runner that leaves a JSON report: counted from it; without one, or with nothing run, it failed. */
function suite(
  name: string,
  report: string,
  run: () => Promise<Ended>,
  count: (text: string) => Counts,
): Promise<void> {
  return step(name, async () => {
    rmSync(report, { force: true });
    const { code, output } = await run();
    const counts = existsSync(report) ? count(readFileSync(report, 'utf8')) : { passed: 0, failed: 0, skipped: 0 };
    const nothingRan = counts.passed + counts.failed === 0;
    if (nothingRan || (code !== 0 && counts.failed === 0)) counts.failed += 1;
    return { ...counts, output: nothingRan ? `${output}\n${name}: no test was run.` : output };
  });
}

/** What `types` and `build` both read. */
const messages = () =>
  step('messages compile', async () => {
    try {
      await compile(messageOptions);
      return { passed: 1, failed: 0, skipped: 0, output: '' };
    } catch (error) {
      return { passed: 0, failed: 1, skipped: 0, output: `messages compile:\n${String(error)}` };
    }
  });

type Check = () => Promise<void>;

const types: Check[] = [
  () => check('types (tsc)', 'typescript/bin/tsc', ['--noEmit', '-p', '.']),
  () =>
    check('types (svelte-check)', 'svelte-check/bin/svelte-check', [
      ...['--workspace', 'renderer', '--tsconfig', './tsconfig.json', '--output', 'human', '--fail-on-warnings'],
    ]),
];

const lint: Check[] = [
  () => check('format (prettier)', 'prettier/bin/prettier.cjs', ['--check', '--log-level=warn', '.']),
  () => check('lint (oxlint)', 'oxlint/bin/oxlint', ['--type-aware', '--deny-warnings', '.']),
  () =>
    check('lint (eslint, components)', 'eslint/bin/eslint.js', [
      ...['--max-warnings=0', '--no-error-on-unmatched-pattern', 'renderer'],
    ]),
  () => check('unused code (knip)', 'knip/bin/knip.js', ['--no-progress']),
];

const bundle: Check[] = [() => check('build (three bundles)', '../hosts/build.ts', [])];

async function sideBySide(checks: Check[]): Promise<void> {
  const waiting = [...checks];
  const lane = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await next();
  };
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
}

/** Compute is killed when a project closes; one that ends by itself leaves its compiled modules to the others. */
async function compileCompute(): Promise<void> {
  const child = fork(join(ROOT, 'main/compute.ts'), [], {
    serialization: 'advanced',
    stdio: 'ignore',
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  child.disconnect();
  await once(child, 'exit');
}

async function unit(filters: string[]): Promise<void> {
  await compileCompute();
  const report = join(RESULTS, 'vitest.json');
  await suite(
    'unit and integration',
    report,
    () =>
      runModule('vitest/vitest.mjs', [
        ...['run', '--reporter=dot', '--reporter=json', `--outputFile.json=${report}`],
        ...filters,
      ]),
    countVitest,
  );
}

async function endToEnd(filters: string[]): Promise<void> {
  const browser = provideChromium(ROOT);
  const report = join(RESULTS, 'playwright.json');
  await suite(
    'end to end (Chromium)',
    report,
    async () => {
      if ('reason' in browser) return { code: 1, output: browser.reason };
      return runModule('@playwright/test/cli.js', ['test', '--reporter=line,json', ...filters], {
        CHROMIUM_PATH: browser.path,
        PLAYWRIGHT_JSON_OUTPUT_NAME: report,
      });
    },
    countPlaywright,
  );
}

const CHECKS: Record<string, Check[]> = { types, lint, build: bundle };
const SUITES: Record<string, (filters: string[]) => Promise<void>> = { unit, e2e: endToEnd };
const STEPS = [...Object.keys(CHECKS), ...Object.keys(SUITES)];

async function main(argv: string[]): Promise<number> {
  const at = argv.indexOf('--only');
  const wanted = at < 0 ? STEPS : (argv[at + 1] ?? '').split(',');
  const filters = at < 0 ? argv : argv.toSpliced(at, 2);
  const unknown = wanted.filter((name) => !STEPS.includes(name));
  if (unknown.length > 0) {
    console.error(`There is no step “${unknown.join(', ')}”. Choose among ${STEPS.join(', ')}.`);
    return 2;
  }
  mkdirSync(RESULTS, { recursive: true });
  const began = performance.now();
  const checks = Object.entries(CHECKS).flatMap(([name, some]) => (wanted.includes(name) ? some : []));
  if (checks.length > 0) await messages();
  await sideBySide(checks);
  for (const [name, run] of Object.entries(SUITES)) if (wanted.includes(name)) await run(filters);
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { passed, failed, skipped } of steps) {
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped;
  }
  console.log(`\n${((performance.now() - began) / 1000).toFixed(0)} s in all`);
  console.log(summary(total));
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
