/**
 * The desktop packages as far as they can be made without Electron's binary: electron-builder
 * packs the real program into stand-ins for all three systems. What is inside is read back by
 * other programs than the one that packed it: asar, fuses, and the engine itself under the
 * Node that lies in the package. Each rule is shown to catch a planted defect.
 */
import { extractFile, getRawHeader, listPackage } from '@electron/asar';
import { getCurrentFuseWire } from '@electron/fuses';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { changedFiles, type Beside } from '../../electron/intact.ts';
import { EngineProcess } from '../../electron/processes.ts';
import { build } from '../../hosts/build.ts';
import { packagedEngine } from '../../main/places.ts';
import { appFiles, filesUnder, NATIVE_FILE } from '../../packaging/contents.ts';
import { desktopFiles, packDesktop } from '../../packaging/desktop.ts';
import { FUSES } from '../../packaging/fuses.ts';
import { platformNamed, product, ROOT, type PlatformName } from '../../packaging/platforms.ts';
import { standInElectron } from './stand-in.ts';
import { runBare } from './unpacked.ts';

const root = mkdtempSync(join(tmpdir(), 'marginalia-desktop-'));
const here = platformNamed();

/** What may be in the archive, and what of native code beside it (the folder of this system). */
const IN_ARCHIVE =
  /^(package\.json|beside\.json|out\/(shell\/[\w-]+\.js|preload\/preload\.cjs|renderer\/(index\.html|assets\/[\w-]+\.(js|css|woff2|svg))))$/;
const BESIDE =
  /^(engine\/(package\.json|out\/main\/[\w-]+\.js|node_modules\/.+)|node\/(node(\.exe)?|LICENSE)|LICENSE|apparmor-profile|THIRD-PARTY-NOTICES\.txt|sbom\.cdx\.json|verify-audit\.mjs|SHA256SUMS)$/;
const NATIVE_HERE = [
  'engine/node_modules/@img/sharp-linux-x64/lib/sharp-linux-x64-0.35.5.node',
  'engine/node_modules/@img/sharp-libvips-linux-x64/lib/libvips-cpp.so.8.18.7',
  'engine/node_modules/better-sqlite3/prebuilds/linux-x64.node',
  'engine/node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1',
  'engine/node_modules/onnxruntime-node/bin/napi-v6/linux/x64/onnxruntime_binding.node',
  'engine/node_modules/tokenizers/tokenizers.linux-x64-gnu.node',
];
const FORBIDDEN = /\.(ts|mts|cts|map|svelte|test\.js|gyp|c|cc|h)$|(^|\/)(tests?|docs|\.git|src)\/|\.env/;

const strangers = (files: readonly string[], allowed: RegExp) =>
  files.filter((file) => !allowed.test(file) || FORBIDDEN.test(file));

/** Files whose text names a folder of the machine that built them. */
function tellTales(files: readonly { path: string; text: string }[]): string[] {
  const places = [ROOT.replace(/\/$/, ''), root, homedir() === '/root' ? '/root/.' : homedir()];
  return files.filter(({ text }) => places.some((place) => text.includes(place))).map(({ path }) => path);
}

interface Header {
  files: Record<string, Partial<Header> & { integrity?: { hash: string }; unpacked?: boolean }>;
}

/** Files of an archive whose content is not what the archive's header says; every file needs a hash. */
function integrityProblems(archive: string): string[] {
  const problems: string[] = [];
  const walk = (node: Header, prefix: string) => {
    for (const [name, entry] of Object.entries(node.files)) {
      const path = `${prefix}${name}`;
      if (entry.files) walk(entry as Header, `${path}/`);
      else if (entry.unpacked || !entry.integrity) problems.push(`${path} is not covered`);
      else if (createHash('sha256').update(extractFile(archive, path)).digest('hex') !== entry.integrity.hash)
        problems.push(`${path} was changed`);
    }
  };
  walk(JSON.parse(getRawHeader(archive).headerString) as Header, '');
  return problems;
}

const headerHash = (archive: string) => createHash('sha256').update(getRawHeader(archive).headerString).digest('hex');
const sha256 = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

