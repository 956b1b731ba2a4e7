/**
 * What a package says about its inside: licences and bill of materials. The oracles are the
 * programs themselves (SQLite, ONNX Runtime, libvips and Node tell their own versions), the
 * lock file's hashes, and the files' own.
 */
import Database from 'better-sqlite3';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import { build } from '../../hosts/build.ts';
import { ort } from '../../main/inference/runtime.ts';
import { contentOf, NATIVE_FILE } from '../../packaging/contents.ts';
import { inventory, type Component } from '../../packaging/inventory.ts';
import { licenceProblems, notices, textsOf } from '../../packaging/licences.ts';
import { machineOf, refuseForeignCode } from '../../packaging/machine-code.ts';
import { platformNamed, PLATFORMS, ROOT } from '../../packaging/platforms.ts';
import { webPackage } from '../../packaging/web.ts';

interface Bom {
  specVersion: string;
  serialNumber: string;
  metadata: { component: { 'bom-ref': string } };
  components: {
    'bom-ref': string;
    type: string;
    name: string;
    version?: string;
    purl?: string;
    hashes?: { alg: string; content: string }[];
    licenses?: unknown[];
  }[];
  dependencies: { ref: string; dependsOn: string[] }[];
}

const here = platformNamed();
let components: Component[] = [];
let files: ReturnType<typeof webPackage> = [];
let bom: Bom;

beforeAll(async () => {
  expect(await build('desktop')).toBe(0);
  components = inventory(here, ['main', 'desk']);
  files = webPackage(here);
  bom = JSON.parse(contentOf(files.find(({ path }) => path === 'sbom.cdx.json')!).toString());
}, 120_000);

const versionOf = (name: string) => bom.components.find((component) => component.name === name)?.version;
const planted = (change: Partial<Component>) =>
  licenceProblems([{ ...components.find(({ name }) => name === 'ws')!, ...change }]);

describe('The licences of everything inside', () => {
  test('are all on the list, and every package has its text', () => {
    expect(components.length).toBeGreaterThan(60);
    expect(licenceProblems(components)).toEqual([]);
  });

  test('are watched: one that is not on the list, copyleft outside a shared library, a missing text', () => {
    expect(planted({})).toEqual([]);
    expect(planted({ licence: 'GPL-3.0-only' })).toHaveLength(1);
    expect(planted({ licence: 'MIT AND AGPL-3.0-only' })).toHaveLength(1);
    expect(planted({ licence: 'LGPL-3.0-or-later' })).toHaveLength(1);
    expect(planted({ licence: 'LGPL-3.0-or-later', within: '@img/sharp-libvips-linux-x64' })).toEqual([]);
    expect(planted({ folder: 'node_modules/onnx-buf', name: 'unheard-of' })).toEqual([
      expect.stringContaining('has no licence text'),
    ]);
  });

  test('are in the notices: every component by name, every text in full', () => {
    const text = notices(components);
    for (const component of components) {
      expect(text).toContain(`- ${component.name}`);
      for (const one of textsOf(component)) expect(text).toContain(one.replaceAll('\r\n', '\n').trim());
    }
    expect(text).toContain('GNU LESSER GENERAL PUBLIC LICENSE');
  });

  test('cover every package of a bundle, for every system as far as it is installed', () => {
    const recorded = ['main', 'desk'].flatMap(
      (bundle) => JSON.parse(readFileSync(join(ROOT, `out/bundled-${bundle}.json`), 'utf8')) as { name: string }[],
    );
    const names = new Set(components.map(({ name }) => name));
    expect(recorded.map(({ name }) => name).filter((name) => !names.has(name))).toEqual([]);
    expect(names.has('svelte') && names.has('valibot')).toBe(true);
    for (const { native } of Object.values(PLATFORMS)) expect(Object.keys(native)).toContain('tokenizers');
  });
});

