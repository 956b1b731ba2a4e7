/**
 * Everything that is inside a package, by name, version and licence: the npm packages whose
 * code the bundlers kept, the ones with native code, Node, Electron, and what is compiled
 * into them as far as their makers tell. The notices and the bill of materials are two
 * prints of this list. What cannot be told is said in `note`, not left out.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { recordOf } from './bundled.ts';
import { PackagingTrouble, product, ROOT, type Platform } from './platforms.ts';

export interface Component {
  name: string;
  version: string | null;
  /** An SPDX expression. */
  licence: string;
  /** npm's address of the package, where it is one. */
  purl: string | null;
  /** SHA-512 of the package as the registry gave it, in npm's form. */
  integrity: string | null;
  /** Its folder in node_modules, from the project's root; null for what comes inside another. */
  folder: string | null;
  /** Which component it is compiled into. */
  within: string | null;
  note: string | null;
}

interface LockEntry {
  version: string;
  name?: string;
  integrity?: string;
  license?: string;
}
const lock = () =>
  (JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, LockEntry> })
    .packages;

/** Licences of packages whose package.json names none; read from their licence files. */
const UNDECLARED: Record<string, string> = { 'svelte-toolbelt': 'MIT' };

function npmComponent(folder: string, locked: Record<string, LockEntry>): Component {
  const manifest = JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8'));
  const { name, version } = manifest as { name: string; version: string };
  const licence = (manifest.license as string | undefined) ?? UNDECLARED[name];
  if (licence === undefined) throw new PackagingTrouble(`${name} ${version} names no licence.`);
  return {
    name,
    version,
    licence: licence.replace(/^\((.*)\)$/, '$1'),
    purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
    integrity: locked[folder]?.integrity ?? null,
    folder,
    within: null,
    note: null,
  };
}

const inside = (within: string, name: string, version: string | null, licence: string, note?: string): Component => ({
  ...{ name, version, licence, within, note: note ?? null },
  ...{ purl: null, integrity: null, folder: null },
});

/** Licences of what libvips is linked with, under sharp-libvips' names; from its README. */
const LIBVIPS: Record<string, string> = {
  aom: 'BSD-2-Clause',
  archive: 'BSD-2-Clause',
  cairo: 'MPL-1.1',
  cgif: 'MIT',
  exif: 'LGPL-3.0-or-later',
  expat: 'MIT',
  ffi: 'MIT',
  fontconfig: 'HPND',
  freetype: 'FTL',
  fribidi: 'LGPL-3.0-or-later',
  glib: 'LGPL-3.0-or-later',
  harfbuzz: 'MIT',
  heif: 'LGPL-3.0-or-later',
  highway: 'BSD-3-Clause',
  imagequant: 'BSD-2-Clause',
  lcms: 'MIT',
  mozjpeg: 'Zlib AND IJG AND BSD-3-Clause',
  pango: 'LGPL-3.0-or-later',
  pixman: 'MIT',
  png: 'libpng-2.0',
  'proxy-libintl': 'LGPL-3.0-or-later',
  rsvg: 'LGPL-3.0-or-later',
  tiff: 'libtiff',
  uhdr: 'MIT',
  vips: 'LGPL-3.0-or-later',
  webp: 'BSD-3-Clause',
  xml2: 'MIT',
  'zlib-ng': 'Zlib',
};

function libvipsComponents(platform: Platform): Component[] {
  const owner = [`@img/sharp-libvips-${platform.name}`, `@img/sharp-${platform.name}`].find((name) =>
    existsSync(join(ROOT, 'node_modules', name, 'versions.json')),
  );
  if (owner === undefined) return [];
  const versions = JSON.parse(readFileSync(join(ROOT, 'node_modules', owner, 'versions.json'), 'utf8'));
  return Object.entries(versions as Record<string, string>).map(([name, version]) => {
    const licence = LIBVIPS[name];
    if (licence === undefined)
      throw new PackagingTrouble(`libvips is linked with ${name}, whose licence is not listed.`);
    return inside(owner, name, version, licence);
  });
}

