/**
 * The rooms of the house and the doors between them, as docs/architecture.md draws them:
 * imports point inward, every room is entered by its index.ts, and only electron/ knows
 * Electron.
 */
import { describe, expect, test } from 'vitest';
import { importsOf, readSources, resolveImport, type SourceFile } from './sources.ts';

/** What each room may import besides itself and packages. `main` is the composition: main/*.ts. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  domain: [],
  onnx: ['domain'],
  store: ['domain'],
  imaging: ['domain'],
  ingest: ['domain', 'imaging'],
  evidence: ['domain'],
  acquisition: ['domain', 'evidence'],
  autodiff: ['domain', 'onnx'],
  export: ['domain', 'onnx'],
  inference: ['domain', 'imaging', 'onnx'],
  training: ['domain', 'onnx', 'autodiff', 'inference', 'acquisition', 'evidence'],
  tuning: ['domain', 'onnx', 'autodiff', 'inference', 'training', 'evidence'],
  main: [
    'domain',
    'imaging',
    'onnx',
    'store',
    'ingest',
    'evidence',
    'acquisition',
    'autodiff',
    'export',
    'inference',
    'training',
    'tuning',
  ],
  // hosts start the engine, so they know its composition root; the rooms behind it only by the facade
  hosts: ['domain', 'main', 'resources'],
  electron: ['domain', 'main', 'hosts'],
  renderer: ['domain', 'api'],
  resources: ['domain'],
  // scripts that make packages: they build as `npm run build` does, and nothing knows them
  packaging: ['hosts', 'electron'],
};

/** Modules of one room that another may know beyond the table, each with its reason. */
const EXCEPTIONS: Record<string, string> = {
  'hosts → main/autodiff/index.ts': 'check:gradients measures the gradient engine alone, without a project',
  'hosts → main/inference/index.ts': 'check:gradients opens the devices as the app does',
  'packaging → main/places.ts': 'the start scripts give Node the flags of the engine',
  'hosts → main/store/index.ts': 'backup and restore work on files without a project being open',
};

function roomOf(path: string): string {
  const [top, second, third] = path.split('/');
  if (top !== 'main') return top;
  if (/^api[.-]/.test(second)) return 'api';
  return third === undefined ? 'main' : second;
}

function roomProblems(files: readonly SourceFile[]): string[] {
  const problems: string[] = [];
  for (const file of files) {
    const room = roomOf(file.path);
    const allowed = room === 'api' ? ['domain'] : MAY_IMPORT[room];
    if (allowed === undefined) {
      problems.push(`${file.path}: the room “${room}” is not in the table`);
      continue;
    }
    for (const { specifier } of importsOf(file)) {
      if (specifier === 'electron' && room !== 'electron') problems.push(`${file.path} imports electron`);
      const target = resolveImport(file.path, specifier);
      if (target === null || target.includes('node_modules') || target === 'package.json') continue;
      const to = roomOf(target);
      if (to === room || `${room} → ${target}` in EXCEPTIONS) continue;
      const known =
        allowed.includes(to) || (to === 'api' && allowed.includes('main')) || (room === 'main' && to === 'api');
      if (!known) problems.push(`${file.path} imports ${target}: ${room} may not know ${to}`);
      else if (
        target.split('/').length > 2 &&
        !['domain', 'resources'].includes(to) &&
        target.startsWith('main/') &&
        !target.endsWith('/index.ts')
      ) {
        problems.push(`${file.path} imports ${target}: enter ${to} by its index.ts`);
      }
    }
  }
  return problems;
}

const planted = (path: string, text: string) => roomProblems([{ path, text }]);

describe('Rooms', () => {
  test('import only what lies further inside, by the one door', () => {
    const files = readSources(['main', 'hosts', 'electron', 'packaging', 'renderer', 'resources'], ['.ts', '.svelte']);
    expect(files.length).toBeGreaterThan(10);
    expect(roomProblems(files)).toEqual([]);
  });

  test('are watched: an outward import is caught in every form', () => {
    expect(planted('main/store/x.ts', "import { a } from '../ingest/index.ts';")).toHaveLength(1);
    expect(planted('main/acquisition/x.ts', "export * from '../onnx/index.ts';")).toHaveLength(1);
    expect(planted('main/domain/x.ts', "type A = import('../store/index.ts').A;")).toHaveLength(1);
    expect(planted('main/inference/x.ts', "const x = await import('../training/index.ts');")).toHaveLength(1);
    expect(planted('renderer/x.ts', "import type { A } from '../main/engine.ts';")).toHaveLength(1);
    expect(
      planted('renderer/views/X.svelte', '<script lang="ts">import { a } from \'../../main/store/index.ts\';</script>'),
    ).toHaveLength(1);
  });

  test('are watched: a side entrance and a foreign electron are caught, the right ways are not', () => {
    expect(planted('main/training/x.ts', "import { a } from '../onnx/model.ts';")).toHaveLength(1);
    expect(planted('hosts/x.ts', "import { app } from 'electron';")).toHaveLength(1);
    expect(planted('electron/x.ts', "import { app } from 'electron';")).toEqual([]);
    expect(planted('main/training/x.ts', "import { a } from '../onnx/index.ts';")).toEqual([]);
    expect(planted('renderer/x.ts', "import type { A } from '../main/api.ts';")).toEqual([]);
  });
});
