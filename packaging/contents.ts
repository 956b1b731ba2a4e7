/**
 * What goes into a package, as a list of files that everything else works on: the folder,
 * the archives, the list of sizes, the checksums. It is an allow-list: bundles, the packages
 * with native code (this platform's files only) and nothing else of node_modules. Nothing is
 * copied here; the order is fixed, so that equal contents give equal archives.
 */
import { createHash } from 'node:crypto';
import { copyFileSync, chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PackagingTrouble, product, ROOT, type Platform } from './platforms.ts';

export interface PackedFile {
  /** In the package, with forward slashes. */
  path: string;
  /** A file to be copied, or the content. */
  source: string | Buffer;
  isExecutable?: boolean;
}

/** What no program reads at run time: sources, declarations, maps, build files, documents but for licences. */
const LEFT_OUT =
  /(^|\/)(src|install|deps|script|scripts|include|glib-2\.0|test|tests|\.github)\/|\.(map|ts|mts|cts|gyp|gypi|h|cc|c|markdown)$|^(?!.*(licen[cs]e|copying|notice)).*\.(md|txt)$|^(lib\/.*\.ts|bin\/semver\.js)$/i;

/** Native code, wherever it lies. */
export const NATIVE_FILE = /\.(node|dll|dylib|exe|so(\.[\d.]+)?)$/i;

/** All files under `folder`, relative to it, sorted. Links are refused: an archive would have to follow them. */
export function filesUnder(folder: string): string[] {
  const found: string[] = [];
  const walk = (relative: string) => {
    for (const entry of readdirSync(join(folder, relative), { withFileTypes: true })) {
      const path = relative === '' ? entry.name : `${relative}/${entry.name}`;
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile()) found.push(path);
      else
        throw new PackagingTrouble(`${join(folder, path)} is neither a file nor a folder. Remove it, then try again.`);
    }
  };
  walk('');
  return found.sort((a, b) => (a < b ? -1 : 1));
}

function packageFiles(name: string, native: RegExp | null): PackedFile[] {
  const folder = join(ROOT, 'node_modules', name);
  if (!existsSync(join(folder, 'package.json'))) {
    throw new PackagingTrouble(
      `The package ${name} is not installed: npm installs only what this machine runs. Make this package on its own system.`,
    );
  }
  const files = filesUnder(folder).filter(
    (path) =>
      !path.startsWith('node_modules/') && !LEFT_OUT.test(path) && (!NATIVE_FILE.test(path) || native?.test(path)),
  );
  if (native !== null && !files.some((path) => NATIVE_FILE.test(path))) {
    throw new PackagingTrouble(`The package ${name} has no native file for this platform (${native.source}).`);
  }
  return files.map((path) => ({ path: `node_modules/${name}/${path}`, source: join(folder, path) }));
}

function bundleFiles(bundle: string): PackedFile[] {
  const folder = join(ROOT, 'out', bundle);
  if (!existsSync(folder)) throw new PackagingTrouble(`out/${bundle} is missing. Run “npm run build” first.`);
  return filesUnder(folder).map((path) => ({ path: `out/${bundle}/${path}`, source: join(folder, path) }));
}

/** The program: bundles, a package.json that says only what Node and Electron ask, and unless left out the native packages. */
export function appFiles(platform: Platform, bundles: readonly string[], hasNatives = true): PackedFile[] {
  const { name, version, description, license } = product;
  const main = bundles.includes('shell') ? { main: 'out/shell/index.js', desktopName: 'marginalia.desktop' } : {};
  const author = 'The Marginalia authors';
  const packageJson = {
    name,
    productName: 'Marginalia',
    version,
    description,
    license,
    author,
    type: 'module',
    ...main,
  };
  return [
    { path: 'package.json', source: Buffer.from(`${JSON.stringify(packageJson, null, 2)}\n`) },
    ...bundles.flatMap(bundleFiles),
    ...Object.entries(hasNatives ? platform.native : {}).flatMap(([name, native]) => packageFiles(name, native)),
  ];
}

/** Node as `folder/node` with its licence, from the package that carries it or from `own`, a Node of the builder's. */
export function nodeFiles(platform: Platform, folder: string, own?: string): PackedFile[] {
  const carried = join(ROOT, 'node_modules', platform.node.package);
  const binary = own ?? join(carried, platform.node.binary);
  if (!existsSync(binary)) {
    throw new PackagingTrouble(`There is no Node for ${platform.name} at ${binary}. Name one with --node FILE.`);
  }
  // npm's package for Windows comes without
  const kept = join(ROOT, 'resources/licences/Node-24.txt');
  const licence = [join(carried, 'LICENSE'), join(dirname(dirname(binary)), 'LICENSE')].find(existsSync) ?? kept;
  return [
    { path: `${folder}/LICENSE`, source: licence },
    { path: `${folder}/${platform.os === 'win32' ? 'node.exe' : 'node'}`, source: binary, isExecutable: true },
  ];
}

export const contentOf = (file: PackedFile): Buffer =>
  typeof file.source === 'string' ? readFileSync(file.source) : file.source;

/** SHA-256 (hex). */
export const digestOf = (file: PackedFile): string => createHash('sha256').update(contentOf(file)).digest('hex');

/** The list in the form that `sha256sum --check` reads. */
export function checksums(files: readonly PackedFile[]): PackedFile {
  const lines = inOrder(files).map((file) => `${digestOf(file)}  ${file.path}\n`);
  return { path: 'SHA256SUMS', source: Buffer.from(lines.join('')) };
}

/** By path; a path that is named twice is a mistake. */
export function inOrder(files: readonly PackedFile[]): PackedFile[] {
  const sorted = files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const twice = sorted.find((file, i) => i > 0 && sorted[i - 1].path === file.path);
  if (twice) throw new PackagingTrouble(`Two files want to be ${twice.path}.`);
  return sorted;
}

/** Writes the files into `folder`. */
export function writeFolder(files: readonly PackedFile[], folder: string): void {
  for (const file of inOrder(files)) {
    const target = join(folder, file.path);
    mkdirSync(dirname(target), { recursive: true });
    if (typeof file.source === 'string') copyFileSync(file.source, target);
    else writeFileSync(target, file.source);
    chmodSync(target, file.isExecutable ? 0o755 : 0o644);
  }
}
