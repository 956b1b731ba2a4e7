/**
 * `npm run package:web`: the package that needs neither Electron nor npm nor a network: one
 * folder with Node, engine, desk and a start script, and the same as tar.gz (zip for
 * Windows). It ends with the list of what takes the room and fails over the budget. The
 * same sources give the same bytes.
 *
 *   --out DIR         where to (dist/web)
 *   --platform NAME   instead of this machine's; its packages must be installed
 *   --node FILE       a Node of your own instead of the one that npm brought
 *   --level N         of the compression, 1 to 9
 */
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from '../hosts/build.ts';
import { writeTarGz, writeZip } from './archive.ts';
import { appFiles, checksums, nodeFiles, writeFolder, type PackedFile } from './contents.ts';
import { inventory } from './inventory.ts';
import { launchers } from './launchers.ts';
import { papers, versionOfNode } from './papers.ts';
import { platformNamed, product, ROOT, runCommand, type Platform } from './platforms.ts';
import { keepToBudget, partSizes, sizeOf, sizeTable } from './sizes.ts';

const BUNDLES = ['main', 'renderer'];
const RECORDS = ['main', 'desk'];

/** All files of the package, in order. */
export function webPackage(platform: Platform, ownNode?: string): PackedFile[] {
  const app = appFiles(platform, BUNDLES).map((file) => ({ ...file, path: `app/${file.path}` }));
  const files = [...launchers(platform), ...app, ...nodeFiles(platform, 'node', ownNode)];
  const components = inventory(platform, RECORDS, ownNode && versionOfNode(ownNode));
  const all = [...files, ...papers(platform, components, files)];
  return [...all, checksums(all)];
}

async function main(argv: string[]): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      out: { type: 'string', default: join(ROOT, 'dist/web') },
      platform: { type: 'string' },
      node: { type: 'string' },
      level: { type: 'string', default: '9' },
    },
  });
  const platform = platformNamed(values.platform);
  const built = await build('desktop');
  if (built !== 0) return built;
  const files = webPackage(platform, values.node);
  const parts = partSizes(files.map((file) => ({ path: file.path, sizeBytes: sizeOf(file) })));
  console.log(sizeTable(parts));
  const out = resolve(values.out);
  const name = `marginalia-${product.version}-${platform.name}`;
  rmSync(join(out, name), { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  writeFolder(files, join(out, name));
  const archive = join(out, `${name}.${platform.os === 'win32' ? 'zip' : 'tar.gz'}`);
  if (platform.os === 'win32') writeZip(files, name, archive, Number(values.level));
  else await writeTarGz(files, name, archive, Number(values.level));
  const { size } = statSync(archive);
  console.log(`${(size / 1e6).toFixed(1).padStart(8)} MB  ${archive}`);
  keepToBudget(
    name,
    parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  );
  return 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await runCommand(main);
