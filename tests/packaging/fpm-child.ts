/**
 * Stands in for fpm, which electron-builder makes Linux packages with and which cannot be
 * fetched everywhere: understands the arguments that are used, lays the files out and lets
 * the system's dpkg-deb make a real package, uncompressed. For anything but deb it fails.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const FLAGS = new Set(['--force']);
const options: Record<string, string[]> = {};
const mappings: [from: string, to: string][] = [];

const argv = process.argv.slice(2);
for (let i = 0; i < argv.length; i++) {
  const word = argv[i];
  if (FLAGS.has(word)) continue;
  if (word.startsWith('-')) (options[word] ??= []).push(argv[++i]);
  else mappings.push(word.split('=') as [string, string]);
}
const one = (name: string) => options[name]?.[0] ?? '';
if (one('-t') !== 'deb') throw new Error(`only deb is made here, not ${one('-t')}`);

const tree = mkdtempSync(join(tmpdir(), 'marginalia-deb-'));
try {
  for (const [from, to] of mappings) {
    const target = join(tree, to);
    mkdirSync(dirname(target), { recursive: true });
    cpSync(from.replace(/\/$/, ''), target, { recursive: true, preserveTimestamps: true });
  }
  mkdirSync(join(tree, 'DEBIAN'));
  const [summary, ...more] = one('--description').split('\n');
  const control = [
    `Package: ${one('--name')}`,
    `Version: ${one('--version')}`,
    `Architecture: ${one('--architecture')}`,
    `Maintainer: ${one('--maintainer')}`,
    `Depends: ${(options['-d'] ?? []).join(', ')}`,
    `Section: ${one('--category')}`,
    `Priority: ${one('--deb-priority')}`,
    `Homepage: ${one('--url')}`,
    `Description: ${summary}`,
    ...more,
  ];
  writeFileSync(join(tree, 'DEBIAN/control'), `${control.join('\n')}\n`);
  for (const [option, script] of [
    ['--after-install', 'postinst'],
    ['--after-remove', 'postrm'],
  ]) {
    if (one(option) === '') continue;
    const target = join(tree, 'DEBIAN', script);
    copyFileSync(one(option), target);
    execFileSync('chmod', ['755', target]);
  }
  execFileSync('dpkg-deb', ['-Znone', '--root-owner-group', '--build', tree, one('--package')], { stdio: 'ignore' });
} finally {
  rmSync(tree, { recursive: true, force: true });
}