describe('Native code', () => {
  const exe = join(ROOT, 'node_modules/7zip-bin/win/x64/7za.exe');

  test('of another system or processor is refused, whatever its name', () => {
    const native = files.filter(({ path }) => NATIVE_FILE.test(path) || /^node\/node/.test(path));
    expect(native.length).toBeGreaterThan(5);
    expect(() => refuseForeignCode(here, files)).not.toThrow();
    const elsewhere = Object.values(PLATFORMS).filter((platform) => platform !== here);
    for (const platform of elsewhere) expect(() => refuseForeignCode(platform, native)).toThrow('is compiled for');
    expect(() => refuseForeignCode(here, [{ path: 'notes.txt', source: exe }])).toThrow(
      'notes.txt is compiled for win32',
    );
  });

  test('is told by its first bytes', () => {
    const ort = (path: string) => readFileSync(join(ROOT, 'node_modules/onnxruntime-node/bin/napi-v6', path));
    expect(machineOf(ort('linux/x64/onnxruntime_binding.node'))).toBe('linux-x64');
    expect(machineOf(ort('linux/arm64/onnxruntime_binding.node'))).toBe('linux-arm64');
    expect(machineOf(ort('win32/x64/onnxruntime_binding.node'))).toBe('win32-x64');
    expect(machineOf(ort('win32/arm64/onnxruntime_binding.node'))).toBe('win32-arm64');
    expect(machineOf(ort('darwin/arm64/onnxruntime_binding.node'))).toBe('darwin-arm64');
    expect(machineOf(readFileSync(join(ROOT, 'LICENSE')))).toBeNull();
  });
});

describe('The bill of materials', () => {
  test('names the versions that the programs tell of themselves', async () => {
    const database = new Database(':memory:');
    const told = database.prepare<[], { sqlite: string }>('select sqlite_version() as sqlite').get()!;
    database.close();
    expect(versionOf('SQLite')).toBe(told.sqlite);
    expect(versionOf('ONNX Runtime')).toBe(ort.env.versions.node);
    expect(versionOf('vips')).toBe(sharp.versions.vips);
    expect(versionOf('webp')).toBe(sharp.versions.webp);
    const node = files.find(({ path }) => /^node\/node(\.exe)?$/.test(path))!.source as string;
    expect(`v${versionOf('Node.js')}`).toBe(execFileSync(node, ['--version'], { encoding: 'utf8' }).trim());
  });

  test('gives each package the hash that the lock file has for it', () => {
    const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { integrity?: string }>;
    };
    const known = new Set(
      Object.values(packages).map(({ integrity }) => Buffer.from(integrity?.slice(7) ?? '', 'base64').toString('hex')),
    );
    const fromNpm = bom.components.filter(({ purl }) => purl?.startsWith('pkg:npm/'));
    expect(fromNpm.length).toBeGreaterThan(35);
    for (const { name, hashes } of fromNpm) expect(known.has(hashes?.[0].content ?? ''), name).toBe(true);
  });

  test('lists every native file with the hash of the file in the package', () => {
    const native = files.filter(({ path }) => NATIVE_FILE.test(path) || /^node\/node/.test(path));
    const listed = bom.components.filter(({ type }) => type === 'file');
    expect(listed.map(({ name }) => name).sort()).toEqual(native.map(({ path }) => path).sort());
    for (const { name, hashes } of listed) {
      const content = contentOf(native.find(({ path }) => path === name)!);
      expect(hashes).toEqual([{ alg: 'SHA-256', content: createHash('sha256').update(content).digest('hex') }]);
    }
  });

  test('has the shape of CycloneDX 1.6: references that exist once, licences, a serial number', () => {
    expect(bom).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6', version: 1 });
    expect(bom.serialNumber).toMatch(
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    const refs = bom.components.map((component) => component['bom-ref']);
    expect(new Set(refs).size).toBe(refs.length);
    const all = new Set([...refs, bom.metadata.component['bom-ref']]);
    for (const { ref, dependsOn } of bom.dependencies) {
      expect([ref, ...dependsOn].filter((one) => !all.has(one))).toEqual([]);
    }
    for (const { type, licenses } of bom.components) expect(type === 'file' || licenses?.length === 1).toBe(true);
  });
});
