/**
 * Running a model leaves nothing behind and calls nobody: ONNX Runtime's own reports are off
 * in every process of ours, and would be seen if they were not.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { importsOf, readSources } from '../meta/sources.ts';

const CHILD = fileURLToPath(new URL('silence.child.ts', import.meta.url));

/** What a process leaves in an empty home folder. */
function leftBy(how: 'ours' | 'theirs'): string[] {
  const home = mkdtempSync(join(tmpdir(), 'marginalia-home-'));
  try {
    const { ORT_DISABLE_TELEMETRY: _, ...env } = process.env;
    const at = { HOME: home, USERPROFILE: home, XDG_CACHE_HOME: '', XDG_DATA_HOME: '', CI: '' };
    execFileSync(process.execPath, [CHILD, how], { env: { ...env, ...at } });
    return readdirSync(home, { recursive: true }).map(String);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

test('A session of ours leaves nothing in the home folder', () => {
  expect(leftBy('ours')).toEqual([]);
});

test.skipIf(process.platform === 'win32')('The package alone would leave an identifier and events to send', () => {
  expect(leftBy('theirs').join('\n')).toMatch(/deviceid|onnxruntime\.db/);
});

test('ONNX Runtime is imported in one place, which silences it', () => {
  const importers = readSources(['main', 'hosts', 'electron'], ['.ts', '.cjs']).filter((file) =>
    importsOf(file).some(({ specifier }) => specifier === 'onnxruntime-node'),
  );
  expect(importers.map(({ path }) => path)).toEqual(['main/inference/runtime.ts']);
});
