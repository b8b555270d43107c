import { defineConfig } from 'vite';

// FOVEA_SERVER: where a page under development (npx vite) finds its server.
const target = process.env.FOVEA_SERVER ?? 'http://127.0.0.1:8080';
const proxy = Object.fromEntries(['/v1', '/page'].map((path) => [path, { target, changeOrigin: false }])); // Host and Origin stay alike

export default defineConfig({
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // the content policy knows no inline anything
    rolldownOptions: { output: { entryFileNames: 'assets/page-[hash].js', assetFileNames: 'assets/page-[hash][extname]' } },
  },
  server: { proxy },
  preview: { proxy },
});
