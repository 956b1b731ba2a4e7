/**
 * `npm start [DIR]`: builds the desk where its sources changed, makes sure there is a
 * project to show (the built-in sample when no folder is named), and opens it: in the
 * desktop window where Electron is installed, else in the browser from a loopback host.
 * Owns no logic of its own; every step is a command that can be run alone.
 */
import envPaths from 'env-paths';
import { spawn } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ENGINE_FLAGS } from '../main/places.ts';
import { build } from './build.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CLI = join(ROOT, 'hosts/cli.ts');

const ELECTRON_BINARIES: Partial<Record<NodeJS.Platform, string>> = {
  linux: 'electron',
  win32: 'electron.exe',
  darwin: 'Electron.app/Contents/MacOS/Electron',
};

/** Electron's binary, or null where it was never fetched. */
function findElectron(): string | null {
  const name = ELECTRON_BINARIES[process.platform];
  const dist = process.env.ELECTRON_OVERRIDE_DIST_PATH ?? join(ROOT, 'node_modules/electron/dist');
  const binary = name === undefined ? null : join(dist, name);
  return binary !== null && existsSync(binary) ? binary : null;
}

/** Runs a program in the foreground and gives its exit code; Ctrl-C and kill reach it. */
function foreground(file: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<number> {
  const child = spawn(file, args, { stdio: 'inherit', env: { ...process.env, ...env } });
  const pass = (signal: NodeJS.Signals) => {
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
  };
  process.on('SIGINT', pass).on('SIGTERM', pass).on('SIGHUP', pass);
  return new Promise((done, fail) => {
    child.on('error', fail);
    child.on('exit', (code, signal) => {
      process.off('SIGINT', pass).off('SIGTERM', pass).off('SIGHUP', pass);
      done(code ?? 128 + constants.signals[signal!]);
    });
  });
}

/** The sample project's folder, made on the first start; an exit code where that failed. A sample whose making was interrupted is made again: nobody has seen it yet. */
async function sampleProject(): Promise<string | number> {
  const data = envPaths('marginalia', { suffix: '' }).data;
  const folder = join(data, 'sample');
  const finished = join(data, 'sample.finished');
  if (existsSync(finished) && existsSync(join(folder, 'project.sqlite'))) return folder;
  process.stderr.write(`Making the sample project (simulated cells) in ${folder} …\n`);
  rmSync(folder, { recursive: true, force: true });
  const code = await foreground(process.execPath, [...process.execArgv, CLI, 'sample', folder]);
  if (code !== 0) return code;
  writeFileSync(finished, '');
  return folder;
}

async function start(argv: string[]): Promise<number> {
  const options = argv.filter((argument) => argument.startsWith('--'));
  const folders = argv.filter((argument) => !argument.startsWith('--'));
  if (folders.length > 1 || options.some((option) => option !== '--no-open')) {
    process.stderr.write('Usage: npm start [-- PROJECT-FOLDER] [--no-open]\n');
    return 2;
  }
  const electron = existsSync(join(ROOT, 'electron/shell.ts')) ? findElectron() : null;
  const built = await build(electron === null ? 'desk' : 'desktop');
  if (built !== 0) return built;

  const project = folders[0] === undefined ? await sampleProject() : resolve(folders[0]);
  if (typeof project === 'number') return project;
  // The engine behind the window runs on the Node that runs this.
  if (electron !== null) return foreground(electron, [ROOT, project], { MARGINALIA_NODE: process.execPath });
  process.stderr.write('Electron is not installed here, so the desk opens in the browser instead.\n');
  const open = options.includes('--no-open') ? [] : ['--open'];
  return foreground(process.execPath, [...process.execArgv, ...ENGINE_FLAGS, CLI, 'serve', project, ...open]);
}

process.exitCode = await start(process.argv.slice(2));