/** Packs into a stand-in. For another system, the engine that lies beside is left to that system's own build. */
async function pack(name: PlatformName, run = name as string, target = 'dir'): Promise<string> {
  const platform = platformNamed(name);
  const electron = join(root, `electron-${run}`);
  standInElectron(platform, electron);
  const files =
    platform === here
      ? desktopFiles(platform)
      : {
          app: appFiles(platform, ['shell', 'preload', 'renderer'], false),
          resources: [{ path: 'engine/package.json', source: Buffer.from('{}') }],
        };
  const output = join(root, run);
  await packDesktop(platform, files, { output, electron, targets: [target] });
  return output;
}

const hasDpkg = spawnSync('dpkg-deb', ['--version']).status === 0;

describe.skipIf(here.name !== 'linux-x64')('The desktop package for Linux', () => {
  let resources = '';
  let program = '';
  let archive = '';
  let deb = '';

  beforeAll(async () => {
    expect(await build('desktop')).toBe(0);
    const fpm = join(root, 'fpm');
    const script = join(ROOT, 'tests/packaging/fpm-child.ts');
    writeFileSync(fpm, `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`, { mode: 0o755 });
    process.env.CUSTOM_FPM_PATH = fpm;
    const output = await pack('linux-x64', 'linux', hasDpkg ? 'deb' : 'dir');
    deb = join(output, `marginalia-${product.version}-linux-amd64.deb`);
    program = join(output, 'linux-unpacked/marginalia');
    resources = join(output, 'linux-unpacked/resources');
    archive = join(resources, 'app.asar');
  }, 180_000);
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  test('holds in its archive what Electron loads, and nothing else', () => {
    const files = listPackage(archive, { isPack: false })
      .map((path) => path.replace(/^\//, ''))
      .filter((path) => /\.\w+$/.test(path));
    expect(strangers(files, IN_ARCHIVE)).toEqual([]);
    for (const needed of ['package.json', 'out/shell/index.js', 'out/preload/preload.cjs', 'out/renderer/index.html']) {
      expect(files).toContain(needed);
    }
    expect(strangers([...files, 'out/renderer/assets/index.js.map', 'main/engine.ts'], IN_ARCHIVE)).toHaveLength(2);
    const { main, version } = JSON.parse(extractFile(archive, 'package.json').toString());
    expect({ main, version }).toEqual({ main: 'out/shell/index.js', version: product.version });
  });

  test('holds beside it the engine, its Node, the papers, and of native code only this system’s', () => {
    const files = filesUnder(resources).filter((path) => path !== 'app.asar');
    expect(strangers(files, BESIDE)).toEqual([]);
    expect(files.filter((path) => NATIVE_FILE.test(path)).sort()).toEqual(NATIVE_HERE.toSorted());
    expect(strangers(['engine/main/engine.ts', 'engine/node_modules/x/src/a.c'], BESIDE)).toHaveLength(2);
    const check = spawnSync('sha256sum', ['--check', '--strict', '--quiet', 'SHA256SUMS'], { cwd: resources });
    expect(check.status).toBe(0);
  });

  test('tells nothing of the machine that built it', () => {
    const beside = filesUnder(resources).filter((path) => !NATIVE_FILE.test(path) && path !== 'node/node');
    const texts = beside.map((path) => ({ path, text: readFileSync(join(resources, path), 'latin1') }));
    expect(tellTales(texts)).toEqual([]);
    expect(tellTales([{ path: 'x', text: `at ${ROOT}main/engine.ts` }])).toEqual(['x']);
  });

  test('has every fuse as it should be, read from the program file', async () => {
    const { version: _, ...wire } = await getCurrentFuseWire(program);
    const [off, on] = ['0'.charCodeAt(0), '1'.charCodeAt(0)];
    // in the order of the wire (electron/docs/tutorial/fuses.md)
    expect(Object.values(wire).slice(0, 8)).toEqual(
      [
        FUSES.runAsNode,
        FUSES.enableCookieEncryption,
        FUSES.enableNodeOptionsEnvironmentVariable,
        FUSES.enableNodeCliInspectArguments,
        FUSES.enableEmbeddedAsarIntegrityValidation,
        FUSES.onlyLoadAppFromAsar,
        FUSES.loadBrowserProcessSpecificV8Snapshot,
        FUSES.grantFileProtocolExtraPrivileges,
      ].map((isOn) => (isOn ? on : off)),
    );
    // the stand-in came with all of them off
    expect(Object.values(wire)).toContain(on);
  });

  test('covers every file of the archive by a hash, and a changed byte is found', () => {
    expect(integrityProblems(archive)).toEqual([]);
    const bytes = readFileSync(archive);
    const at = bytes.indexOf('<title>Marginalia</title>');
    bytes[at + 8] ^= 1;
    const forged = join(root, 'forged.asar');
    writeFileSync(forged, bytes);
    expect(integrityProblems(forged)).toEqual(['out/renderer/index.html was changed']);
  });

  test('lets the shell find every change beside the archive: a script, a file more, a file less', () => {
    const beside = JSON.parse(extractFile(archive, 'beside.json').toString()) as Beside;
    const find = (change: () => void, undo: () => void) => {
      change();
      const changed = changedFiles(resources, beside);
      undo();
      return changed;
    };
    expect(Object.keys(beside).length).toBeGreaterThan(200);
    expect(changedFiles(resources, beside)).toEqual([]);
    const script = join(resources, 'engine/node_modules/sharp/dist/index.cjs');
    const before = readFileSync(script);
    const altered = Buffer.from(before);
    altered[altered.length - 2] ^= 1;
    expect(
      find(
        () => writeFileSync(script, altered),
        () => writeFileSync(script, before),
      ),
    ).toEqual(['engine/node_modules/sharp/dist/index.cjs']);
    const added = join(resources, 'engine/node_modules/bufferutil.js');
    expect(
      find(
        () => writeFileSync(added, ''),
        () => rmSync(added),
      ),
    ).toEqual(['engine/node_modules/bufferutil.js']);
    expect(
      find(
        () => rmSync(script),
        () => writeFileSync(script, before),
      ),
    ).toEqual(['engine/node_modules/sharp/dist/index.cjs']);
    expect(changedFiles(resources, beside)).toEqual([]);
  });

  test('is the same again when it is packed again', async () => {
    const again = await pack('linux-x64', 'again');
    const other = join(again, 'linux-unpacked/resources');
    for (const path of ['app.asar', 'SHA256SUMS', 'sbom.cdx.json', 'THIRD-PARTY-NOTICES.txt']) {
      expect(sha256(join(other, path)), path).toBe(sha256(join(resources, path)));
    }
  }, 120_000);

  test('runs its engine on its Node: project, import, labels, model version, export', () => {
    const { node, entry } = packagedEngine(resources);
    expect(existsSync(entry)).toBe(true);
    const work = join(root, 'work');
    mkdirSync(work);
    const rows = Array.from({ length: 40 }, (_, i) =>
      i % 2 === 0 ? `a${i},apples and pears ${i}` : `w${i},whales and fish ${i}`,
    );
    writeFileSync(join(work, 'notes.csv'), `id,text\n${rows.join('\n')}\n`);
    const marginalia = (...args: string[]) => {
      const cli = join(resources, 'engine/out/main/cli.js');
      const { status, stdout, stderr } = runBare(node, [cli, ...args, '--json'], undefined, {
        HOME: work,
      });
      expect(status, stderr).toBe(0);
      return JSON.parse(stdout);
    };
    const project = join(work, 'project');
    marginalia('new', project, '--classes', 'a,w');
    expect(marginalia('import', project, join(work, 'notes.csv'), '--text', 'text', '--id', 'id').added).toBe(40);
    const { items } = marginalia('queue', project, '--count', '8') as { items: { item: string; name: string }[] };
    for (const { item, name } of items) marginalia('label', project, item, name[0]);
    marginalia('train', project);
    expect(marginalia('status', project).modelVersion).not.toBeNull();
    marginalia('export', project, join(work, 'labels.csv'));
    expect(readFileSync(join(work, 'labels.csv'), 'utf8').split('\n').length).toBeGreaterThan(8);
    expect(marginalia('verify', project).ok).toBe(true);
  }, 120_000);

  test.skipIf(!hasDpkg)('is a Debian package, by dpkg’s own programs, that runs where it was unpacked', () => {
    const told = (...args: string[]) => spawnSync('dpkg-deb', args, { encoding: 'utf8', maxBuffer: 2 ** 26 }).stdout;
    expect(told('--field', deb, 'Package', 'Version', 'Architecture', 'Section').split('\n').slice(0, 4)).toEqual([
      'Package: marginalia',
      `Version: ${product.version}`,
      'Architecture: amd64',
      'Section: science',
    ]);
    const system = join(root, 'debian');
    told('--extract', deb, system);
    const entry = readFileSync(join(system, 'usr/share/applications/marginalia.desktop'), 'utf8');
    for (const line of [
      'Exec=/opt/Marginalia/marginalia %f',
      'MimeType=inode/directory;',
      'StartupWMClass=marginalia',
    ]) {
      expect(entry.split('\n')).toContain(line);
    }
    for (const size of [16, 48, 256]) {
      expect(existsSync(join(system, `usr/share/icons/hicolor/${size}x${size}/apps/marginalia.png`))).toBe(true);
    }
    const placed = join(system, 'opt/Marginalia');
    expect(filesUnder(placed)).toEqual(filesUnder(join(resources, '..')));
    const { node } = packagedEngine(join(placed, 'resources'));
    const cli = join(placed, 'resources/engine/out/main/cli.js');
    expect(runBare(node, [cli, 'help']).stdout).toMatch(/^marginalia COMMAND/);
    expect(
      told('--contents', deb)
        .split('\n')
        .filter((line) => line !== '' && !line.includes(' root/root ')),
    ).toEqual([]);
  });

  test('answers the shell from the engine that lies in the package', async () => {
    const { node, entry } = packagedEngine(resources);
    let answered = (_: unknown) => {};
    const ready = new Promise((resolve) => (answered = resolve));
    const start = (file: string) =>
      new EngineProcess({
        node,
        entry: file,
        project: null,
        mostDeaths: 0,
        env: { HOME: root },
        on: { ready: answered, died: answered },
      });
    const engine = start(entry);
    engine.start();
    expect(await ready).toMatchObject({ kind: 'ready' });
    await engine.close();

    const dead = new Promise((resolve) => (answered = resolve));
    start(join(resources, 'engine/out/main/nothing.js')).start();
    expect(await dead).not.toHaveProperty('kind', 'ready');
  }, 60_000);

  test('for Windows: the archive’s hash is in the program’s resources, and the fuses are set', async () => {
    const folder = join(await pack('win32-x64'), 'win-unpacked');
    const program = readFileSync(join(folder, 'Marginalia.exe'));
    const hash = headerHash(join(folder, 'resources/app.asar'));
    expect(program.includes(`[{"file":"resources\\\\app.asar","alg":"SHA256","value":"${hash}"}]`)).toBe(true);
    const wire = await getCurrentFuseWire(join(folder, 'Marginalia.exe'));
    expect(wire[0]).toBe('0'.charCodeAt(0));
    expect(readFileSync(join(ROOT, 'node_modules/7zip-bin/win/x64/7za.exe')).includes('app.asar')).toBe(false);
  }, 120_000);

  test('for macOS: hash and folders are in Info.plist, no host may be spoken to, fuses are set', async () => {
    const app = join(await pack('darwin-arm64'), 'mac-arm64/Marginalia.app');
    const plist = readFileSync(join(app, 'Contents/Info.plist'), 'utf8').replace(/\s+/g, '');
    expect(plist).toContain(`<string>${headerHash(join(app, 'Contents/Resources/app.asar'))}</string>`);
    expect(plist).toContain('<key>LSItemContentTypes</key><array><string>public.folder</string></array>');
    expect(plist).toContain('<key>NSAllowsArbitraryLoads</key><false/>');
    expect(plist).not.toContain('HTTPLoads</key><true/>');
    const wire = await getCurrentFuseWire(app);
    expect(wire[0]).toBe('0'.charCodeAt(0));
  }, 120_000);
});
