/**
 * Builds the desk, and the desktop app's bundles where asked, and leaves a stamp of the
 * sources' content beside the output, so that an unchanged tree is not built twice.
 * Promises that what is in `out/` afterwards is what the sources say.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** `desk`: the page alone, as the web host serves it. `desktop`: all three bundles. */
export type Bundle = 'desk' | 'desktop';

const DESK_SOURCES = ['renderer', 'main/api.ts', 'main/domain', 'package-lock.json', 'tsconfig.json'];

const SOURCES: Record<Bundle, string[]> = {
  desk: DESK_SOURCES,
  desktop: [
    ...['main', 'hosts', 'electron', 'resources', 'packaging/bundled.ts', 'package.json'],
    ...['electron.vite.config.ts', 'engine.vite.config.ts', ...DESK_SOURCES],
  ],
};

const VITE = ['node_modules/vite/bin/vite.js', 'build', '--logLevel', 'warn', '--config'];

const COMMANDS: Record<Bundle, string[][]> = {
  desk: [[...VITE, 'renderer/vite.config.ts']],
  desktop: [
    [...VITE, 'engine.vite.config.ts'],
    ['node_modules/electron-vite/bin/electron-vite.js', 'build', '--logLevel', 'warn'],
  ],
};

/** What the message compiler and the system write beside the sources. */
const GENERATED = new Set(['paraglide', 'cache', '.DS_Store', '.meta.json', '.gitignore', 'README.md']);

function* filesUnder(path: string): Generator<string> {
  const full = join(ROOT, path);
  if (!existsSync(full)) return;
  let entries;
  try {
    entries = readdirSync(full, { withFileTypes: true });
  } catch {
    yield path; // a file, not a folder
    return;
  }
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (!GENERATED.has(entry.name)) yield* filesUnder(`${path}/${entry.name}`);
  }
}

/** SHA-256 (hex) over the names and contents of everything that the bundle is made from. */
export function sourcesHash(bundle: Bundle): string {
  const digest = createHash('sha256').update(process.version);
  for (const source of SOURCES[bundle]) {
    for (const file of filesUnder(source)) {
      const content = readFileSync(join(ROOT, file));
      digest.update(`${file}\n${content.length}\n`).update(content);
    }
  }
  return digest.digest('hex');
}

const stampOf = (bundle: Bundle) => join(ROOT, 'out', `${bundle}.stamp`);

/** Builds `bundle` unless `out/` already holds what the sources say. Gives the builder's exit code. */
export async function build(bundle: Bundle, force = false): Promise<number> {
  const made: Bundle[] = bundle === 'desktop' ? ['desk', 'desktop'] : ['desk'];
  const hash = sourcesHash(bundle);
  const stamp = stampOf(bundle);
  const page = join(ROOT, 'out/renderer/index.html');
  if (!force && existsSync(page) && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return 0;
  process.stderr.write('Building the desk …\n');
  // both, because both bundles write the page
  for (const old of ['desk', 'desktop'] as const) rmSync(stampOf(old), { force: true });
  const before = made.map((one) => [one, sourcesHash(one)] as const);
  for (const [script, ...args] of COMMANDS[bundle]) {
    const child = spawn(process.execPath, [join(ROOT, script), ...args], {
      cwd: ROOT,
      // stdout belongs to whoever called: a builder's chatter goes to stderr
      stdio: ['ignore', process.stderr, process.stderr],
    });
    const code = await new Promise<number>((resolve) => {
      child.on('exit', (status) => resolve(status ?? 1));
    });
    if (code !== 0) return code;
  }
  mkdirSync(join(ROOT, 'out'), { recursive: true });
  for (const [one, content] of before) writeFileSync(stampOf(one), content);
  return 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exitCode = await build(process.argv.includes('--desk') ? 'desk' : 'desktop', true);
}
