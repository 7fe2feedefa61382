import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const pathOf = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

export default defineConfig({
  root: pathOf('.'),
  base: '/chat/',
  resolve: { alias: [{ find: /^#client\//, replacement: `${pathOf('../client/src')}/` }] },
  build: {
    target: 'es2022',
    // The content security policy allows neither data: URLs nor inline scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: { index: pathOf('index.html'), account: pathOf('account.html') } },
  },
});
