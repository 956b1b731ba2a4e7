/**
 * The one build of the desk, used by a plain `vite build` (web host) and by
 * electron-vite (desktop) alike: `renderer/` → `out/renderer/`, with relative addresses so
 * that it opens from any origin. Nothing is inlined into the page: the hosts send a strict
 * Content-Security-Policy without `unsafe-inline` for scripts.
 */
import { paraglideVitePlugin, type CompilerOptions } from '@inlang/paraglide-js';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { fileURLToPath } from 'node:url';
import type { UserConfig } from 'vite';

const here = fileURLToPath(new URL('.', import.meta.url));

/** How the message tables become functions: the language chosen in the desk, else the browser's, else English. */
export const messageOptions = {
  project: `${here}project.inlang`,
  outdir: `${here}paraglide`,
  strategy: ['localStorage', 'preferredLanguage', 'baseLocale'] satisfies CompilerOptions['strategy'],
  localStorageKey: 'marginalia-locale',
  emitTsDeclarations: true,
  emitReadme: false,
};

/** What the desk needs, for both builds. */
export const rendererConfig = {
  root: here,
  base: './',
  publicDir: false,
  plugins: [paraglideVitePlugin(messageOptions), svelte({ configFile: `${here}svelte.config.js` })],
  build: {
    outDir: fileURLToPath(new URL('../out/renderer', import.meta.url)),
    emptyOutDir: true,
    target: 'chrome130',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1500,
    rolldownOptions: { input: `${here}index.html` },
  },
} satisfies UserConfig;

export default rendererConfig;
