/**
 * How Svelte components compile: runes only, so that the older reactivity cannot slip in.
 * Read by the Vite plugin, svelte-check and eslint-plugin-svelte.
 */
/** @type {import('@sveltejs/vite-plugin-svelte').SvelteConfig} */
export default {
  compilerOptions: {
    runes: ({ filename }) => (filename.split(/[/\\]/).includes('node_modules') ? undefined : true),
  },
};
