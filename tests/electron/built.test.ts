/**
 * The bundles that Electron loads, as they were built: the shell starts in them, finds the
 * engine, the preload script and the desk, and carries a call; the preload script is what a
 * sandbox accepts.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { Project } from '../../main/project.ts';
import { ROOT } from '../served-desk.ts';

const work = mkdtempSync(join(tmpdir(), 'marginalia-built-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

describe.skipIf(!existsSync(join(ROOT, 'out/shell/index.js')))('The built shell (after npm run build)', () => {
  test('starts, finds the engine, the preload script and the desk, carries a call and quits', async () => {
    const dir = join(work, 'project');
    await (await Project.create(dir, { classes: ['a', 'b'], seed: 1 })).close();
    const child = fork(
      fileURLToPath(new URL('built-shell-child.ts', import.meta.url)),
      [dir, join(work, 'user-data')],
      { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] },
    );
    const [told] = (await once(child, 'message')) as [
      { state: unknown; status: number; page: string; preload: boolean },
    ];
    expect(told.state).toMatchObject({ i: '1', p: { b: { json: { project: dir, host: 'desktop' } } } });
    expect(told.status).toBe(200);
    expect(told.page).toContain('<div id="app">');
    expect(told.preload).toBe(true);
  }, 60_000);

  test('has a preload script in CommonJS that needs nothing but Electron, as a sandbox demands', () => {
    const script = readFileSync(join(ROOT, 'out/preload/preload.cjs'), 'utf8');
    expect([...script.matchAll(/\brequire\(([^)]*)\)/g)].map(([, what]) => what)).toEqual(['"electron"']);
    expect(script).not.toMatch(/^\s*(import|export)\b|\bimport\(|\bprocess\b/m);
  });

  test('needs no package at run time', () => {
    const script = readFileSync(join(ROOT, 'out/shell/index.js'), 'utf8');
    const needed = [...script.matchAll(/^import .*?from "([^"]+)";|^import "([^"]+)";/gm)].map(
      ([, from, bare]) => from ?? bare,
    );
    expect(needed.filter((name) => name !== 'electron' && !name.startsWith('node:') && !name.startsWith('./'))).toEqual(
      [],
    );
  });
});
