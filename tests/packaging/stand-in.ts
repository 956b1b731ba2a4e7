/**
 * Folders that look to electron-builder like an unpacked Electron, for machines that cannot
 * fetch it: the files that it renames, edits and flips fuses in, and nothing that runs. The
 * Windows program is a real small PE, because its resources are really edited.
 */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { path7za } from '7zip-bin';
import { product, ROOT, type Platform } from '../../packaging/platforms.ts';

/** Where @electron/fuses looks: its sentinel, the wire's version and length, and every fuse off. */
const FUSE_WIRE = Buffer.concat([
  Buffer.from('dL7pKGdnNz796PbbjQWNKmHXBZaB9tsX'),
  Buffer.from([1, 9]),
  Buffer.from('000000000'),
]);

const LANGUAGES = ['de', 'en-US', 'zh-CN'];

const plist = (name: string) => `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>CFBundleExecutable</key><string>${name}</string>
<key>CFBundleIdentifier</key><string>com.github.Electron</string>
<key>CFBundleName</key><string>${name}</string>
</dict></plist>
`;

function place(path: string, content: string | Buffer): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  chmodSync(path, 0o755);
}

function macApp(folder: string, name: string): void {
  place(join(folder, `${name}.app/Contents/Info.plist`), plist(name));
  place(join(folder, `${name}.app/Contents/MacOS/${name}`), 'a program');
}

/** Writes the stand-in for one system's Electron into `folder`. */
export function standInElectron({ os }: Platform, folder: string): void {
  place(join(folder, 'version'), product.devDependencies.electron);
  if (os === 'darwin') {
    macApp(folder, 'Electron');
    const contents = join(folder, 'Electron.app/Contents');
    for (const helper of ['', ' (GPU)', ' (Plugin)', ' (Renderer)']) {
      macApp(join(contents, 'Frameworks'), `Electron Helper${helper}`);
    }
    const framework = join(contents, 'Frameworks/Electron Framework.framework');
    place(join(framework, 'Electron Framework'), Buffer.concat([Buffer.from('a library '), FUSE_WIRE]));
    for (const language of LANGUAGES) {
      const lproj = `${language.replace('-', '_')}.lproj`;
      place(join(framework, 'Versions/A/Resources', lproj, 'locale.pak'), 'words');
      mkdirSync(join(contents, 'Resources', lproj), { recursive: true });
    }
    copyFileSync(join(ROOT, 'resources/icons/marginalia.icns'), join(contents, 'Resources/electron.icns'));
    return;
  }
  for (const language of LANGUAGES) place(join(folder, 'locales', `${language}.pak`), 'words');
  if (os === 'linux') place(join(folder, 'electron'), Buffer.concat([Buffer.from('#!/bin/sh\n# '), FUSE_WIRE]));
  else {
    const program = join(dirname(path7za), '../../win/x64/7za.exe');
    place(join(folder, 'electron.exe'), Buffer.concat([readFileSync(program), FUSE_WIRE]));
  }
}
