/**
 * The three bundles of the desktop app: what runs in Node (`out/main`), the preload script
 * (`out/preload`, CommonJS because a sandboxed window accepts nothing else) and the desk
 * (`out/renderer`, from the same configuration that the web host's build uses). Packages
 * stay in node_modules; only our own sources are bundled.
 */
import { defineConfig } from 'electron-vite';
import { existsSync } from 'node:fs';
import { rendererConfig } from './renderer/vite.config.ts';

/** The entries that exist: the shell comes with the desktop window. */
function entries(candidates: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(candidates).filter(([, file]) => existsSync(file)));
}

const preload = entries({ preload: 'electron/preload.ts' });

export default defineConfig({
  main: {
    build: {
      outDir: 'out/main',
      target: 'node24',
      rolldownOptions: {
        input: entries({
          index: 'electron/shell.ts',
          engine: 'main/engine.ts',
          compute: 'main/compute.ts',
          'device-probe': 'main/device-probe.ts',
          cli: 'hosts/cli.ts',
          web: 'hosts/web.ts',
        }),
        output: { format: 'es' },
      },
    },
  },
  ...(Object.keys(preload).length > 0 && {
    preload: {
      build: {
        outDir: 'out/preload',
        target: 'node24',
        rolldownOptions: { input: preload, output: { format: 'cjs', entryFileNames: '[name].cjs' } },
      },
    },
  }),
  renderer: rendererConfig,
});
