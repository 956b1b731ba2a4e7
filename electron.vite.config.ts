/**
 * What Electron itself loads, and nothing else: the shell (`out/shell`), the preload script
 * (`out/preload`, CommonJS because a sandboxed window accepts nothing else) and the desk
 * (`out/renderer`, from the same configuration that the web host's build uses). They are
 * packed into the archive whose integrity Electron checks; the engine is a bundle of its own
 * (`engine.vite.config.ts`), because stock Node cannot read that archive.
 */
import { defineConfig } from 'electron-vite';
import { existsSync } from 'node:fs';
import { recordPackages } from './packaging/bundled.ts';
import { rendererConfig } from './renderer/vite.config.ts';

const hasShell = existsSync('electron/shell.ts');
const hasPreload = existsSync('electron/preload.ts');

export default defineConfig({
  ...(hasShell && {
    main: {
      plugins: [recordPackages('shell')],
      build: {
        outDir: 'out/shell',
        emptyOutDir: true,
        target: 'node24',
        externalizeDeps: false,
        rolldownOptions: {
          input: { index: 'electron/shell.ts' },
          output: { format: 'es', chunkFileNames: 'shared-[hash].js' },
        },
      },
    },
  }),
  ...(hasPreload && {
    preload: {
      build: {
        outDir: 'out/preload',
        emptyOutDir: true,
        target: 'node24',
        externalizeDeps: false,
        rolldownOptions: {
          input: { preload: 'electron/preload.ts' },
          output: { format: 'cjs', entryFileNames: '[name].cjs' },
        },
      },
    },
  }),
  renderer: {
    ...rendererConfig,
    plugins: [...rendererConfig.plugins, recordPackages('desk')],
    // as the plain build does it
    build: { ...rendererConfig.build, minify: true },
  },
});
