/**
 * What crosses between processes: EngineErrors stay whole in calls and in streams, bugs do
 * not pretend to be foreseeable, and a dead process is noticed by whoever waits for it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ComputeProcess } from '../../main/compute-process.ts';
import { EngineError } from '../../main/domain/errors.ts';

const work = mkdtempSync(join(tmpdir(), 'marginalia-rpc-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const preview = (path: string) => ({ sources: [path], mapping: {}, labelsFromFolders: false, labels: 'none' as const });

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => null,
    (error: unknown) => error,
  );
}

test('An EngineError thrown in compute is the same one in the engine, from a call and from a stream', async () => {
  const compute = new ComputeProcess('');
  try {
    const missing = join(work, 'absent');
    const called = await errorOf(compute.call((client, options) => client.preview(preview(missing), options)));
    expect(called).toBeInstanceOf(EngineError);
    expect(called).toMatchObject({ code: 'source-missing', hint: expect.stringMatching(/^[A-Z]/) as string });
    const streamed = await errorOf(
      compute.run(
        (client, options) => client.read({ options: preview(missing), after: null }, options),
        () => undefined,
      ),
    );
    expect(streamed).toBeInstanceOf(EngineError);
    expect(streamed).toMatchObject({ code: 'source-missing' });
  } finally {
    compute.close();
  }
});

test('A compute process that dies fails its callers at once, and the next call starts a new one', async () => {
  const compute = new ComputeProcess('');
  try {
    const { pid } = await compute.call((client, options) => client.hello(undefined, options));
    const waiting = errorOf(compute.call((client, options) => client.preview(preview('/'), options)));
    process.kill(pid, 'SIGKILL');
    expect(await waiting).toMatchObject({ code: 'compute-died' });
    const again = await compute.call((client, options) => client.hello(undefined, options));
    expect(again.pid).not.toBe(pid);
  } finally {
    compute.close();
  }
});
