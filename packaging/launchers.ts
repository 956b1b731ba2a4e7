/**
 * The scripts by which a person starts the package that needs no Electron, one for each
 * system, and the page that lies beside them. Each starts the Node in the package with the
 * command line in the package, from wherever the folder lies; without arguments it opens
 * the desk in the browser. Settings meant for another Node are not passed on.
 */
import { ENGINE_FLAGS } from '../main/places.ts';
import type { PackedFile } from './contents.ts';
import { product, type Platform } from './platforms.ts';

const FLAGS = ['--disable-warning=ExperimentalWarning', ...ENGINE_FLAGS].join(' ');

const SH = `#!/bin/sh
# Starts Marginalia with the Node that lies beside it. Without arguments: the desk in the browser.
set -u
self=$0
while [ -L "$self" ]; do
  target=$(readlink -- "$self")
  case $target in
    /*) self=$target ;;
    *) self=\${self%/*}/$target ;;
  esac
done
case $self in
  */*) here=\${self%/*} ;;
  *) here=. ;;
esac
unset NODE_OPTIONS NODE_PATH
# The engine says so too: ONNX Runtime would keep and send reports.
export ORT_DISABLE_TELEMETRY=1
# An account without a home keeps no settings; it can work all the same, and nobody makes it a home.
[ -n "\${HOME:-}" ] || HOME=/dev/null
export HOME
[ $# -gt 0 ] || set -- serve --open
exec "$here/node/node" ${FLAGS} "$here/app/out/main/cli.js" "$@"
`;

const COMMAND = `#!/bin/sh
# Opened by a double click: the desk in the browser. Close this window to stop.
exec "\${0%/*}/marginalia"
`;

const CMD = `@echo off
rem Starts Marginalia with the Node that lies beside it. Without arguments: the desk in the browser.
setlocal
set NODE_OPTIONS=
set NODE_PATH=
set ORT_DISABLE_TELEMETRY=1
if not "%~1"=="" goto command
"%~dp0node\\node.exe" ${FLAGS} "%~dp0app\\out\\main\\cli.js" serve --open
exit /b %errorlevel%
:command
"%~dp0node\\node.exe" ${FLAGS} "%~dp0app\\out\\main\\cli.js" %*
exit /b %errorlevel%
`;

const readme = (start: string) => `Marginalia ${product.version}

${product.description}

  ${start.padEnd(36)} opens the desk in this machine's browser
  ${`${start} help`.padEnd(36)} lists the commands

Nothing needs to be installed, and no network is used. The folder can lie anywhere, also where
it cannot be written. Projects lie where you make them; removing this folder removes none.

SHA256SUMS                  sums of all files here
THIRD-PARTY-NOTICES.txt     the software of others that is inside, and its licences
sbom.cdx.json               the same as a bill of materials (CycloneDX)
`;

const crlf = (text: string) => text.replaceAll('\n', '\r\n');

/** What lies at the top of the package for one system. */
export function launchers(platform: Platform): PackedFile[] {
  if (platform.os === 'win32') {
    return [
      { path: 'marginalia.cmd', source: Buffer.from(crlf(CMD)) },
      { path: 'README.txt', source: Buffer.from(crlf(readme('marginalia'))) },
    ];
  }
  const script = (path: string, text: string) => ({ path, source: Buffer.from(text), isExecutable: true });
  return [
    script('marginalia', SH),
    ...(platform.os === 'darwin' ? [script('Marginalia.command', COMMAND)] : []),
    { path: 'README.txt', source: Buffer.from(readme('./marginalia')) },
  ];
}
