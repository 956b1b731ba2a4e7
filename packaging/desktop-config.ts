/**
 * electron-builder's configuration for Windows, macOS and Linux. The program was staged
 * before (`desktop.ts`): Electron's part goes into the archive, the engine and its Node lie
 * beside it, whole, because stock Node reads no archives. Nothing is downloaded, rebuilt or
 * published; signing is asked for by the environment (docs/releasing.md).
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Configuration } from 'electron-builder';
import { FUSES } from './fuses.ts';
import { product, ROOT } from './platforms.ts';

export interface Staged {
  /** What goes into the archive. */
  app: string;
  /** What lies beside it, in folders of the names they keep. */
  resources: string;
  /** Where packages are written. */
  output: string;
  /** An unpacked Electron; without one, electron-builder fetches it. */
  electron?: string;
}

const ICONS = join(ROOT, 'resources/icons');

/** A project is a folder: the program offers itself for folders, and is never their first choice. */
const FOLDERS = {
  CFBundleTypeName: 'Marginalia project',
  CFBundleTypeRole: 'Editor',
  LSHandlerRank: 'Alternate',
  LSItemContentTypes: ['public.folder'],
};

/** electron-builder lets every app load over plain http; this one loads nothing. Before signing. */
function closeTransport(plist: string): void {
  const open =
    /(<key>NS(?:AllowsArbitraryLoads|AllowsLocalNetworking|TemporaryExceptionAllowsInsecureHTTPLoads)<\/key>\s*)<true\/>/g;
  writeFileSync(plist, readFileSync(plist, 'utf8').replace(open, '$1<false/>'));
}

export function desktopConfig(staged: Staged): Configuration {
  return {
    appId: 'org.marginalia.desk',
    productName: 'Marginalia',
    copyright: 'The Marginalia authors, Apache-2.0',
    electronVersion: product.devDependencies.electron,
    ...(staged.electron !== undefined && { electronDist: staged.electron }),
    electronLanguages: ['en-US', 'zh-CN'],
    directories: { output: staged.output, buildResources: ICONS },
    files: ['**/*', '!**/*.map', '!**/node_modules/**'],
    extraMetadata: { homepage: 'https://example.org/marginalia' },
    extraResources: [{ from: staged.resources, to: '.' }],
    asar: true,
    afterPack: ({ appOutDir, electronPlatformName }) => {
      if (electronPlatformName === 'darwin') closeTransport(join(appOutDir, 'Marginalia.app/Contents/Info.plist'));
    },
    npmRebuild: false,
    nodeGypRebuild: false,
    publish: null,
    electronFuses: FUSES,
    // the version, system and kind of processor are in every name; no spaces, for scripts
    artifactName: '${name}-${version}-${os}-${arch}.${ext}',
    win: {
      target: [
        { target: 'nsis', arch: 'x64' },
        { target: 'msi', arch: 'x64' },
      ],
      icon: join(ICONS, 'marginalia.ico'),
      // signing and hashing of every program file in the package, not only of the main one
      signExts: ['.node', '.dll'],
      requestedExecutionLevel: 'asInvoker',
    },
    nsis: {
      oneClick: false,
      perMachine: false,
      allowElevation: true,
      allowToChangeInstallationDirectory: true,
      include: join(ROOT, 'packaging/installer.nsh'),
      deleteAppDataOnUninstall: false,
      createDesktopShortcut: false,
      artifactName: '${name}-${version}-${os}-${arch}-setup.${ext}',
    },
    msi: { oneClick: false, perMachine: true, createDesktopShortcut: false, runAfterFinish: false },
    mac: {
      target: [
        { target: 'dmg', arch: 'arm64' },
        { target: 'zip', arch: 'arm64' },
      ],
      icon: join(ICONS, 'marginalia.icns'),
      category: 'public.app-category.medical',
      minimumSystemVersion: '13.4',
      hardenedRuntime: true,
      gatekeeperAssess: false,
      entitlements: join(ROOT, 'packaging/entitlements.mac.plist'),
      entitlementsInherit: join(ROOT, 'packaging/entitlements.mac.plist'),
      notarize: Boolean(process.env.APPLE_TEAM_ID),
      extendInfo: {
        NSHumanReadableCopyright: 'The Marginalia authors, Apache-2.0',
        CFBundleDocumentTypes: [FOLDERS],
      },
    },
    dmg: { sign: false, writeUpdateInfo: false },
    linux: {
      target: ['AppImage', 'deb', 'rpm'],
      icon: ICONS,
      category: 'Science',
      synopsis: product.description,
      maintainer: 'The Marginalia authors <marginalia@example.org>',
      vendor: 'The Marginalia authors',
      executableName: 'marginalia',
      executableArgs: ['%f'],
      mimeTypes: ['inode/directory'],
      syncDesktopName: true,
    },
    deb: { packageCategory: 'science', priority: 'optional', compression: 'xz' },
    rpm: { packageCategory: 'Applications/Engineering' },
  };
}
