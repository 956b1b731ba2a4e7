/**
 * A Chromium for the end-to-end tests: CHROMIUM_PATH, else an installed Chromium, Chrome or
 * Edge, else one that Playwright fetches, else (as root on Debian) the distribution's
 * package. Says what it does on stderr; gives null with the reason when nothing helped.
 */
import { chromium } from '@playwright/test';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome', 'microsoft-edge'];

function places(): string[] {
  const { env } = process;
  if (process.platform === 'darwin') {
    return ['Google Chrome', 'Chromium', 'Microsoft Edge'].flatMap((app) =>
      ['/Applications', join(env.HOME ?? '', 'Applications')].map((at) => `${at}/${app}.app/Contents/MacOS/${app}`),
    );
  }
  if (process.platform === 'win32') {
    return [env.PROGRAMFILES, env['PROGRAMFILES(X86)'], env.LOCALAPPDATA]
      .filter((folder) => folder !== undefined)
      .flatMap((folder) =>
        [
          'Google/Chrome/Application/chrome.exe',
          'Chromium/Application/chrome.exe',
          'Microsoft/Edge/Application/msedge.exe',
        ].map((file) => join(folder, file)),
      );
  }
  const folders = (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name)));
}

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}

/** A browser that is on this machine already, or null. */
export function installedChromium(): string | null {
  const named = process.env.CHROMIUM_PATH;
  if (named) return isFile(named) ? named : null;
  const own = chromium.executablePath();
  return places().find(isFile) ?? (isFile(own) ? own : null);
}

function isDebian(): boolean {
  return existsSync('/etc/os-release') && /^ID(_LIKE)?=.*debian/m.test(readFileSync('/etc/os-release', 'utf8'));
}

/** Finds or fetches a browser; `{path}` or `{reason}`. May take minutes and change the machine where the header says so. */
export function provideChromium(root: string): { path: string } | { reason: string } {
  const found = installedChromium();
  if (found !== null) return { path: found };
  if (process.env.CHROMIUM_PATH)
    return { reason: `CHROMIUM_PATH names ${process.env.CHROMIUM_PATH}, which is no file.` };

  process.stderr.write('No Chromium is installed: asking Playwright for one …\n');
  const cli = join(root, 'node_modules/@playwright/test/cli.js');
  const fetched = spawnSync(process.execPath, [cli, 'install', 'chromium'], {
    timeout: 120_000,
    encoding: 'utf8',
    env: { ...process.env, PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT: '15000' },
  });
  if (fetched.status === 0 && isFile(chromium.executablePath())) return { path: chromium.executablePath() };

  if (process.getuid?.() === 0 && isDebian()) {
    process.stderr.write('Playwright has none to give: installing Debian’s chromium and a CJK font …\n');
    const installed = spawnSync(
      'sh',
      ['-c', 'apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk'],
      { timeout: 420_000, encoding: 'utf8', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } },
    );
    const now = installedChromium();
    if (now !== null) return { path: now };
    return { reason: `apt-get could not install chromium:\n${installed.stdout}\n${installed.stderr}` };
  }
  return {
    reason:
      'There is no Chromium or Chrome on this machine, and Playwright could not fetch one.\n' +
      'Install Chromium or Chrome, or name one in CHROMIUM_PATH, then try again.\n' +
      `${fetched.stdout ?? ''}${fetched.stderr ?? ''}`,
  };
}
