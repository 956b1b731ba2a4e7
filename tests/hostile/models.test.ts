/**
 * A model file cannot read other files, hang or take all memory: every row of the table of
 * crafted files is refused with its code, hundreds of mutants reach nothing, and what ends
 * its process takes nothing along. Each guard is also taken away, to see that these tests
 * would notice.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ComputeProcess } from '../../main/compute-process.ts';
import { limitsFor, trialsApart } from '../../main/encoder-trial.ts';
import { inspectImportedEncoder } from '../../main/inference/index.ts';
import { scanModel } from '../../main/onnx/index.ts';
import { CRAFTED } from './crafted.ts';
import { judge } from './judge.ts';
import { ABORTING, words } from './seeds.ts';
import { reachedIn, runMutants, TRACER } from './mutants.ts';

const UNGUARDED = fileURLToPath(new URL('unguarded.child.ts', import.meta.url));
const MUTANTS = 600;
const VERB = /^[A-Z][a-z]+ /;

let folder: string;
const children: ChildProcess[] = [];
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'marginalia-hostile-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

const nowhere = {
  model: () => Promise.reject(new Error('it was run')),
  tokenizer: () => Promise.reject(new Error('it was run')),
};
const named = (name: string) => CRAFTED.find((row) => row.name === name)!.bytes();
const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('A crafted model', () => {
  test('is one of at least forty, each with a name of its own', () => {
    expect(CRAFTED.length).toBeGreaterThanOrEqual(80);
    expect(new Set(CRAFTED.map(({ name }) => name)).size).toBe(CRAFTED.length);
  });

  test.each(CRAFTED.filter(({ runs }) => !runs))('is refused before anything runs: $name', async (row) => {
    const { code, message, hint } = await judge(() => inspectImportedEncoder(row.bytes(), { kind: 'image' }, nowhere));
    expect({ code, message }).toEqual({ code: row.expect[0], message: expect.stringMatching(row.why) });
    expect(hint).toMatch(VERB);
  });

  // one after another, so that each has its time; of those that only want much memory `npm run soak` tries all
  const seldom = new Set(CRAFTED.filter(({ expect: codes }) => codes.length > 1).filter((_, i) => i % 3 !== 1));
  test.each(CRAFTED.filter((row) => row.runs && !seldom.has(row)))('is decided in its trial: $name', async (row) => {
    const bytes = row.bytes();
    expect(() => scanModel(bytes)).not.toThrow();
    const lifeMs = row.name.includes('hours') ? 1500 : 5000;
    const trials = trialsApart((size, values) => ({ ...limitsFor(size, values), lifeMs }));
    const { code, message, hint } = await judge(() => inspectImportedEncoder(bytes, { kind: 'image' }, trials));
    expect({ code, message }).toEqual({
      code: expect.toBeOneOf(row.expect),
      message: expect.stringMatching(row.why),
    });
    if (code !== 'accepted') expect(hint).toMatch(VERB);
  });
});

describe('A trial', () => {
  test('holds its memory, whatever the model asks for', async () => {
    const trials = trialsApart();
    const feeds = [{ name: 'pixels', dtype: 'float32' as const, dims: [2, 3, 4, 4], fill: 0 }];
    const ended = trials.model(named('values of 4 GB, little by little'), feeds);
    const most = limitsFor(10_000, 96).memoryBytes;
    const error = (await ended.catch((thrown: unknown) => thrown)) as { context: { memoryBytes: number } };
    expect(error.context.memoryBytes).toBeGreaterThan(0.9 * most);
    expect(error.context.memoryBytes).toBeLessThan(most + 512 * 2 ** 20);
  });

  test('without limits hangs, and ends when whoever started it is gone', async () => {
    const parent = spawn(process.execPath, [UNGUARDED, 'hangs'], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(parent);
    const pid = await new Promise<number>((resolve) =>
      parent.stdout.once('data', (text: Buffer) => resolve(Number(text))),
    );
    await new Promise((resolve) => setTimeout(resolve, 3000));
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await expect.poll(() => isAlive(pid), { timeout: 5000 }).toBe(false);
  });

  test('that crashes or is stopped leaves compute as it was, answering meanwhile', async () => {
    const compute = new ComputeProcess('');
    try {
      const { pid } = await compute.call((client, call) => client.hello(undefined, call));
      const model = join(folder, 'model.onnx');
      const tokenizer = join(folder, 'tokenizer.json');
      writeFileSync(tokenizer, ABORTING);
      const trials = [
        [words(), { model, kind: 'text', tokenizer }, /broke off/],
        [named('values of 4 GB, little by little'), { model, kind: 'image' }, /was stopped/],
      ] as const;
      for (const [bytes, told, why] of trials) {
        writeFileSync(model, bytes);
        const decided = compute.call((client, call) => client.inspectEncoder(told, call));
        const refused = expect(decided).rejects.toMatchObject({
          code: 'encoder-invalid',
          message: expect.stringMatching(why),
        });
        expect(await compute.call((client, call) => client.hello(undefined, call))).toEqual({ pid });
        await refused;
      }
      expect(await compute.call((client, call) => client.hello(undefined, call))).toEqual({ pid });
    } finally {
      compute.close();
    }
  });

  test.each([
    ['a pipe', '/dev/stdin'],
    ['a device without an end', '/dev/zero'],
    ['a folder', tmpdir()],
  ])('is not begun with %s', async (_, model) => {
    if (process.platform === 'win32') return;
    const { inspectFile } = await import('../../main/encoder-import.ts');
    const { code, hint } = await judge(() => inspectFile({ model, kind: 'image' }));
    expect(code).toBe('file-unsupported');
    expect(hint).toMatch(VERB);
  });
});

describe('Mutants of models', () => {
  test(`${MUTANTS} of them are decided, typed, in time, and reach nothing`, { timeout: 120_000 }, async () => {
    const tally = await runMutants('model', 0, MUTANTS, 1, TRACER !== null);
    expect(tally).toMatchObject({ mutants: MUTANTS, untyped: [], reached: [] });
    expect(tally.slowestMs).toBeLessThan(5000);
    // the mutants are worth something: many come as far as being run
    expect(tally.codes.accepted).toBeGreaterThan(MUTANTS / 50);
  });

  test.skipIf(TRACER === null)('would be seen to reach a file, were they not looked through', () => {
    const record = join(folder, 'calls');
    const strace = ['-f', '-qq', '-s', '400', '-e', 'trace=%file,%network', '-o', record];
    const said = execFileSync(TRACER ?? '', [...strace, process.execPath, UNGUARDED, 'reads'], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect(said).toContain('SECRETSECRET');
    expect(reachedIn(readFileSync(record, 'utf8')).join('\n')).toContain('canary.bin');
  });

  test('a model that is not looked through reads the file beside it into its output', () => {
    const said = execFileSync(process.execPath, [UNGUARDED, 'reads'], { cwd: folder, encoding: 'utf8' });
    expect(said).toContain('SECRETSECRET');
  });
});
