import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

const publicFolder = join(import.meta.dirname, 'public');
const SERVICE_WORKER = 'service-worker.js';

/**
 * Writes the list of everything built, with a hash of each file, into the service worker, which keeps exactly these
 * files for use without a network.
 */
function precacheManifest(): Plugin {
  return {
    name: 'precache-manifest',
    apply: 'build',
    buildStart() {
      this.emitFile({
        type: 'chunk',
        id: join(import.meta.dirname, 'src', 'service-worker.ts'),
        fileName: SERVICE_WORKER,
      });
    },
    generateBundle: {
      order: 'post',
      handler(_options, bundle) {
        const files: { readonly url: string; readonly integrity: string }[] = [];
        const add = (name: string, content: string | Uint8Array): void => {
          const hash = createHash('sha256').update(content).digest('base64');
          files.push({ url: name === 'index.html' ? '/' : `/${name}`, integrity: `sha256-${hash}` });
        };
        for (const output of Object.values(bundle)) {
          if (output.fileName === SERVICE_WORKER) continue;
          add(output.fileName, output.type === 'chunk' ? output.code : output.source);
        }
        for (const name of readdirSync(publicFolder)) add(name, readFileSync(join(publicFolder, name)));
        const worker = bundle[SERVICE_WORKER];
        if (worker?.type !== 'chunk') this.error('The service worker was not built.');
        if (!worker.code.includes('__PRECACHE__')) this.error('The service worker has no place for the manifest.');
        worker.code = worker.code.replace('__PRECACHE__', JSON.stringify(files));
      },
    },
  };
}

export default defineConfig({
  plugins: [react(), precacheManifest()],
  resolve: { conditions: ['@holdfast/source', 'module', 'browser', 'development|production'] },
  build: {
    target: 'es2022',
    // the first that know light-dark(), which the colours of both themes are written with
    cssTarget: ['chrome123', 'edge123', 'firefox120', 'safari17.5'],
    // one file: a page that was opened before an update never asks for a part that is gone
    chunkSizeWarningLimit: 1_500,
    modulePreload: false,
  },
});
