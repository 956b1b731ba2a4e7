/**
 * `npm run package`: the desktop packages of this system, by electron-builder, from a staged
 * folder that holds what may be inside and nothing else. It ends with the list of what takes
 * the room and fails where a package is over the budget.
 *
 *   --target NAME     only this kind of package (deb, nsis, dmg …; `dir` for none), may be repeated
 *   --electron DIR    an unpacked Electron, instead of the one that electron-builder fetches
 *   --platform NAME   instead of this machine's; its packages must be installed
 *   --node FILE       a Node of your own instead of the one that npm brought
 *   --out DIR         where to (dist/desktop)
 */
import { rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build as buildPackages, Arch, Platform as Target } from 'electron-builder';
import { build } from '../hosts/build.ts';
import type { Beside } from '../electron/intact.ts';
import {
  appFiles,
  checksums,
  digestOf,
  filesUnder,
  NATIVE_FILE,
  nodeFiles,
  writeFolder,
  type PackedFile,
} from './contents.ts';
import { desktopConfig, type Staged } from './desktop-config.ts';
import { inventory } from './inventory.ts';
import { papers, versionOfNode } from './papers.ts';
import { platformNamed, ROOT, runCommand, type Platform } from './platforms.ts';
import { keepToBudget, partSizes, sizeTable } from './sizes.ts';

/** What Electron loads; `shell` and `preload` are the window's, `renderer` is the desk. */
const IN_ARCHIVE = ['shell', 'preload', 'renderer'];
const RECORDS = ['main', 'shell', 'desk'];
const TARGETS = { linux: Target.LINUX, darwin: Target.MAC, win32: Target.WINDOWS };

const isNative = ({ path, isExecutable }: PackedFile) => NATIVE_FILE.test(path) || isExecutable === true;

/** The two halves of the program: what goes into the archive, and what lies beside it, of which the archive holds the list that the shell compares. */
export function desktopFiles(platform: Platform, ownNode?: string): { app: PackedFile[]; resources: PackedFile[] } {
  const app = appFiles(platform, IN_ARCHIVE, false);
  const engine = appFiles(platform, ['main']).map((file) => ({ ...file, path: `engine/${file.path}` }));
  const beside = [...engine, ...nodeFiles(platform, 'node', ownNode)];
  const components = inventory(platform, RECORDS, ownNode && versionOfNode(ownNode));
  const resources = [...beside, ...papers(platform, components, beside)];
  const list: Beside = Object.fromEntries(beside.map((file) => [file.path, isNative(file) ? null : digestOf(file)]));
  app.push({ path: 'beside.json', source: Buffer.from(`${JSON.stringify(list, null, 1)}\n`) });
  return { app, resources: [...resources, checksums(resources)] };
}

/** Stages the two halves and packs them; gives the paths of what was made. Without `targets`, all packages of the system. */
export async function packDesktop(
  platform: Platform,
  { app, resources }: ReturnType<typeof desktopFiles>,
  options: { output: string; electron?: string; targets?: string[] },
): Promise<string[]> {
  const stage = join(options.output, `stage-${platform.name}`);
  const staged: Staged = {
    app: join(stage, 'app'),
    resources: join(stage, 'resources'),
    output: options.output,
    electron: options.electron,
  };
  rmSync(stage, { recursive: true, force: true });
  writeFolder(app, staged.app);
  writeFolder(resources, staged.resources);
  const made = await buildPackages({
    // its own folder: nothing of the checkout is to be found
    projectDir: staged.app,
    config: desktopConfig(staged),
    targets: TARGETS[platform.os].createTarget(
      options.targets ?? null,
      platform.arch === 'arm64' ? Arch.arm64 : Arch.x64,
    ),
    publish: 'never',
  });
  rmSync(stage, { recursive: true, force: true });
  return made;
}

async function main(argv: string[]): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      target: { type: 'string', multiple: true },
      electron: { type: 'string' },
      platform: { type: 'string' },
      node: { type: 'string' },
      out: { type: 'string', default: join(ROOT, 'dist/desktop') },
    },
  });
  const platform = platformNamed(values.platform);
  const built = await build('desktop');
  if (built !== 0) return built;
  const output = resolve(values.out);
  const made = await packDesktop(platform, desktopFiles(platform, values.node), {
    output,
    electron: values.electron && resolve(values.electron),
    targets: values.target,
  });
  for (const folder of ['linux-unpacked', 'linux-arm64-unpacked', 'win-unpacked', 'mac-arm64']) {
    const path = join(output, folder);
    if (!statSync(path, { throwIfNoEntry: false })) continue;
    const files = filesUnder(path).map((file) => ({ path: file, sizeBytes: statSync(join(path, file)).size }));
    console.log(`${path}\n${sizeTable(partSizes(files))}`);
  }
  for (const path of made.filter((one) => /\.(exe|msi|dmg|zip|AppImage|deb|rpm)$/.test(one))) {
    const { size } = statSync(path);
    console.log(`${(size / 1e6).toFixed(1).padStart(8)} MB  ${path}`);
    keepToBudget(path, size);
  }
  return 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await runCommand(main);
