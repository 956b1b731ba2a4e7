/**
 * A plug-in for the bundlers that writes down which packages' code really went into a
 * bundle (after what nobody uses was dropped), for the notices and the bill of materials.
 * The record lies in `out/`, one file per bundle, and holds names and versions only.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Where the record of one bundle lies. */
export const recordOf = (bundle: string, out = join(ROOT, 'out')) => join(out, `bundled-${bundle}.json`);

/** The folder of the package that a module belongs to, from the project's root; null for our own code. */
function packageFolder(id: string): string | null {
  const path = id.replace(/^\0/, '').replace(/\?.*$/, '').replaceAll('\\', '/');
  const match = /^.*?(node_modules\/(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+)/.exec(path);
  return match?.[1] ?? null;
}

export function recordPackages(bundle: string): Plugin {
  return {
    name: 'marginalia-record-packages',
    generateBundle(_, output) {
      const folders = new Set<string>();
      for (const chunk of Object.values(output)) {
        if (chunk.type !== 'chunk') continue;
        for (const [id, { renderedLength }] of Object.entries(chunk.modules)) {
          const folder = renderedLength > 0 ? packageFolder(id) : null;
          if (folder !== null) folders.add(folder);
        }
      }
      const packages = [...folders].sort().map((folder) => {
        const { name, version } = JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8'));
        return { folder, name, version };
      });
      mkdirSync(join(ROOT, 'out'), { recursive: true });
      writeFileSync(recordOf(bundle), `${JSON.stringify(packages, null, 1)}\n`);
    },
  };
}
