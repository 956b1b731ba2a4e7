/**
 * The engine's bundle: everything that stock Node runs (`out/main`): engine, compute,
 * command line, web host. All packages without native code are inside, so that an installed
 * program has few files; the native ones stay in node_modules. Every file lies in the one
 * folder, because entries find each other beside themselves (`main/places.ts`).
 */
import { existsSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { defineConfig } from 'vite';
import { recordPackages } from './packaging/bundled.ts';

/** Packages with native code, and what they load by name. */
const NATIVE = ['better-sqlite3', 'onnxruntime-node', 'onnxruntime-common', 'sharp', 'tokenizers'];

const ENTRIES = [
  ...['engine', 'engine-process', 'compute', 'device-probe', 'encoder-trial-child'].map((name) => `main/${name}.ts`),
  'hosts/cli.ts',
  'hosts/web.ts',
].filter((file) => existsSync(file));

export default defineConfig({
  publicDir: false,
  plugins: [recordPackages('main')],
  ssr: { noExternal: true, external: NATIVE, target: 'node' },
  build: {
    ssr: true,
    outDir: 'out/main',
    emptyOutDir: true,
    target: 'node24',
    minify: false,
    sourcemap: false,
    rolldownOptions: {
      input: Object.fromEntries(ENTRIES.map((file) => [file.replace(/^.*\/|\.ts$/g, ''), file])),
      external: [...NATIVE, ...builtinModules, /^node:/],
      output: { format: 'es', entryFileNames: '[name].js', chunkFileNames: 'shared-[hash].js' },
    },
  },
});
