/**
 * ESLint reads what oxlint cannot: Svelte components and rune modules. Everything else is
 * oxlint's (`.oxlintrc.json`).
 */
import svelte from 'eslint-plugin-svelte';
import typescript from 'typescript-eslint';
import svelteConfig from './renderer/svelte.config.js';

export default [
  { ignores: ['out/**', 'dist/**', 'renderer/paraglide/**', 'node_modules/**'] },
  ...svelte.configs.recommended.map((config) => ({ ...config, files: ['**/*.svelte', '**/*.svelte.ts'] })),
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: {
      parserOptions: { parser: typescript.parser, extraFileExtensions: ['.svelte'], svelteConfig },
    },
    rules: {
      'svelte/no-at-html-tags': 'error',
      'svelte/no-target-blank': 'error',
      'svelte/require-each-key': 'error',
      'svelte/no-inline-styles': 'off',
      // svelte-check says what is not needed; this one mistakes the compiler's warnings
      'svelte/no-unused-svelte-ignore': 'off',
      // sets and maps that no template reads need no proxy
      'svelte/prefer-svelte-reactivity': 'off',
    },
  },
];
