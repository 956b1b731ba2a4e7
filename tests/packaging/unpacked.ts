/**
 * A package as its user has it: made once per test run into a folder of the system's
 * temporary ones, unpacked by the system's own tar, started by its script with an
 * environment in which there is neither Node nor npm.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { build } from '../../hosts/build.ts';
import { writeTarGz } from '../../packaging/archive.ts';
import { platformNamed, product } from '../../packaging/platforms.ts';
import { webPackage } from '../../packaging/web.ts';

/** As in a fresh account: nothing of this process's settings, and no program can be found. */
export const BARE = { PATH: '/nonexistent', LANG: 'C.UTF-8' };

export interface Run {
  status: number | null;
  stdout: string;
  stderr: string;
}

export interface Account {
  uid: number;
  gid: number;
}

/** Runs a program of the package to its end. */
export function runBare(program: string, args: string[], account?: Account, env: NodeJS.ProcessEnv = BARE): Run {
  return spawnSync(program, args, { encoding: 'utf8', env, cwd: '/', timeout: 120_000, ...account });
}

/** Makes this platform's package in `folder` and unpacks it there; gives the folder that a user would open, and the archive. */
export async function unpackedPackage(folder: string): Promise<{ opened: string; archive: string }> {
  if ((await build('desktop')) !== 0) throw new Error('the bundles could not be built');
  const name = `marginalia-${product.version}-${platformNamed().name}`;
  const archive = `${folder}/${name}.tar.gz`;
  await writeTarGz(webPackage(platformNamed()), name, archive, 1);
  mkdirSync(`${folder}/unpacked`);
  const tar = spawnSync('tar', ['-xzf', archive, '-C', `${folder}/unpacked`], { encoding: 'utf8' });
  if (tar.status !== 0) throw new Error(tar.stderr);
  return { opened: `${folder}/unpacked/${name}`, archive };
}