/** SQLite's version, from the source that the driver was compiled from. */
function sqliteComponents(): Component[] {
  const header = readFileSync(join(ROOT, 'node_modules/better-sqlite3/deps/sqlite3/sqlite3.h'), 'utf8');
  const version = /#define SQLITE_VERSION\s+"([^"]+)"/.exec(header)?.[1] ?? null;
  return [inside('better-sqlite3', 'SQLite', version, 'blessing')];
}

function onnxruntimeComponents(platform: Platform): Component[] {
  const version = product.dependencies['onnxruntime-node'];
  const package_ = 'onnxruntime-node';
  const note = `What it is compiled with is listed in ThirdPartyNotices.txt of its source, https://github.com/microsoft/onnxruntime/tree/v${version}`;
  return [
    inside(package_, 'ONNX Runtime', version, 'MIT', note),
    ...(platform.os === 'win32'
      ? [
          inside(
            package_,
            'DirectML',
            null,
            'LicenseRef-Microsoft-DirectML',
            'Microsoft permits passing it on unchanged.',
          ),
          inside(package_, 'DirectX Shader Compiler', null, 'NCSA', 'dxcompiler.dll'),
          inside(
            package_,
            'DXIL signing library',
            null,
            'LicenseRef-Microsoft-DXIL',
            'dxil.dll; may be passed on unchanged.',
          ),
        ]
      : []),
  ];
}

function nodeComponent(platform: Platform, locked: Record<string, LockEntry>, version?: string): Component {
  const folder = `node_modules/${platform.node.package}`;
  const carried = locked[folder];
  if (carried === undefined) throw new PackagingTrouble(`The lock file names no ${platform.node.package}.`);
  return {
    name: 'Node.js',
    version: version ?? carried.version,
    licence: 'MIT',
    purl: version === undefined ? `pkg:npm/${platform.node.package}@${carried.version}` : null,
    integrity: version === undefined ? (carried.integrity ?? null) : null,
    folder: null,
    within: null,
    note: 'V8, OpenSSL, ICU, zlib and others inside: see the LICENSE beside the binary.',
  };
}

function electronComponents(): Component[] {
  const version = product.devDependencies.electron;
  const electron = inside('', 'Electron', version, 'MIT');
  const note = `As Electron ${version} carries it; licences in LICENSES.chromium.html beside the program.`;
  return [
    { ...electron, within: null, purl: `pkg:npm/electron@${version}` },
    inside('Electron', 'Chromium', null, 'BSD-3-Clause', note),
  ];
}

/** What is inside a package of these bundles for this platform, sorted. `nodeVersion` where the builder brought a Node of their own. */
export function inventory(platform: Platform, bundles: readonly string[], nodeVersion?: string): Component[] {
  const locked = lock();
  const folders = new Set(Object.keys(platform.native).map((name) => `node_modules/${name}`));
  for (const bundle of bundles) {
    const record = recordOf(bundle);
    if (!existsSync(record)) throw new PackagingTrouble(`${record} is missing. Run “npm run build” first.`);
    const packages = JSON.parse(readFileSync(record, 'utf8')) as { folder: string }[];
    for (const { folder } of packages) folders.add(folder);
  }
  const components = [
    ...[...folders].map((folder) => npmComponent(folder, locked)),
    nodeComponent(platform, locked, nodeVersion),
    ...sqliteComponents(),
    ...onnxruntimeComponents(platform),
    ...libvipsComponents(platform),
    inside(
      'tokenizers',
      'tokenizers (Rust)',
      product.dependencies.tokenizers,
      'Apache-2.0',
      'Its crates are not listed by its makers.',
    ),
    ...(bundles.includes('shell') ? electronComponents() : []),
  ];
  const key = ({ within, name, version }: Component) => `${within ?? ''}\n${name}\n${version}`;
  return components.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}
